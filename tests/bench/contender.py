"""One contender's work, in a process of its own: prints seconds of wall and of its own CPU, per call."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

KEY, EMAIL, INCIDENT = "bench-key", "bot@example.com", "P1234AB"
MANY = {"many": 64, "many256": 256}


def report(count: int, wall: float, cpu: float, **more: float) -> None:
    import json

    # Not getrusage: what it calls this process's peak begins with the peak of the process that started it.
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    print(json.dumps({"wall": wall / count, "cpu": cpu / count, "peak_mb": peak, **more}))


def clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


async def governed(url: str, work: str) -> None:
    from arx_wrapper import PagerDutyConnector
    from arx_wrapper.vault.fixed import FixedVault

    policies = [{"name": "all", "connector": "pagerduty", "operations": ["*"], "risk_max": "high", "approval": "none"}]
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
        vault = FixedVault(api_key=KEY, requester_email=EMAIL)
        log = f"sqlite:///{folder}/audit.db"
        async with PagerDutyConnector("bench", "bench", policies=policies, audit=log, vault=vault, base_url=url) as pd:
            get: Callable[[], Awaitable[Any]] = lambda: pd.get_incident(INCIDENT)  # noqa: E731
            note: Callable[[], Awaitable[Any]] = lambda: pd.add_incident_note(INCIDENT, "n")  # noqa: E731
            if work == "first":
                await get()
                report(1, 0, 0)
            elif work in ("get", "post"):
                await sequential(get if work == "get" else note)
            elif work in MANY:
                await at_once(get, MANY[work])
            else:
                began, cpu = clocks()
                count = 0
                async for _ in pd.iterate("incidents:read"):
                    count += 1
                assert count == 10_000
                report(1, time.perf_counter() - began, time.process_time() - cpu)


async def sequential(call: Callable[[], Awaitable[Any]], count: int = 400) -> None:
    for _ in range(30):
        await call()
    began, cpu = clocks()
    for _ in range(count):
        await call()
    report(count, time.perf_counter() - began, time.process_time() - cpu)


async def at_once(call: Callable[[], Awaitable[Any]], callers: int = 64, each: int = 30) -> None:
    for _ in range(3):  # connections are opened, and the rate limiter lets more go with every response
        await asyncio.gather(*(call() for _ in range(callers)))

    async def caller() -> None:
        for _ in range(each):
            await call()

    began, cpu = clocks()
    await asyncio.gather(*(caller() for _ in range(callers)))
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    report(callers * each, wall, used, share=callers * each / wall / (callers / 0.05))


async def plain_httpx(url: str, work: str) -> None:
    import httpx

    headers = {
        "Authorization": f"Token token={KEY}",
        "From": EMAIL,
        "Accept": "application/vnd.pagerduty+json;version=2",
    }
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=True) as client:

        async def get() -> Any:
            return (await client.get(f"/incidents/{INCIDENT}")).json()

        async def note() -> Any:
            return (await client.post(f"/incidents/{INCIDENT}/notes", json={"note": {"content": "n"}})).json()

        if work == "first":
            await get()
            report(1, 0, 0)
            return
        await (at_once(get, MANY[work]) if work in MANY else sequential(get if work == "get" else note))


def official(url: str, work: str) -> None:
    import pagerduty

    client = pagerduty.RestApiV2Client(KEY, default_from=EMAIL)
    client.url = url

    def get() -> Any:
        return client.rget(f"/incidents/{INCIDENT}")

    def note() -> Any:
        return client.rpost(f"/incidents/{INCIDENT}/notes", json={"content": "n"})

    if work == "pages":
        began, cpu = clocks()
        count = sum(1 for _ in client.iter_all("incidents", page_size=100))
        assert count == 10_000
        report(1, time.perf_counter() - began, time.process_time() - cpu)
        return
    if work == "first":
        get()
        report(1, 0, 0)
        return
    sequential_sync(note if work == "post" else get)


def sequential_sync(call: Callable[[], object], count: int = 400) -> None:
    for _ in range(30):
        call()
    began, cpu = clocks()
    for _ in range(count):
        call()
    report(count, time.perf_counter() - began, time.process_time() - cpu)


def mcp(url: str, work: str) -> None:
    """Call the tools of PagerDuty's MCP server in this process: without the protocol, which would cost more."""
    os.environ["PAGERDUTY_USER_API_KEY"], os.environ["PAGERDUTY_API_HOST"] = KEY, url
    from pagerduty_mcp.context.application_context_strategy import ApplicationContextStrategy
    from pagerduty_mcp.context.context_resolver import ContextResolver
    from pagerduty_mcp.tools.incidents import add_note_to_incident, get_incident

    ContextResolver.set_strategy(ApplicationContextStrategy())

    sequential_sync((lambda: add_note_to_incident(INCIDENT, "n")) if work == "post" else lambda: get_incident(INCIDENT))


if __name__ == "__main__":
    who, address, task = sys.argv[1:]
    if who == "official":
        official(address, task)
    elif who == "mcp":
        mcp(address, task)
    else:
        asyncio.run((governed if who == "governed" else plain_httpx)(address, task))
