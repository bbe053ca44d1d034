"""The demo's request is decided on the page, by the demo's reviewer with a passkey."""

from __future__ import annotations

import asyncio
import re
import webbrowser
from urllib.parse import urlsplit

import httpx
import pytest

from arx_wrapper.cli import demo
from tests.approvals.authenticator import Authenticator
from tests.console.conftest import Browser
from tests.support import PATIENCE


@pytest.mark.parametrize(("verdict", "said"), [("approve", "Not sent."), ("deny", "Not sent.")])
async def test_the_demo_can_be_decided_on_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verdict: str, said: str
) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def decide(link: str) -> None:
        parts = urlsplit(link)
        origin = f"{parts.scheme}://{parts.netloc}"
        browser = Browser(None, Authenticator(), origin)
        browser.http = httpx.AsyncClient(base_url=origin, trust_env=False, timeout=PATIENCE)
        async with browser.http:
            await browser.get(parts.path)
            assert (await browser.signed(parts.path, {})).json() == {"go": "/"}
            waiting = await browser.get("/")
            request = re.search(r'href="(/requests/\w+)"', waiting.text)
            assert request
            assert "Silence service" in waiting.text
            assert (await browser.signed(f"{request[1]}/decision", {"verdict": verdict})).status_code == 200

    def opened(link: str) -> bool:
        tasks.append(asyncio.ensure_future(decide(link)))
        return True

    monkeypatch.setattr(webbrowser, "open", opened)
    async with asyncio.timeout(60):
        await demo._run(lambda shown: None)
        await asyncio.gather(*tasks)
    out = capsys.readouterr().out
    assert len(tasks) == 1
    assert "the chain holds" in out
    assert (said in out) is (verdict == "deny")
