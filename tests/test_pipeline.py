"""The pipeline is the only way to the network: each step, against the sandbox."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from attrs import evolve

from arx_wrapper import (
    OPERATIONS,
    ApprovalDeniedError,
    ApprovalError,
    ApprovalPendingError,
    ArxError,
    AuditError,
    AuthenticationError,
    BaseConnector,
    Config,
    ConfigError,
    CredentialError,
    InvalidParamsError,
    NotFoundError,
    PagerDutyConnector,
    PermissionDeniedError,
    TransportError,
    UnknownOperationError,
    Verdict,
    approvals,
    audit,
)
from arx_wrapper.model import JSON, Lookup, Params
from arx_wrapper.vault.fixed import FixedVault
from tests.approvals.deployment import Deployment
from tests.audit.waiting import hurry
from tests.support import ASK_ABOUT_HIGH, CANARY, EVERYTHING, PATIENCE, decide, denying, sqlite_at, trail

WINDOW = {
    "start_time": "2025-06-15T02:00:00Z",
    "end_time": "2025-06-15T04:00:00Z",
    "service_ids": ["PABC123"],
}


class WatchedVault(FixedVault):
    """A vault that counts how often its secret was read."""

    reads = 0

    async def read(self, org_id: str, *, fresh: bool = False) -> Any:
        type(self).reads += 1
        return await super().read(org_id, fresh=fresh)


def requests(pd: PagerDutyConnector) -> int:
    assert pd.sandbox_account is not None
    return len(pd.sandbox_account.requests)


async def test_a_permitted_call_is_recorded_before_and_after_it() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        incident = await pd.acknowledge_incident("P1234AB")
        assert incident.status == "acknowledged"
        intent, outcome = await trail(pd)
    assert (intent.action_type, intent.status, intent.policy_verdict) == ("connector.called", "in_progress", "PERMIT")
    assert (outcome.action_type, outcome.status, outcome.error) == ("connector.completed", "success", None)
    assert outcome.metadata["intent"] == intent.id
    assert outcome.inputs_hash == intent.inputs_hash
    assert outcome.outputs_hash
    assert outcome.duration_ms is not None
    assert outcome.duration_ms > 0
    assert (intent.method, intent.path, intent.risk) == ("PUT", "/incidents/{incident_id}", "low")
    assert intent.metadata["ids"] == {"incident_id": "P1234AB"}


async def test_execute_returns_the_body_and_takes_the_methods_arguments() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        body = await pd.execute("incidents:read_detail", {"incident_id": "P1234AB"})
        assert body["incident"]["id"] == "P1234AB"
        window = await pd.create_maintenance_window(**WINDOW)
        assert await pd.execute("maintenance:delete", {"window_id": window.id}) == {}


async def test_denied_means_no_request_and_no_credential_read() -> None:
    vault = WatchedVault(api_key=CANARY, requester_email="bot@example.com")
    WatchedVault.reads = 0
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING, denying("incidents:resolve")], vault=vault) as pd:
        with pytest.raises(PermissionDeniedError) as denied:
            await pd.resolve_incident("P1234AB")
        assert requests(pd) == 0
        assert WatchedVault.reads == 0
        (record,) = await trail(pd)
    assert denied.value.decision.policy == "denied"
    assert (record.action_type, record.status, record.policy_verdict) == ("connector.refused", "blocked", "DENY")


@pytest.mark.parametrize(
    ("operation", "params", "error"),
    [
        ("incidents:explode", {}, UnknownOperationError),
        ("Incidents:read", {}, UnknownOperationError),
        ("incidents：read", {}, UnknownOperationError),  # noqa: RUF001 - a full-width colon
        ("іncidents:read", {}, UnknownOperationError),  # noqa: RUF001 - a Cyrillic i
        ("incidents:read\u200b", {}, UnknownOperationError),
        ("incidents:read\n", {}, UnknownOperationError),
        ("incidents:*", {}, UnknownOperationError),
        ("incidents:read_detail", {}, InvalidParamsError),
        ("incidents:read_detail", {"incident_id": "../users"}, InvalidParamsError),
        ("incidents:read", {"status": "triggered"}, InvalidParamsError),
        ("services:create", {"name": "x", "escalation_policy_id": "P1", "fields": {"no_such": 1}}, InvalidParamsError),
        (
            "services:update",
            {"service_id": "PABC123", "fields": {"status": "disabled"}},
            InvalidParamsError,
        ),
    ],
)
async def test_a_refused_call_sends_nothing_and_leaves_a_record(
    operation: str, params: dict[str, Any], error: type[ArxError]
) -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        with pytest.raises(error):
            await pd.execute(operation, params)
        assert requests(pd) == 0
        (record,) = await trail(pd)
    assert (record.action_type, record.status, record.error) == ("connector.refused", "error", error.__name__)


async def test_without_policies_everything_is_denied_with_a_way_out() -> None:
    async with PagerDutyConnector.sandbox() as pd:
        with pytest.raises(PermissionDeniedError, match="ARX_POLICY"):
            await pd.list_users()


async def test_without_credentials_nothing_is_sent() -> None:
    async with PagerDutyConnector("agent", "org", policies=[EVERYTHING]) as pd:
        with pytest.raises(CredentialError, match="PAGERDUTY_API_KEY"):
            await pd.list_users()
        (record,) = await trail(pd)
    assert (record.action_type, record.error) == ("connector.refused", "CredentialError")


async def test_a_write_without_a_requester_says_how_to_give_one() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], vault=FixedVault(api_key="k")) as pd:
        with pytest.raises(CredentialError, match="PAGERDUTY_REQUESTER_EMAIL"):
            await pd.acknowledge_incident("P1234AB")
        assert requests(pd) == 0
        assert (await trail(pd))[-1].error == "CredentialError"


async def test_the_requester_of_one_call_goes_before_the_vaults() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        await pd.add_incident_note("P1234AB", "seen", requester_email="ada.nkemelu@example.com")
        assert pd.sandbox_account is not None
        assert pd.sandbox_account.requests[-1].headers["from"] == "ada.nkemelu@example.com"


async def test_an_error_of_the_api_is_an_outcome_without_its_message() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        with pytest.raises(NotFoundError) as missing:
            await pd.get_incident("NOSUCHONE")
        assert missing.value.status == 404
        outcome = (await trail(pd))[-1]
    assert (outcome.action_type, outcome.status) == ("connector.completed", "error")
    assert outcome.error is not None
    assert outcome.error.startswith("NotFoundError 404")


async def test_when_the_intent_cannot_be_written_nothing_is_sent(tmp_path: Any) -> None:
    folder = tmp_path / "gone"
    folder.write_text("a file where the log's folder should be")
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=f"sqlite:///{folder}/audit.db") as pd:
        with pytest.raises(AuditError):
            await pd.acknowledge_incident("P1234AB")
        assert requests(pd) == 0


async def test_one_connector_serves_many_callers() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        await asyncio.gather(*(pd.get_incident("P1234AB") for _ in range(100)))
        records = await trail(pd)
    assert len(records) == 200
    assert {record.metadata["intent"] for record in records if record.action_type == "connector.completed"} == {
        record.id for record in records if record.action_type == "connector.called"
    }


async def test_it_works_without_async_with() -> None:
    pd = PagerDutyConnector.sandbox(policies=[EVERYTHING])
    assert await pd.list_teams()
    await pd.aclose()


async def test_explain_calls_nothing_and_records_nothing() -> None:
    async with PagerDutyConnector.sandbox(policies=[ASK_ABOUT_HIGH]) as pd:
        assert pd.explain("services:delete", {"service_id": "PABC123"}).verdict is Verdict.ESCALATE
        assert requests(pd) == 0
        assert await trail(pd) == []


async def test_a_cancelled_call_leaves_a_true_record() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        assert pd.sandbox_account is not None
        pd.sandbox_account.faults.slow(5)
        call = asyncio.create_task(pd.add_incident_note("P1234AB", "slow"))
        while not requests(pd):
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        outcome = (await trail(pd))[-1]
    assert (outcome.action_type, outcome.status, outcome.error) == ("connector.completed", "unknown", "CancelledError")


def raising(**options: Any) -> PagerDutyConnector:
    config = evolve(Config.load(audit_default="sqlite:///:memory:"), approvals_mode="raise")
    return PagerDutyConnector.sandbox(config=config, **{"policies": [ASK_ABOUT_HIGH], **options})


async def test_an_escalated_call_waits_for_a_reviewer_and_is_used_up_once() -> None:
    async with raising() as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.create_maintenance_window(**WINDOW)
        approval_id = pending.value.approval_id
        assert approval_id
        await decide(pd, approval_id)
        window = await pd.execute("maintenance:create", WINDOW, approval_id=approval_id)
        assert window["maintenance_window"]["services"][0]["id"] == "PABC123"
        with pytest.raises(ApprovalDeniedError):
            await pd.execute("maintenance:create", WINDOW, approval_id=approval_id)
        records = [(record.action_type, record.status) for record in await trail(pd)]
        assert pd.sandbox_account is not None
        writes = [request for request in pd.sandbox_account.requests if request.method == "POST"]
    assert len(writes) == 1
    assert records == [
        ("connector.called", "escalated"),
        ("approval.requested", "escalated"),
        ("connector.refused", "escalated"),
        ("approval.reviewed", "success"),
        ("connector.called", "escalated"),
        ("approval.reviewed", "success"),  # used
        ("connector.completed", "success"),
        ("connector.called", "escalated"),
        ("connector.refused", "blocked"),
    ]


async def test_requests_are_kept_beside_the_log_unless_they_are_told_to_be_elsewhere(tmp_path: Path) -> None:
    log, elsewhere = f"sqlite:///{tmp_path / 'log.db'}", f"sqlite:///{tmp_path / 'elsewhere.db'}"
    for given, found in (({}, log), ({"approvals": elsewhere}, elsewhere)):
        async with raising(audit=log, **given) as pd:
            with pytest.raises(ApprovalPendingError) as pending:
                await pd.delete_service("PABC123")
        store = approvals.open(found)
        assert [asked.id for asked in await store.list()] == [pending.value.approval_id]
        await store.aclose()


@pytest.mark.parametrize(
    "change",
    [
        {"end_time": "2025-06-16T04:00:00Z"},
        {"description": "other"},
        {"service_ids": ["PABC123", "PABC123"]},
        {"requester_email": "ada.nkemelu@example.com"},
    ],
)
async def test_an_approval_holds_for_exactly_the_call_it_was_given_for(change: dict[str, Any]) -> None:
    async with raising() as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.execute("maintenance:create", WINDOW)
        approval_id = str(pending.value.approval_id)
        await decide(pd, approval_id)
        with pytest.raises(ApprovalDeniedError):
            await pd.execute("maintenance:create", {**WINDOW, **change}, approval_id=approval_id)
        assert pd.sandbox_account is not None
        assert all(request.method == "GET" for request in pd.sandbox_account.requests)


async def test_an_approval_is_stale_once_its_target_has_changed() -> None:
    async with raising() as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.delete_service("PABC123")
        approval_id = str(pending.value.approval_id)
        await decide(pd, approval_id)
        await pd.update_service("PABC123", name="Renamed meanwhile")
        with pytest.raises(ApprovalDeniedError, match=r"has changed since: name\. Nothing") as stale:
            await pd.execute("services:delete", {"service_id": "PABC123"}, approval_id=approval_id)
        assert "Renamed" not in str(stale.value)
        assert (await pd.backends.approvals.get(approval_id)).state == "stale"


async def test_an_approval_does_not_outlive_a_tightened_policy(tmp_path: Any) -> None:
    async with raising() as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.delete_service("PABC123")
        approval_id = str(pending.value.approval_id)
        store = pd.backends.approvals
        await decide(pd, approval_id)
        other = PagerDutyConnector.sandbox(policies=[ASK_ABOUT_HIGH, denying("services:delete")], approvals=store)
        with pytest.raises(PermissionDeniedError):
            await other.execute("services:delete", {"service_id": "PABC123"}, approval_id=approval_id)
        await other.aclose()


async def test_an_agent_suspended_while_it_waits_sends_nothing_after_the_approval() -> None:
    async with PagerDutyConnector.sandbox("agent-1", policies=[ASK_ABOUT_HIGH]) as pd:
        waiting = asyncio.create_task(pd.delete_service("PABC123"))
        while not (asked := await pd.backends.approvals.list("pending")):
            await asyncio.sleep(0.01)
        await pd.audit.suspend("agent-1", org_id=pd.org_id, by="ada", reason="it deletes everything")
        assert pd.sandbox_account is not None
        seen = len(pd.sandbox_account.requests)
        await decide(pd, asked[0].id)
        with pytest.raises(PermissionDeniedError, match="suspended: it deletes everything"):
            await waiting
        assert len(pd.sandbox_account.requests) == seen, "nothing more is read with the account's key either"
        assert (await trail(pd))[-1].status == "blocked"
        assert (await pd.backends.approvals.get(asked[0].id)).state == "approved"
        assert pd.sandbox_account is not None
        assert all(request.method == "GET" for request in pd.sandbox_account.requests)


@pytest.mark.parametrize("approval_id", ["nope", "", "\ud800", "a\0b", "' OR 1=1 --", b"x", 7, 10**30, True, ["x"], {}])
async def test_what_is_no_approval_is_refused_and_leaves_a_readable_record(approval_id: Any) -> None:
    async with raising() as pd:
        with pytest.raises(ApprovalError, match="no approval request"):
            await pd.execute("maintenance:create", WINDOW, approval_id=approval_id)
        last = (await trail(pd))[-1]
    assert (last.action_type, last.status, last.approval_id) == ("connector.refused", "blocked", None)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\ud800", 7, None])
def test_agents_and_organisations_have_printable_names(name: Any) -> None:
    with pytest.raises(ConfigError, match="printable"):
        PagerDutyConnector("agent", "org").for_agent("agent", name)
    with pytest.raises(ValueError, match="printable"):
        PagerDutyConnector(name, "org")
    with pytest.raises(ValueError, match="printable"):
        PagerDutyConnector("agent", name)


@pytest.mark.parametrize("operation", [["users:read"], None, {}, 7])
async def test_an_operation_that_is_no_name_is_refused_and_on_record(operation: Any) -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        with pytest.raises(UnknownOperationError):
            await pd.execute(operation)
        assert [record.action_type for record in await trail(pd)] == ["connector.refused"]


@pytest.mark.parametrize("seconds", [-1, 0, float("nan"), "3", True])
async def test_a_time_out_is_a_number_of_seconds(seconds: Any) -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        with pytest.raises(InvalidParamsError, match="timeout"):
            await pd.execute("users:read", timeout=seconds)
        assert [record.action_type for record in await trail(pd)] == ["connector.refused"]


class Faulty(httpx.AsyncBaseTransport):
    """Somebody else's transport."""

    closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise ValueError("it does what it wants")

    async def aclose(self) -> None:
        self.closed = True


async def test_whatever_a_given_transport_raises_is_a_lost_answer_and_it_is_not_closed() -> None:
    transport = Faulty()
    async with PagerDutyConnector.sandbox(
        policies=[EVERYTHING],
        transport=transport,
        base_url="http://127.0.0.1",
        vault=FixedVault(api_key="k", requester_email="a@example.com"),
    ) as pd:
        with pytest.raises(TransportError) as lost:
            await pd.execute("incidents:update", {"incident_id": "P1", "title": "x"})
        assert (lost.value.outcome, (await trail(pd))[-1].status) == ("unknown", "unknown")
    assert not transport.closed


async def test_a_policy_is_on_record_though_the_log_failed_when_it_was_loaded(tmp_path: Any) -> None:
    log = tmp_path / "state" / "audit.db"
    pd = PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=f"sqlite:///{log}")
    log.parent.mkdir()
    log.mkdir()  # in the log's place
    with pytest.raises(AuditError):
        await pd.list_users()
    log.rmdir()
    await pd.list_users()
    first, *_ = [record.action_type async for record in pd.audit.records()]
    assert first == "policy.loaded"
    await pd.aclose()


async def test_a_policy_that_could_not_be_recorded_is_on_record_with_the_next_call(tmp_path: Path) -> None:
    log = audit.open(f"sqlite:///{tmp_path}/audit.db", timeout=PATIENCE)
    async with PagerDutyConnector.sandbox("a", "o", policies=[EVERYTHING], audit=log) as pd:
        await log.open()
        hurry(log)
        with sqlite_at(tmp_path / "audit.db", isolation_level=None) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            with pytest.raises(AuditError):
                await pd.list_teams()
            blocker.execute("ROLLBACK")
        await pd.list_teams()
        assert [record.action_type async for record in log.records()].count("policy.loaded") == 1
    await log.aclose()


async def test_a_key_that_is_refused_and_cannot_be_read_again_does_not_pass_for_never_sent() -> None:
    class Once(FixedVault):
        async def read(self, org_id: str, *, fresh: bool = False) -> Any:
            if fresh:
                raise CredentialError("The vault is gone. Nothing was sent.")
            return await super().read(org_id, fresh=fresh)

    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], vault=Once(api_key="wrong")) as pd:
        with pytest.raises(AuthenticationError):
            await pd.list_users()


async def test_an_approved_call_counts_once_against_its_limit() -> None:
    config = evolve(Config.load(audit_default="sqlite:///:memory:"), approvals_mode="raise")
    policy = {**ASK_ABOUT_HIGH, "limits": {"maintenance:create": "1/hour"}}
    async with PagerDutyConnector.sandbox(config=config, policies=[policy]) as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.execute("maintenance:create", WINDOW)
        approval_id = str(pending.value.approval_id)
        await decide(pd, approval_id)
        await pd.execute("maintenance:create", WINDOW, approval_id=approval_id)
        with pytest.raises(PermissionDeniedError, match="1/hour"):
            await pd.execute("maintenance:create", WINDOW)
        with pytest.raises(ApprovalDeniedError):
            await pd.execute("maintenance:create", WINDOW, approval_id=approval_id)
        assert pd.sandbox_account is not None
        assert sum(request.method == "POST" for request in pd.sandbox_account.requests) == 1


async def test_a_resumed_call_is_not_counted_a_second_time() -> None:
    config = evolve(Config.load(audit_default="sqlite:///:memory:"), approvals_mode="raise")
    policy = {**ASK_ABOUT_HIGH, "limits": {"maintenance:create": "2/hour"}}
    async with PagerDutyConnector.sandbox(config=config, policies=[policy]) as pd:
        for _ in range(2):
            with pytest.raises(ApprovalPendingError) as pending:
                await pd.execute("maintenance:create", WINDOW)
            await decide(pd, str(pending.value.approval_id))
            await pd.execute("maintenance:create", WINDOW, approval_id=str(pending.value.approval_id))
        with pytest.raises(PermissionDeniedError, match="2/hour"):
            await pd.execute("maintenance:create", WINDOW)


async def test_a_limit_that_was_lowered_meanwhile_does_not_undo_an_approval(tmp_path: Path) -> None:
    def policies(limit: str) -> list[Any]:
        return [{**ASK_ABOUT_HIGH, "limits": {"services:delete": limit}}]

    deployment = Deployment(tmp_path, policies=policies("2/hour"), approvals_proof="name")
    async with deployment.pd, deployment.connector(policies=policies("1/hour")) as later:
        asked = await deployment.ask()
        assert (await deployment.ask()).id == asked.id, "the same request, and a second call that counts"
        await decide(deployment.pd, asked.id)
        assert await later.execute("services:delete", {"service_id": "PABC123"}, approval_id=asked.id) == {}


async def test_an_approval_id_spares_no_permitted_call_its_limit() -> None:
    policy = {**EVERYTHING, "limits": {"incidents:add_note": "1/hour"}}
    async with PagerDutyConnector.sandbox(policies=[policy]) as pd:
        note = {"incident_id": "P1234AB", "content": "once"}
        await pd.execute("incidents:add_note", note, approval_id="0123456789abcdef")
        with pytest.raises(PermissionDeniedError, match="1/hour"):
            await pd.execute("incidents:add_note", note, approval_id="0123456789abcdef")


async def test_a_hundred_parallel_resumes_of_one_approval_send_one_request() -> None:
    async with raising() as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.create_maintenance_window(**WINDOW)
        approval_id = str(pending.value.approval_id)
        await decide(pd, approval_id)
        results = await asyncio.gather(
            *(pd.execute("maintenance:create", WINDOW, approval_id=approval_id) for _ in range(100)),
            return_exceptions=True,
        )
        assert pd.sandbox_account is not None
        writes = [request for request in pd.sandbox_account.requests if request.method == "POST"]
    assert len(writes) == 1
    assert sum(isinstance(result, dict) for result in results) == 1
    assert sum(isinstance(result, ApprovalDeniedError) for result in results) == 99


async def test_parameters_changed_while_a_reviewer_thinks_are_not_what_is_sent() -> None:
    config = Config.load(audit_default="sqlite:///:memory:")
    async with PagerDutyConnector.sandbox(policies=[ASK_ABOUT_HIGH], config=config) as pd:
        params = {**WINDOW, "service_ids": ["PABC123"]}
        call = asyncio.create_task(pd.execute("maintenance:create", params))
        store = pd.backends.approvals
        while not (waiting := await store.list("pending")):
            await asyncio.sleep(0.01)
        params["service_ids"].append("PEVIL01")  # type: ignore[attr-defined]
        await decide(pd, waiting[0].id)
        await call
        assert pd.sandbox_account is not None
        body = pd.sandbox_account.requests[-1].body
    assert [service["id"] for service in body["maintenance_window"]["services"]] == ["PABC123"]


async def test_no_row_reaches_the_wire_but_through_the_pipeline() -> None:
    assert {row.function for row in OPERATIONS.values()} <= set(dir(PagerDutyConnector))
    assert PagerDutyConnector.execute is BaseConnector.execute


async def test_the_key_is_in_no_record_error_or_repr(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], vault=FixedVault(api_key=CANARY)) as pd:
        for operation, params in (("users:read", {}), ("incidents:add_note", {"incident_id": "P1", "content": CANARY})):
            with pytest.raises(ArxError) as error:
                await pd.execute(operation, params)
            seen += [str(error.value), repr(error.value), repr(pd)]
        seen += [repr(record) for record in await trail(pd)]
    assert CANARY not in "".join(seen) + caplog.text


async def test_a_transport_that_breaks_is_an_unknown_outcome_of_a_write() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("connection reset")

    pd = PagerDutyConnector(
        "agent",
        "org",
        policies=[EVERYTHING],
        vault=FixedVault(api_key="k", requester_email="bot@example.com"),
        transport=httpx.MockTransport(broken),
        config=Config.load(audit_default=None),
    )
    async with pd:
        with pytest.raises(ArxError, match="not known"):
            await pd.add_incident_note("P1", "seen")
        assert (await trail(pd))[-1].status == "unknown"


async def test_an_approval_for_another_call_is_neither_used_up_nor_withdrawn() -> None:
    async with raising() as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.execute("maintenance:create", WINDOW)
        approval_id = str(pending.value.approval_id)
        await decide(pd, approval_id)
        with pytest.raises(ApprovalDeniedError, match="another call"):
            await pd.execute("services:delete", {"service_id": "PABC123"}, approval_id=approval_id)
        assert await pd.execute("maintenance:create", WINDOW, approval_id=approval_id)


async def test_an_approval_is_stale_once_the_eleventh_incident_of_a_bulk_call_has_changed() -> None:
    async with raising(policies=[EVERYTHING, *_ASK_ABOUT_BULK]) as pd:
        found = (await pd.execute("incidents:read", {"statuses": ["triggered"], "limit": 20}))["incidents"]
        service = found[0]["service"]["id"]
        ids = [
            (await pd.execute("incidents:create", {"title": f"n{n}", "service_id": service}))["incident"]["id"]
            for n in range(12)
        ]
        bulk = {"incidents": [{"id": each, "status": "acknowledged"} for each in ids]}
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.execute("incidents:manage", bulk)
        approval_id = str(pending.value.approval_id)
        asked = await pd.backends.approvals.get(approval_id)
        assert [each["incident"] for each in (asked.target or {})["incidents"]] == ids
        await decide(pd, approval_id)
        await pd.execute("incidents:update", {"incident_id": ids[10], "urgency": "low"})
        with pytest.raises(ApprovalDeniedError, match="changed"):
            await pd.execute("incidents:manage", bulk, approval_id=approval_id)


_ASK_ABOUT_BULK: list[dict[str, Any]] = [
    {
        "name": f"ask-{operation}",
        "connector": "pagerduty",
        "operations": [operation],
        "risk_max": "high",
        "approval": "hitl",
        "hitl_channel": "#a",
    }
    for operation in ("incidents:manage", "incidents:snooze", "escalation:delete")
]


async def test_an_approval_is_stale_once_an_assignee_or_an_escalation_rule_has_changed() -> None:
    async with raising(policies=[EVERYTHING, *_ASK_ABOUT_BULK]) as pd:
        people = [user.id for user in await pd.list_users(limit=3)]
        incident = (await pd.list_incidents(statuses=["triggered"]))[0].id
        policy = (await pd.execute("escalation:read", {}))["escalation_policies"][0]
        rules = [
            {
                "escalation_delay_in_minutes": rule["escalation_delay_in_minutes"] + 7,
                "targets": [{"id": to["id"], "type": to["type"]} for to in rule["targets"]],
            }
            for rule in policy["escalation_rules"]
        ]
        for call, change in (
            (
                ("incidents:snooze", {"incident_id": incident, "duration": 600}),
                ("incidents:reassign", {"incident_id": incident, "assignee_ids": people}),
            ),
            (
                ("escalation:delete", {"policy_id": policy["id"]}),
                ("escalation:update", {"policy_id": policy["id"], "rules": rules}),
            ),
        ):
            with pytest.raises(ApprovalPendingError) as pending:
                await pd.execute(*call)
            approval_id = str(pending.value.approval_id)
            await decide(pd, approval_id)
            await pd.execute(*change)
            with pytest.raises(ApprovalDeniedError, match="changed"):
                await pd.execute(*call, approval_id=approval_id)


async def test_a_lookup_only_reads() -> None:
    async def changing(lookup: Lookup, params: Params) -> JSON:
        return await lookup("services.delete_service", params["service_id"])

    class Changing(PagerDutyConnector):  # type: ignore[misc]  # final to users
        operations: ClassVar[Any] = {
            **OPERATIONS,
            "services:delete": evolve(OPERATIONS["services:delete"], target_state=changing),
        }

    async with Changing.sandbox(policies=[ASK_ABOUT_HIGH]) as pd:
        with pytest.raises(ValueError, match="does not only read"):
            await pd.execute("services:delete", {"service_id": "PABC123"})
        assert requests(pd) == 0
        assert (await trail(pd))[-1].action_type == "connector.refused"
