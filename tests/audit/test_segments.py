"""Rotation and retention: sealed segments verify as one log, and what is taken away is known to be gone."""

from __future__ import annotations

import asyncio
import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from arx_wrapper import AuditError, audit
from arx_wrapper.audit import AuditLog, AuditRecord
from arx_wrapper.audit.store import Segment
from arx_wrapper.audit.transparency.signed_note import Signer
from arx_wrapper.cli.main import run
from tests.audit.conftest import WHO, Clock, entry
from tests.support import sqlite_at


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def opened(path: Path, clock: Clock) -> AuditLog:
    return audit.open(f"sqlite:///{path}", clock=clock)


async def calls(log: AuditLog, count: int) -> None:
    for _ in range(count):
        intent = await log.append(entry())
        await log.append(entry(action_type="connector.completed", status="success", intent_id=intent.id))


async def sealed(log: AuditLog, count: int = 5) -> Segment:
    await calls(log, count)
    segment = await log.rotate(**WHO)
    assert segment
    return segment


async def seqs(log: AuditLog, **filters: object) -> list[int]:
    return [record.seq async for record in log.records(**filters)]  # type: ignore[arg-type]


async def test_segments_and_the_live_file_are_one_log(path: Path, clock: Clock) -> None:
    log = opened(path, clock)
    first, second = await sealed(log), await sealed(log)
    await calls(log, 2)
    assert [(s.first, s.last) for s in (first, second)] == [(1, 10), (11, 21)]
    assert await seqs(log) == list(range(1, 27))
    assert await seqs(log, newest_first=True, limit=8) == list(range(26, 18, -1))
    assert await seqs(log, after_seq=9, limit=3) == [10, 11, 12]
    assert await seqs(log, action_type="log.sealed") == [11, 22]
    found = await log.verify()
    assert (found.ok, found.records) == (True, 26)
    with sqlite_at(path) as live:
        assert live.execute("SELECT min(seq), max(seq) FROM audit").fetchone() == (22, 26)
    for segment in (first, second):
        assert stat.S_IMODE((path.parent / segment.file).stat().st_mode) == 0o600
    await log.aclose()
    again = opened(path, clock)
    assert (await again.verify()).ok
    await again.aclose()


async def test_what_is_open_stays_in_the_live_file(path: Path, clock: Clock) -> None:
    log = opened(path, clock)
    await calls(log, 2)
    open_intent = await log.append(entry())
    await calls(log, 2)
    segment = await log.rotate(**WHO)
    assert segment
    assert segment.last == open_intent.seq - 1
    await log.append(entry(action_type="connector.completed", status="success", intent_id=open_intent.id))
    assert (await log.verify()).ok
    await log.aclose()


async def test_nothing_settled_is_nothing_to_seal(path: Path, clock: Clock) -> None:
    log = opened(path, clock)
    assert await log.rotate(**WHO) is None
    await log.append(entry())
    assert await log.rotate(**WHO) is None
    assert [file.name for file in path.parent.glob("*.sealed.*")] == []
    await log.aclose()


@pytest.mark.parametrize("attack", ["removed", "changed", "an older copy", "its columns"])
async def test_a_segment_that_is_not_what_was_sealed_shows(path: Path, clock: Clock, attack: str) -> None:
    log = opened(path, clock)
    segment = await sealed(log)
    file = path.parent / segment.file
    if attack == "removed":
        with sqlite_at(file) as database:
            database.execute("DELETE FROM audit WHERE seq = 10")
    elif attack == "its columns":  # by which filters would find it, or not
        with sqlite_at(file) as database:
            database.executescript(
                "CREATE TABLE other (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hash, body TEXT, agent_id);"
                "INSERT INTO other SELECT seq, id, hash, body, 'nobody' FROM audit;"
                "DROP TABLE audit; ALTER TABLE other RENAME TO audit"
            )
    elif attack == "changed":
        with sqlite_at(file) as database:
            database.execute(
                "UPDATE audit SET body = replace(body, 'incidents:create', 'incidents:read') WHERE seq = 3"
            )
    else:
        with sqlite_at(file) as database:
            database.execute("DELETE FROM audit WHERE seq > 4")
    assert not (await log.verify()).ok
    await log.aclose()


async def test_retention_removes_whole_segments_and_the_rest_still_verifies(path: Path, clock: Clock) -> None:
    log = opened(path, clock)
    old = await sealed(log)
    clock.now += timedelta(days=100)
    young = await sealed(log)
    gone = await log.retain(clock.now - timedelta(days=50), **WHO)
    assert [segment.file for segment in gone] == [old.file]
    assert not (path.parent / old.file).exists()
    assert (path.parent / young.file).exists()
    found = await log.verify()
    assert (found.ok, found.problem) == (True, None)
    assert (await seqs(log))[0] == young.first
    removals: list[AuditRecord] = [record async for record in log.records(action_type="log.removed")]
    assert removals[0].metadata["last_hash"] == old.last_hash
    assert await log.retain(clock.now - timedelta(days=50), **WHO) == []
    await log.aclose()


async def test_a_removal_whose_own_record_was_removed_later_is_accounted_for(path: Path, clock: Clock) -> None:
    log = opened(path, clock)
    for _ in range(3):
        await sealed(log)
        clock.now += timedelta(days=100)
        assert await log.retain(clock.now - timedelta(days=50), **WHO)
    found = await log.verify()
    assert (found.ok, found.problem) == (True, None)
    await log.aclose()


@pytest.mark.parametrize("count", [5, 200])
async def test_the_hashes_that_stay_of_removed_records_are_held_by_the_record_of_their_removal(
    path: Path, clock: Clock, count: int
) -> None:
    log = opened(path, clock)
    await sealed(log, count)
    clock.now += timedelta(days=100)
    await calls(log, 2)
    await log.retain(clock.now, **WHO)
    assert (await log.verify()).ok
    with sqlite_at(path) as database:
        row = database.execute("SELECT hashes FROM audit_tiles WHERE level = 0 AND number = 0").fetchone()[0]
        database.execute("UPDATE audit_tiles SET hashes = ? WHERE level = 0 AND number = 0", (bytes(32) + row[32:],))
    found = await log.verify()
    assert "removed records" in str(found.problem)
    await log.aclose()


async def test_a_removal_that_is_not_on_record_shows(path: Path, clock: Clock) -> None:
    log = opened(path, clock)
    segment = await sealed(log)
    await calls(log, 2)
    with sqlite_at(path) as database:
        database.execute("UPDATE audit_segments SET removed = 1")
    (path.parent / segment.file).unlink()
    found = await log.verify()
    assert not found.ok
    assert "no record states their removal" in str(found.problem)
    await log.aclose()


async def test_many_may_append_and_rotate_at_once(path: Path, clock: Clock) -> None:
    one, other = opened(path, clock), opened(path, clock)

    async def rotates(log: AuditLog) -> None:
        for _ in range(5):
            await asyncio.sleep(0.01)
            await log.rotate(**WHO)

    await asyncio.gather(calls(one, 60), calls(other, 60), rotates(one), rotates(other))
    await one.rotate(**WHO)  # if the others came before anything had ended
    found = await one.verify()
    assert (found.ok, found.problem) == (True, None)
    rotations = len(await seqs(one, action_type="log.sealed"))
    assert rotations >= 1
    assert found.records == 240 + rotations
    assert len(list(path.parent.glob("*.sealed.db"))) == rotations
    await one.aclose()
    await other.aclose()


async def test_a_log_in_memory_is_not_rotated() -> None:
    log = audit.open("sqlite:///:memory:", allow_memory=True)
    await log.append(entry())
    with pytest.raises(AuditError, match="memory"):
        await log.rotate(**WHO)
    await log.aclose()


def test_the_commands(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{path}")

    async def fill() -> None:
        log = audit.open(f"sqlite:///{path}")
        await calls(log, 3)
        await log.aclose()

    asyncio.run(fill())
    assert run(["audit", "rotate", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["last"] == 6
    assert run(["audit", "retain", "--before", "2100-01-01"]) == 2, "nobody is there to be asked"
    assert "records 1 to 6" in capsys.readouterr().err
    assert len(list(path.parent.glob("*.sealed.db"))) == 1
    assert run(["audit", "retain", "--before", "2100-01-01", "--yes"]) == 0
    assert "removed" in capsys.readouterr().out
    assert run(["audit", "retain", "--before", "2100-01-01"]) == 0, "there is nothing to ask about"
    assert run(["audit", "verify"]) == 0


@pytest.mark.parametrize("sound", [True, False])
def test_a_checkpoint_is_taken_before_anything_is_removed(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sound: bool
) -> None:
    async def fill() -> Segment:
        log = opened(path, clock)
        segment = await sealed(log)
        await log.aclose()
        return segment

    segment, kept = asyncio.run(fill()), path.parent / "checkpoints"
    (path.parent / "signer.key").write_text(Signer.new("audit.example.com/log").secret())
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{path}")
    monkeypatch.setenv("ARX_AUDIT_SIGNING_KEY", str(path.parent / "signer.key"))
    monkeypatch.setenv("ARX_AUDIT_CHECKPOINTS", str(kept))
    monkeypatch.setenv("ARX_AUDIT_CHECKPOINT_EVERY", "86400")
    if not sound:
        with sqlite_at(path.parent / segment.file) as database:
            database.execute("UPDATE audit SET body = replace(body, 'incidents:create', 'x') WHERE seq = 3")
    assert run(["audit", "retain", "--before", "2100-01-01", "--yes"]) == (0 if sound else 5)
    assert (path.parent / segment.file).exists() is not sound
    if sound:
        sizes = [int(file.stem) for file in kept.glob("*.checkpoint")]
        assert segment.last + 1 in sizes, "over all records, before the removal"
    assert "removed" in capsys.readouterr().out or not sound
