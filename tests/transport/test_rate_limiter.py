"""One key's rate limit: learnt, kept, shared in turn."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from arx_wrapper import PagerDutyConnector
from arx_wrapper.credentials import Credentials
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import serve
from arx_wrapper.transport.rate_limiter import RateLimiter
from arx_wrapper.vault.fixed import FixedVault
from tests.reporting import section
from tests.support import EVERYTHING, PATIENCE


def headers(limit: int, remaining: int, reset: float) -> dict[str, str]:
    return {"ratelimit-limit": str(limit), "ratelimit-remaining": str(remaining), "ratelimit-reset": str(reset)}


async def test_only_a_few_go_before_the_allowance_is_known() -> None:
    rate_limiter = RateLimiter()
    going = [asyncio.create_task(rate_limiter.acquire("a")) for _ in range(20)]
    await asyncio.sleep(0.01)
    assert sum(task.done() for task in going) == 8
    rate_limiter.release(headers(100, 92, 60))
    await asyncio.sleep(0.01)
    assert all(task.done() for task in going)


async def test_a_used_up_allowance_is_waited_for() -> None:
    rate_limiter = RateLimiter()
    await rate_limiter.acquire("a")
    began = time.monotonic()
    rate_limiter.release(headers(5, 0, 0.2))
    async with asyncio.timeout(PATIENCE):
        await rate_limiter.acquire("a")
    assert time.monotonic() - began > 0.15


@pytest.mark.parametrize("reset", ["nan", "inf", "-1", "1795500000", "1e9"])
async def test_a_reset_that_makes_no_sense_stops_nobody(reset: str) -> None:
    rate_limiter = RateLimiter()
    await rate_limiter.acquire("a")
    rate_limiter.release({"ratelimit-limit": "10", "ratelimit-remaining": "0", "ratelimit-reset": reset}, answered=True)
    async with asyncio.timeout(PATIENCE):
        await rate_limiter.acquire("a")


async def test_those_who_wait_are_woken_though_the_moment_passes_while_it_is_looked_at() -> None:
    ticks = itertools.count()
    rate_limiter = RateLimiter(clock=lambda: next(ticks) * 0.3)  # each look at the clock takes a while
    await rate_limiter.acquire("a")
    rate_limiter.release(headers(5, 0, 1.0))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(rate_limiter.acquire("a") for _ in range(3)))


async def test_agents_take_turns() -> None:
    rate_limiter = RateLimiter()
    for _ in range(8):
        await rate_limiter.acquire("busy")
    order: list[str] = []

    async def one(agent: str) -> None:
        await rate_limiter.acquire(agent)
        order.append(agent)

    tasks = [asyncio.create_task(one("busy")) for _ in range(10)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(one("quiet")))
    await asyncio.sleep(0)
    while not all(task.done() for task in tasks):
        rate_limiter.release({})
        await asyncio.sleep(0)
    assert order.index("quiet") <= 1


async def test_a_cancelled_wait_gives_its_turn_away() -> None:
    rate_limiter = RateLimiter()
    for _ in range(8):
        await rate_limiter.acquire("a")
    waiting = [asyncio.create_task(rate_limiter.acquire("a")) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    rate_limiter.release({})
    await asyncio.wait_for(waiting[1], PATIENCE)


@pytest.mark.slow
async def test_a_storm_of_calls_ends_without_a_failure(request: pytest.FixtureRequest) -> None:
    sandbox = Sandbox(rate_limit="16/s")
    async with serve(sandbox) as served:
        vault = FixedVault(api_key=sandbox.token, requester_email=sandbox.email)
        async with PagerDutyConnector("a", "o", policies=[EVERYTHING], vault=vault, base_url=served.url) as pd:
            began = time.monotonic()
            await asyncio.gather(*(pd.get_incident("P1234AB") for _ in range(80)))
            took = time.monotonic() - began
    refused = sum(seen.status == 429 for seen in sandbox.requests)
    section(request.config, "resilience").append(f"80 calls at 16 a second: {took:.1f} s, {refused} refused")
    assert refused <= 16


async def test_a_transport_of_ones_own_has_an_allowance_of_its_own() -> None:
    async with (
        PagerDutyConnector.sandbox(policies=[EVERYTHING]) as one,
        PagerDutyConnector.sandbox(policies=[EVERYTHING]) as other,
    ):
        key = Credentials(api_key="the-same-key")
        limits = [await pd.backends.transport.rate_limiter(key) for pd in (one, one, other)]
    assert limits[0] is limits[1]
    assert limits[0] is not limits[2]
