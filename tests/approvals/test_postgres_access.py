"""Roles and their rights to approvals in PostgreSQL: each sees and decides its own organisations' requests alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import psycopg
import pytest

from arx_wrapper import approvals
from arx_wrapper.approvals import Approvals
from arx_wrapper.approvals.postgres import grant, revoke
from arx_wrapper.approvals.sql import SCHEMA
from arx_wrapper.cli.main import run
from arx_wrapper.errors import ApprovalError
from tests.approvals.conftest import Clock, terms
from tests.postgres import Server

ROLES = ("acme", "umbrella", "overseer", "inspector")


@pytest.fixture
def server(postgres: str, postgres_server: Server) -> Iterator[Server]:
    with psycopg.connect(postgres, autocommit=True) as owner:
        for role in ROLES:
            owner.execute(f"DROP ROLE IF EXISTS {role}".encode())
            owner.execute(f"CREATE ROLE {role} LOGIN".encode())
        try:
            yield postgres_server
        finally:
            for role in ROLES:
                owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


@pytest.fixture
async def stores(server: Server, clock: Clock) -> AsyncIterator[dict[str, Approvals]]:
    """One store for each role: two organisations' connectors, one that decides for all, an auditor of all."""
    for role, org, reads_only in (
        ("acme", "acme", False),
        ("umbrella", "umbrella", False),
        ("overseer", "*", False),
        ("inspector", "*", True),
    ):
        grant(server.url, role, org, reads_only=reads_only, within=5)
    opened = {role: approvals.open(server.address(role), clock=clock, proof="name") for role in ROLES}
    yield opened
    for store in opened.values():
        await store.aclose()


async def test_a_role_sees_asks_and_decides_for_its_own_organisation_only(stores: dict[str, Approvals]) -> None:
    acme, umbrella = stores["acme"], stores["umbrella"]
    theirs = await umbrella.request(**terms(org_id="umbrella"))
    ours = await acme.request(**terms(org_id="acme"))
    assert [asked.id for asked in await acme.list()] == [ours.id]
    for use in (
        acme.get(theirs.id),
        acme.decide(theirs.id, "mallory", True),
        acme.revoke(theirs.id),
        acme.mark_stale(theirs.id),
    ):
        with pytest.raises(ApprovalError, match="There is no approval request"):
            await use
    with pytest.raises(ApprovalError, match="There is no approval"):
        await acme.consume(theirs.id, theirs.call_digest)
    with pytest.raises(ApprovalError, match="not one of its own"):
        await acme.request(**terms(org_id="umbrella", agent_id="another"))
    assert (await umbrella.get(theirs.id)).state == "pending"


async def test_one_that_is_granted_all_organisations_decides_for_each(stores: dict[str, Approvals]) -> None:
    asked = [await stores[org].request(**terms(org_id=org)) for org in ("acme", "umbrella")]
    assert len(await stores["overseer"].list()) == 2
    for request in asked:
        await stores["overseer"].decide(request.id, "alice", True)
    for org, request in zip(("acme", "umbrella"), asked, strict=True):
        used = await stores[org].consume(request.id, request.call_digest)
        assert [review.reviewer for review in used.decisions] == ["alice"]


async def test_an_auditor_reads_and_neither_asks_nor_decides(stores: dict[str, Approvals]) -> None:
    asked = await stores["acme"].request(**terms(org_id="acme"))
    inspector = stores["inspector"]
    assert [one.id for one in await inspector.list()] == [asked.id]
    for use in (inspector.decide(asked.id, "alice", True), inspector.request(**terms(org_id="acme", agent_id="b"))):
        with pytest.raises(ApprovalError, match="lacks a right"):
            await use


async def test_behind_the_store_a_role_finds_no_more_than_before_it(
    stores: dict[str, Approvals], server: Server
) -> None:
    theirs = await stores["umbrella"].request(**terms(org_id="umbrella"))
    await stores["umbrella"].decide(theirs.id, "alice", True)
    with psycopg.connect(server.address("acme"), autocommit=True) as behind:
        assert behind.execute("SELECT * FROM approval_requests_v2").fetchall() == []
        assert behind.execute("SELECT * FROM approval_reviews_v2").fetchall() == []
        assert behind.execute("UPDATE approval_requests_v2 SET state = 'approved'").rowcount == 0
        assert behind.execute("SELECT * FROM approval_access").fetchall() == [("acme", "acme")]
        for statement in (
            "INSERT INTO approval_access VALUES ('acme', '*')",
            "INSERT INTO approval_reviews_v2 VALUES (%s, 'm', 1, 'm', 1, '', '', NULL)",
            "DELETE FROM approval_requests_v2",
            "ALTER TABLE approval_requests_v2 DISABLE ROW LEVEL SECURITY",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                behind.execute(statement.encode(), (theirs.id,) if "%s" in statement else None)


async def test_a_message_that_was_seen_is_forgotten_by_nobody_before_its_time(
    stores: dict[str, Approvals], server: Server, clock: Clock
) -> None:
    from arx_wrapper.approvals.service import utc_now

    clock.now = utc_now()
    assert await stores["acme"].first_time("slack x", keep=60)
    assert not await stores["umbrella"].first_time("slack x", keep=60)
    with psycopg.connect(server.address("umbrella"), autocommit=True) as behind:
        assert behind.execute("DELETE FROM approval_messages").rowcount == 0
    clock.now += timedelta(seconds=61)  # the server's own clock is not moved by it
    assert not await stores["umbrella"].first_time("slack x", keep=60)


async def test_a_role_whose_access_is_revoked_has_none(stores: dict[str, Approvals], server: Server) -> None:
    asked = await stores["acme"].request(**terms(org_id="acme"))
    revoke(server.url, "acme", within=5)
    with pytest.raises(ApprovalError, match="lacks a right"):
        await stores["acme"].get(asked.id)


@pytest.mark.parametrize("in_the_log", [True, False])
async def test_roles_that_could_use_the_tables_before_go_on(server: Server, clock: Clock, in_the_log: bool) -> None:
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute(SCHEMA.encode())
        owner.execute("GRANT USAGE ON SCHEMA public TO acme")
        owner.execute("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO acme")
        if in_the_log:
            owner.execute("CREATE SCHEMA arx_audit; CREATE TABLE arx_audit.access (role name, org_id text)")
            owner.execute("INSERT INTO arx_audit.access VALUES ('acme', 'acme')")
    theirs = approvals.open(server.address("acme"), clock=clock, proof="name")
    await theirs.request(**terms(org_id="acme"))  # before the owner comes
    owners = approvals.open(server.url, clock=clock, proof="name")
    await owners.request(**terms(org_id="umbrella"))
    await theirs.request(**terms(org_id="acme", agent_id="another"))
    assert {asked.org_id for asked in await theirs.list()} == ({"acme"} if in_the_log else {"acme", "umbrella"})
    for store in (theirs, owners):
        await store.aclose()


def test_the_owner_grants_both_by_one_command(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARX_AUDIT_KEY", "5a" * 32)
    monkeypatch.setenv("ARX_AUDIT_URL", server.url)
    assert run(["audit", "migrate"]) == 0
    assert run(["audit", "grant", "acme", "--org", "acme"]) == 0
    with psycopg.connect(server.address("acme"), autocommit=True) as behind:
        assert behind.execute("SELECT count(*) FROM approval_requests_v2").fetchone() == (0,)
    assert run(["audit", "revoke", "acme"]) == 0
    with psycopg.connect(server.address("acme"), autocommit=True) as behind, pytest.raises(psycopg.Error):
        behind.execute("SELECT count(*) FROM approval_requests_v2")
    capsys.readouterr()
