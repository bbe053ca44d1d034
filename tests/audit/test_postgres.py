"""A log in PostgreSQL: a server that goes away, hangs or says no, and other sessions that hold it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import psycopg
import pytest

from arx_wrapper import AuditError, ConfigError, audit
from arx_wrapper.audit import AuditLog, Entry
from arx_wrapper.audit.storage.postgres import PostgresStore
from tests.audit.conftest import KEY, entry, everything
from tests.audit.waiting import at_last, hurry
from tests.postgres import Server
from tests.relay import Relay, relay
from tests.support import PATIENCE


@pytest.fixture
def url(log_in_postgres: str) -> str:
    return log_in_postgres


@pytest.fixture
async def log(url: str) -> AsyncIterator[AuditLog]:
    opened = audit.open(url, timeout=PATIENCE)
    yield opened
    await opened.aclose()


def completed(intent_id: str) -> Entry:
    return entry(action_type="connector.completed", status="success", intent_id=intent_id)


@asynccontextmanager
async def refused(text: str) -> AsyncIterator[None]:
    with pytest.raises(AuditError, match=text) as caught:
        async with asyncio.timeout(PATIENCE):
            yield
    assert "Nothing was sent" in str(caught.value)
    assert not caught.value.sent


async def test_a_server_that_stops_fails_calls_in_time_and_the_log_recovers_by_itself(
    log: AuditLog, postgres_server: Server
) -> None:
    await log.append(entry())
    with postgres_server.stopped():
        for _ in range(3):
            async with refused("nothing listens"):
                await log.append(entry())
    await log.append(entry())
    assert len(await everything(log)) == 2
    assert (await log.verify()).ok


async def test_a_connection_that_was_lost_while_nothing_went_on_costs_no_call(log: AuditLog, url: str) -> None:
    await log.append(entry())
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'arx-pagerduty'")
    await log.append(entry())
    assert (await log.verify()).records == 2


async def test_a_writer_that_was_cut_off_and_taken_for_dead_still_records_its_outcome(log: AuditLog, url: str) -> None:
    intent = await log.append(entry())
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'arx-pagerduty'")
    starting = audit.open(url)
    assert [record.status for record in await everything(starting, call=intent.id)] == ["in_progress", "unknown"]
    log.append_soon(completed(intent.id))
    await log.flush()
    statuses = [record.status for record in await everything(starting, call=intent.id)]
    assert statuses == ["in_progress", "unknown", "success"]
    assert (await log.verify()).ok
    await starting.aclose()


async def test_a_server_that_hangs_fails_calls_in_time_and_the_log_recovers_by_itself(
    url: str, postgres_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    log = audit.open(url, timeout=2)
    await at_last(lambda: log.append(entry()))
    given_up = [entry(), entry()]
    with postgres_server.frozen():
        for late in given_up:
            async with refused("did not answer in time|was not written within 2 s"):
                await log.append(late)
    written = await at_last(lambda: log.append(entry()))
    records = await everything(log)
    assert written.record() in records
    answered = {record.metadata.get("intent") for record in records}
    left = {record.id for record in records if record.action_type == "connector.called"} - answered
    assert not left & {late.id for late in given_up}, "what was given up on is not in the log, or refused in it"
    assert (await log.verify()).ok
    assert not caplog.records, "the driver has nothing to say of it"
    await log.aclose()


async def test_a_log_that_another_session_holds_fails_calls_in_time_and_recovers(log: AuditLog, url: str) -> None:
    await log.append(entry())
    hurry(log)
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM arx_audit.head FOR UPDATE")
        session = rf"holds the log locked, of role 'arx', process {other.info.backend_pid}"
        async with refused(session):
            await log.append(entry())
    await log.append(entry())
    assert (await log.verify()).records == 2


async def test_a_host_that_freezes_in_its_turn_loses_it(log: AuditLog, url: str) -> None:
    await log.append(entry())
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FREEZING, url, stdout=asyncio.subprocess.PIPE, env={**os.environ, "ARX_AUDIT_KEY": KEY}
    )
    assert child.stdout
    try:
        assert await child.stdout.readline() == b"holds it\n"
        await log.append(entry())  # within its time, as the other's session is ended
        assert (await log.verify()).records == 2
    finally:
        child.kill()
        await child.wait()


FREEZING = """
import os, signal, sys
from arx_wrapper.audit.storage.postgres_connection import connect, parameters
link = connect(parameters(sys.argv[1]), timeout=2)
with link.transaction():
    link.execute("SELECT take_turn(ARRAY[]::text[])")
    print("holds it", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def between(url: str, postgres_server: Server) -> Iterator[Relay]:
    with relay(postgres_server.port) as running:
        yield running


def through(between: Relay) -> str:
    return f"postgresql://arx@127.0.0.1:{between.port}/postgres?sslmode=disable"


@pytest.mark.parametrize("cuts", ["before", "after"])
async def test_what_was_committed_without_an_answer_is_written_once_and_reported_written(
    between: Relay, cuts: Literal["before", "after"]
) -> None:
    log = audit.open(through(between))
    first = await log.append(entry())
    between.cuts = cuts
    batch = await asyncio.gather(*(log.append(entry()) for _ in range(5)))
    assert between.cut == 1
    assert await everything(log) == [written.record() for written in (first, *batch)]
    assert (await log.verify()).ok
    await log.aclose()


@pytest.mark.parametrize(("cuts", "recorded"), [("before", 2), ("after", 4)])
async def test_an_intent_in_the_log_whose_caller_was_told_otherwise_gets_its_refusal(
    between: Relay, cuts: Literal["before", "after"], recorded: int
) -> None:
    log = audit.open(through(between))
    await log.append(entry())
    between.cuts, between.down = cuts, True
    doubtful = entry()
    async with refused("connection was lost"):
        await log.append(doubtful)
    between.down = False
    await log.append(entry())
    assert between.cut == 1
    told = [(record.action_type, record.error) for record in await everything(log, call=doubtful.id)]
    assert told == ([("connector.called", None), ("connector.refused", "AuditError")] if cuts == "after" else [])
    assert (await log.verify()).records == recorded
    await log.aclose()


async def test_the_key_is_needed_and_must_be_the_logs_own(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = audit.open(url)
    await log.append(entry())
    await log.aclose()
    monkeypatch.setenv("ARX_AUDIT_KEY", "77" * 32)
    log = audit.open(url)
    with pytest.raises(AuditError, match="not the key of this audit log"):
        await log.append(entry())
    await log.aclose()
    monkeypatch.setenv("ARX_AUDIT_KEY", "abc")
    with pytest.raises(AuditError, match="64 hexadecimal digits"):
        await audit.open(url).append(entry())
    monkeypatch.delenv("ARX_AUDIT_KEY")
    with pytest.raises(AuditError, match=r"needs ARX_AUDIT_KEY.*Nothing was sent"):
        await audit.open(url).append(entry())


CANARY = "k4n4ry"
_getaddrinfo = socket.getaddrinfo


def resolve(host: Any, *args: Any, **options: Any) -> list[Any]:
    """`getaddrinfo` of a machine with a resolver, and of one without; a machine of its own may have either."""
    if host == "no-such-host.invalid":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if host == "resolver-down.invalid":
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return _getaddrinfo(host, *args, **options)


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        (f"postgresql://arx:{CANARY}@localhost:1/postgres", "nothing listens"),
        (f"postgresql://arx:{CANARY}@/postgres?host=/nowhere", "nothing listens"),
        (f"postgresql://arx:{CANARY}@no-such-host.invalid/postgres", "name is not known"),
        (f"postgresql://arx:{CANARY}@resolver-down.invalid/postgres", "name cannot be looked up"),
        (f"postgresql://with_password:{CANARY}@/postgres?host=FOLDER&port=PORT", "refuses the user or the password"),
        (f"postgresql://arx:{CANARY}@127.0.0.1:PORT/postgres?sslmode=require", "no TLS"),
        (f"postgresql://arx:{CANARY}@127.0.0.1:PORT/no_such_database", "no such user or database"),
        (f"postgresql://arx@/postgres?sslmode={CANARY}", "cannot be"),
    ],
)
async def test_a_server_that_cannot_be_used_is_told_with_its_cause_and_without_the_password(
    url: str, postgres_server: Server, address: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = address.replace("FOLDER", str(postgres_server.folder)).replace("PORT", str(postgres_server.port))
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    log = audit.open(address, timeout=PATIENCE)
    for use in (log.append(entry()), everything(log), log.verify()):
        with pytest.raises(AuditError, match=cause) as caught:
            await use
        assert CANARY not in "".join(traceback.format_exception(caught.value))
    await log.aclose()


@pytest.mark.parametrize("address", [f"postgresql://arx:{CANARY}@[/x", f"postgresql://arx@/x?passw={CANARY}"])
def test_an_address_that_is_none_is_refused_unseen(address: str) -> None:
    with pytest.raises(ConfigError, match="not shown") as caught:
        audit.open(address)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("setting", "cause"),
    [("default_transaction_read_only = on", "takes no writes"), ("statement_timeout = '250ms'", None)],
)
async def test_a_servers_own_settings_do_not_weaken_the_log(url: str, setting: str, cause: str | None) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS peculiar")
        owner.execute("CREATE ROLE peculiar LOGIN SUPERUSER")
        owner.execute(f"ALTER ROLE peculiar SET {setting}".encode())
        owner.execute("ALTER ROLE peculiar SET synchronous_commit = off")
    log = audit.open(url.replace("arx@", "peculiar@"), timeout=PATIENCE)
    try:
        if cause:
            with pytest.raises(AuditError, match=cause):
                await log.append(entry())
            return
        await log.append(entry())
        store = log._writer._store
        assert isinstance(store, PostgresStore)
        assert store._link
        assert store._link.execute("SHOW synchronous_commit").fetchone() == ("on",)
        assert store._link.execute("SHOW statement_timeout").fetchone() != ("250ms",)
    finally:
        await log.aclose()
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("DROP SCHEMA IF EXISTS arx_audit CASCADE")
            owner.execute("DROP OWNED BY peculiar")
            owner.execute("DROP ROLE peculiar")


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE arx_audit.records SET body = replace(body, 'incidents:create', 'incidents:delete') WHERE seq = 3",
        "UPDATE arx_audit.records SET org_id = 'another' WHERE seq = 3",
        "DELETE FROM arx_audit.records WHERE seq = 3",
        "DELETE FROM arx_audit.records WHERE seq = 5",
        "UPDATE arx_audit.head SET seq = 4, hash = (SELECT hash FROM arx_audit.records WHERE seq = 4)",
        "UPDATE arx_audit.records SET seq = seq + 10 WHERE seq > 2",
        "SELECT 1",  # the triggers that are off
    ],
)
async def test_what_a_superuser_does_to_the_tables_shows(log: AuditLog, url: str, attack: str) -> None:
    for _ in range(5):
        await log.append(entry())
    assert (await log.verify()).ok
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("ALTER TABLE arx_audit.records DISABLE TRIGGER USER")
        owner.execute(attack.encode())
        if attack != "SELECT 1":
            for trigger in ("records_never_change", "records_are_read", "records_follow_head"):
                owner.execute(f"ALTER TABLE arx_audit.records ENABLE ALWAYS TRIGGER {trigger}".encode())
    found = await log.verify()
    assert not found.ok
    assert found.problem
