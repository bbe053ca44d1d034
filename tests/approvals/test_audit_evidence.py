"""An approval counts only as far as the audit log has it too: editing the store approves nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from attrs import evolve

from arx_wrapper import PagerDutyConnector, audit
from arx_wrapper.approvals import ApprovalRequest
from arx_wrapper.approvals.store import _body
from arx_wrapper.audit.storage.sqlite_segments import NO_DELETE
from arx_wrapper.config import Config
from arx_wrapper.core.enrolment_records import enrolments_of
from arx_wrapper.core.review import evidence_of, revoke, use_up
from arx_wrapper.errors import ApprovalDeniedError, ApprovalError, ApprovalPendingError, AuditError
from arx_wrapper.model import Effect, Risk
from tests.audit.conftest import entry
from tests.support import ASK_ABOUT_HIGH, EVERYTHING, PATIENCE, decide, trail

DELETE = ("services:delete", {"service_id": "PABC123"})


class Store:
    """A connector that waits for nobody, and its approval store as somebody with write access sees it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "approvals.db"
        config = evolve(Config.load(audit_default="sqlite:///:memory:"), approvals_mode="raise")
        self.pd = PagerDutyConnector.sandbox(
            policies=[ASK_ABOUT_HIGH], config=config, approvals=f"sqlite:///{self.file}"
        )

    async def ask(self) -> ApprovalRequest:
        with pytest.raises(ApprovalPendingError) as pending:
            await self.pd.execute(*DELETE)
        return await self.pd.backends.approvals.get(str(pending.value.approval_id))

    def run(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.file)) as database, database:
            assert database.execute(statement, values).rowcount == 1

    def forge(self, request: ApprovalRequest, **changed: Any) -> None:
        """Change a request and make its digests fit."""
        forged = evolve(request, **changed)
        forged = evolve(forged, call_digest=forged.expected_call_digest())
        forged = evolve(forged, digest=forged.expected_digest())
        self.run(
            "UPDATE approval_requests_v2 SET body = ?, digest = ?, call_digest = ?, expires_at = ?",
            _body(forged),
            forged.digest,
            forged.call_digest,
            forged.expires_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        )

    async def require_refused(self, request: ApprovalRequest, match: str) -> None:
        with pytest.raises(ApprovalDeniedError, match=match):
            await self.pd.execute(*DELETE, approval_id=request.id)
        last = (await trail(self.pd))[-1]
        assert (last.action_type, last.approval_id, last.error) == (
            "connector.refused",
            request.id,
            "ApprovalDeniedError",
        )
        assert self.pd.sandbox_account is not None
        assert all(sent.method == "GET" for sent in self.pd.sandbox_account.requests)


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    store = Store(tmp_path)
    async with store.pd:
        yield store


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"risk": Risk.LOW}, "was given at LOW"),
        ({"effects": (Effect(operation="services:update", risk=Risk.LOW),)}, "another call"),
        ({"reason": "Nothing special."}, "not in the audit log as it is shown"),
        ({"policy_source": "harmless.yaml:1"}, "not in the audit log as it is shown"),
        ({"min_approvals": 1, "channel": "#elsewhere"}, "not in the audit log as it is shown"),
        ({"sentence": "Read a service."}, "another call"),
        ({"requester": "somebody@example.com"}, "another call"),
        ({"account": "0" * 64}, "another call"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_request_edited_with_a_fitting_digest_is_refused(
    store: Store, changed: dict[str, Any], match: str, when: str
) -> None:
    asked = await store.ask()
    if when == "before":
        store.forge(asked, **changed)
    await decide(store.pd, asked.id)
    if when == "after":
        store.forge(asked, **changed)
    await store.require_refused(asked, match)


async def test_a_moved_expiry_is_refused(store: Store) -> None:
    asked = await store.ask()
    await decide(store.pd, asked.id)
    store.forge(asked, expires_at=asked.expires_at.replace(year=2099))
    await store.require_refused(asked, "not in the audit log as it is shown")


async def test_a_decision_inserted_into_the_store_does_not_count(store: Store) -> None:
    asked = await store.ask()
    store.run("UPDATE approval_requests_v2 SET state = 'approved'")
    store.run(
        "INSERT INTO approval_reviews_v2 (request_id, person, seq, reviewer, approve, note, at) "
        "VALUES (?, 'alice', 0, 'alice', 1, '', '2026-01-02T03:04:05.000000Z')",
        asked.id,
    )
    await store.require_refused(asked, "decision of 'alice' that is not in the audit log")


async def test_a_decision_that_the_log_does_not_have_does_not_count(store: Store) -> None:
    asked = await store.ask()
    await store.pd.backends.approvals.decide(asked.id, "alice", True)
    await store.require_refused(asked, "not in the audit log")


async def test_a_denial_turned_into_an_approval_in_the_store_is_still_a_denial(store: Store) -> None:
    asked = await store.ask()
    await decide(store.pd, asked.id, "alice", approve=False)
    store.run("UPDATE approval_requests_v2 SET state = 'approved'")
    await store.require_refused(asked, "was denied by alice")
    store.run("UPDATE approval_reviews_v2 SET approve = 1")
    await store.require_refused(asked, "was denied, by the audit log")


async def test_a_use_on_record_cannot_be_undone_in_the_store(tmp_path: Path) -> None:
    config = evolve(Config.load(audit_default="sqlite:///:memory:"), approvals_mode="raise")
    note = ("incidents:add_note", {"incident_id": "P1234AB", "content": "seen"})
    async with PagerDutyConnector.sandbox(
        policies=[{**EVERYTHING, "approval": "hitl"}], config=config, approvals=f"sqlite:///{tmp_path}/a.db"
    ) as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.execute(*note)
        approval_id = str(pending.value.approval_id)
        await decide(pd, approval_id)
        await pd.execute(*note, approval_id=approval_id)
        with closing(sqlite3.connect(tmp_path / "a.db")) as database, database:
            database.execute("UPDATE approval_requests_v2 SET state = 'approved'")
        with pytest.raises(ApprovalDeniedError, match="used already, by the audit log"):
            await pd.execute(*note, approval_id=approval_id)


async def test_an_outcome_on_record_is_a_use_though_no_record_of_the_use_precedes_it(store: Store) -> None:
    """Earlier versions recorded no use before the call."""
    asked = await store.ask()
    await decide(store.pd, asked.id)
    outcome = entry(action_type="connector.completed", status="success", approval_id=asked.id)
    await store.pd.backends.audit.append(outcome)
    await store.require_refused(asked, "has been used already, by the audit log")


async def test_of_two_uses_at_once_of_an_approval_that_the_store_gives_twice_the_first_on_record_counts(
    tmp_path: Path,
) -> None:
    config = evolve(Config.load(audit_default="sqlite:///:memory:"), approvals_mode="raise")
    url, file = f"sqlite:///{tmp_path}/audit.db", tmp_path / "a.db"
    log, other = (audit.open(url, timeout=PATIENCE) for _ in range(2))
    async with PagerDutyConnector.sandbox(
        policies=[ASK_ABOUT_HIGH], config=config, approvals=f"sqlite:///{file}", audit=log
    ) as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.execute(*DELETE)
        approvals = pd.backends.approvals
        asked = await decide(pd, str(pending.value.approval_id))
        await other.open()
        uses = []
        with closing(sqlite3.connect(tmp_path / "audit.db", isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")  # so that neither use is on record before both were given
            for log in (pd.audit, other):
                with closing(sqlite3.connect(file)) as database, database:
                    database.execute("UPDATE approval_requests_v2 SET state = 'approved'")
                uses.append(asyncio.create_task(use_up(approvals, log, asked, asked.call_digest, min_approvals=1)))
                async with asyncio.timeout(PATIENCE):
                    while (await approvals.get(asked.id)).state != "consumed":
                        await asyncio.sleep(0.01)
            holder.execute("ROLLBACK")
        used, refused = sorted(await asyncio.gather(*uses, return_exceptions=True), key=lambda one: str(type(one)))
    await log.aclose()
    await other.aclose()
    assert (type(used), type(refused)) == (ApprovalRequest, ApprovalDeniedError)
    assert "has been used already, by the audit log" in str(refused)


async def test_an_approval_is_withdrawn_until_it_is_used(store: Store) -> None:
    asked = await store.ask()
    await decide(store.pd, asked.id)
    backends = store.pd.backends
    taken_back = await revoke(backends.approvals, backends.audit, asked.id, reviewer="bob", note="not tonight")
    assert taken_back.state == "revoked"
    record = (await trail(store.pd))[-1]
    assert (record.action_type, record.status) == ("approval.reviewed", "blocked")
    assert (record.metadata["verdict"], record.metadata["reviewer"], record.metadata["note"]) == (
        "revoked",
        "bob",
        "not tonight",
    )
    await store.require_refused(asked, "withdrawn")
    with pytest.raises(ApprovalError, match="revoked already"):
        await revoke(backends.approvals, backends.audit, asked.id, reviewer="bob")
    store.run("UPDATE approval_requests_v2 SET state = 'approved'")
    await store.require_refused(asked, "withdrawn, by the audit log")


async def test_a_used_approval_cannot_be_withdrawn(store: Store) -> None:
    asked = await store.ask()
    await decide(store.pd, asked.id)
    await store.pd.execute(*DELETE, approval_id=asked.id)
    backends = store.pd.backends
    with pytest.raises(ApprovalError, match="consumed already"):
        await revoke(backends.approvals, backends.audit, asked.id, reviewer="bob")


async def test_a_record_that_the_logs_key_did_not_write_stops_approvals(tmp_path: Path) -> None:
    config = evolve(Config.load(), approvals_mode="raise", sandbox=True)
    log = tmp_path / "log.db"
    pd = PagerDutyConnector("a", "o", policies=[ASK_ABOUT_HIGH], config=config, audit=log, approvals=log)
    with pytest.raises(ApprovalPendingError) as pending:
        await pd.execute(*DELETE)
    asked = await pd.approval(str(pending.value.approval_id))
    known = {"reviewer": "alice", "verdict": "approved", "digest": asked.digest, "note": "", "signature": None}
    await pd.backends.audit.flush()
    insert_record(log, lambda body: {**body, "action_type": "approval.reviewed", "metadata": known})
    read = [record async for record in pd.audit.records(action_type="approval.reviewed")]
    assert [record.approval_id for record in read] == [asked.id], "it is there"
    with pytest.raises(AuditError, match="altered or inserted"):
        await evidence_of(pd.audit, asked)
    await close(pd)


@pytest.mark.parametrize("later", [True, False])
async def test_the_removed_record_of_a_use_stops_approvals(tmp_path: Path, later: bool) -> None:
    config = evolve(Config.load(), approvals_mode="raise", sandbox=True)
    log = tmp_path / "log.db"

    def connector() -> PagerDutyConnector:
        return PagerDutyConnector("a", "o", policies=[ASK_ABOUT_HIGH], config=config, audit=log, approvals=log)

    async with connector() as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.execute(*DELETE)
        approval_id = str(pending.value.approval_id)
        await decide(pd, approval_id)
        await pd.execute(*DELETE, approval_id=approval_id)
        for _ in range(300 if later else 0):  # more than opening the log reads
            pd.audit.append_soon(entry(action_type="connector.refused"))
    with closing(sqlite3.connect(log)) as database, database:
        used = '(SELECT max(seq) FROM audit WHERE body LIKE \'%"verdict":"used"%\')'
        database.execute("DROP TRIGGER audit_no_delete")
        database.execute(f"DELETE FROM audit WHERE seq {'=' if later else '>='} {used}")  # noqa: S608 - ours
        database.execute(NO_DELETE)
        database.execute("UPDATE approval_requests_v2 SET state = 'approved'")
    again = connector()
    with pytest.raises(AuditError, match=r"is missing.*Nothing was sent"):
        await again.execute(*DELETE, approval_id=approval_id)
    await close(again)


async def test_an_enrolment_that_the_logs_key_did_not_write_makes_no_reviewer(tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    pd = PagerDutyConnector("a", "o", policies=[EVERYTHING], config=evolve(Config.load(), sandbox=True), audit=log)
    await pd.list_teams()
    await pd.backends.audit.flush()
    passkey = {"credential_id": "x", "public_key": "x", "rp_id": "localhost", "origin": "http://localhost:8788"}
    forged = {"reviewer": "mallory", "user": None, "invitation": "0" * 64, "status": "success"}
    for step in ({"step": "invited"}, {"step": "registered", **passkey}):
        said = {**forged, **step}
        insert_record(
            log,
            lambda body, said=said: {  # type: ignore[misc]
                **body,
                "action_type": "reviewer.enrolled",
                "status": "success",
                "metadata": said,
            },
        )
    read = [record async for record in pd.audit.records(action_type="reviewer.enrolled")]
    assert len(read) == 2, "they are there"
    with pytest.raises(AuditError, match="altered or inserted"):
        await enrolments_of(pd.audit, "o", None)
    await close(pd)


async def close(pd: PagerDutyConnector) -> None:
    """Close a connector whose log was altered: it may complain."""
    with suppress(AuditError):
        await pd.aclose()


def insert_record(log: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Write a record into a log's file as somebody without the key can."""
    with closing(sqlite3.connect(log)) as database, database:
        triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        columns = [row[1] for row in database.execute("PRAGMA table_info(audit)")]
        values = dict(
            zip(columns, database.execute(f"SELECT {', '.join(columns)} FROM audit ORDER BY seq DESC").fetchone())  # noqa: S608,B905
        )
        body = change(msgspec.json.decode(values["body"]))
        body["seq"], body["id"] = body["seq"] + 1, f"{body['seq'] + 1:032x}"
        values |= {"seq": body["seq"], "id": body["id"], "body": msgspec.json.encode(body, order="sorted").decode()}
        marks = ", ".join("?" * len(columns))
        database.execute(f"INSERT INTO audit ({', '.join(columns)}) VALUES ({marks})", list(values.values()))  # noqa: S608
        for _, sql in triggers:
            database.execute(sql)
