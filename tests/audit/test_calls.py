"""Whole calls, when the log under them cannot be written: nothing is sent, and it recovers by itself."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from arx_wrapper import AuditError, PagerDutyConnector, audit
from tests.audit.conftest import entry, everything
from tests.audit.waiting import at_last, hurry
from tests.cli.conftest import Command, command, here, sandboxed  # noqa: F401 - fixtures
from tests.postgres import Server
from tests.support import CANARY, EVERYTHING, PATIENCE, trail


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody else holds the log, and does not let go."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        with psycopg.connect(url) as other:
            other.execute("SELECT * FROM arx_audit.head FOR UPDATE")
            yield


def sent(pd: PagerDutyConnector) -> int:
    assert pd.sandbox_account is not None
    return len(pd.sandbox_account.requests)


async def nothing_goes_out(url: str, blocked: AbstractContextManager[None]) -> None:
    """Calls before, while and after the log cannot be written."""
    log = audit.open(url, timeout=PATIENCE)
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=log) as pd:
        await log.open()
        hurry(log)
        await _nothing_goes_out(pd, blocked)
    await log.aclose()


async def _at_once(act: Callable[[], Awaitable[object]]) -> None:
    await act()


async def _nothing_goes_out(
    pd: PagerDutyConnector,
    blocked: AbstractContextManager[None],
    succeed: Callable[[Callable[[], Awaitable[object]]], Awaitable[object]] = _at_once,
) -> None:
    await succeed(lambda: pd.acknowledge_incident("P1234AB"))
    before = sent(pd)
    with blocked:
        for _ in range(2):
            with pytest.raises(AuditError, match="Nothing was sent") as caught:
                async with asyncio.timeout(PATIENCE):
                    await pd.add_incident_note("P1234AB", CANARY)
            assert CANARY not in str(caught.value)
        assert sent(pd) == before
    await succeed(lambda: pd.add_incident_note("P1234AB", CANARY))
    assert sent(pd) == before + 1
    records = await trail(pd)
    assert CANARY not in repr(records)
    open_intents = {record.id for record in records if record.action_type == "connector.called"}
    assert open_intents == {record.metadata["intent"] for record in records if "intent" in record.metadata}
    assert (await pd.audit.verify()).ok


async def test_while_another_holds_the_log_nothing_is_sent_and_then_calls_go_on(url: str) -> None:
    await nothing_goes_out(url, locked(url))


async def test_while_the_server_is_down_nothing_is_sent_and_then_calls_go_on(
    log_in_postgres: str, postgres_server: Server
) -> None:
    await nothing_goes_out(log_in_postgres, postgres_server.stopped())


async def test_while_the_server_hangs_nothing_is_sent_and_then_calls_go_on(
    log_in_postgres: str, postgres_server: Server
) -> None:
    log = audit.open(log_in_postgres, timeout=1.5)
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=log) as pd:
        await _nothing_goes_out(pd, postgres_server.frozen(), at_last)
    await log.aclose()


@pytest.mark.slow
async def test_an_outcome_that_cannot_be_recorded_stops_what_comes_next_until_it_is(url: str) -> None:
    log = audit.open(url, timeout=PATIENCE)
    intent = await log.append(entry())
    hurry(log)
    with locked(url):
        log.append_soon(entry(action_type="connector.completed", status="success", intent_id=intent.id))
        with pytest.raises(AuditError, match="Nothing was sent"):
            await log.append(entry())
        with pytest.raises(AuditError):
            await log.flush()
    after = (await log.append(entry())).record()
    await log.flush()
    outcome, last = (await everything(log))[-2:]
    assert (outcome.status, outcome.metadata) == ("success", {"intent": intent.id})
    assert last == after
    await log.aclose()


async def test_a_log_that_may_only_be_read_stops_every_call(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("mounting a file system read-only needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    await run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk))
    try:
        async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=f"sqlite:///{disk}/audit.db") as pd:
            await pd.acknowledge_incident("P1234AB")
            await pd.audit.flush()
        await run("mount", "-o", "remount,ro", str(disk))
        async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=f"sqlite:///{disk}/audit.db") as pd:
            with pytest.raises(AuditError, match="Nothing was sent"):
                await pd.acknowledge_incident("P1234AB")
            assert sent(pd) == 0
            await run("mount", "-o", "remount,rw", str(disk))
            await pd.acknowledge_incident("P1234AB")
            assert sent(pd) == 1
            assert (await pd.audit.verify()).ok
    finally:
        await run("umount", "-l", str(disk))


async def run(*program: str) -> None:
    process = await asyncio.create_subprocess_exec(*program, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    if process.returncode:
        pytest.skip(f"{program[0]} is not possible here: {said.decode().strip()}")


def test_a_call_and_its_approval_by_the_command_line_with_all_of_it_in_postgresql(
    log_in_postgres: str,
    sandboxed: Command,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARX_AUDIT_URL", log_in_postgres)
    delete = ("call", "services:delete", "--service-id", "PABC123")
    assert sandboxed("call", "incidents:acknowledge", "incident_id=P1234AB").status == 0
    assert sandboxed(*delete).status == 4
    request = sandboxed("approvals", "list", "--state", "pending", "-o", "json").json[0]["id"]
    assert sandboxed("approvals", "approve", request, "--reviewer", "ada").status == 0
    assert sandboxed(*delete, "--approval", request).status == 0
    assert sandboxed(*delete, "--approval", request).status == 4
    assert "the chain holds" in sandboxed("audit", "verify", "-o", "table").out
    with psycopg.connect(log_in_postgres) as owner:
        assert owner.execute("SELECT state FROM approval_requests_v2").fetchall() == [("consumed",)]
        actions = [action for (action,) in owner.execute("SELECT action_type FROM arx_audit.records ORDER BY seq")]
        assert owner.execute("SELECT count(*) FROM arx_audit.open_intents").fetchone() == (0,)
    assert actions.count("approval.requested") == 1
    assert actions.count("approval.reviewed") == 2, "the decision, and that it was used"
    assert sandboxed("doctor", "-o", "json").status in (0, 1)
