"""Roles and their rights to a log in PostgreSQL, and the migrations of its tables."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from arx_wrapper import AuditError, PagerDutyConnector, audit
from arx_wrapper.audit import Refused
from arx_wrapper.audit.storage import migrations
from arx_wrapper.audit.storage.postgres_connection import connect, parameters
from arx_wrapper.audit.storage.postgres_reader import PostgresReader
from arx_wrapper.audit.store import Query
from arx_wrapper.cli.doctor.checks import examine
from tests.audit.conftest import entry, everything
from tests.cli.conftest import Command, command, here  # noqa: F401 - fixtures
from tests.postgres import Server
from tests.support import PATIENCE

ROLES = ("acme", "umbrella", "overseer", "inspector", "stranger")


@pytest.fixture
def server(log_in_postgres: str, postgres_server: Server) -> Iterator[Server]:
    """A server with a log and roles: two organisations' connectors, an operator, an auditor of all and a stranger."""
    with psycopg.connect(postgres_server.url, autocommit=True) as owner:
        for role in ROLES:
            owner.execute(f"DROP ROLE IF EXISTS {role}".encode())
            owner.execute(f"CREATE ROLE {role} LOGIN".encode())
        with link(postgres_server.url) as own:
            migrations.migrate(own)
        for role, org, duty in (
            ("acme", "acme", "connector"),
            ("umbrella", "umbrella", "connector"),
            ("overseer", "*", "operator"),
            ("inspector", "*", "auditor"),
        ):
            owner.execute("SELECT arx_audit.admit(%s, %s, %s)", (role, org, duty))
        yield postgres_server
        owner.execute("DROP SCHEMA arx_audit CASCADE")
        for role in ROLES:
            owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


async def both_write(server: Server) -> None:
    for org in ("acme", "umbrella"):
        log = audit.open(server.address(org))
        await asyncio.gather(*(log.append(entry(org_id=org)) for _ in range(3)))
        await log.aclose()


async def test_a_role_writes_and_sees_the_records_of_its_own_organisation_only(server: Server) -> None:
    await both_write(server)
    acme = audit.open(server.address("acme"))
    assert {record.org_id for record in await everything(acme)} == {"acme"}
    assert len(await everything(acme, action_type="connector.called")) == 3
    with pytest.raises(AuditError, match="not one of its own"):
        await acme.append(entry(org_id="umbrella"))
    await acme.append(entry(org_id="acme"))
    with psycopg.connect(server.address("acme")) as behind:
        seen = behind.execute("SELECT DISTINCT org_id FROM arx_audit.records").fetchall()
        assert seen == [("acme",)]
        assert behind.execute("SELECT * FROM arx_audit.access").fetchall() == [("acme", "acme")]
    await acme.aclose()


async def test_patterns_find_the_same_for_one_organisation_as_for_all(server: Server) -> None:
    operations = {
        "acme": ("incidents:read", "incidents:create"),
        "umbrella": ("incidents:create", "a%_\\x", "teams:read"),
    }
    for org, names in operations.items():
        log = audit.open(server.address(org))
        for name in names:
            await log.append(entry(org_id=org, operation=name))
        await log.aclose()
    for role, own in (("acme", operations["acme"]), ("inspector", operations["acme"] + operations["umbrella"])):
        log = audit.open(server.address(role), read_only=True)
        for pattern in ("*", "incidents:*", "*:read", "i*s:c*", "a%_\\x", "a*\\x", "a_*", "none*", "teams:read"):
            wanted = re.compile(".*".join(map(re.escape, pattern.split("*"))))
            found = [record.operation for record in await everything(log, operation=pattern)]
            assert sorted(map(str, found)) == sorted(name for name in own if wanted.fullmatch(name)), (role, pattern)
        await log.aclose()


async def test_records_about_an_id_are_found_within_ones_own_organisation(server: Server) -> None:
    written = {}
    for org in ("acme", "umbrella"):
        log = audit.open(server.address(org))
        written[org] = await log.append(entry(org_id=org, metadata={"ids": {"incident_id": "P1"}}))
        await log.aclose()
    for role, own in (("acme", ["acme"]), ("inspector", ["acme", "umbrella"])):
        log = audit.open(server.address(role), read_only=True)
        found = await everything(log, target="P1", action_type="connector.called")
        assert [record.org_id for record in found] == own
        assert await everything(log, target="P2") == []
        await log.aclose()
    with psycopg.connect(server.address("acme")) as behind:
        assert behind.execute("SELECT arx_audit.about('P1')").fetchall() == [(written["acme"].seq,)]


async def test_one_organisations_role_cannot_verify_and_says_so_and_an_auditor_of_all_can(server: Server) -> None:
    await both_write(server)
    acme = audit.open(server.address("acme"))
    with pytest.raises(AuditError, match="its own organisations only"):
        await acme.verify()
    await acme.aclose()
    inspector = audit.open(server.address("inspector"))
    found = await inspector.verify()
    assert found.ok
    assert found.records == len(await everything(inspector))
    with pytest.raises(AuditError, match="lacks a right"):
        await inspector.append(entry())
    await inspector.aclose()


async def test_doctor_finds_nothing_wrong_with_one_organisations_role(server: Server, tmp_path: Path) -> None:
    await both_write(server)
    approvals = f"sqlite:///{tmp_path}/approvals.db"
    async with PagerDutyConnector.sandbox(org_id="acme", audit=server.address("acme"), approvals=approvals) as pd:
        found = {finding.check: finding for finding in await examine(pd)}
    assert found["audit log"].state == "ok"
    assert "its own organisations" in found["audit log"].found


FORBIDDEN: tuple[LiteralString, ...] = (
    "UPDATE arx_audit.records SET body = body",
    "DELETE FROM arx_audit.records",
    "TRUNCATE arx_audit.records",
    "INSERT INTO arx_audit.records (seq, id, hash, body, org_id) VALUES (9, 'x', 'x', '{}', 'acme')",
    "UPDATE arx_audit.head SET seq = 0",
    "DELETE FROM arx_audit.open_intents",
    "DELETE FROM arx_audit.usage",
    "INSERT INTO arx_audit.usage (org_id, agent_id, operation, at, seq, n) VALUES ('acme', 'a', 'o', '2000-1-1', 1, 1)",
    "INSERT INTO arx_audit.usage (org_id, agent_id, operation, seq, n) VALUES ('acme', 'a', 'o', 1, -1)",
    "INSERT INTO arx_audit.tiles VALUES (0, 0, '')",
    "SELECT arx_audit.may_suspend()",
    "SELECT arx_audit.grow(0)",
    "SELECT arx_audit.admit('acme', '*', 'operator')",
    "INSERT INTO arx_audit.access VALUES ('acme', '*')",
    "ALTER TABLE arx_audit.records DISABLE TRIGGER ALL",
    "ALTER TABLE arx_audit.records DISABLE ROW LEVEL SECURITY",
    "DROP TABLE arx_audit.records",
    "SET session_replication_role = replica",
    "CREATE TABLE arx_audit.mine ()",
)


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_a_connectors_role_can_only_add_and_read(server: Server, statement: LiteralString) -> None:
    await both_write(server)
    with psycopg.connect(server.address("acme")) as behind, pytest.raises(psycopg.errors.InsufficientPrivilege):
        behind.execute(statement)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE arx_audit.records SET body = body", "DELETE FROM arx_audit.records", "TRUNCATE arx_audit.records"],
)
async def test_not_even_the_owner_changes_or_removes_a_record(server: Server, statement: LiteralString) -> None:
    await both_write(server)
    with (
        psycopg.connect(server.url) as owner,
        pytest.raises(psycopg.IntegrityError, match="never changed or removed"),
    ):
        owner.execute(statement)


def insert(link: psycopg.Connection, seq: int, said: str) -> None:
    link.execute("INSERT INTO arx_audit.records (seq, id, hash, body) VALUES (%s, 'x', 'h', %s)", (seq, said))


async def test_no_record_is_added_out_of_its_place_whoever_adds_it(server: Server) -> None:
    await both_write(server)
    with psycopg.connect(server.address("overseer"), autocommit=True) as behind:
        last, head = behind.execute("SELECT seq, hash FROM arx_audit.head").fetchone() or (0, "")
        following = f'"id":"x","org_id":"acme","prev_hash":"{head}"'
        wrong = (
            (last + 1, f'{{"seq":{last + 1},"id":"x","prev_hash":"{"0" * 64}"}}'),
            (last + 2, f'{{"seq":{last + 2},{following}}}'),
            (last + 1, f'{{"seq":{last},{following}}}'),
            (last + 1, f'{{"seq":{last + 1},{following},"id":"y"}}'),
        )
        for seq, said in wrong:
            with pytest.raises(psycopg.IntegrityError):
                insert(behind, seq, said)
        insert(behind, last + 1, f'{{"seq":{last + 1},{following}}}')


async def test_only_an_operator_suspends_and_connectors_obey(server: Server) -> None:
    acme, overseer = audit.open(server.address("acme")), audit.open(server.address("overseer"))
    await overseer.suspend("agent", org_id="ops", by="ada", reason="paged everybody")
    with pytest.raises(Refused, match="paged everybody"):
        await acme.append(entry(org_id="acme"))
    with pytest.raises(AuditError, match="lacks a right"):
        await acme.resume("agent", org_id="acme", by="agent")
    with pytest.raises(Refused, match="paged everybody"):
        await acme.append(entry(org_id="acme"))
    await overseer.resume("agent", org_id="ops", by="ada")
    await acme.append(entry(org_id="acme"))
    await acme.aclose()
    await overseer.aclose()


async def test_what_cannot_be_recorded_is_not_switched(server: Server) -> None:
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("SELECT arx_audit.admit('stranger', 'ops', 'operator')")
    operator = audit.open(server.address("stranger"))
    await operator.suspend("agent", org_id="ops", by="ada", reason="paged everybody")
    with pytest.raises(AuditError, match="not one of its own"):
        await operator.resume("agent", org_id="umbrella", by="ada")
    assert await operator.suspension("agent") is not None
    await operator.resume("agent", org_id="ops", by="ada")
    assert await operator.suspension("agent") is None
    await operator.aclose()


async def test_orphans_are_settled_by_their_own_organisation(server: Server) -> None:
    await both_write(server)  # each closed with its intents open
    acme = audit.open(server.address("acme"))
    settled = await everything(acme, status="unknown")
    assert {record.org_id for record in settled} == {"acme"}
    assert len(settled) == 3
    inspector = audit.open(server.address("inspector"))
    assert len(await everything(inspector, status="unknown")) == 3, "an auditor settles nothing"
    umbrella = audit.open(server.address("umbrella"))
    assert len(await everything(umbrella, status="unknown")) == 3
    for log in (acme, inspector, umbrella):
        await log.aclose()


async def test_a_role_that_was_not_admitted_is_told_what_to_do(server: Server) -> None:
    log = audit.open(server.address("stranger"))
    with pytest.raises(AuditError, match="audit grant"):
        await log.append(entry())
    await log.aclose()


async def test_a_group_is_admitted_for_its_members_and_dismissed(server: Server) -> None:
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("GRANT acme TO stranger")
        log = audit.open(server.address("stranger"))
        await log.append(entry(org_id="acme"))
        await log.aclose()
        owner.execute("SELECT arx_audit.dismiss('acme')")
    log = audit.open(server.address("stranger"))
    with pytest.raises(AuditError, match="lacks a right"):
        await log.append(entry(org_id="acme"))
    await log.aclose()


def link(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return connect(parameters(url), timeout=PATIENCE)


async def test_an_old_version_is_upgraded_and_its_records_stay(log_in_postgres: str) -> None:
    with link(log_in_postgres) as owner:
        assert migrations.migrate(owner, up_to=1) == 0
        assert owner.execute("SELECT to_regclass('arx_audit.access')").fetchone() == (None,)
        said = f'{{"seq":1,"id":"x","prev_hash":"{"0" * 64}"}}'
        insert(owner, 1, said)
    log = audit.open(log_in_postgres)
    assert (await log.append(entry())).seq == 2
    await log.aclose()
    with link(log_in_postgres) as owner:
        versions = [version for (version,) in owner.execute("SELECT version FROM versions ORDER BY version")]
        assert versions == list(migrations.versions()) == [1, 2, 3]


async def test_a_version_from_the_future_is_left_alone(log_in_postgres: str) -> None:
    log = audit.open(log_in_postgres)
    await log.append(entry())
    await log.aclose()
    with link(log_in_postgres) as owner:
        owner.execute("INSERT INTO versions VALUES (99)")
    log = audit.open(log_in_postgres)
    with pytest.raises(AuditError, match=r"version 99.*Nothing was sent"):
        await log.append(entry())
    await log.aclose()


async def test_an_old_version_that_is_not_ones_own_is_for_its_owner_to_upgrade(server: Server) -> None:
    with link(server.url) as owner:
        owner.execute("DELETE FROM versions WHERE version = 3")
    log = audit.open(server.address("acme"))
    with pytest.raises(AuditError, match="Their owner runs"):
        await log.append(entry(org_id="acme"))
    await log.aclose()


async def test_many_hosts_that_start_at_once_make_the_tables_once(log_in_postgres: str) -> None:
    logs = [audit.open(log_in_postgres) for _ in range(8)]
    await asyncio.gather(*(log.append(entry()) for log in logs))
    assert (await logs[0].verify()).records == 8
    for log in logs:
        await log.aclose()


def test_the_printed_sql_makes_a_log_by_psql(log_in_postgres: str, server_tools: str, command: Command) -> None:  # noqa: F811 - the fixture
    printed = command("audit", "migrate", "--print").out
    done = subprocess.run(  # noqa: S603 - the distribution's own client
        [server_tools, "--single-transaction", "--set=ON_ERROR_STOP=1", "--no-psqlrc", "--quiet", log_in_postgres],
        input=printed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with link(log_in_postgres) as owner:
        assert migrations.migrate(owner) == max(migrations.versions())


@pytest.fixture
def server_tools() -> str:
    import shutil

    found = shutil.which("psql")
    if found is None:
        pytest.skip("psql is not installed (Debian: postgresql-client)")
    return found


def test_an_owner_sets_a_log_up_by_commands(
    server: Server,
    command: Command,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("DROP SCHEMA arx_audit CASCADE")
    monkeypatch.setenv("ARX_AUDIT_URL", server.url)
    assert "version 3, before it was 0" in command("audit", "migrate").out
    assert "have version 3\n" in command("audit", "migrate").out
    assert "connector of acme" in command("audit", "grant", "acme", "--org", "acme").out
    assert "operator of all" in command("audit", "grant", "overseer", "--org", "*", "--as", "operator").out
    monkeypatch.setenv("ARX_AUDIT_URL", server.address("acme"))
    assert command("audit", "tail").status == 0
    refused = command("agents", "suspend", "agent-7")
    assert (refused.status, "lacks a right" in refused.err) == (5, True)
    monkeypatch.setenv("ARX_AUDIT_URL", server.address("overseer"))
    assert command("agents", "suspend", "agent-7").status == 0
    assert command("audit", "verify").status == 0
    monkeypatch.setenv("ARX_AUDIT_URL", server.url)
    assert command("audit", "revoke", "acme").status == 0
    monkeypatch.setenv("ARX_AUDIT_URL", server.address("acme"))
    assert command("audit", "tail").status == 5
    monkeypatch.setenv("ARX_AUDIT_URL", "sqlite:///audit.db")
    assert command("audit", "migrate").status == 2


async def test_a_role_cannot_answer_the_open_intents_of_another_organisation(server: Server) -> None:
    umbrella = audit.open(server.address("umbrella"))
    theirs = await umbrella.append(entry(org_id="umbrella"))
    acme = audit.open(server.address("acme"))
    await acme.append(entry(org_id="acme", action_type="connector.completed", status="success", intent_id=theirs.id))
    with psycopg.connect(server.url) as owner:
        assert owner.execute("SELECT intent FROM arx_audit.open_intents").fetchall() == [(theirs.id,)]
    with psycopg.connect(server.address("acme")) as behind:
        assert behind.execute("SELECT * FROM arx_audit.open_intents").fetchall() == [], "nor see them"
    for log in (acme, umbrella):
        await log.aclose()


@pytest.mark.parametrize("count", [-5, 0])
async def test_a_record_cannot_count_less_than_one_use(server: Server, count: int) -> None:
    acme = audit.open(server.address("acme"))
    with pytest.raises(AuditError, match="record was refused"):
        await acme.append(entry(org_id="acme", metadata={"counted": {"incidents:create": count}}))
    await acme.aclose()


async def test_uses_are_counted_from_the_records_whatever_a_role_adds_beside_them(server: Server) -> None:
    acme = audit.open(server.address("acme"))
    await acme.append(entry(org_id="acme"), usage=[("incidents:create", 2), ("incidents:create", 1)])
    with psycopg.connect(server.url) as owner:
        counted = owner.execute("SELECT operation, n FROM arx_audit.usage").fetchall()
    assert counted == [("incidents:create", 3)]
    await acme.aclose()


async def test_locks_that_another_role_takes_keep_no_writer_out_and_none_alive(server: Server) -> None:
    lock = "SELECT pg_advisory_lock('arx_audit.open_intents'::regclass::oid::integer, n) FROM generate_series(1, 500) n"
    with psycopg.connect(server.address("umbrella"), autocommit=True) as hostile:
        hostile.execute(lock)
        acme = audit.open(server.address("acme"), timeout=PATIENCE)
        intent = await acme.append(entry(org_id="acme"))
        writer = intent.record().metadata["writer"]
        take = "SELECT pg_advisory_lock_shared('arx_audit.open_intents'::regclass::oid::integer, %s)"
        hostile.execute(take, (int(writer),))
        await acme.aclose()  # with its intent open: from now on only the other role holds its lock
        again = audit.open(server.address("acme"), timeout=PATIENCE)
        await again.open()
        assert [record.status for record in await everything(again, call=intent.id)] == ["in_progress", "unknown"]
        await again.aclose()


async def test_only_an_operators_role_records_that_an_agent_goes_on(server: Server) -> None:
    acme = audit.open(server.address("acme"))
    for action in ("agent.suspended", "agent.resumed"):
        with pytest.raises(AuditError, match="lacks a right"):
            await acme.append(entry(org_id="acme", action_type=action, operation=None))
    await acme.aclose()


RARE: tuple[dict[str, str], ...] = (
    {"id": "nothing"},
    {"call": "nothing"},
    {"agent_id": "rare"},
    {"operation": "services:delete"},
    {"operation": "*:delete"},
    {"operation": "nothing:*"},
    {"org_id": "nobody"},
    {"verdict": "DENY"},
    {"status": "error"},
    {"action_type": "policy.loaded"},
    {"target": "PRARE"},
    {"reviewer": "alice"},
    {"approval": "apr-1"},
    {"since": "2100-01-01"},
    {"until": "2000-01-01"},
)


@pytest.mark.parametrize("role", ["inspector", "acme"])
async def test_no_filter_with_few_matches_reads_every_record(server: Server, role: str) -> None:
    log = audit.open(server.address("overseer"))
    for number in range(3_000):
        log.append_soon(
            entry(org_id="acme", agent_id="often", action_type="connector.refused", operation=f"op:{number % 3}")
        )
    await log.append(entry(org_id="acme", agent_id="rare", operation="services:delete"))
    await log.aclose()
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("ANALYZE arx_audit.records")
    with link(server.address(role)) as reading:
        reader = PostgresReader(lambda: reading, lambda data: "")  # type: ignore[arg-type, return-value]
        for filters in RARE:
            where, values = reader._conditions(Query(**filters))  # type: ignore[arg-type]
            statement = f"SELECT body FROM records WHERE {where} ORDER BY seq DESC LIMIT 1000"  # noqa: S608 - ours
            [(plan,)] = reading.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), values).fetchall()
            assert sum(_read(plan[0]["Plan"])) < 100, (filters, plan)


def _read(plan: dict[str, Any]) -> Iterator[int]:
    """Yield the rows that each step of a plan has read."""
    if plan.get("Relation Name") == "records":
        yield plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    for step in plan.get("Plans", ()):
        yield from _read(step)
