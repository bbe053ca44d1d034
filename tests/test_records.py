"""Records of a call say who called from where, for whom, with which account. None is ever missing."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from attrs import evolve

from arx_wrapper import (
    ApprovalDeniedError,
    ApprovalPendingError,
    Config,
    PagerDutyConnector,
    PagerDutyError,
    PermissionDeniedError,
    PolicyError,
    TransportError,
    UnknownOperationError,
    __version__,
    audit,
)
from arx_wrapper.audit import AuditLog
from arx_wrapper.config import MEMORY
from arx_wrapper.core.entries import named_ids, state_of
from arx_wrapper.credentials import Credentials
from arx_wrapper.sandbox import Fault
from arx_wrapper.vault.fixed import FixedVault
from tests.support import ASK_ABOUT_HIGH, CANARY, EVERYTHING, decide, denying, trail

PROCESS = {
    "host": socket.gethostname(),
    "os_user": pwd.getpwuid(os.geteuid()).pw_name,
    "process": os.getpid(),
    "version": __version__,
    "destination": "http://127.0.0.1",
}


async def test_an_intent_and_a_refusal_name_the_process_and_the_address() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING, denying("services:delete")]) as pd:
        await pd.list_teams()
        with pytest.raises(PermissionDeniedError):
            await pd.delete_service("PABC123")
        with pytest.raises(UnknownOperationError):
            await pd.execute("teams:explode")
        intent, outcome, denied, unknown = await trail(pd)
    for record in (intent, denied, unknown):
        assert record.metadata.items() >= PROCESS.items()
    assert not outcome.metadata.keys() & PROCESS.keys(), "its intent says so"


async def test_an_address_is_recorded_without_its_password(tmp_path: Path) -> None:
    options: dict[str, Any] = {"vault": FixedVault(api_key="k"), "audit": tmp_path / "log.db"}
    async with PagerDutyConnector("a", "o", policies=[], base_url=f"https://u:{CANARY}@pd.example", **options) as pd:
        with pytest.raises(PermissionDeniedError):
            await pd.list_teams()
        (record,) = await trail(pd)
    assert record.metadata["destination"] == "***@pd.example"
    assert CANARY not in str(record)


async def test_a_write_is_recorded_with_its_requester_and_account_and_a_read_with_its_account() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        account = pd.sandbox_account
        assert account is not None
        await pd.add_incident_note("P1234AB", "seen")
        await pd.add_incident_note("P1234AB", "seen", requester_email="ada.nkemelu@example.com")
        await pd.list_teams()
        own, own_outcome, other, other_outcome, _, read = await trail(pd)
    fingerprint = Credentials(api_key=account.token).fingerprint
    assert "requester" not in own.metadata, "no secret is read before the intent"
    assert own_outcome.metadata["requester"] == account.email
    assert other.metadata["requester"] == other_outcome.metadata["requester"] == "ada.nkemelu@example.com"
    assert "requester" not in read.metadata
    assert {record.metadata["account"] for record in (own_outcome, other_outcome, read)} == {fingerprint}


async def test_a_request_for_approval_is_recorded_with_its_requester_and_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARX_APPROVALS_MODE", "raise")
    async with PagerDutyConnector.sandbox(policies=[ASK_ABOUT_HIGH]) as pd:
        with pytest.raises(ApprovalPendingError):
            await pd.delete_service("PABC123")
        asked = (await trail(pd))[1]
        (request,) = await pd.backends.approvals.list("pending")
    assert asked.action_type == "approval.requested"
    assert (asked.metadata["account"], asked.metadata["requester"]) == (request.account, request.requester)


def test_ids_are_named_however_deep_they_stand_and_no_more_than_so_many() -> None:
    assert named_ids({"incident_id": "P1", "source_incident_ids": ["P2", "P3"], "title": "x"}) == {
        "incident_id": "P1",
        "source_incident_ids": ["P2", "P3"],
    }
    entries = [{"id": "P1", "assignee_ids": ["U1", "U2"], "priority_id": None}, {"id": "P2", "assignee_ids": ["U3"]}]
    assert named_ids({"incidents": entries}) == {
        "incidents": ["P1", "P2"],
        "incidents.assignee_ids": ["U1", "U2", "U3"],
    }
    rules = [{"targets": [{"id": "U1", "type": "user_reference"}, {"id": "S1", "type": "schedule_reference"}]}]
    assert named_ids({"policy_id": "E1", "rules": rules}) == {"policy_id": "E1", "rules.targets": ["U1", "S1"]}
    assert named_ids({"filters": {"service_ids": ["S1"], "major": True}}) == {"filters.service_ids": ["S1"]}
    assert named_ids({"fields": {"escalation_policy": {"id": "E1"}}}) == {"fields.escalation_policy": ["E1"]}
    assert named_ids({"user_ids": [f"U{number}" for number in range(8)]}, most=3) == {
        "user_ids": ["U0", "U1", "U2"],
        "omitted": 5,
    }


async def test_a_call_is_found_by_an_id_that_it_names_with_its_request_for_approval_and_its_end(tmp_path: Path) -> None:
    config = evolve(Config.load({"HOME": str(tmp_path)}, audit_default=MEMORY), approvals_mode="raise")
    async with PagerDutyConnector.sandbox(policies=[ASK_ABOUT_HIGH], config=config) as pd:
        await pd.acknowledge_incident("P1234AB")
        with pytest.raises(ApprovalPendingError):
            await pd.delete_service("PABC123")
        await pd.audit.flush()
        for target, expected in (
            ("P1234AB", ["connector.called", "connector.completed"]),
            ("PABC123", ["connector.called", "approval.requested", "connector.refused"]),
        ):
            assert [record.action_type async for record in pd.audit.records(target=target)] == expected
        found = [record.operation async for record in pd.audit.records(target="P1234AB", status="success")]
        assert found == ["incidents:acknowledge"]


async def test_a_bulk_change_records_whom_it_assigns() -> None:
    entries = [{"id": "P1234AB", "assignee_ids": ["PUSER01"]}]
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING, denying("incidents:manage")]) as pd:
        with pytest.raises(PermissionDeniedError):
            await pd.manage_incidents(entries)
        (record,) = await trail(pd)
    assert record.metadata["ids"] == {"incidents": ["P1234AB"], "incidents.assignee_ids": ["PUSER01"]}


async def test_a_policy_that_does_not_load_leaves_a_record_of_every_call_it_stops(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("- {name: p, operations: 7}\n")
    async with PagerDutyConnector.sandbox(policies=file) as pd:
        for _ in range(2):
            with pytest.raises(PolicyError):
                await pd.list_teams()
        found = await trail(pd)
    assert [(record.action_type, record.status, record.error) for record in found] == [
        ("connector.refused", "error", "PolicyError")
    ] * 2
    assert found[0].operation == "teams:read"


async def test_a_call_that_found_no_connection_is_completed_with_an_error(tmp_path: Path) -> None:
    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    async with PagerDutyConnector.sandbox(
        policies=[EVERYTHING],
        transport=httpx.MockTransport(refused),
        base_url="http://127.0.0.1",
        vault=FixedVault(api_key="k", requester_email="a@example.com"),
    ) as pd:
        with pytest.raises(TransportError):
            await pd.execute("incidents:acknowledge", {"incident_id": "P1"}, timeout=0.2)
        outcome = (await trail(pd))[-1]
    assert (outcome.action_type, outcome.status) == ("connector.completed", "error")
    assert outcome.metadata["attempts"]
    assert not any(attempt["sent"] for attempt in outcome.metadata["attempts"])


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {"id": "P1", "status": "resolved"}
    for _ in range(levels):
        found = {"id": "P1", "status": "open", "incident": found}
    return found


def test_only_so_many_levels_of_an_object_are_looked_at() -> None:
    kept = state_of(nested(5_000), {"status"})
    assert str(kept).count("open") == 20


async def test_a_response_nested_without_end_has_its_outcome_on_record() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        assert pd.sandbox_account is not None
        body = b'{"incident":' * 900 + b'{"status":"acknowledged"}' + b"}" * 900
        fault = Fault(method="PUT", status=200, body=body.decode(), content_type="application/json")
        pd.sandbox_account.faults.add(fault)
        pd.backends.sleep = partial(asyncio.sleep, 0)  # between the look-ups of what became of the write
        try:
            await pd.acknowledge_incident("P1234AB")
        except PagerDutyError as error:
            ended: str | None = f"{type(error).__name__} {error.status}"
        else:
            ended = None
        outcome = (await trail(pd))[-1]
    assert (outcome.action_type, outcome.error) == ("connector.completed", ended)
    assert outcome.metadata["attempts"][0]["status"] == 200


async def test_an_outcome_that_cannot_be_described_is_on_record_as_such(tmp_path: Path) -> None:
    class Failing:
        """A log whose key cannot be read any more once the call is sent."""

        hashed = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(opened, name)

        def keyed_hash(self, data: bytes) -> str:
            self.hashed += 1
            if self.hashed > 1:
                raise OSError("the key cannot be read")
            return opened.keyed_hash(data)

        async def append(self, *entry: Any, **more: Any) -> Any:
            return await opened.append(*entry, **more)

        def append_soon(self, entry: Any) -> None:
            opened.append_soon(entry)

    opened, log = audit.open(f"sqlite:///{tmp_path}/log.db"), cast(AuditLog, Failing())
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=log) as pd:
        incident = await pd.acknowledge_incident("P1234AB")
        outcome = (await trail(pd))[-1]
    await opened.aclose()
    assert incident.status == "acknowledged"
    assert (outcome.action_type, outcome.status, outcome.outputs_hash) == ("connector.completed", "success", None)
    assert outcome.metadata["undescribed"] == "OSError"
    assert outcome.metadata["attempts"][0]["status"] == 200


class Rotating:
    """A vault whose key is another after the API has refused the first."""

    def __init__(self, first: Credentials, then: Credentials) -> None:
        self.first, self.then = first, then

    async def locate(self, org_id: str) -> str:
        return "here"

    async def read(self, org_id: str, *, fresh: bool = False) -> Credentials:
        if fresh:
            self.first = self.then
        return self.first

    async def aclose(self) -> None: ...


@pytest.mark.parametrize("other", ["account", "requester"])
async def test_after_a_401_the_new_key_must_be_of_the_approvals_account_and_requester(other: str) -> None:
    """The reviewers agreed to this account and this requester; the key is read anew when it was refused."""
    config = evolve(Config.load(audit_default=MEMORY), approvals_mode="raise")
    account, writes = "crew", list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"service": {"id": "PABC123"}, "incidents": [], "services": []})
        writes.append(request.headers["authorization"])
        return httpx.Response(401 if "first" in writes[-1] else 204)

    first = Credentials(api_key="key-first", requester_email="a@example.com", account=account)
    same = Credentials(api_key="key-second", requester_email="a@example.com", account=account)
    foreign = {
        "account": Credentials(api_key="key-third", requester_email="a@example.com", account="other crew"),
        "requester": Credentials(api_key="key-third", requester_email="b@example.com", account=account),
    }[other]
    for then, sent in ((foreign, 1), (same, 2)):
        writes.clear()
        async with PagerDutyConnector.sandbox(
            policies=[ASK_ABOUT_HIGH],
            config=config,
            transport=httpx.MockTransport(answer),
            base_url="http://127.0.0.1",
            vault=Rotating(first, then),
        ) as pd:
            with pytest.raises(ApprovalPendingError) as pending:
                await pd.delete_service("PABC123")
            approval_id = str(pending.value.approval_id)
            await decide(pd, approval_id)
            call = pd.execute("services:delete", {"service_id": "PABC123"}, approval_id=approval_id)
            if then is same:
                assert await call == {}
            else:
                with pytest.raises(ApprovalDeniedError, match="another account or requester"):
                    await call
            outcome = (await trail(pd))[-1]
        assert len(writes) == sent
        assert outcome.status == ("success" if then is same else "error")
