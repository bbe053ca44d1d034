"""Live updates: browsers hear of a change, and one look a second serves them all."""

from __future__ import annotations

import asyncio

from arx_wrapper.approvals import Approvals
from arx_wrapper.console.events import Watcher
from tests.console.conftest import Pages
from tests.support import PATIENCE


async def test_every_browser_hears_of_a_new_request_and_of_a_decision(pages: Pages) -> None:
    store = pages.deployment.pd.backends.approvals
    watcher = Watcher(store, "org-acme", every=0.02)
    browsers = [watcher.events() for _ in range(50)]
    assert {await anext(browser) for browser in browsers} == {b": hello\n\n"}
    heard = [asyncio.ensure_future(anext(browser)) for browser in browsers]
    asked = await pages.deployment.ask()
    async with asyncio.timeout(PATIENCE):
        first = set(await asyncio.gather(*heard))
    assert len(first) == 1
    assert first.pop().startswith(b"event: change")
    heard = [asyncio.ensure_future(anext(browser)) for browser in browsers]
    await pages.deployment.decide(asked, "alice")
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*heard)
    await watcher.close()
    for browser in browsers:
        async with asyncio.timeout(PATIENCE):
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


class Looked:
    """A store's requests, and how often somebody looks at their states."""

    def __init__(self, store: Approvals) -> None:
        self._store, self.looks = store, 0

    async def states(self, org_id: str) -> tuple[tuple[object, ...], ...]:
        self.looks += 1
        return await self._store.states(org_id)


async def test_governed_calls_wake_no_browser_and_fifty_browsers_cost_one_look_at_the_store(pages: Pages) -> None:
    """Their time beside that of calls without browsers is measured by `python -m tests.bench console`."""
    store = Looked(pages.deployment.pd.backends.approvals)
    watcher = Watcher(store, "org-acme", every=3600)  # type: ignore[arg-type]
    browsers = [watcher.events() for _ in range(50)]
    for browser in browsers:
        await anext(browser)
    tasks = len(asyncio.all_tasks())
    waiting = [asyncio.ensure_future(anext(browser)) for browser in browsers]
    for _ in range(20):
        await pages.deployment.pd.execute("teams:read")
    assert store.looks == 1
    assert not any(browser.done() for browser in waiting)
    assert len(asyncio.all_tasks()) == tasks + len(waiting), "a browser needs no task of its own"
    await watcher.close()
    await asyncio.gather(*waiting, return_exceptions=True)
