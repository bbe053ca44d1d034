"""Live updates: browsers hear of a change, and one look a second serves them all."""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest

from arx_wrapper.console.events import Watcher
from tests.console.conftest import Pages


async def test_every_browser_hears_of_a_new_request_and_of_a_decision(pages: Pages) -> None:
    store = pages.deployment.pd.backends.approvals
    watcher = Watcher(store, "org-acme", every=0.02)
    browsers = [watcher.events() for _ in range(50)]
    assert {await anext(browser) for browser in browsers} == {b": hello\n\n"}
    heard = [asyncio.ensure_future(anext(browser)) for browser in browsers]
    asked = await pages.deployment.ask()
    async with asyncio.timeout(5):
        first = set(await asyncio.gather(*heard))
    assert len(first) == 1
    assert first.pop().startswith(b"event: change")
    heard = [asyncio.ensure_future(anext(browser)) for browser in browsers]
    await pages.deployment.decide(asked, "alice")
    async with asyncio.timeout(5):
        await asyncio.gather(*heard)
    await watcher.close()
    for browser in browsers:
        async with asyncio.timeout(5):
            assert [event async for event in browser] == []


async def test_one_look_serves_all_browsers_and_none_is_taken_when_nobody_listens(pages: Pages) -> None:
    looks = 0

    class Counted:
        async def states(self, org_id: str) -> tuple[tuple[object, ...], ...]:
            nonlocal looks
            looks += 1
            return ()

    watcher = Watcher(Counted(), "org-acme", every=0.02)  # type: ignore[arg-type]
    browsers = [watcher.events() for _ in range(50)]
    for browser in browsers:
        await anext(browser)
    await asyncio.sleep(0.2)
    assert looks <= 12
    for browser in browsers:
        await browser.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.05)
    seen = looks
    await asyncio.sleep(0.1)
    assert looks == seen


@pytest.mark.slow
async def test_fifty_open_browsers_do_not_slow_a_governed_call(pages: Pages) -> None:
    """Paired: each round times a call without browsers and one with fifty, so that a busy machine hits both alike."""
    pd = pages.deployment.pd
    store = pd.backends.approvals

    async def timed(calls: int = 20) -> float:
        began = time.perf_counter()
        for _ in range(calls):
            await pd.execute("teams:read")
        return time.perf_counter() - began

    await timed()
    ratios = []
    for _ in range(9):
        alone = await timed()
        watcher = Watcher(store, "org-acme")
        browsers = [watcher.events() for _ in range(50)]
        for browser in browsers:
            await anext(browser)
        waiting = [asyncio.ensure_future(anext(browser)) for browser in browsers]
        await asyncio.sleep(0)
        ratios.append(await timed() / alone)
        await watcher.close()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert statistics.median(ratios) < 1.2, ratios
