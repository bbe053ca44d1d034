"""Live updates: browsers hear of a change, and one look a second serves them all."""

from __future__ import annotations

import asyncio

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
