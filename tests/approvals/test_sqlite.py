"""Particulars of SQLite: a file for its owner only, and other writers' locks."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from arx_wrapper import approvals
from arx_wrapper.errors import ApprovalError
from tests.approvals.conftest import terms
from tests.support import PATIENCE


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/state/approvals.db"


async def test_the_event_loop_is_not_blocked_by_a_locked_database(store, url):
    asked = await store.request(**terms())
    locker = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    deciding = asyncio.create_task(store.decide(asked.id, "alice", True))
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert not deciding.done(), "the loop stood still until the database gave up"
    locker.execute("ROLLBACK")
    locker.close()
    assert (await deciding).state == "approved"


async def test_a_store_that_stays_locked_fails_in_time_and_approves_nothing(url, clock):
    store, patient = (approvals.open(url, clock=clock, timeout=PATIENCE, proof="name") for _ in range(2))
    asked = await store.request(**terms())
    await store.decide(asked.id, "alice", True)
    await store._store.run(lambda opened: opened._database.connected().execute("PRAGMA busy_timeout = 200"))
    locker = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    waiting = asyncio.create_task(patient.get(asked.id))
    with pytest.raises(ApprovalError, match=r"cannot be used: database is locked"):
        await store.consume(asked.id, asked.call_digest)
    assert not waiting.done(), "it gives up when its own time is over"
    locker.execute("ROLLBACK")
    locker.close()
    assert (await waiting).state == "approved"
    assert (await store.consume(asked.id, asked.call_digest)).state == "consumed"
    await store.aclose()
    await patient.aclose()


async def test_the_file_is_for_its_owner_only(store, tmp_path):
    await store.request(**terms())
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    for file in (tmp_path / "state").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600


async def test_a_file_that_others_could_read_is_closed_to_them(tmp_path):
    file = tmp_path / "a.db"
    file.touch(0o644)
    store = approvals.open(f"sqlite:///{file}", proof="name")
    await store.list()
    await store.aclose()
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_directory_that_cannot_be_used_is_an_approval_error(tmp_path):
    (tmp_path / "file").touch()
    store = approvals.open(f"sqlite:///{tmp_path}/file/a.db", proof="name")
    with pytest.raises(ApprovalError, match="cannot be used"):
        await store.request(**terms())
    await store.aclose()


async def test_memory_will_do_for_the_sandbox():
    store = approvals.open("sqlite:///:memory:", allow_memory=True, proof="name")
    asked = await store.request(**terms())
    assert (await store.decide(asked.id, "alice", True)).state == "approved"
    await store.aclose()
