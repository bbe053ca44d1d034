"""A connector used in one event loop after another, after a fork, after closing: it works, or says why it does not."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from arx_wrapper import ConfigError, PagerDutyConnector, audit
from arx_wrapper.config import Config
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import Served, run_in_thread
from arx_wrapper.transport import loop_state
from arx_wrapper.vault.fixed import FixedVault
from tests.support import EVERYTHING, PATIENCE


@pytest.fixture
def served() -> Iterator[tuple[Sandbox, Served]]:
    sandbox = Sandbox()
    with run_in_thread(sandbox) as found:
        yield sandbox, found


@pytest.fixture
def pd(served: tuple[Sandbox, Served], tmp_path: Path) -> PagerDutyConnector:
    sandbox, where = served
    vault = FixedVault(api_key=sandbox.token, requester_email=sandbox.email)
    config = Config.load({"HOME": str(tmp_path)}, tmp_path)
    return PagerDutyConnector("a", "o", policies=[EVERYTHING], config=config, vault=vault, base_url=where.url)


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def until(holds: Callable[[], bool]) -> None:
    """Wait for the server, which closes its ends of the connections in a thread of its own."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, descriptors()
        time.sleep(0.01)


async def one(pd: PagerDutyConnector) -> None:
    await pd.list_teams(limit=1)


def test_closing_writes_the_records_of_a_log_that_the_caller_opened(
    served: tuple[Sandbox, Served], tmp_path: Path
) -> None:
    async def main() -> list[str]:
        sandbox, where = served
        address = f"sqlite:///{tmp_path}/a.db"
        log = audit.open(address, idle=3600)  # nothing but closing commits the outcome
        vault = FixedVault(api_key=sandbox.token, requester_email=sandbox.email)
        async with PagerDutyConnector(
            "a", "o", policies=[EVERYTHING], audit=log, vault=vault, base_url=where.url
        ) as pd:
            await one(pd)
        reader = audit.open(address, read_only=True)
        actions = [record.action_type async for record in reader.records()]
        await reader.aclose()
        await log.aclose()
        return actions

    assert asyncio.run(main())[-1] == "connector.completed"


def test_nothing_is_kept_of_event_loops_that_are_gone(pd: PagerDutyConnector) -> None:
    asyncio.run(one(pd))
    before = descriptors()
    for _ in range(20):
        asyncio.run(one(pd))
    until(lambda: descriptors() - before <= 1)
    assert not loop_state._STATES
    asyncio.run(pd.aclose())
    until(lambda: descriptors() < before)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # such a loop closes nothing of its own
def test_a_loop_that_is_closed_without_a_shutdown_is_forgotten_by_the_next(pd: PagerDutyConnector) -> None:
    for _ in range(5):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(one(pd))
        loop.close()
    assert len(loop_state._STATES) <= 1
    asyncio.run(pd.aclose())
    gc.collect()  # what warns, warns here


class Meddling:
    """Stands for a loop that is looked at just when another thread's loop comes and a third one's goes."""

    def is_closed(self) -> bool:
        loop_state._STATES[object()] = None  # type: ignore[index,assignment]
        loop_state._STATES.pop(self, None)  # type: ignore[call-overload]
        return True


def test_loops_of_other_threads_come_and_go_while_one_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_state, "_STATES", {Meddling(): None, Meddling(): None})
    assert asyncio.run(loop_state.current()) is not None


def test_closing_in_another_loop_closes_what_a_running_one_holds(pd: PagerDutyConnector) -> None:
    used, done = threading.Event(), threading.Event()

    async def use() -> None:
        await one(pd)
        used.set()
        while not done.is_set():
            await asyncio.sleep(0.005)

    thread = threading.Thread(target=lambda: asyncio.run(use()))
    thread.start()
    try:
        assert used.wait(60)
        before = descriptors()
        asyncio.run(pd.aclose())
        until(lambda: descriptors() < before)
    finally:
        done.set()
        thread.join()


CALLS: dict[str, Callable[[PagerDutyConnector], Awaitable[object]]] = {
    "execute": lambda pd: pd.execute("teams:read", {}),
    "method": lambda pd: pd.list_teams(),
    "iterate": lambda pd: anext(pd.iterate("teams:read")),
    "approval": lambda pd: pd.approval("apr_1"),
    "requester_email": lambda pd: pd.requester_email(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_a_closed_connector_refuses_and_opens_nothing(
    pd: PagerDutyConnector, served: tuple[Sandbox, Served], call: Callable[[PagerDutyConnector], Awaitable[object]]
) -> None:
    await one(pd)
    await pd.aclose()
    sent, before = len(served[0].requests), descriptors()
    with pytest.raises(ConfigError, match=r"closed\. Nothing was sent"):
        await call(pd)
    assert len(served[0].requests) == sent
    assert descriptors() <= before, "the server may have closed its end meanwhile"
    await pd.aclose()  # again, which does nothing


async def test_a_call_that_comes_while_the_connector_closes_is_refused(pd: PagerDutyConnector) -> None:
    under_way = asyncio.create_task(one(pd))
    await asyncio.sleep(0)
    closing = asyncio.create_task(pd.aclose())
    await asyncio.sleep(0)
    with pytest.raises(ConfigError, match="closed"):
        await one(pd)
    await closing
    assert under_way.done()
    await under_way


FORK = """
import asyncio, os, sys
from arx_wrapper import ConfigError, PagerDutyConnector, audit
POLICY = [{"name": "a", "connector": "pagerduty", "operations": ["*"], "risk_max": "high", "approval": "none"}]
def connector(): return PagerDutyConnector("a", "o", policies=POLICY, audit=f"sqlite:///{sys.argv[1]}/{os.getpid()}.db")
used, unused = connector(), connector()
async def one(pd):
    return len(await pd.list_incidents(limit=1))
asyncio.run(one(used))
if os.fork() == 0:
    try:
        asyncio.run(one(used))
        print("sent")
    except ConfigError as error:
        print("refused", "after the fork" in str(error))
    asyncio.run(used.aclose())
    print("child's own:", asyncio.run(one(connector())), "made before:", asyncio.run(one(unused)), flush=True)
    os._exit(0)
os.wait()
print("parent:", asyncio.run(one(used)))
asyncio.run(used.aclose())
"""


def test_a_connector_that_was_used_before_a_fork_says_so_in_the_child_and_goes_on_in_the_parent(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - this interpreter and the test's script
        [sys.executable, "-W", "error::DeprecationWarning", "-c", FORK, str(tmp_path)],
        env={**os.environ, "ARX_SANDBOX": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "refused True",
        "child's own: 1 made before: 1",
        "parent: 1",
    ], done.stderr
