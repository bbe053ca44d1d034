"""The audit log: durable, chained, append-only, closed to what it cannot write."""

from __future__ import annotations

import asyncio
import hmac
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arx_wrapper import AuditError, ConfigError, audit
from arx_wrapper.audit import AuditLog, Refused
from arx_wrapper.audit.log import utc_now
from arx_wrapper.audit.record import hasher
from arx_wrapper.audit.storage.sqlite import SqliteStore
from arx_wrapper.audit.store import Pending
from arx_wrapper.model import Limit
from tests.audit.conftest import entry, everything
from tests.audit.waiting import hurry
from tests.support import CANARY, PATIENCE, advance, sqlite_at


def opened(path: Path, **options: Any) -> AuditLog:
    return audit.open(f"sqlite:///{path}", **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


_TWO_LOGS = """
import asyncio, sys
from arx_wrapper import audit
from tests.audit.conftest import entry

async def main():
    one, other = audit.open(sys.argv[1]), audit.open(sys.argv[1])
    await one.append(entry()), await other.append(entry())
    print("opened", flush=True), sys.stdin.readline()
    for _ in range(5):
        await one.append(entry())
    print("written", flush=True), sys.stdin.readline()

asyncio.run(main())
"""


async def test_what_was_acknowledged_outlives_its_process_whoever_else_used_the_file(path: Path) -> None:
    url = f"sqlite:///{path}"
    with subprocess.Popen(  # noqa: ASYNC220, S603 - our own script
        [sys.executable, "-c", _TWO_LOGS, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writing:
        assert writing.stdin
        assert writing.stdout
        assert writing.stdout.readline() == "opened\n"
        visitor = opened(path)
        assert (await visitor.verify()).records == 2
        await visitor.aclose()
        writing.stdin.write("go on\n")
        writing.stdin.flush()
        assert writing.stdout.readline() == "written\n"
        writing.kill()
    log = opened(path)
    found = await log.verify()
    await log.aclose()
    assert found.ok
    assert found.records >= 7


async def test_a_record_is_on_disk_when_append_returns(path: Path) -> None:
    log = opened(path)
    record = (await log.append(entry(metadata={"ids": {"incident_id": "P1"}}))).record()
    with sqlite_at(path) as other:
        ((found,),) = other.execute("SELECT id FROM audit")
    assert found == record.id
    assert (record.seq, record.prev_hash) == (1, "0" * 64)
    await log.aclose()


FIELDS = """
id seq created_at org_id agent_id action_type connector operation method path risk policy_verdict policy reason
approval_id status inputs_hash outputs_hash duration_ms error metadata prev_hash hash
"""


async def test_records_hold_the_contracts_fields_in_its_order(path: Path) -> None:
    log = opened(path)
    record = (await log.append(entry())).record()
    await log.aclose()
    assert " ".join(msgspec.to_builtins(record)) == " ".join(FIELDS.split())


async def test_an_outcome_is_written_within_its_bounded_time_without_being_waited_for(path: Path) -> None:
    log = opened(path)
    intent = await log.append(entry())
    log.append_soon(entry(action_type="connector.completed", status="success", intent_id=intent.id))
    with sqlite_at(path) as other:
        async with asyncio.timeout(PATIENCE):
            while other.execute("SELECT count(*) FROM audit").fetchone() != (2,):
                await asyncio.sleep(0.01)
    await log.aclose()


async def test_records_cannot_be_changed_or_removed(path: Path) -> None:
    log = opened(path)
    await log.append(entry())
    with sqlite_at(path) as other:
        for statement in ("UPDATE audit SET hash = 'x'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                other.execute(statement)
    await log.aclose()


async def test_no_record_can_follow_another_than_the_last(path: Path) -> None:
    log = opened(path)
    for _ in range(3):
        await log.append(entry())
    fork = "INSERT INTO audit (seq, id, hash, body) SELECT 4, 'x', 'h', body FROM audit WHERE seq = 2"
    with sqlite_at(path) as other, pytest.raises(sqlite3.IntegrityError, match="follow the last"):
        other.execute(fork)
    await log.aclose()


async def test_a_log_of_another_format_is_left_alone(path: Path) -> None:
    await opened(path).append(entry())
    with sqlite_at(path) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(AuditError, match=r"format 99.*Nothing was sent"):
        await opened(path).append(entry())


ATTACKS = {
    "a record changed": "UPDATE audit SET body = replace(body, 'incidents:create', 'incidents:update') WHERE seq = 5",
    "a hash changed": "UPDATE audit SET hash = 'x' || substr(hash, 2) WHERE seq = 5",
    "a record removed": "DELETE FROM audit WHERE seq = 5",
    "the first removed": "DELETE FROM audit WHERE seq = 1",
    "two exchanged": "UPDATE audit SET seq = CASE seq WHEN 4 THEN -5 ELSE -4 END WHERE seq IN (4, 5);"
    "UPDATE audit SET seq = -seq WHERE seq < 0",
    "one inserted": "INSERT INTO audit (seq, id, hash, body) SELECT 11, 'x', 'h', body FROM audit WHERE seq = 5",
    "the index emptied": "PRAGMA writable_schema = 1; UPDATE sqlite_master SET rootpage = "
    "(SELECT rootpage FROM sqlite_master WHERE name = 'audit_segments') WHERE name = 'sqlite_autoindex_audit_1'",
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_tampering_shows(path: Path, attack: str) -> None:
    log = opened(path)
    for _ in range(10):
        await log.append(entry())
    await log.aclose()
    with sqlite_at(path) as other:
        other.executescript(
            "DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete; DROP TRIGGER audit_one_chain;"
            + ATTACKS[attack]
        )
    again = opened(path)
    found = await again.verify()
    await again.aclose()
    assert not found.ok
    assert found.problem


async def test_a_rewrite_without_the_key_shows(path: Path, tmp_path: Path) -> None:
    log = opened(path)
    await log.append(entry())
    await log.aclose()
    Path(f"{path}.key").write_text("00" * 32)  # noqa: ASYNC240 - a test's file
    again = opened(path)
    assert not (await again.verify()).ok
    await again.aclose()


async def test_files_are_their_owners_alone(path: Path) -> None:
    log = opened(path)
    await log.append(entry())
    for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}.key")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    await log.aclose()


def test_memory_is_for_the_sandbox_and_other_kinds_are_refused() -> None:
    for url in ("sqlite:///:memory:", "mysql://x", "audit.db", "sqlite://"):
        with pytest.raises(ConfigError):
            audit.open(url)


async def test_hashes_are_keyed(path: Path, tmp_path: Path) -> None:
    one, other = opened(path), opened(tmp_path / "other.db")
    assert one.keyed_hash(b"low") == one.keyed_hash(b"low") != one.keyed_hash(b"high")
    assert one.keyed_hash(b"low") != other.keyed_hash(b"low")
    await one.aclose()
    await other.aclose()


async def test_a_store_that_is_locked_fails_in_time_and_recovers(path: Path) -> None:
    log, patient = opened(path, timeout=PATIENCE), opened(path, timeout=PATIENCE)
    await log.append(entry())
    await patient.append(entry())
    hurry(log)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(patient.append(entry()))
    with pytest.raises(AuditError, match="Nothing was sent"):
        await log.append(entry())
    assert not waiting.done(), "it gives up when its own time is over"
    blocker.execute("ROLLBACK")
    blocker.close()
    await waiting
    await patient.aclose()
    await asyncio.sleep(0.1)
    await log.append(entry())
    assert len(await everything(log)) == 4, "what its caller gave up on is not written later"
    await log.aclose()


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
@pytest.mark.parametrize("begun", [True, False])
async def test_a_log_that_stays_locked_is_not_opened_and_the_error_names_the_cause(
    path: Path, lock: str, begun: bool
) -> None:
    if begun:
        first = opened(path)
        await first.append(entry())
        await first.aclose()
    with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
        blocker.execute(lock)
        impatient = partial(SqliteStore, str(path), key=None, clock=utc_now, patience=1.2)
        log, start = AuditLog(impatient, timeout=PATIENCE, idle=0.01), time.monotonic()
        with pytest.raises(AuditError, match=r"database is locked\. Nothing was sent"):
            await log.open()
        assert time.monotonic() - start > 1, "it was waited for"
        blocker.execute("ROLLBACK")
    await log.append(entry())
    await log.aclose()
    log = opened(path, timeout=10)
    await log.open()
    store = log._writer.store()
    assert isinstance(store, SqliteStore)
    assert store._patience < 9, "the store gives up before the log does, which does not know the cause"
    await log.aclose()


@pytest.mark.slow
async def test_a_locked_log_is_waited_for_as_long_as_its_timeout_says(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        log = opened(path, timeout=PATIENCE)
        opening = asyncio.create_task(log.open())
        await asyncio.sleep(5)  # longer than the default's share
        assert not opening.done()
        blocker.execute("ROLLBACK")
        await opening
    await log.append(entry())
    await log.aclose()


async def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = opened(tmp_path / "file" / "audit.db")
    with pytest.raises(AuditError, match="cannot be opened"):
        await log.append(entry())
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(AuditError, match="cannot be opened"):
        await opened(garbage).append(entry())


async def test_a_full_disk_stops_calls_and_recovers(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True)  # noqa: ASYNC221, S603, S607
    if mounted.returncode:
        pytest.skip(f"mounting a small tmpfs needs root: {mounted.stderr.decode().strip()}")
    try:
        log = opened(disk / "audit.db", timeout=PATIENCE)
        await log.append(entry())
        (disk / "filler").write_bytes(b"x" * (shutil.disk_usage(disk).free - 8192))
        big = (log.append(entry(metadata={"filler": "x" * 2_000})) for _ in range(200))
        found = await asyncio.gather(*big, return_exceptions=True)
        assert any(isinstance(error, AuditError) and "Nothing was sent" in str(error) for error in found)
        (disk / "filler").unlink()
        await log.append(entry())
        assert (await log.verify()).ok
        await log.aclose()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)  # noqa: ASYNC221, S603, S607


def limit(count: int = 3, seconds: int = 60) -> Limit:
    return Limit(operation="incidents:create", count=count, seconds=seconds, text=f"{count}/x", policy="p")


async def test_a_limit_holds_over_a_sliding_window(path: Path) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    log = opened(path, clock=lambda: now[0])
    usage = [("incidents:create", 1)]
    for _ in range(3):
        await log.append(entry(), usage=usage, limits=[limit()])
        now[0] += timedelta(seconds=10)
    with pytest.raises(Refused, match="used up") as refused:
        await log.append(entry(), usage=usage, limits=[limit()])
    assert refused.value.limit == limit()
    await log.append(entry(agent_id="other"), usage=usage, limits=[limit()])
    now[0] += timedelta(seconds=31)
    await log.append(entry(), usage=usage, limits=[limit()])
    with pytest.raises(Refused):
        await log.append(entry(), usage=[("incidents:create", 5)], limits=[limit()])
    assert len(await everything(log)) == 5
    await log.aclose()


async def test_a_record_holds_no_text_of_an_error(path: Path) -> None:
    from arx_wrapper import InvalidParamsError, PagerDutyConnector
    from tests.support import EVERYTHING, trail

    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=f"sqlite:///{path}") as pd:
        with pytest.raises(InvalidParamsError):
            await pd.execute("incidents:read", {"statuses": [CANARY]})
        await pd.add_incident_note("P1234AB", CANARY)
        assert CANARY not in repr(await trail(pd))
    assert CANARY.encode() not in path.read_bytes()  # noqa: ASYNC240 - a test's file


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_the_keyed_hash_is_hmac_sha256(key: bytes, data: bytes) -> None:
    assert hasher(key)(data) == hmac.digest(key, data, "sha256").hex()


async def test_what_sqlite_says_of_a_locked_log_is_an_audit_error(path: Path) -> None:
    log = opened(path, timeout=PATIENCE)
    await log.append(entry())
    hurry(log)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(AuditError, match="locked"):
        await log.suspend("agent", org_id="org", by="ada", reason="why")
    with pytest.raises(AuditError, match="locked"):
        await log.retain(datetime.now(UTC), by="ada", org_id="org")
    blocker.close()
    await log.aclose()


async def test_a_caller_who_never_pauses_does_not_keep_the_others_waiting(path: Path) -> None:
    log = opened(path)
    order: list[int] = []

    async def caller(number: int) -> None:
        for _ in range(10):
            await log.append(entry())
            order.append(number)

    await asyncio.gather(*(caller(number) for number in range(4)))
    await log.aclose()
    assert set(order[:20]) == {0, 1, 2, 3}


async def test_a_single_caller_lets_other_tasks_run(path: Path) -> None:
    log, ran = opened(path), list[int]()
    await log.append(entry(action_type="connector.refused"))
    recorded = 0
    asyncio.get_running_loop().call_soon(lambda: ran.append(recorded))
    while not ran and recorded < 50:  # each may block the loop for one sync
        await log.append(entry(action_type="connector.refused"))
        recorded += 1
    await log.aclose()
    assert ran[0] < 50


_CANCELLED = """
import asyncio, sys
from arx_wrapper import audit
from tests.audit.conftest import entry

async def main():
    log = audit.open(sys.argv[1], timeout=60)
    await asyncio.gather(*(log.append(entry(action_type="connector.refused")) for _ in range(4_000)))

    async def read():
        async for _ in log.records(call="nothing"):
            pass

    for number in range(60):
        reading = asyncio.create_task(read())
        await asyncio.sleep(number % 12 / 2_000)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    assert (await log.verify()).ok
    await log.aclose()
    print("done")

asyncio.run(main())
"""


def test_a_reader_that_is_cancelled_takes_nothing_with_it(path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", _CANCELLED, f"sqlite:///{path}"], capture_output=True, text=True, check=False, timeout=90
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


_CLOSED = """
import asyncio, sys
from arx_wrapper import audit
from tests.audit.conftest import entry

async def main():
    log = audit.open(sys.argv[1])
    await log.append(entry())
    await log.aclose()

asyncio.run(main())
"""


async def test_an_intent_that_was_open_when_its_log_was_closed_becomes_unknown(path: Path) -> None:
    command = [sys.executable, "-c", _CLOSED, f"sqlite:///{path}"]
    subprocess.run(command, check=True, timeout=60)  # noqa: ASYNC221, S603 - our own script
    log = opened(path)
    assert [record.status for record in await everything(log)] == ["in_progress", "unknown"]
    assert await log.rotate(by="ada", org_id="org")
    await log.aclose()


class Slow(SqliteStore):
    """A disk that takes its time once the transaction has begun."""

    begun, done = threading.Event(), threading.Event()

    def _add(self, batch: Iterable[Pending]) -> None:
        super()._add(given := list(batch))
        if given:
            self.begun.set()
            self.done.wait(PATIENCE)


async def test_an_intent_that_is_written_after_it_was_given_up_is_on_record_as_such(path: Path) -> None:
    log = AuditLog(lambda: Slow(str(path), key=bytes(32), clock=utc_now), timeout=20, idle=0.01)
    await log.open()
    late = asyncio.create_task(log.append(entry()))
    async with asyncio.timeout(PATIENCE):
        while not Slow.begun.is_set():
            await asyncio.sleep(0.005)
    advance(25)
    with pytest.raises(AuditError, match="not written within 20 s"):
        await late
    Slow.done.set()
    await log.aclose()
    after = opened(path, key=bytes(32))
    records = await everything(after)
    await after.aclose()
    assert [(record.action_type, record.error) for record in records] == [
        ("connector.called", None),
        ("connector.refused", "AuditError"),
    ]
    assert records[1].metadata["intent"] == records[0].id


@pytest.mark.parametrize("key", ["", "5a" * 31, "no key at all", "\x00"])
async def test_a_key_file_that_holds_no_key_is_refused(path: Path, key: str) -> None:
    log = opened(path)
    await log.append(entry())
    await log.aclose()
    Path(f"{path}.key").write_text(key)  # noqa: ASYNC240 - a test's file
    with pytest.raises(AuditError, match="64 hexadecimal digits"):
        await opened(path).append(entry())


async def test_what_retention_could_not_unlink_goes_the_next_time(path: Path) -> None:
    log = opened(path)
    await log.append(entry(action_type="connector.refused"))
    segment = await log.rotate(by="ada", org_id="org")
    assert segment is not None
    file = path.parent / segment.file
    kept = file.read_bytes()
    await log.retain(datetime.now(UTC) + timedelta(days=1), by="ada", org_id="org")
    file.write_bytes(kept)  # as if it had been cut off between the two
    await log.retain(datetime.now(UTC) + timedelta(days=1), by="ada", org_id="org")
    await log.aclose()
    assert not file.exists()
