"""Sealing and retention in PostgreSQL: what is removed is known to be gone, and nothing else can go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from arx_wrapper import AuditError, audit
from arx_wrapper.audit import AuditLog, Refused
from arx_wrapper.audit.store import Segment
from arx_wrapper.audit.transparency.checkpoint import checkpoint_of, verify_against
from arx_wrapper.audit.transparency.inclusion_proof import prove, verify_proof
from arx_wrapper.audit.transparency.signed_note import Signer, Verifier
from arx_wrapper.cli.main import run
from arx_wrapper.model import Limit
from tests.audit.conftest import WHO, Clock, entry, everything


@pytest.fixture
async def log(log_in_postgres: str, clock: Clock) -> AsyncIterator[AuditLog]:
    opened = audit.open(log_in_postgres, clock=clock)
    yield opened
    await opened.aclose()


async def calls(log: AuditLog, count: int) -> None:
    for _ in range(count):
        log.append_soon(entry(action_type="connector.refused"))
    await log.flush()


async def sealed(log: AuditLog, count: int = 5) -> Segment:
    await calls(log, count)
    segment = await log.rotate(**WHO)
    assert segment
    return segment


async def seqs(log: AuditLog, **filters: object) -> list[int]:
    return [record.seq for record in await everything(log, **filters)]


async def test_sealed_records_stay_until_retention_removes_them(log: AuditLog, clock: Clock) -> None:
    first, second = await sealed(log), await sealed(log)
    assert [(one.first, one.last) for one in (first, second)] == [(1, 5), (6, 11)]
    assert await seqs(log) == list(range(1, 13))
    clock.now += timedelta(days=100)
    young = await sealed(log)
    gone = await log.retain(clock.now - timedelta(days=50), **WHO)
    assert [(one.first, one.last) for one in gone] == [(1, 5), (6, 11)]
    assert (await seqs(log))[0] == young.first
    removals = await everything(log, action_type="log.removed")
    assert [removal.metadata["last_hash"] for removal in removals] == [first.last_hash, second.last_hash]
    found = await log.verify()
    assert (found.ok, found.problem) == (True, None)
    assert await log.retain(clock.now - timedelta(days=50), **WHO) == []


async def test_what_is_open_is_not_sealed(log: AuditLog) -> None:
    await calls(log, 3)
    intent = await log.append(entry())
    await calls(log, 3)
    segment = await log.rotate(**WHO)
    assert segment
    assert segment.last == intent.seq - 1
    assert await log.rotate(**WHO) is None, "nothing settled is nothing to seal"


@pytest.mark.parametrize("count", [5, 256, 300, 600])
async def test_a_log_goes_on_and_is_proved_after_a_removal_in_the_middle_of_a_tile(
    log: AuditLog, clock: Clock, count: int
) -> None:
    signer = Signer.new("audit.example.com/log")
    await calls(log, count)
    before = await log.read(lambda reader: checkpoint_of(reader, signer.name))
    assert await log.rotate(**WHO)
    clock.now += timedelta(days=100)
    await calls(log, 2)
    await log.retain(clock.now, **WHO)
    assert (await log.verify()).ok
    await calls(log, 600)
    found = await log.verify()
    assert (found.ok, found.problem) == (True, None)
    assert await verify_against(log, before) is None, "a checkpoint over what was removed still holds"
    after = await log.read(lambda reader: checkpoint_of(reader, signer.name))
    verifier = Verifier.parse(signer.verifier())
    proof = await prove(log, count + 5, signer.sign(after.text()), verifier)
    assert verify_proof(proof, verifier).seq == count + 5


async def test_a_suspension_outlives_the_record_of_it(log: AuditLog, clock: Clock) -> None:
    await log.suspend("rogue", org_id="org", by="ada", reason="paged everybody")
    await log.suspend("forgiven", org_id="org", by="ada", reason="why")
    await log.resume("forgiven", org_id="org", by="ada")
    assert await log.rotate(**WHO)
    clock.now += timedelta(days=100)
    await log.retain(clock.now, **WHO)
    assert not await everything(log, action_type="agent.suspended")
    with pytest.raises(Refused, match="paged everybody"):
        await log.append(entry(agent_id="rogue"))
    await log.append(entry(agent_id="forgiven"))
    assert await log.suspensions() == {"rogue": "paged everybody"}
    await log.resume("rogue", org_id="org", by="ada")
    await log.append(entry(agent_id="rogue"))
    assert (await log.verify()).ok


async def test_a_limit_counts_uses_whose_records_were_removed(log: AuditLog, clock: Clock) -> None:
    at_most = Limit(operation="incidents:create", count=2, seconds=3_600, text="2/hour", policy="p")
    for _ in range(2):
        intent = await log.append(entry(), usage=[("incidents:create", 1)], limits=[at_most])
        await log.append(entry(action_type="connector.completed", status="success", intent_id=intent.id))
    assert await log.rotate(**WHO)
    clock.now += timedelta(days=100)  # the hosts' clock; limits go by the server's
    await log.retain(clock.now, **WHO)
    with pytest.raises(Refused, match="used up"):
        await log.append(entry(), usage=[("incidents:create", 1)], limits=[at_most])
    assert (await log.verify()).ok


async def test_only_the_owner_seals_and_removes(log: AuditLog, log_in_postgres: str) -> None:
    await sealed(log)
    with psycopg.connect(log_in_postgres, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS operating; CREATE ROLE operating LOGIN")
        owner.execute("SELECT arx_audit.admit('operating', '*', 'operator')")
        other = audit.open(log_in_postgres.replace("arx@", "operating@"))
        try:
            for use in (other.rotate(**WHO), other.retain(datetime(2100, 1, 1, tzinfo=UTC), **WHO)):
                with pytest.raises(AuditError, match="Only the owner"):
                    await use
            forged = entry(action_type="log.removed", operation=None, metadata={"first": 1, "last": 5})
            with pytest.raises(AuditError, match="lacks a right"):
                await other.append(forged)
        finally:
            await other.aclose()
            owner.execute("DROP OWNED BY operating; DROP ROLE operating")
    assert (await log.verify()).records == 6


async def test_not_even_the_owner_removes_what_no_record_says_is_removed(log: AuditLog, log_in_postgres: str) -> None:
    segment = await sealed(log)
    await calls(log, 2)
    with psycopg.connect(log_in_postgres, autocommit=True) as owner:
        with pytest.raises(psycopg.IntegrityError, match="never changed or removed"):
            owner.execute("DELETE FROM arx_audit.records WHERE seq <= 5")
        owner.execute("UPDATE arx_audit.segments SET removed = true")
        owner.execute("DELETE FROM arx_audit.records WHERE seq <= %s", (segment.last,))
    found = await log.verify()
    assert not found.ok
    assert "no record states their removal" in str(found.problem)


async def test_the_hashes_that_stay_are_held_by_the_record_of_the_removal(
    log: AuditLog, log_in_postgres: str, clock: Clock
) -> None:
    await sealed(log)
    clock.now += timedelta(days=100)
    await log.retain(clock.now, **WHO)
    assert (await log.verify()).ok
    with psycopg.connect(log_in_postgres, autocommit=True) as owner:
        owner.execute("UPDATE arx_audit.tiles SET hashes = decode(repeat('00', 160), 'hex') WHERE level = 0")
    found = await log.verify()
    assert "removed records" in str(found.problem)


async def test_many_may_append_while_segments_are_sealed_and_removed(log: AuditLog, log_in_postgres: str) -> None:
    other = audit.open(log_in_postgres)

    async def retains() -> None:
        for _ in range(5):
            await log.rotate(**WHO)
            await log.retain(datetime(2100, 1, 1, tzinfo=UTC), **WHO)

    async def appends() -> None:
        for _ in range(60):
            await other.append(entry(action_type="connector.refused"))

    await asyncio.gather(appends(), retains())
    found = await other.verify()
    assert (found.ok, found.problem) == (True, None)
    await other.aclose()


def test_the_commands(
    log_in_postgres: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARX_AUDIT_URL", log_in_postgres)

    async def fill() -> None:
        log = audit.open(log_in_postgres)
        await calls(log, 6)
        await log.aclose()

    asyncio.run(fill())
    assert run(["audit", "rotate", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["last"] == 6
    assert run(["audit", "retain", "--before", "2100-01-01"]) == 2, "nobody is there to be asked"
    assert "records 1 to 6" in capsys.readouterr().err
    assert run(["audit", "retain", "--before", "2100-01-01", "--yes"]) == 0
    assert "removed" in capsys.readouterr().out
    assert run(["audit", "verify"]) == 0


ATTACKS: dict[str, str] = {
    "a running total": "UPDATE arx_audit.usage SET upto = upto + 5 WHERE seq = 2",
    "the order of uses": "UPDATE arx_audit.usage SET at = at - interval '1 hour' WHERE seq = 2",
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_running_totals_are_held_by_verify(log: AuditLog, log_in_postgres: str, attack: str) -> None:
    for _ in range(3):
        await log.append(entry(), usage=[("incidents:create", 2)])
    assert (await log.verify()).ok
    with psycopg.connect(log_in_postgres, autocommit=True) as owner:
        owner.execute(ATTACKS[attack].encode())
    assert "running totals" in str((await log.verify()).problem)


def limit(count: int, hours: float) -> Limit:
    return Limit(operation="incidents:create", count=count, seconds=int(hours * 3_600), text=str(count), policy="p")


async def test_a_window_holds_exactly_the_uses_in_it(log: AuditLog, log_in_postgres: str) -> None:
    for count in (1, 2, 4):
        await log.append(entry(), usage=[("incidents:create", count)])
    with psycopg.connect(log_in_postgres, autocommit=True) as owner:
        owner.execute("UPDATE arx_audit.usage SET at = at - (4 - seq) * interval '1 hour'")
    for hours, expected in ((0.5, 0), (1.5, 4), (2.5, 6), (3.5, 7), (24, 7)):
        await log.append(entry(operation="x"), usage=[("x", 1)], limits=[limit(expected, hours)])
        with pytest.raises(Refused):
            await log.append(entry(), usage=[("incidents:create", 1)], limits=[limit(expected, hours)])
