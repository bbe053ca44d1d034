"""Particulars of PostgreSQL: a server that goes away, a password in the address, a role with few rights."""

from __future__ import annotations

import asyncio
import traceback

import psycopg
import pytest

from arx_wrapper import approvals
from arx_wrapper.approvals.postgres import grant
from arx_wrapper.errors import ApprovalError
from tests.approvals.conftest import terms
from tests.support import PATIENCE


@pytest.fixture(params=["postgresql"])
def url(request, postgres):
    return postgres


async def test_a_lost_connection_costs_one_call_and_nothing_stored(store, url):
    asked = await store.request(**terms())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND usename = 'arx' AND backend_type = 'client backend'"
        )
    with pytest.raises(ApprovalError, match="cannot be used"):
        await store.get(asked.id)
    assert await store.get(asked.id) == asked


async def test_a_lost_connection_does_not_end_a_wait(store, url, clock):
    asked = await store.request(**terms())
    waiting = asyncio.create_task(store.wait(asked.id, poll=0.02))
    await asyncio.sleep(0.1)
    other = approvals.open(url, clock=clock, proof="name")  # not the one whose next use tells of the lost connection
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND usename = 'arx' AND backend_type = 'client backend'"
        )
    await asyncio.sleep(0.1)
    await other.decide(asked.id, "alice", True)
    await other.aclose()
    assert (await asyncio.wait_for(waiting, PATIENCE)).state == "approved"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://arx:k4n4ry@localhost:1/postgres",
        "postgresql://arx:k4n4ry@/postgres?host=/nowhere",
        "postgresql://arx:k4n4ry@[/postgres",
        "postgresql://arx:k4n4ry@/postgres?sslmode=k4n4ry",
        "postgresql://arx@/postgres?passw=k4n4ry",
    ],
)
async def test_a_password_is_never_shown(address):
    store = approvals.open(address, proof="name")
    with pytest.raises(ApprovalError, match="cannot be used") as caught:
        await store.list()
    assert "k4n4ry" not in str(caught.value)
    assert "Error: " not in "".join(traceback.format_exception(caught.value)).replace("ApprovalError: ", "")
    await store.aclose()


async def test_a_store_that_stays_locked_fails_in_time_and_approves_nothing(url):
    store, patient = (approvals.open(url, timeout=PATIENCE, proof="name") for _ in range(2))
    asked = await store.request(**terms())
    await store.decide(asked.id, "alice", True)
    await store._store.run(lambda opened: opened._database.connected().execute("SET lock_timeout = '200ms'"))
    with psycopg.connect(url) as locker:
        locker.execute("LOCK TABLE approval_requests_v2")
        waiting = asyncio.create_task(patient.get(asked.id))
        with pytest.raises(ApprovalError, match="another session holds it locked"):
            await store.consume(asked.id, asked.call_digest)
        assert not waiting.done(), "it gives up when its own time is over"
    assert (await waiting).state == "approved"
    assert (await store.consume(asked.id, asked.call_digest)).state == "consumed"
    await store.aclose()
    await patient.aclose()


async def test_a_role_needs_no_right_to_make_tables(store, url):
    await store.list()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS limited")
        connection.execute("CREATE ROLE limited LOGIN")
        grant(url, "limited", "*", reads_only=False, within=5)
        limited = approvals.open(url.replace("arx@", "limited@"), proof="name")
        try:
            asked = await limited.request(**terms())
            await limited.decide(asked.id, "alice", True)
            assert (await limited.consume(asked.id, asked.call_digest)).state == "consumed"
        finally:
            await limited.aclose()
            connection.execute("DROP OWNED BY limited")
            connection.execute("DROP ROLE limited")
