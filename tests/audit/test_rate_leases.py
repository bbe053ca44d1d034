"""One key on many hosts: its rate limit is leased in PostgreSQL, by processes that know nothing else of each other."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest

from arx_wrapper import audit
from arx_wrapper.audit import AuditLog
from arx_wrapper.audit.storage.postgres import PostgresStore
from arx_wrapper.model import Allowance, Lease, LeaseRequest
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.limits import RateLimit
from arx_wrapper.sandbox.server import serve
from arx_wrapper.transport.shared_rate_limiter import SharedRateLimiter
from tests.audit.conftest import entry, everything
from tests.postgres import Server
from tests.support import PATIENCE, advance

LIMIT = 40


@pytest.fixture
async def log(log_in_postgres: str) -> AsyncIterator[AuditLog]:
    opened = audit.open(log_in_postgres, timeout=PATIENCE)
    await opened.append(entry(action_type="connector.refused"))
    yield opened
    await opened.aclose()


@pytest.fixture
def ask(log: AuditLog) -> Callable[..., Lease]:
    """Ask for calls as one of several processes would."""

    def ask(holder: str, wants: int, *, keeps: int = 0, spent: int = 0, window: int = 0, **more: object) -> Lease:
        store = log._writer.store()
        assert isinstance(store, PostgresStore)
        values = {"subject": "key", "seen": None, "ends": 60.0, "seconds": 30.0, **more}
        return store.lease(LeaseRequest(holder=holder, wants=wants, keeps=keeps, spent=spent, window=window, **values))  # type: ignore[arg-type]

    return ask


@pytest.fixture
def owner(log_in_postgres: str) -> Iterator[psycopg.Connection]:
    """Let a test end windows and leases when it says so, and not when a machine gets there."""
    with psycopg.connect(log_in_postgres, autocommit=True) as connection:
        yield connection


def told(left: int, seconds: float = 60.0) -> Allowance:
    return Allowance(LIMIT, left, seconds)


def begun(ask: Callable[..., Lease]) -> int:
    """Have the first process learn the limit. Returns the window."""
    first = ask("first", 8)
    assert ask("first", 0, spent=1, window=first.window, seen=told(LIMIT - 1)).limit == LIMIT
    return first.window


def end_window(owner: psycopg.Connection) -> None:
    assert owner.execute("UPDATE arx_audit.rates SET ends = clock_timestamp()").rowcount == 1


def test_one_call_goes_until_its_response_tells_the_limit(ask: Callable[..., Lease], owner: psycopg.Connection) -> None:
    first = ask("one", 8)
    owner.execute("UPDATE arx_audit.rates SET probing = probing + interval '1 hour'")  # else it is waited for a second
    assert (first.calls, first.limit) == (1, None)
    assert [ask("one", 8, spent=1, window=first.window).calls, ask("other", 8).calls] == [0, 0]
    assert ask("one", 0, window=first.window, seen=told(LIMIT - 1)).limit == LIMIT
    assert ask("other", 8).calls == 8


def test_no_window_gives_more_calls_than_it_has(ask: Callable[..., Lease]) -> None:
    window = begun(ask)
    given = [ask(f"process {number % 8}", 64, window=window, keeps=0, spent=0).calls for number in range(8)]
    assert sum(given) == LIMIT - 1
    late = ask("late", 64)
    assert (late.calls, late.window) == (0, window)
    assert late.retry > 20, "it is told when calls come back"


def test_those_who_wait_get_a_part_each(ask: Callable[..., Lease]) -> None:
    window = begun(ask)
    taken = ask("greedy", 64, window=window).calls
    assert taken == LIMIT - 1
    ask("greedy", 64, keeps=taken, window=window)
    waiting = [ask(name, 64).calls for name in ("b", "c", "d")]
    assert waiting == [0, 0, 0]
    ask("greedy", 0, keeps=0, window=window)  # gives all of it back
    assert ask("b", 64, window=window).calls == 13, "a third, as two others wait"


def test_a_new_window_has_all_calls_again_and_old_leases_are_none_of_it(
    ask: Callable[..., Lease], owner: psycopg.Connection
) -> None:
    window = begun(ask)
    held = ask("one", 8, window=window)
    end_window(owner)
    new = ask("other", 64)
    assert new.window == window + 1
    assert ask("one", 64, keeps=held.calls, spent=0, window=window).calls + new.calls == LIMIT


def test_calls_that_others_made_without_a_lease_are_taken_off(ask: Callable[..., Lease]) -> None:
    window = begun(ask)
    assert ask("one", 4, window=window).calls == 4
    ask("one", 0, spent=4, window=window, seen=told(10))  # 5 of ours, so 25 of others
    assert ask("other", 64).calls == 10


def test_an_answer_of_the_window_before_says_nothing_of_this_one(
    ask: Callable[..., Lease], owner: psycopg.Connection
) -> None:
    window = begun(ask)
    end_window(owner)
    new = ask("other", 1)
    ask("one", 0, spent=1, window=window, seen=told(0))
    assert new.window == window + 1
    assert ask("third", 64).calls == LIMIT - 1


def test_an_answer_that_is_reported_late_makes_no_window_shorter(ask: Callable[..., Lease]) -> None:
    first = ask("one", 8)
    ask("one", 0, spent=1, window=first.window, seen=told(LIMIT - 1), ends=0.0)  # its window is over
    new = ask("one", 8)
    assert (new.window, new.calls) == (first.window + 1, 8)
    assert ask("other", 8).window == new.window
    assert new.lasts > 20


HOLDER = """
import sys, time
from arx_wrapper.audit.storage.postgres_connection import connect, parameters
from arx_wrapper.audit.storage.postgres_leases import lease
from arx_wrapper.audit.record import hasher
from arx_wrapper.model import LeaseRequest
link = connect(parameters(sys.argv[1]), timeout=60)
got = lease(link, LeaseRequest("key", "doomed", 30, 0, 0, 0, None, 0.0, 30.0), hasher(bytes.fromhex(sys.argv[2])))
print(got.calls, flush=True)
time.sleep(60)
"""


async def test_a_process_that_is_killed_gives_its_part_back(
    log_in_postgres: str, ask: Callable[..., Lease], owner: psycopg.Connection
) -> None:
    from tests.audit.conftest import KEY

    begun(ask)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, log_in_postgres, KEY, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    try:
        assert await child.stdout.readline() == b"30\n"
    finally:
        child.kill()
        await child.wait()
    while_held = ask("other", 64)
    assert while_held.calls == LIMIT - 1 - 30
    assert ask("third", 64).retry <= 30, "those who wait are told when the lease ends, before the window does"
    owner.execute("UPDATE arx_audit.rate_leases SET until = clock_timestamp() WHERE holder = 'doomed'")
    assert ask("third", 64).calls == 15, "half of the 30, as another waits as well"


async def with_calls(log: AuditLog, clock: Callable[[], float] = time.monotonic) -> SharedRateLimiter:
    """A limiter that has sent one call and leased more."""
    assert log.leases
    limiter = SharedRateLimiter(log.leases, "key", clock=clock)
    limiter.release({}, window=await limiter.acquire("agent"))
    async with asyncio.timeout(PATIENCE):
        while not limiter._calls:
            await asyncio.sleep(0.01)
    return limiter


async def test_calls_that_a_closed_limiter_has_not_sent_go_to_others(
    log: AuditLog, ask: Callable[..., Lease], owner: psycopg.Connection
) -> None:
    window = begun(ask)
    limiter = await with_calls(log)
    limiter.close()
    held = "SELECT held FROM arx_audit.rate_leases WHERE holder = %s"
    async with asyncio.timeout(PATIENCE):
        while owner.execute(held, (limiter._holder,)).fetchone() != (0,):  # asking would take an ended lease back, too
            await asyncio.sleep(0.01)
    assert ask("other", 64, window=window).calls == LIMIT - 2


async def test_a_lease_that_has_ended_permits_no_call_and_another_is_asked_for(
    log: AuditLog, ask: Callable[..., Lease]
) -> None:
    begun(ask)
    later = 0.0
    limiter = await with_calls(log, lambda: time.monotonic() + later)
    later = 6.0
    assert not limiter.enter()
    async with asyncio.timeout(30):  # before the window ends
        await limiter.acquire("agent")


def test_the_database_is_told_no_account(ask: Callable[..., Lease], log_in_postgres: str) -> None:
    ask("one", 1, subject="k4n4ry")
    with psycopg.connect(log_in_postgres) as owner:
        rows = owner.execute("SELECT * FROM arx_audit.rates").fetchall()
        rows += owner.execute("SELECT * FROM arx_audit.rate_leases").fetchall()
    assert rows
    assert "k4n4ry" not in str(rows)


@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_a_database_that_is_away_stops_no_call_and_no_event_loop(
    log: AuditLog, postgres_server: Server, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert log.leases
    limiter = SharedRateLimiter(log.leases, "key")
    with getattr(postgres_server, how)():
        first = asyncio.create_task(limiter.acquire("agent"))
        for _ in range(20):
            await asyncio.sleep(0.01)
        if how == "frozen":
            assert not first.done(), "the loop went on while nothing answered"
            advance(5)
        async with asyncio.timeout(PATIENCE):
            windows = [await first, *[await limiter.acquire("agent") for _ in range(7)]]
        for window in windows:
            limiter.release({}, answered=True, window=window)
        warnings = [record for record in caplog.records if record.levelname == "WARNING"]
        assert len(warnings) == 1, "told once"
        assert "not shared" in warnings[0].getMessage()


async def test_a_log_that_waits_for_its_lock_keeps_no_call_waiting_for_the_rate_limit(
    log: AuditLog, log_in_postgres: str, owner: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    assert log.leases
    limiter = SharedRateLimiter(log.leases, "key")
    with psycopg.connect(log_in_postgres) as other:
        other.execute("SELECT * FROM arx_audit.head FOR UPDATE")
        writing = asyncio.create_task(log.append(entry(action_type="connector.refused")))
        async with asyncio.timeout(PATIENCE):
            while owner.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
                await asyncio.sleep(0.01)  # the writer's thread has begun
        waiting = asyncio.create_task(limiter.acquire("agent"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        advance(5)
        await waiting
        assert not writing.done(), "the call went before the log gave up"
    await writing
    assert "not shared" in caplog.text


PROCESS = """
import asyncio, sys
from arx_wrapper import PagerDutyConnector
from arx_wrapper.vault.fixed import FixedVault
from tests.support import EVERYTHING

async def main(name, url, log, token, email, calls):
    vault = FixedVault(api_key=token, requester_email=email)
    async with PagerDutyConnector(name, "o", policies=[EVERYTHING], vault=vault, base_url=url, audit=log) as pd:
        await pd.backends.audit.open()
        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(pd.get_incident("P1234AB") for _ in range(int(calls))))

asyncio.run(main(*sys.argv[1:]))
"""
PROCESSES, CALLS, DOOMED = 8, 30, "process-0"


@pytest.mark.slow
async def test_eight_processes_with_one_key_get_one_429_each_at_most_though_one_is_killed(log_in_postgres: str) -> None:
    sandbox = Sandbox(rate_limit=RateLimit(LIMIT * 3, 5))
    async with serve(sandbox) as served:
        arguments = (served.url, log_in_postgres, sandbox.token, sandbox.email, str(CALLS))
        children = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROCESS, f"process-{number}", *arguments,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )
            for number in range(PROCESSES)
        ]  # fmt: skip
        try:
            for child in children:
                assert child.stdout
                assert await child.stdout.readline() == b"ready\n"
            for child in children:
                assert child.stdin
                child.stdin.write(b"go\n")
            while len(sandbox.requests) < PROCESSES * CALLS // 3:
                await asyncio.sleep(0.02)
            children[0].send_signal(signal.SIGKILL)
            async with asyncio.timeout(60):
                ended = [await child.wait() for child in children]
        finally:
            for child in children:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
    assert ended == [-signal.SIGKILL, *[0] * (PROCESSES - 1)]
    log = audit.open(log_in_postgres)
    refused, done = Counter[str](), Counter[str]()
    for record in await everything(log, action_type="connector.completed"):
        done[record.agent_id] += record.status == "success"
        refused[record.agent_id] += sum(one["status"] == 429 for one in record.metadata.get("attempts", ()))
    await log.aclose()
    assert all(done[f"process-{number}"] == CALLS for number in range(1, PROCESSES))
    assert max(refused.values()) <= 1, refused
    assert sum(request.status == 429 for request in sandbox.requests) <= PROCESSES
