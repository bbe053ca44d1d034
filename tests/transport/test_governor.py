"""One key's rate limit: learnt, kept, shared in turn."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from arx_wrapper import PagerDutyConnector
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import serve
from arx_wrapper.transport.httpx_backend import Injected
from arx_wrapper.transport.rate_limiter import Governor
from arx_wrapper.vault.fixed import FixedVault
from tests.support import EVERYTHING


def headers(limit: int, remaining: int, reset: float) -> dict[str, str]:
    return {"ratelimit-limit": str(limit), "ratelimit-remaining": str(remaining), "ratelimit-reset": str(reset)}


async def test_only_a_few_go_before_the_allowance_is_known() -> None:
    governor = Governor()
    going = [asyncio.create_task(governor.enter("a")) for _ in range(20)]
    await asyncio.sleep(0.01)
    assert sum(task.done() for task in going) == 8
    governor.leave(headers(100, 92, 60))
    await asyncio.sleep(0.01)
    assert all(task.done() for task in going)


async def test_a_used_up_allowance_is_waited_for() -> None:
    governor = Governor()
    await governor.enter("a")
    governor.leave(headers(5, 0, 0.2))
    began = time.monotonic()
    await governor.enter("a")
    assert 0.15 < time.monotonic() - began < 1


@pytest.mark.parametrize("reset", ["nan", "inf", "-1", "1795500000", "1e9"])
async def test_a_reset_that_makes_no_sense_stops_nobody(reset: str) -> None:
    governor = Governor()
    await governor.enter("a")
    governor.leave({"ratelimit-limit": "10", "ratelimit-remaining": "0", "ratelimit-reset": reset}, answered=True)
    async with asyncio.timeout(1):
        await governor.enter("a")


async def test_those_who_wait_are_woken_though_the_moment_passes_while_it_is_looked_at() -> None:
    ticks = itertools.count()
    governor = Governor(clock=lambda: next(ticks) * 0.3)  # each look at the clock takes a while
    await governor.enter("a")
    governor.leave(headers(5, 0, 1.0))
    async with asyncio.timeout(3):
        await asyncio.gather(*(governor.enter("a") for _ in range(3)))


async def test_agents_take_turns() -> None:
    governor = Governor()
    for _ in range(8):
        await governor.enter("busy")
    order: list[str] = []

    async def one(agent: str) -> None:
        await governor.enter(agent)
        order.append(agent)

    tasks = [asyncio.create_task(one("busy")) for _ in range(10)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(one("quiet")))
    await asyncio.sleep(0)
    while not all(task.done() for task in tasks):
        governor.leave({})
        await asyncio.sleep(0)
    assert order.index("quiet") <= 1


async def test_a_cancelled_wait_gives_its_turn_away() -> None:
    governor = Governor()
    for _ in range(8):
        await governor.enter("a")
    waiting = [asyncio.create_task(governor.enter("a")) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    governor.leave({})
    await asyncio.wait_for(waiting[1], 1)


async def test_a_storm_of_calls_ends_without_a_failure() -> None:
    sandbox = Sandbox(rate_limit="16/s")
    async with serve(sandbox) as served:
        vault = FixedVault(api_key=sandbox.token, requester_email=sandbox.email)
        async with PagerDutyConnector("a", "o", policies=[EVERYTHING], vault=vault, base_url=served.url) as pd:
            began = time.monotonic()
            await asyncio.gather(*(pd.get_incident("P1234AB") for _ in range(80)))
            took = time.monotonic() - began
    refused = sum(request.status == 429 for request in sandbox.requests)
    assert refused <= 16
    assert took < 15


async def test_a_transport_of_ones_own_has_an_allowance_of_its_own() -> None:
    for _ in range(2):
        async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
            assert isinstance(pd._rooms.wire.carrier(), Injected)
            await pd.list_users()
