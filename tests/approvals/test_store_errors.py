"""A store that cannot be used: the message says what happened, that nothing was sent, and what to do."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from arx_wrapper import approvals
from arx_wrapper.approvals import store_errors
from arx_wrapper.approvals.database import SQLite
from arx_wrapper.approvals.sql import SCHEMA
from arx_wrapper.errors import ApprovalError
from tests.approvals.conftest import terms

DAMAGED, ACCESS, PLACE = "Keep a copy of the file.", "Let this user read and write", "it has to be a regular file"
VERSION = "not those of this version"


def folder(file: Path) -> None:
    file.mkdir()


def text(file: Path) -> None:
    file.write_text("this is no database, but a long text. " * 100)


def pages(file: Path) -> None:
    with closing(sqlite3.connect(file)) as made:
        made.executescript(SCHEMA)
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\xa5" * (size - 4096))


def earlier(file: Path) -> None:
    with closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE approval_requests_v2 (id TEXT PRIMARY KEY, state TEXT)")


def not_utf8(file: Path) -> None:
    with closing(sqlite3.connect(file)) as made, made:
        made.executescript(SCHEMA)
        row = "'r', 'd', 'c', 'o', 'a', 'pending', '2026-01-01T00:00:00.000000Z', '2036-01-01T00:00:00.000000Z'"
        made.execute(f"INSERT INTO approval_requests_v2 VALUES ({row}, CAST(x'ff80' AS TEXT))")  # noqa: S608 - a constant


def fifo(file: Path) -> None:
    os.mkfifo(file)


def device(file: Path) -> None:
    file.symlink_to("/dev/null")


def below_a_file(file: Path) -> None:
    file.parent.rmdir()
    file.parent.write_text("")


CASES: list[tuple[Callable[[Path], None], str]] = [
    (folder, PLACE),
    (text, DAMAGED),
    (pages, DAMAGED),
    (earlier, VERSION),
    (fifo, PLACE),
    (device, PLACE),
    (below_a_file, PLACE),
]


@pytest.mark.parametrize(("make", "remedy"), CASES, ids=[make.__name__ for make, _ in CASES])
async def test_a_file_that_is_no_store_is_refused_with_its_remedy(
    tmp_path: Path, make: Callable[[Path], None], remedy: str
) -> None:
    file = tmp_path / "state" / "approvals.db"
    file.parent.mkdir()
    make(file)
    store = approvals.open(f"sqlite:///{file}", proof="name")
    for use in (store.list, lambda: store.request(**terms())):
        with pytest.raises(ApprovalError) as refused:
            await asyncio.wait_for(use(), 10)
        said = str(refused.value)
        assert said.startswith(f"The approval store {file} cannot be used: ")
        assert ". Nothing was sent. " in said
        assert remedy in said
    await store.aclose()


async def test_a_request_that_is_not_utf8_is_a_damaged_store(tmp_path: Path) -> None:
    not_utf8(tmp_path / "a.db")
    store = approvals.open(f"sqlite:///{tmp_path}/a.db", proof="name")
    with pytest.raises(ApprovalError, match=rf"cannot be used: .* Nothing was sent\. {DAMAGED}"):
        await store.list()
    await store.aclose()


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    database = SQLite(tmp_path / "a.db", schema=SCHEMA, timeout=0.1)
    with closing(database):
        database.connected().execute("PRAGMA max_page_count=1")
        with pytest.raises(ApprovalError, match=r"full\. Nothing was sent\. Make space"), database.write() as run:
            run("INSERT INTO approval_messages VALUES (?, ?)", ("m" * 1_000_000, "2036"))


def test_a_locked_store_names_the_lock(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    with closing(SQLite(file, schema=SCHEMA, timeout=0.1)) as database:
        database.connected()
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(ApprovalError, match=r"locked\. Nothing was sent\. Another process"), database.write():
                pass


OTHER_USER = """
import asyncio, os, sys
from arx_wrapper import approvals
from arx_wrapper.errors import ApprovalError
asyncio.run(approvals.open("sqlite:///:memory:", allow_memory=True, proof="name").list())  # imports all it needs
os.setgroups([]); os.setgid(54321); os.setuid(54321)
store = approvals.open("sqlite:///" + sys.argv[1], proof="name")
try:
    asyncio.run(store.list())
except ApprovalError as error:
    print(error, flush=True)
os._exit(0)
"""


@pytest.mark.parametrize(("of_file", "of_folder"), [(0o000, 0o555), (0o444, 0o555), (0o444, 0o777), (0o666, 0o000)])
def test_a_store_without_permission_is_told_which_permission(of_file: int, of_folder: int) -> None:
    if os.getuid() != 0:
        pytest.skip("SKIPPED: only root can become another user, so no store without permission was tried")
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        place = Path(made) / "state"
        place.mkdir()
        file = place / "approvals.db"
        with closing(sqlite3.connect(file)) as database:
            database.executescript(SCHEMA)
        file.chmod(of_file)
        place.chmod(of_folder)
        Path(made).chmod(0o755)
        ran = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-c", OTHER_USER, str(file)], capture_output=True, text=True, timeout=60, cwd="/"
        )
        place.chmod(0o700)
    assert ran.stderr == ""
    assert ran.stdout.startswith(f"The approval store {file} cannot be used: ")
    assert f". Nothing was sent. {ACCESS}" in ran.stdout


@pytest.mark.parametrize(
    ("column", "value"), [("at", "yesterday"), ("at", 7), ("note", b"\x00"), ("approve", "maybe"), ("reviewer", None)]
)
async def test_a_decision_that_cannot_be_read_is_an_altered_request(tmp_path: Path, column: str, value: object) -> None:
    file = tmp_path / "a.db"
    store = approvals.open(f"sqlite:///{file}", proof="name")
    asked = await store.request(**terms(min_approvals=2))
    await store.decide(asked.id, "alice", True)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("ALTER TABLE approval_reviews_v2 RENAME TO earlier")
        database.execute("CREATE TABLE approval_reviews_v2 AS SELECT * FROM earlier")  # without the columns' types
        database.execute(f"UPDATE approval_reviews_v2 SET {column} = ?", (value,))  # noqa: S608 - of the list above
    with pytest.raises(ApprovalError, match=r"was altered in the database .* Nothing was sent"):
        await store.get(asked.id)
    await store.aclose()


def failed(state: str | None) -> psycopg.Error:
    error: psycopg.Error = (
        psycopg.errors.lookup(state)("text with a secret") if state else psycopg.OperationalError("x")
    )
    return error


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        (None, "Check the server, and the address"),
        ("08006", "Check the server, and the address"),
        ("28P01", "Correct the role and its password"),
        ("3D000", "Create it, or correct"),
        ("42501", "`arx-pagerduty audit grant ROLE --org ORG`"),
        ("42P01", "`arx-pagerduty audit migrate`"),
        ("42703", "`arx-pagerduty audit migrate`"),
        ("53100", "Make space there"),
        ("53300", "once it has some"),
        ("55P03", "pg_locks"),
        ("57014", "Repeat the command or call"),
        ("57P03", "once it runs"),
        ("58030", "Look at the server's log"),
        ("XX001", "Look at the server's log"),
    ],
)
def test_each_state_of_postgresql_has_its_remedy(state: str | None, remedy: str) -> None:
    said = store_errors.in_postgres(failed(state))
    assert said.startswith("The approval store in PostgreSQL cannot be used: ")
    assert ". Nothing was sent. " in said
    assert remedy in said
    assert "secret" not in said
