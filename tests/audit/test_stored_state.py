"""Limits, suspensions and open intents are judged by what the log's key wrote, or calls stop."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arx_wrapper import AuditError, audit
from arx_wrapper.audit import AuditLog, Refused
from arx_wrapper.audit.chain_state import ChainState, Key, counted_of
from arx_wrapper.audit.log import utc_now
from arx_wrapper.audit.record import outline_of
from arx_wrapper.audit.storage.sqlite import SqliteStore
from arx_wrapper.audit.storage.sqlite_state import store_snapshot, stored_snapshot
from arx_wrapper.audit.store import Query
from arx_wrapper.model import Limit
from tests.audit.conftest import Clock, entry
from tests.audit.test_defences import without_triggers
from tests.support import sqlite_at

USE = [("incidents:create", 1)]


def limit(count: int) -> Limit:
    return Limit(operation="incidents:create", count=count, seconds=3_600, text=f"{count}/hour", policy="p")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def at(path: Path, clock: Clock | None = None) -> AuditLog:
    return audit.open(f"sqlite:///{path}", **({"clock": clock} if clock else {}))


async def filler(log: AuditLog, count: int) -> None:
    for _ in range(count):
        log.append_soon(entry(action_type="connector.refused"))
    await log.flush()


async def suspended(path: Path, after: int = 0, later: int = 0) -> None:
    """A log that says, after some records, that an agent is suspended, and then goes on."""
    log = at(path)
    await filler(log, after)
    await log.suspend("bad", org_id="org", by="ada", reason="paged everybody")
    await filler(log, later)
    await log.aclose()


async def refused(path: Path) -> None:
    """Calls stop: nothing is sent, and the message says what to do."""
    log = at(path)
    with pytest.raises(AuditError, match=r"Nothing was sent.*audit verify") as caught:
        await log.append(entry(agent_id="bad"))
    assert not isinstance(caught.value, Refused)
    assert not caught.value.sent
    await log.aclose()
    looking = audit.open(f"sqlite:///{path}", read_only=True)
    assert not (await looking.verify()).ok
    await looking.aclose()


ALTERED = {
    "its agent": 'UPDATE audit SET body = replace(body, \'"agent_id":"bad"\', \'"agent_id":"xxx"\') WHERE seq = 4',
    "its kind": "UPDATE audit SET body = replace(body, 'agent.suspended', 'agent.resumed') WHERE seq = 4",
    "its hash": "UPDATE audit SET hash = replace(hash, substr(hash, 1, 4), '0000') WHERE seq = 4",
    "its id": "UPDATE audit SET id = 'x' WHERE seq = 4",
    "it is gone": "DELETE FROM audit WHERE seq = 4",
    "it is gone, and what came after": "DELETE FROM audit WHERE seq >= 4",
}


@pytest.mark.parametrize("how", ALTERED)
@pytest.mark.parametrize("later", [0, 7])
async def test_a_suspension_that_was_altered_or_removed_stops_calls(path: Path, how: str, later: int) -> None:
    await suspended(path, after=3, later=later)
    with without_triggers(path) as tools:
        tools.execute(ALTERED[how])
    await refused(path)
    if how.startswith("it is gone"):
        with pytest.raises(AuditError, match="Record 4 of the audit log is missing"):
            SqliteStore(str(path), key=None, clock=utc_now)


@pytest.mark.parametrize("how", [how for how in ALTERED if "what came after" not in how])
async def test_a_suspension_outlives_what_is_done_to_its_record_once_the_block_is_full(path: Path, how: str) -> None:
    await suspended(path, after=3, later=300)
    with without_triggers(path) as tools:
        tools.execute(ALTERED[how])
    log = at(path)
    with pytest.raises(Refused, match="paged everybody"):
        await log.append(entry(agent_id="bad"))
    assert not (await log.verify()).ok
    await log.aclose()


STATE = {
    "removed": "DELETE FROM audit_state",
    "edited": "UPDATE audit_state SET said = replace(said, 'paged everybody', 'nothing at all!')",
    "emptied": "UPDATE audit_state SET said = replace(said, '{\"bad\":\"paged everybody\"}', '{}')",
    "no state": "UPDATE audit_state SET said = '[]'",
    "no text": "UPDATE audit_state SET said = x'ff00'",
    "unsigned": "UPDATE audit_state SET mark = ''",
}


@pytest.mark.parametrize("how", STATE)
async def test_a_stored_state_that_the_key_did_not_write_stops_calls(path: Path, how: str) -> None:
    await suspended(path, after=3, later=300)
    with sqlite_at(path) as tools:
        tools.execute(STATE[how])
    await refused(path)


async def test_an_older_state_that_is_put_back_stops_calls(path: Path) -> None:
    log = at(path)
    await filler(log, 3)
    with sqlite_at(path) as tools:
        older = tools.execute("SELECT said, mark FROM audit_state").fetchone()
    await log.suspend("bad", org_id="org", by="ada", reason="why")
    await filler(log, 300)
    await log.aclose()
    with sqlite_at(path) as tools:
        tools.execute("UPDATE audit_state SET said = ?, mark = ?", older)
    await refused(path)


async def test_a_state_from_another_branch_of_the_log_stops_calls(path: Path, tmp_path: Path) -> None:
    """The same key wrote it, after a record of the same number."""
    log, other = at(path), tmp_path / "other.db"
    await filler(log, 3)
    await log.aclose()
    shutil.copy(path, other)
    shutil.copy(f"{path}.key", f"{other}.key")
    for branch, agent in ((path, "bad"), (other, "another")):
        log = at(branch)
        await log.suspend(agent, org_id="org", by="ada", reason="why")
        await filler(log, 2)
        await log.aclose()
    with sqlite_at(other) as tools:
        state = tools.execute("SELECT said, mark FROM audit_state").fetchone()
    with sqlite_at(path) as tools:
        tools.execute("UPDATE audit_state SET said = ?, mark = ?", state)
    await refused(path)


@pytest.mark.parametrize("running", [False, True], ids=["opened later", "running"])
async def test_a_record_of_another_branch_of_the_log_stops_calls(path: Path, tmp_path: Path, running: bool) -> None:
    """The same key wrote it, with the next number, after another record."""
    log, other = at(path), tmp_path / "other.db"
    await filler(log, 3)
    await log.aclose()
    shutil.copy(path, other)
    shutil.copy(f"{path}.key", f"{other}.key")
    log, branch = at(path), at(other)
    await filler(branch, 2)
    await branch.aclose()
    await filler(log, 1)
    if not running:
        await log.aclose()
    with sqlite_at(other) as tools:
        record = tools.execute("SELECT seq, id, hash, body FROM audit WHERE seq = 5").fetchone()
    with without_triggers(path) as tools:
        tools.execute("INSERT INTO audit (seq, id, hash, body) VALUES (?, ?, ?, ?)", record)
    log = log if running else at(path)
    with pytest.raises(AuditError, match=r"Record 5 of the audit log does not follow the one before it.*Nothing was"):
        await log.append(entry())
    await log.aclose()


@pytest.mark.parametrize("action", ["reviewer.enrolled", "reviewer.removed"])
async def test_a_record_of_a_reviewer_that_is_cut_off_the_logs_end_stops_calls(path: Path, action: str) -> None:
    log = at(path)
    await filler(log, 3)
    await log.append(entry(action_type=action, agent_id="ada"))
    await log.aclose()
    with without_triggers(path) as tools:
        tools.execute("DELETE FROM audit WHERE seq = 4")
    await refused(path)


async def test_a_record_that_another_inserts_without_the_key_stops_a_running_process(path: Path) -> None:
    log = at(path)
    await log.suspend("bad", org_id="org", by="ada", reason="why")
    resumed = (
        "INSERT INTO audit (seq, id, hash, body) SELECT 2, 'x', 'y', json_set(body, '$.seq', 2, '$.id', 'x', "
        "'$.prev_hash', hash, '$.action_type', 'agent.resumed') FROM audit WHERE seq = 1"
    )
    with sqlite_at(path) as tools:
        tools.execute(resumed)
    with pytest.raises(AuditError, match=r"Record 2 of the audit log was altered or inserted.*Nothing was sent"):
        await log.append(entry(agent_id="bad"))
    await log.aclose()
    await refused(path)


async def test_an_open_intent_that_was_altered_is_not_closed_as_somebody_elses(path: Path) -> None:
    log = at(path)
    await log.append(entry())
    await filler(log, 300)
    await log.aclose()
    with without_triggers(path) as tools:
        tools.execute("UPDATE audit SET body = replace(body, 'incidents:create', 'incidents:delete') WHERE seq = 1")
    await refused(path)


async def used(path: Path, clock: Clock, blocks: int = 3) -> None:
    """A log with a use in every block."""
    log = at(path, clock)
    for _ in range(blocks):
        await log.append(entry(agent_id="bad"), usage=USE)
        clock.now += timedelta(minutes=5)
        await filler(log, 255)
    await log.aclose()


USES = {
    "a block's uses": "UPDATE audit_blocks SET uses = '[]' WHERE number = 1",
    "a block's time": "UPDATE audit_blocks SET latest = '2000' WHERE number = 1",
    "all that was before": "UPDATE audit_blocks SET peak = '2000' WHERE number = 1",
    "the first block": "DELETE FROM audit_blocks WHERE number = 0",
    "a block in the middle": "DELETE FROM audit_blocks WHERE number = 1",
    "the last block": "DELETE FROM audit_blocks WHERE number = 2",
    "every block": "DELETE FROM audit_blocks",
    "one for another": "UPDATE audit_blocks SET uses = (SELECT uses FROM audit_blocks WHERE number = 0), mark = "
    "(SELECT mark FROM audit_blocks WHERE number = 0) WHERE number = 1",
    "as if retention had removed them": "INSERT INTO audit_segments VALUES (1, 512, 'x', '2000', 'x', '', 1); "
    "DELETE FROM audit_blocks WHERE number < 2",
}


@pytest.mark.parametrize("how", USES)
async def test_uses_that_were_altered_or_left_out_stop_calls_under_a_limit(path: Path, how: str) -> None:
    clock = Clock()
    await used(path, clock)
    with sqlite_at(path) as tools:
        tools.executescript(USES[how])
    log = at(path, clock)
    with pytest.raises(AuditError, match=r"Nothing was sent.*audit verify"):
        await log.append(entry(agent_id="bad"), usage=USE, limits=[limit(4)])
    await log.aclose()


async def test_an_index_from_another_branch_of_the_log_stops_calls_under_a_limit(path: Path, tmp_path: Path) -> None:
    """Its mark is of the same key and the same number, and does not follow the index before it."""
    clock, other = Clock(), tmp_path / "other.db"
    await used(path, clock, 1)
    shutil.copy(path, other)
    shutil.copy(f"{path}.key", f"{other}.key")
    branch = at(other, clock)
    await filler(branch, 300)
    await branch.aclose()
    with sqlite_at(other) as tools:
        index = tools.execute("SELECT * FROM audit_blocks WHERE number = 1").fetchone()
    await used(path, clock, 2)
    with sqlite_at(path) as tools:
        tools.execute("INSERT OR REPLACE INTO audit_blocks VALUES (?, ?, ?, ?, ?, ?, ?)", index)
    log = at(path, clock)
    with pytest.raises(AuditError, match=r"index of records 257 and following.*altered.*Nothing was sent"):
        await log.append(entry(agent_id="bad"), usage=USE, limits=[limit(4)])
    await log.aclose()


async def test_records_that_are_only_said_to_be_removed_stop_calls(path: Path) -> None:
    log = at(path)
    await log.append(entry())
    await filler(log, 3)
    await log.aclose()
    with without_triggers(path) as tools:
        tools.execute("INSERT INTO audit_segments VALUES (1, 2, 'x', '2000', 'x', '', 1)")
        tools.execute("DELETE FROM audit WHERE seq < 3")
    await refused(path)


@pytest.mark.parametrize("what", ["suspended", "open", "removed", "head"])
async def test_a_stored_state_that_is_wrong_shows_though_the_key_wrote_it(path: Path, what: str) -> None:
    await suspended(path, after=3, later=300)
    store = SqliteStore(str(path), key=None, clock=utc_now)
    kept = stored_snapshot(store._db, store.digest)
    wrong = {"suspended": {}, "open": [("x", 1, "")], "removed": 7, "head": "0" * 64}[what]
    store_snapshot(store._db, msgspec.structs.replace(kept, **{what: wrong}), store.digest)
    store.close()
    looking = audit.open(f"sqlite:///{path}", read_only=True)
    assert "stored state is not the one that follows from the records up to 304" in str(
        (await looking.verify()).problem
    )
    await looking.aclose()


async def test_uses_in_the_index_are_counted_with_those_after_it(path: Path) -> None:
    clock = Clock()
    await used(path, clock)
    log = at(path, clock)
    await log.append(entry(agent_id="bad"), usage=USE, limits=[limit(4)])
    with pytest.raises(Refused):
        await log.append(entry(agent_id="bad"), usage=USE, limits=[limit(4)])
    await log.aclose()


async def test_uses_whose_blocks_beginning_was_removed_are_counted_still(path: Path) -> None:
    clock = Clock()
    log = at(path, clock)
    await filler(log, 100)
    await log.rotate(by="ada", org_id="org")
    clock.now += timedelta(days=9)
    for _ in range(3):
        intent = await log.append(entry(agent_id="bad"), usage=USE)
        log.append_soon(entry(action_type="connector.completed", status="success", intent_id=intent.id))
    await filler(log, 200)
    await log.retain(clock.now - timedelta(days=1), by="ada", org_id="org")
    for count in (0, 300):
        await filler(log, count)
        again = at(path, clock)
        with pytest.raises(Refused):
            await again.append(entry(agent_id="bad"), usage=USE, limits=[limit(3)])
        await again.aclose()
    found = await log.verify()
    assert (found.ok, found.problem) == (True, None)
    await log.aclose()


async def test_what_a_process_derives_is_what_its_records_say(path: Path) -> None:
    """Against a state built from every record, through rotation, retention, clocks that jump and several processes."""
    draw, clock = random.Random(16), Clock()  # noqa: S311 - a sequence of acts
    logs, intents = [at(path, clock), at(path, clock)], list[Any]()
    for _ in range(60):
        log = draw.choice(logs)
        for _ in range(draw.randrange(40)):
            agent = draw.choice(("one", "other"))
            intents.append(await log.append(entry(agent_id=agent, operation="op"), usage=[("incidents:create", 2)]))
        while intents and draw.random() < 0.98:
            done = intents.pop(draw.randrange(len(intents)))
            log.append_soon(entry(action_type="connector.completed", status="success", intent_id=done.id))
        await log.flush()
        act = draw.randrange(12)
        if act < 2:
            await log.suspend(f"agent-{act}", org_id="org", by="ada", reason="why")
        elif act == 2:
            await log.resume("agent-1", org_id="org", by="ada")
        elif act == 3:
            await log.rotate(by="ada", org_id="org")
        elif act in (5, 6):
            await log.append(entry(action_type="reviewer.enrolled" if act == 5 else "reviewer.removed"))
        elif act == 4:
            await log.retain(clock.now - timedelta(hours=8), by="ada", org_id="org")
        clock.now += timedelta(minutes=draw.randrange(-30, 60))
    records = [outline_of(body) for _, _, body, _ in await logs[0].read(lambda reader: list(reader.rows()))]
    expected = ChainState()
    for outline in records:
        expected.apply(outline)
    since = (clock.now - timedelta(days=1)).isoformat(timespec="microseconds")
    key: Key = ("org", "one", "incidents:create")
    wanted = [
        (outline.created_at, count)
        for outline in records
        for whose, count in counted_of(outline)
        if whose == key and outline.created_at > since
    ]
    store = SqliteStore(str(path), key=None, clock=clock)
    try:
        assert store._state.snapshot(0, "", "").reviewers == expected.snapshot(0, "", "").reviewers != {}
        assert store._state.suspended == expected.suspended
        assert store._state.open == expected.open
        assert list(store._uses(key, since)) == wanted
        assert wanted
    finally:
        store.close()
    found = await logs[0].verify()
    assert (found.ok, found.problem) == (True, None)
    for log in logs:
        await log.aclose()


@contextmanager
def counted_rows(store: SqliteStore) -> Iterator[list[int]]:
    """Count the records that a store reads."""
    seen, rows = [0], store.rows

    def counting(after: int = 0) -> Iterator[tuple[int, str, bytes, str]]:
        for row in rows(after):
            seen[0] += 1
            yield row

    store.rows = counting  # type: ignore[method-assign]
    yield seen


async def test_opening_and_the_first_limit_read_no_record_of_a_full_block(path: Path) -> None:
    clock = Clock()
    await used(path, clock, blocks=5)
    log = at(path, clock)
    await filler(log, 9)
    await log.aclose()
    store = SqliteStore(str(path), key=None, clock=clock)
    with counted_rows(store) as seen:
        store._load()
        assert len(list(store._uses(("org", "bad", "incidents:create"), "2025"))) == 5
    assert seen == [9 + 5]  # five intents were left open, and are unknown since
    store.close()


def test_a_log_without_its_key_still_says_who_is_suspended(path: Path) -> None:
    asyncio.run(suspended(path, later=300))
    Path(f"{path}.key").unlink()
    looking = audit.open(f"sqlite:///{path}", read_only=True)
    assert asyncio.run(looking.suspensions()) == {"bad": "paged everybody"}


HIDDEN = {
    "its index": "DELETE FROM audit_terms WHERE term = 't:reviewer.removed'",
    "its record": "DELETE FROM audit WHERE seq = 2",
    "its kind": "UPDATE audit SET body = replace(body, 'reviewer.removed', 'reviewer.enrolled') WHERE seq = 2",
}


@pytest.mark.parametrize("how", HIDDEN)
async def test_a_reviewers_removal_that_is_hidden_is_missed(path: Path, how: str) -> None:
    log = at(path)
    for action in ("reviewer.enrolled", "reviewer.removed"):
        await log.append(entry(action_type=action, agent_id="ada"))
    await filler(log, 300)

    async def found(after: int | None) -> list[int]:
        query = Query(action_type="reviewer.removed", after_seq=after)
        return await log.read(lambda reader: [record.seq for record in reader.select(query)])

    assert await found(None) == [2]
    with without_triggers(path) as tools:
        tools.execute(HIDDEN[how])
    with pytest.raises(AuditError, match=r"Record 2 .*is missing.*Nothing was sent"):
        await found(None)
    assert await found(2) == []
    await log.aclose()
