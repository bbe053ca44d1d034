"""A log that takes records and does not hold them: calls stop, and verification shows it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from arx_wrapper import AuditError, PagerDutyConnector, audit
from arx_wrapper.audit import AuditLog
from arx_wrapper.audit.storage.sqlite import SqliteStore
from arx_wrapper.audit.storage.sqlite_segments import NO_DELETE
from tests.audit.conftest import entry, everything
from tests.support import EVERYTHING, sqlite_at


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def at(path: Path) -> AuditLog:
    return audit.open(f"sqlite:///{path}")


def removed(path: Path) -> None:
    path.unlink()


def renamed(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def replaced(path: Path) -> None:
    shutil.copy(path, path.with_name("copy.db"))
    path.with_name("copy.db").replace(path)


def without_its_wal(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def without_its_index(path: Path) -> None:
    Path(f"{path}-shm").unlink()


@pytest.mark.parametrize("how", [removed, renamed, replaced, without_its_wal, without_its_index])
async def test_no_call_goes_out_whose_record_would_be_in_a_file_that_is_gone(
    path: Path, how: Callable[[Path], None]
) -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=f"sqlite:///{path}") as pd:
        assert pd.sandbox_account
        await pd.acknowledge_incident("P1234AB")
        await pd.audit.flush()
        sent = len(pd.sandbox_account.requests)
        how(path)
        with pytest.raises(AuditError, match="removed, renamed or replaced") as caught:
            await pd.add_incident_note("P1234AB", "x")
        assert not caught.value.sent
        assert len(pd.sandbox_account.requests) == sent


async def test_a_file_that_is_put_back_is_written_again(path: Path) -> None:
    log = at(path)
    await log.append(entry(action_type="connector.refused"))
    away = path.rename(path.with_name("away.db"))  # noqa: ASYNC240 - a test's file
    with pytest.raises(AuditError, match="renamed"):
        await log.append(entry())
    away.rename(path)
    await log.append(entry(action_type="connector.refused"))
    assert (await log.verify()).records == 2
    await log.aclose()


DROPS = {
    "before": "CREATE TRIGGER quiet BEFORE INSERT ON audit BEGIN SELECT raise(IGNORE); END",
    "after": "CREATE TRIGGER quiet AFTER INSERT ON audit BEGIN SELECT raise(IGNORE); END",
    "a view": "ALTER TABLE audit RENAME TO audit_kept; CREATE VIEW audit AS SELECT * FROM audit_kept",
    "a column": "ALTER TABLE audit ADD COLUMN more TEXT AS (upper(body))",
    "a trigger that is gone": "DROP TRIGGER audit_no_delete",
}


@pytest.mark.parametrize("how", DROPS)
@pytest.mark.parametrize("when", ["under a running process", "before it opens"])
async def test_tables_that_are_not_the_logs_own_stop_calls_and_show(path: Path, how: str, when: str) -> None:
    log = at(path)
    await log.append(entry(action_type="connector.refused"))
    if when == "before it opens":
        await log.aclose()
    with sqlite_at(path) as tools:
        tools.executescript(DROPS[how])
    with pytest.raises(AuditError, match=r"tampered with|no such column|cannot be"):
        await log.append(entry())
    await log.aclose()
    looking = audit.open(f"sqlite:///{path}", read_only=True)
    found = await looking.verify()
    await looking.aclose()
    assert not found.ok
    assert found.problem


@pytest.mark.parametrize("timing", ["BEFORE", "AFTER"])
def test_what_was_written_is_read_back_before_it_is_committed(path: Path, timing: str) -> None:
    from arx_wrapper.audit.log import utc_now
    from arx_wrapper.audit.store import Pending

    store = SqliteStore(str(path), key=b"k" * 32, clock=utc_now)
    store.write([Pending(entry(action_type="connector.refused"))])
    then = "SELECT raise(IGNORE)" if timing == "BEFORE" else "DELETE FROM audit WHERE seq = NEW.seq"
    if timing == "AFTER":
        store._db.execute("DROP TRIGGER audit_no_delete")
        store._schema = store._db.execute("PRAGMA schema_version").fetchone()[0]
    # A temporary trigger is in no table that the check of the schema looks at.
    store._db.execute(f"CREATE TEMP TRIGGER quiet {timing} INSERT ON main.audit BEGIN {then}; END")
    with pytest.raises(AuditError, match="took 1 records and holds 0"):
        store.write([Pending(entry(action_type="connector.refused"))])
    store._db.execute("DROP TRIGGER quiet")
    store.write([Pending(entry(action_type="connector.refused"))])
    assert [seq for seq, *_ in store.rows()] == [1, 2]
    store.close()


async def test_a_log_that_was_set_back_under_its_process_stops_calls(path: Path) -> None:
    log = at(path)
    for _ in range(3):
        await log.append(entry(action_type="connector.refused"))
    with sqlite_at(path) as tools:
        tools.executescript("DROP TRIGGER audit_no_delete; DELETE FROM audit WHERE seq = 3")
        tools.execute(NO_DELETE)
    with pytest.raises(AuditError, match="last records are gone or changed"):
        await log.append(entry())
    await log.aclose()


IN_POSTGRES: dict[str, LiteralString] = {
    "a trigger that drops": """
        CREATE FUNCTION public.quiet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER a_quiet BEFORE INSERT ON arx_audit.records FOR EACH ROW EXECUTE FUNCTION public.quiet()
    """,
    "a rule": "CREATE RULE quiet AS ON INSERT TO arx_audit.records DO INSTEAD NOTHING",
    "a changed function": """
        CREATE OR REPLACE FUNCTION arx_audit.read_record() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RETURN NULL; END $$
    """,
    "a switched off trigger": "ALTER TABLE arx_audit.records DISABLE TRIGGER records_never_change",
}


@pytest.mark.parametrize("how", IN_POSTGRES)
async def test_records_that_postgresql_drops_stop_calls_and_show(log_in_postgres: str, how: str) -> None:
    log = audit.open(log_in_postgres)
    await log.append(entry(action_type="connector.refused"))
    with psycopg.connect(log_in_postgres, autocommit=True) as owner:
        owner.execute(IN_POSTGRES[how])
        try:
            if how != "a switched off trigger":
                with pytest.raises(AuditError) as caught:
                    await log.append(entry())
                assert "Nothing was sent" in str(caught.value)
                assert len(await everything(log)) == 1
            found = await log.verify()
            assert not found.ok
            assert "damaged" in str(found.problem)
        finally:
            await log.aclose()
            owner.execute("DROP FUNCTION IF EXISTS public.quiet() CASCADE")


BESIDE: dict[str, LiteralString] = {
    "uses": "DELETE FROM arx_audit.usage",
    "more uses": "UPDATE arx_audit.usage SET n = n + 1",
    "open intents": "DELETE FROM arx_audit.open_intents",
    "tiles": "UPDATE arx_audit.tiles SET hashes = decode(repeat('00', 8192), 'hex') WHERE level = 0",
}


@pytest.mark.parametrize("what", BESIDE)
async def test_what_is_kept_beside_the_chain_in_postgresql_is_held_by_verify(log_in_postgres: str, what: str) -> None:
    log = audit.open(log_in_postgres)
    await log.append(entry(), usage=[("incidents:create", 2)])
    for _ in range(256):
        log.append_soon(entry(action_type="connector.refused"))
    await log.flush()
    assert (await log.verify()).ok
    with psycopg.connect(log_in_postgres, autocommit=True) as owner:
        owner.execute(BESIDE[what])
    found = await log.verify()
    await log.aclose()
    assert not found.ok
    assert found.problem


IN_SQLITE = {
    "a term": "DELETE FROM audit_terms WHERE term LIKE 'a:%'",
    "more terms": "INSERT INTO audit_terms VALUES ('a:nobody', 0)",
    "a block": "DELETE FROM audit_blocks",
    "a block's time": "UPDATE audit_blocks SET latest = '2000'",
    "a tile": "DELETE FROM audit_tiles WHERE level = 0",
    "a tile's hash": "UPDATE audit_tiles SET hashes = zeroblob(8192) WHERE level = 0",
    "a higher tile": "UPDATE audit_tiles SET hashes = zeroblob(32) WHERE level = 1",
    "a writer": "DELETE FROM audit_writers",
    "the mark of the key": "UPDATE audit_meta SET value = 'x'",
}


@pytest.mark.parametrize("what", IN_SQLITE)
async def test_what_is_kept_beside_the_chain_in_sqlite_is_held_by_verify(path: Path, what: str) -> None:
    log = at(path)
    await log.append(entry())
    for _ in range(300):
        log.append_soon(entry(action_type="connector.refused"))
    await log.flush()
    assert (await log.verify()).ok
    with sqlite_at(path) as tools:
        tools.execute(IN_SQLITE[what])
    looking = audit.open(f"sqlite:///{path}", read_only=True)
    found = await looking.verify()
    await looking.aclose()
    await log.aclose()
    assert not found.ok
    assert found.problem


async def test_a_suspension_stands_in_the_chain_and_nowhere_else(path: Path) -> None:
    log = at(path)
    await log.suspend("agent", org_id="org", by="ada", reason="why")
    with sqlite_at(path) as tools:
        tables = [name for (name,) in tools.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert not [name for name in tables if "suspended" in name or "usage" in name or "open" in name]
    again = at(path)
    assert await again.suspension("agent") == "Agent 'agent' is suspended: why."
    await again.aclose()
    await log.aclose()


async def test_the_log_is_synced_with_every_commit(path: Path) -> None:
    log = at(path)
    await log.append(entry(action_type="connector.refused"))
    store = log._writer.store()
    assert isinstance(store, SqliteStore)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await log.aclose()


async def test_a_log_is_not_written_through_a_link_because_its_locks_lie_beside_the_file(path: Path) -> None:
    log, link = at(path), path.with_name("link.db")
    await log.append(entry())
    link.symlink_to(path)
    with pytest.raises(AuditError, match=f"symbolic link.*{path.name}"):
        await at(link).append(entry())
    assert not list(path.parent.glob("link.db?*")), "no key and no lock was made"
    assert len(await everything(log)) == 1
    await log.aclose()
