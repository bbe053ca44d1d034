"""A commit does not make the -wal file longer, and what is kept behind its end is taken for nothing."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from arx_wrapper import audit
from arx_wrapper.audit.log import utc_now
from arx_wrapper.audit.storage.sqlite import SqliteStore
from arx_wrapper.audit.store import Pending
from tests.audit.conftest import entry
from tests.support import sqlite_at


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def written(store: SqliteStore, count: int) -> None:
    for _ in range(count):
        store.write([Pending(entry(action_type="connector.refused"))])


def length(path: Path) -> int:
    return Path(f"{path}-wal").stat().st_size


def test_commits_find_room_in_the_file(path: Path) -> None:
    store, lengths = SqliteStore(str(path), key=None, clock=utc_now), set[int]()
    for _ in range(300):
        written(store, 1)
        lengths.add(length(path))
    assert len(lengths) < 10, "each commit made it longer"
    assert max(lengths) < 4 << 20
    store.close()


def test_room_is_not_made_on_a_disk_that_is_nearly_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arx_wrapper.audit.storage.sqlite_wal._SPARE", 1 << 60)
    store, lengths = SqliteStore(str(path), key=None, clock=utc_now), set[int]()
    for _ in range(20):
        written(store, 1)
        lengths.add(length(path))
    assert len(lengths) == 20
    store.close()


async def test_a_checkpoint_that_cuts_the_file_off_costs_no_record(path: Path) -> None:
    store = SqliteStore(str(path), key=None, clock=utc_now)
    for _ in range(5):
        written(store, 7)
        with sqlite_at(path) as tools:
            assert tools.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        assert length(path) == 0
    written(store, 3)
    copied = path.with_name("copy.db")  # as after a power cut: with the room behind the end
    for side in ("", "-wal", ".key"):
        shutil.copy(f"{path}{side}", f"{copied}{side}")
    assert length(copied) > length(path) // 2 > 0
    for file in (path, copied):
        log = audit.open(f"sqlite:///{file}", read_only=True)
        found = await log.verify()
        await log.aclose()
        assert (found.ok, found.records) == (True, 38)
    store.close()


TURNS = """
import sys
from pathlib import Path
from arx_wrapper.audit.log import utc_now
from arx_wrapper.audit.storage.sqlite import SqliteStore
from tests.audit.test_room import written

store = SqliteStore(sys.argv[1], key=None, clock=utc_now)
for line in sys.stdin:
    written(store, int(line))
    print("written", flush=True)
store.close()
"""


async def test_two_processes_that_make_room_in_turn_overwrite_nothing_of_each_other(path: Path) -> None:
    store = SqliteStore(str(path), key=None, clock=utc_now)
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", TURNS, str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert other.stdin
    assert other.stdout
    for count in (1, 30, 2, 60, 9):
        other.stdin.write(f"{count}\n".encode())
        written(store, count)
        assert await other.stdout.readline() == b"written\n"
    other.kill()
    await other.wait()
    assert length(path) > 0  # neither is closed: all of it is read from the -wal file
    log = audit.open(f"sqlite:///{path}", read_only=True)
    found = await log.verify()
    await log.aclose()
    assert (found.ok, found.records) == (True, 204)
    store.close()
