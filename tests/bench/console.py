"""A governed call beside fifty open browsers of the console."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator

from arx_wrapper import PagerDutyConnector
from arx_wrapper.console.events import Watcher
from tests.bench.figures import Figure
from tests.support import EVERYTHING

ROUNDS, CALLS, BROWSERS = 9, 50, 50


def measure() -> Iterator[Figure]:
    ratios = asyncio.run(_rounds())
    yield Figure(name=f"a governed call beside {BROWSERS} open browsers, × alone", values=ratios, unit="×", goal=1.2)


async def _rounds() -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        async with PagerDutyConnector.sandbox(policies=[EVERYTHING], approvals=f"sqlite:///{folder}/a.db") as pd:

            async def timed() -> float:
                began = time.perf_counter()
                for _ in range(CALLS):
                    await pd.execute("teams:read")
                return time.perf_counter() - began

            await timed()
            found = []
            for _ in range(ROUNDS):
                alone = await timed()
                watcher = Watcher(pd.backends.approvals, pd.org_id)
                browsers = [watcher.events() for _ in range(BROWSERS)]
                for browser in browsers:
                    await anext(browser)
                waiting = [asyncio.ensure_future(anext(browser)) for browser in browsers]
                await asyncio.sleep(0)
                found.append(await timed() / alone)
                await watcher.close()
                await asyncio.gather(*waiting, return_exceptions=True)
            return found
