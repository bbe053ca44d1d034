"""Logs that an earlier version wrote: converted once, with everything they say, or left alone."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import AuditError, audit
from arx_wrapper.audit import AuditLog, Refused
from arx_wrapper.audit.merkle import Tree
from arx_wrapper.audit.record import GENESIS, Entry, body_of, hasher
from arx_wrapper.audit.storage.sqlite_segments import EARLIER_RECORDS, NO_DELETE, SCHEMA
from arx_wrapper.cli.main import run
from arx_wrapper.model import Limit
from tests.audit.conftest import entry, everything
from tests.support import sqlite_at

KEY = b"\x5a" * 32
# Format 1, as it was: suspensions, uses and open intents in tables of their own.
_TABLES = """
CREATE TRIGGER IF NOT EXISTS audit_one_chain BEFORE INSERT ON audit WHEN NEW.seq <> 1 AND NOT EXISTS
    (SELECT 1 FROM audit WHERE seq = NEW.seq - 1 AND instr(NEW.body, '"prev_hash":"' || hash || '"'))
    BEGIN SELECT raise(ABORT, 'audit records follow the last one'); END;
CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT raise(ABORT, 'audit records are never changed'); END;
CREATE TABLE IF NOT EXISTS audit_open (intent TEXT PRIMARY KEY, writer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_usage (
    org_id TEXT, agent_id TEXT, operation TEXT, at TEXT, seq INTEGER, n INTEGER NOT NULL,
    PRIMARY KEY (org_id, agent_id, operation, at, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_suspended (agent_id TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_writers (writer TEXT PRIMARY KEY, pid INTEGER NOT NULL, born TEXT NOT NULL);
"""


class Earlier:
    """Writes a log as format 1 was."""

    def __init__(self, path: Path) -> None:
        self.db, self.digest = sqlite3.connect(path, isolation_level=None), hasher(KEY)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.executescript(
            f"{EARLIER_RECORDS.format(schema='')};{NO_DELETE};{_TABLES}{SCHEMA}PRAGMA user_version = 1;"
        )
        self.seq, self.head, self.tree, self.clock = 0, GENESIS, Tree(), datetime.now(UTC)

    def add(self, one: Entry) -> None:
        self.seq += 1
        at = self.clock.isoformat(timespec="microseconds")
        body = body_of(one, seq=self.seq, created_at=at, prev_hash=self.head)
        self.head = self.digest(body)
        self.tree.add(body)
        row = (self.seq, one.id, self.head, body.decode())
        self.db.execute("INSERT INTO audit (seq, id, hash, body) VALUES (?, ?, ?, ?)", row)
        if one.action_type == "connector.called":
            self.db.execute("INSERT INTO audit_open VALUES (?, 'host:1')", (one.id,))
        elif one.intent_id:
            self.db.execute("DELETE FROM audit_open WHERE intent = ?", (one.intent_id,))

    def calls(self, count: int, **more: Any) -> None:
        self.db.execute("BEGIN")
        for _ in range(count):
            asked = entry(metadata={"effects": [["incidents:create", "low", 1]]}, **more)
            self.add(asked)
            self.add(entry(action_type="connector.completed", status="success", intent_id=asked.id, **more))
        self.db.execute("COMMIT")

    def removed(self) -> None:
        """Rotation and retention of everything so far."""
        nodes = " ".join(node.hex() for node in self.tree.nodes)
        last = (1, self.seq, self.head, "2025", "gone.sealed.db", nodes, 1)
        self.db.executescript("DROP TRIGGER audit_no_delete; DROP TRIGGER audit_one_chain")
        self.db.execute("DELETE FROM audit")
        self.db.execute("INSERT INTO audit_segments VALUES (?, ?, ?, ?, ?, ?, ?)", last)
        said = {"first": 1, "last": last[1], "last_hash": last[2], "file": last[4], "tree": nodes}
        self.add(entry(action_type="log.removed", status="success", operation=None, metadata=said))
        self.db.executescript(NO_DELETE + ";" + _TABLES)

    def close(self) -> None:
        self.db.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def opened(path: Path) -> AuditLog:
    return audit.open(f"sqlite:///{path}", key=KEY)


async def test_a_log_of_an_earlier_format_goes_on_with_all_that_it_said(path: Path) -> None:
    earlier = Earlier(path)
    earlier.calls(300)
    earlier.add(entry(action_type="agent.suspended", agent_id="bad", reason="paged everybody"))
    earlier.db.execute("INSERT INTO audit_suspended VALUES ('bad', 'paged everybody')")
    earlier.db.execute("INSERT INTO audit_suspended VALUES ('worse', 'its record was removed')")
    left = entry(operation="users:read")
    earlier.add(left)
    root = earlier.tree.root()
    earlier.close()
    log = opened(path)
    await log.open()
    found = await log.verify()
    assert (found.ok, found.problem) == (True, None)
    assert await log.suspensions() == {"bad": "paged everybody", "worse": "its record was removed"}
    with pytest.raises(Refused, match="its record was removed"):
        await log.append(entry(agent_id="worse"))
    assert [record.status for record in await everything(log, call=left.id)] == ["in_progress", "unknown"]
    assert await log.read(lambda reader: reader.tree().root(602)) == root
    assert len(await everything(log, agent_id="agent", status="success", action_type="connector.completed")) == 300
    await log.append(entry(action_type="connector.refused"))
    await log.aclose()
    with sqlite_at(path) as tools:
        tables = {name for (name,) in tools.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert not tables & {"audit_open", "audit_usage", "audit_suspended"}


@pytest.mark.parametrize("before", [5, 128, 300])
async def test_a_log_that_lost_its_beginning_before_tiles_were_kept_verifies_and_grows(path: Path, before: int) -> None:
    earlier = Earlier(path)
    earlier.calls(before)
    earlier.removed()
    earlier.calls(150)
    size, root = earlier.tree.size, earlier.tree.root()
    earlier.close()
    log = opened(path)
    await log.open()
    found = await log.verify()
    assert (found.ok, found.problem) == (True, None)
    for _ in range(400):
        log.append_soon(entry(action_type="connector.refused"))
    await log.flush()
    found = await log.verify()
    assert (found.ok, found.problem) == (True, None)
    tree = await log.read(lambda reader: (reader.tree().root(size), reader.tree().inclusion(size, size + 300)))
    assert tree[0] == root
    assert len(await everything(log, status="success", action_type="connector.completed")) == 150
    await log.aclose()


async def test_a_log_of_an_earlier_format_is_not_converted_with_another_key(path: Path) -> None:
    earlier = Earlier(path)
    earlier.calls(3)
    earlier.close()
    log = audit.open(f"sqlite:///{path}", key=b"\x77" * 32)
    with pytest.raises(AuditError, match="not the log's key"):
        await log.append(entry())
    await log.aclose()
    again = opened(path)
    assert (await again.verify()).ok
    await again.aclose()


async def test_a_log_of_an_earlier_format_with_an_altered_record_is_not_converted(path: Path) -> None:
    earlier = Earlier(path)
    earlier.calls(5)
    earlier.db.execute("DROP TRIGGER audit_no_update")
    earlier.db.execute("UPDATE audit SET body = replace(body, 'incidents:create', 'incidents:resolve') WHERE seq = 4")
    earlier.close()
    log = opened(path)
    with pytest.raises(AuditError, match="Record 4 of the audit log was altered"):
        await log.append(entry())
    await log.aclose()
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("PRAGMA user_version").fetchone() == (1,)


async def test_a_log_of_an_earlier_format_is_read_without_being_converted(path: Path) -> None:
    earlier = Earlier(path)
    earlier.calls(300)
    earlier.close()
    looking = audit.open(f"sqlite:///{path}", key=KEY, read_only=True)
    assert (await looking.verify()).records == 600
    assert len(await everything(looking, status="success")) == 300
    with pytest.raises(AuditError, match="audit migrate"):
        await looking.read(lambda reader: reader.tree())
    await looking.aclose()
    with sqlite_at(path) as tools:
        assert tools.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_large_log_is_converted_by_a_command_and_not_under_a_call(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("arx_wrapper.audit.storage.sqlite._CONVERTED_AT_ONCE", 500)
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{path}")
    monkeypatch.setenv("ARX_AUDIT_KEY", KEY.hex())
    earlier = Earlier(path)
    earlier.calls(300)
    earlier.close()

    async def call() -> None:
        log = opened(path)
        try:
            await log.append(entry())
        finally:
            await log.aclose()

    with pytest.raises(AuditError, match=r"600 records.*audit migrate"):
        asyncio.run(call())
    assert run(["audit", "migrate"]) == 0
    assert "format 3, before it was 1" in capsys.readouterr().out
    assert run(["audit", "migrate"]) == 0
    assert run(["audit", "verify", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["records"] == 600
    asyncio.run(call())


async def test_uses_are_counted_from_the_records_of_this_day_whichever_process_wrote_them(path: Path) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    limit = Limit(operation="incidents:create", count=4, seconds=3600, text="4/hour", policy="p")
    usage = [("incidents:create", 1)]

    def at(path: Path) -> AuditLog:
        return audit.open(f"sqlite:///{path}", key=KEY, clock=lambda: now[0])

    one, other = at(path), at(path)
    await one.append(entry(), usage=usage)
    now[0] += timedelta(minutes=50)
    await other.append(entry(), usage=usage)
    await one.append(entry(), usage=usage, limits=[limit])
    await other.append(entry(), usage=usage, limits=[limit])
    for log in (one, other):
        with pytest.raises(Refused):
            await log.append(entry(), usage=usage, limits=[limit])
    now[0] += timedelta(minutes=11)  # the first has left the window
    await other.append(entry(), usage=usage, limits=[limit])
    with pytest.raises(Refused):
        await one.append(entry(), usage=usage, limits=[limit])
    await one.aclose()
    await other.aclose()
    again = at(path)
    with pytest.raises(Refused):
        await again.append(entry(), usage=usage, limits=[limit])
    now[0] -= timedelta(minutes=30)  # a clock that jumps back lets nothing through
    with pytest.raises(Refused):
        await again.append(entry(), usage=usage, limits=[limit])
    await again.aclose()
