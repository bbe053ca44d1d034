"""The configuration's changes: PagerDuty's audit records, held against ours."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve

from arx_wrapper import (
    ConfigError,
    ForbiddenError,
    PagerDutyConnector,
    PermissionDeniedError,
    audit,
)
from arx_wrapper.cli.main import run
from arx_wrapper.config import Config
from arx_wrapper.credentials import Credentials
from arx_wrapper.errors import PagerDutyError
from arx_wrapper.pagerduty.configuration_changes import ConfigurationChanges
from arx_wrapper.pagerduty.reconciliation import reconcile
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.faults import Fault
from arx_wrapper.sandbox.server import run_in_thread
from arx_wrapper.vault.fixed import FixedVault
from tests.support import ASK_ABOUT_HIGH, EVERYTHING, decide, denying

SERVICE, POLICY = "PABC123", "PC5Z6QY"
ELSEWHERE = "203.0.113.7"
ANOTHER_KEY = {"method": "api_token", "token": "xxxx"}


class Clock:
    """One time for PagerDuty and for us, which a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)  # so that what follows is later
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(clock: Clock) -> Sandbox:
    return Sandbox(clock=clock, rate_limit=None)


def connector(account: Sandbox, log: Path, clock: Clock, **more: Any) -> PagerDutyConnector:
    pd = PagerDutyConnector(
        "agent",
        "org",
        **{
            "policies": [EVERYTHING],
            "transport": account.transport(),
            "vault": FixedVault(api_key=account.token, requester_email=account.email),
            **more,
        },
        audit=audit.open(f"sqlite:///{log}", clock=clock),
        base_url=account.base_url,
    )
    pd.backends.clock = clock
    return pd


@pytest.fixture
async def pd(account: Sandbox, tmp_path: Path, clock: Clock) -> AsyncIterator[PagerDutyConnector]:
    async with connector(account, tmp_path / "audit.db", clock) as pd:
        yield pd


@pytest.fixture
async def past(account: Sandbox, tmp_path: Path, clock: Clock) -> AsyncIterator[PagerDutyConnector]:
    """The same key and user, but another log: to ours, it is outside."""
    async with connector(account, tmp_path / "other.db", clock) as past:
        yield past


async def compared(pd: PagerDutyConnector, account: Sandbox, *, hours: float = 12) -> ConfigurationChanges:
    await pd.audit.flush()
    now = pd.backends.clock()
    since, until = now - timedelta(hours=hours), now + timedelta(minutes=1)
    found = (await reconcile(pd, requester_email=account.email, since=since, until=until)).configuration
    assert found is not None
    return found


def all_quiet(found: ConfigurationChanges, *, recorded: int) -> None:
    assert (found.recorded, found.matched) == (recorded, recorded)
    assert (found.outside, found.missing, found.awaited) == ([], [], [])


async def change_things(pd: PagerDutyConnector, round_: int) -> int:
    """Make ten changes of our own; returns how many of them PagerDuty records."""
    service = await pd.create_service(f"Ours {round_}", POLICY)
    window = await pd.create_maintenance_window("2027-06-15T02:00:00Z", "2027-06-15T04:00:00Z", [service.id])
    for number in range(4):
        await pd.update_service(service.id, description=f"{round_} {number}")
    await pd.update_escalation_policy(POLICY, description=f"{round_}")
    await pd.create_service_integration(service.id, "events_api_v2_inbound_integration")
    await pd.delete_maintenance_window(window.id)
    await pd.delete_service(service.id)
    return 10


async def plant(past: PagerDutyConnector, account: Sandbox, count: int) -> list[tuple[str, str]]:
    """Make outside changes of eight kinds, in turn; returns action and kind of object of each."""
    planted: list[tuple[str, str]] = []
    for number, kind in zip(range(count), itertools.cycle(range(8)), strict=False):
        name = f"Outside {number}"
        if kind == 0:
            await past.create_service(name, POLICY)
            planted.append(("create", "service"))
        elif kind == 1:
            await past.update_service(SERVICE, description=name)
            planted.append(("update", "service"))
        elif kind == 2:
            await past.update_escalation_policy(POLICY, description=name)
            planted.append(("update", "escalation_policy"))
        elif kind == 3:
            await past.create_maintenance_window("2027-06-15T02:00:00Z", "2027-06-15T04:00:00Z", [SERVICE])
            planted.append(("create", "maintenance_window"))
        else:
            action, what, method = [
                ("update", "user", "identity_provider"),
                ("create", "team", "browser"),
                ("delete", "schedule", "oauth"),
                ("update", "service", "other"),
            ][kind - 4]
            by = None if method == "other" else account.email
            origin = {"by": by, "method": method, "address": ELSEWHERE, "request_id": f"web-{number}"}
            account.record_change(action, what, SERVICE if what == "service" else f"P{number}", **origin)
            planted.append((action, what))
    return sorted(planted)


async def outside_are_found(
    pd: PagerDutyConnector, past: PagerDutyConnector, account: Sandbox, *, own: int, planted: int
) -> None:
    made = 0
    for number in range(own // 10):
        made += await change_things(pd, number)
        if number == own // 20:
            expected = await plant(past, account, planted)
    found = await compared(pd, account)
    assert sorted((change.action, change.resource_type) for change in found.outside) == expected
    assert (found.recorded, found.matched) == (made + planted, made)
    assert (found.missing, found.awaited, found.confirmed) == ([], [], [])


async def test_outside_changes_are_found_among_our_own_and_nothing_else_is(
    pd: PagerDutyConnector, past: PagerDutyConnector, account: Sandbox
) -> None:
    await outside_are_found(pd, past, account, own=40, planted=8)


@pytest.mark.slow
async def test_twenty_outside_changes_of_eight_kinds_are_found_among_a_thousand_of_our_own(
    pd: PagerDutyConnector, past: PagerDutyConnector, account: Sandbox
) -> None:
    await outside_are_found(pd, past, account, own=1_000, planted=20)


async def test_an_outside_change_says_who_when_from_where_and_what(
    pd: PagerDutyConnector, past: PagerDutyConnector, account: Sandbox, clock: Clock
) -> None:
    origin = {"by": account.email, "method": "browser", "address": ELSEWHERE, "request_id": "web-1"}
    account.record_change("update", "team", "P41PJSO", **origin)
    clock.advance(minutes=1)
    await past.update_service(SERVICE, description="moved")
    web, key = (await compared(pd, account)).outside
    assert (web.who, web.method, web.key, web.our_key, web.address) == (
        ("Oncall Bot",), "browser", None, False, ELSEWHERE,
    )  # fmt: skip
    assert (web.resource_type, web.resource_id, web.resource_name, web.request_id) == (
        "team",
        "P41PJSO",
        "Data",
        "web-1",
    )
    assert (key.method, key.key, key.our_key) == ("api_token", account.token[-4:], True)
    assert (key.action, key.resource_id, key.parts) == ("update", SERVICE, ("description",))
    assert key.at - web.at == timedelta(minutes=1)


async def test_the_records_of_one_request_are_one_change(pd: PagerDutyConnector, account: Sandbox) -> None:
    for action in ("update", "create", "update"):
        account.record_change(action, "user", "PNEW", by=account.email, request_id="web-1")
    account.record_change("update", "team", "P41PJSO", by=account.email, request_id="web-1")
    found = await compared(pd, account)
    assert sorted((change.action, change.resource_type, len(change.sources)) for change in found.outside) == [
        ("create", "user", 3),
        ("update", "team", 1),
    ]


async def test_a_write_whose_response_was_lost_is_ours_and_settled(pd: PagerDutyConnector, account: Sandbox) -> None:
    account.faults.server_error(work=True, method="PUT")
    account.faults.dropped("after", method="POST", path="/services")
    for call in (pd.update_service(SERVICE, description="lost"), pd.create_service("Lost", POLICY)):
        with pytest.raises(PagerDutyError):
            await call
    found = await compared(pd, account)
    all_quiet(found, recorded=2)
    assert [(own.operation, own.resource_id, own.status) for own in found.confirmed] == [
        ("services:update", SERVICE, "unknown"),
        ("services:create", None, "unknown"),
    ]


async def test_a_lost_response_explains_one_change_of_the_same_object_by_the_same_key_at_that_time(
    pd: PagerDutyConnector, account: Sandbox, clock: Clock
) -> None:
    ours = {"method": "api_token", "token": account.token[-4:]}
    account.record_change("update", "service", SERVICE, **ours)  # too early
    clock.advance(minutes=10)
    account.faults.server_error(work=True, method="PUT")
    with pytest.raises(PagerDutyError):
        await pd.update_service(SERVICE, description="lost")
    account.record_change("update", "service", SERVICE, **ours)  # a second one
    account.record_change("update", "service", "POTHER", **ours)
    account.record_change("delete", "service", SERVICE, **ours)
    account.record_change("update", "service", SERVICE, **ANOTHER_KEY)
    account.record_change("update", "service", SERVICE, by=account.email)
    found = await compared(pd, account)
    assert (found.recorded, found.matched, len(found.outside), len(found.confirmed)) == (7, 1, 6, 1)
    assert found.confirmed[0].at - found.outside[0].at >= timedelta(minutes=10)


async def test_a_write_whose_request_is_known_explains_no_other(
    pd: PagerDutyConnector, past: PagerDutyConnector, account: Sandbox
) -> None:
    service = await pd.get_service(SERVICE)
    await pd.update_service(SERVICE, name=service.name or "")  # changes nothing, so that it has no record of its own
    await past.update_service(SERVICE, description="outside")
    assert len((await compared(pd, account)).outside) == 1


async def test_a_request_of_ours_explains_nothing_that_another_key_did(
    pd: PagerDutyConnector, account: Sandbox
) -> None:
    """A client may choose the id of its request, and give it that of ours."""
    await pd.update_service(SERVICE, description="ours")
    await pd.audit.flush()
    [outcome] = [r async for r in pd.audit.records(action_type="connector.completed", operation="services:update")]
    ours = outcome.metadata["attempts"][0]["request_id"]
    account.record_change("update", "team", "P41PJSO", **ANOTHER_KEY, request_id=ours)
    account.record_change("update", "team", "P41PJSO", by=account.email, request_id=ours)
    found = await compared(pd, account)
    assert found.matched == 1
    assert [change.resource_type for change in found.outside] == ["team"]


async def approved(pd: PagerDutyConnector, clock: Clock, call: Coroutine[Any, Any, Any], meanwhile: Any = None) -> None:
    """Let a call wait for its reviewer for half an hour."""
    waiting = asyncio.ensure_future(call)
    while not (requests := await pd.backends.approvals.list("pending")):
        await asyncio.sleep(0)
    clock.advance(minutes=30)
    if meanwhile is not None:
        await meanwhile
        clock.advance(minutes=20)
    await decide(pd, requests[0].id)
    await waiting


@pytest.fixture
async def asking(account: Sandbox, tmp_path: Path, clock: Clock) -> AsyncIterator[PagerDutyConnector]:
    asks = {**ASK_ABOUT_HIGH, "operations": ["services:*", "incidents:add_note"], "approval": "hitl"}
    reads = {**EVERYTHING, "operations": ["users:read", "incidents:read*", "audit:read"]}
    config = evolve(Config.load({}, tmp_path), approvals_proof="name")
    async with connector(account, tmp_path / "audit.db", clock, policies=[reads, asks], config=config) as pd:
        yield pd


async def test_what_waited_for_a_reviewer_is_ours_at_the_time_at_which_it_was_sent(
    asking: PagerDutyConnector, account: Sandbox, clock: Clock
) -> None:
    await approved(asking, clock, asking.update_service(SERVICE, description="approved"))
    all_quiet(await compared(asking, account, hours=0.2), recorded=1)


async def test_what_waits_for_a_reviewer_explains_nothing_that_was_done_meanwhile(
    asking: PagerDutyConnector, past: PagerDutyConnector, account: Sandbox, clock: Clock
) -> None:
    meanwhile = past.add_incident_note("P1234AB", "outside")
    await approved(asking, clock, asking.add_incident_note("P1234AB", "approved"), meanwhile)
    incident = account.account.incident("P1234AB")
    incident.log.remove(next(entry for entry in incident.log if entry["channel"].get("summary") == "approved"))
    await asking.audit.flush()
    now, everything = clock(), datetime(2025, 1, 1, tzinfo=UTC)
    found = await reconcile(asking, requester_email=account.email, since=everything, until=now + timedelta(hours=1))
    notes = [act for act in found.theirs if act.operation == "incidents:add_note" and act.at > now - timedelta(hours=2)]
    assert (len(notes), len(found.ours)) == (1, 1)


async def test_a_creation_or_deletion_that_pagerduty_does_not_know_is_missing_once_records_had_time(
    pd: PagerDutyConnector, account: Sandbox, clock: Clock
) -> None:
    service = await pd.create_service("Ours", POLICY)
    await pd.update_service(service.id, name="Ours")  # changes nothing, so that there is no record
    await pd.create_maintenance_window("2027-06-15T02:00:00Z", "2027-06-15T04:00:00Z", [SERVICE])
    account.account.tables["audit_record"].clear()
    early = await compared(pd, account)
    assert ([own.operation for own in early.awaited], early.missing) == (["services:create"], [])
    clock.advance(minutes=16)
    late = await compared(pd, account)
    assert [(own.operation, own.resource_id, own.agent_id) for own in late.missing] == [
        ("services:create", service.id, "agent")
    ]
    assert late.awaited == []


async def test_records_that_come_late_are_awaited_and_then_match(
    pd: PagerDutyConnector, account: Sandbox, clock: Clock
) -> None:
    account.options.audit_lag = 300.0
    await pd.create_service("Ours", POLICY)
    found = await compared(pd, account)
    assert (found.recorded, found.missing, len(found.awaited)) == (0, [], 1)
    clock.advance(minutes=6)
    all_quiet(await compared(pd, account), recorded=1)


async def test_a_span_of_months_is_read_in_parts_that_pagerduty_takes(
    pd: PagerDutyConnector, past: PagerDutyConnector, account: Sandbox, clock: Clock
) -> None:
    for number in range(4):
        await pd.update_service(SERVICE, description=f"ours {number}")
        await past.update_service(SERVICE, description=f"outside {number}")
        clock.advance(days=20)
    account.requests.clear()
    found = await compared(pd, account, hours=24 * 90)
    assert (found.recorded, found.matched, len(found.outside)) == (8, 4, 4)
    assert found.outside == sorted(found.outside, key=lambda change: change.at)
    assert len([r for r in account.requests if r.path == "/audit/records"]) == 3


async def test_a_rotated_key_makes_nothing_of_ours_foreign(
    pd: PagerDutyConnector, account: Sandbox, tmp_path: Path, clock: Clock
) -> None:
    await pd.create_service("Ours", POLICY)
    account.faults.server_error(work=True, method="PUT")
    with pytest.raises(PagerDutyError):
        await pd.update_service(SERVICE, description="lost")
    await pd.aclose()
    account.token = "sandbox-token-renewed"  # noqa: S105 - opens the sandbox alone
    async with connector(account, tmp_path / "audit.db", clock) as renewed:
        all_quiet(await compared(renewed, account), recorded=2)


class Renewing(FixedVault):
    """Hands out an OAuth client's access token."""

    async def read(self, org_id: str, *, fresh: bool = False) -> Credentials:
        found = await super().read(org_id, fresh=fresh)
        return Credentials(
            api_key=found.api_key, requester_email=found.requester_email, scheme="Bearer", account="client-1"
        )


async def test_an_access_token_that_renewed_itself_is_still_our_key(
    account: Sandbox, tmp_path: Path, clock: Clock
) -> None:
    for token in ("sandbox-token-first", "sandbox-token-second"):
        account.token = token
        vault = Renewing(api_key=token, requester_email=account.email)
        async with connector(account, tmp_path / "audit.db", clock, vault=vault) as pd:
            if token.endswith("first"):
                account.faults.server_error(work=True, method="PUT")
                with pytest.raises(PagerDutyError):
                    await pd.update_service(SERVICE, description="lost")
            else:
                all_quiet(await compared(pd, account), recorded=1)


async def test_a_span_that_is_empty_is_refused(pd: PagerDutyConnector, account: Sandbox) -> None:
    now = pd.backends.clock()
    with pytest.raises(ConfigError, match="The span is empty"):
        await reconcile(pd, requester_email=account.email, since=now, until=now)
    assert not account.requests


async def test_a_key_that_may_not_read_them_is_found_out_before_anything_else_is_read(
    pd: PagerDutyConnector, account: Sandbox
) -> None:
    account.options.audit_records = 403
    with pytest.raises(ForbiddenError, match=r"audit_records\.read"):
        await compared(pd, account)
    assert [request.path for request in account.requests] == ["/audit/records"]
    now = pd.backends.clock()
    since = now - timedelta(hours=1)
    found = await reconcile(pd, requester_email=account.email, since=since, until=now, configuration=False)
    assert found.configuration is None


async def test_policy_decides_who_may_read_them(account: Sandbox, tmp_path: Path, clock: Clock) -> None:
    async with connector(account, tmp_path / "audit.db", clock, policies=[EVERYTHING, denying("audit:read")]) as pd:
        with pytest.raises(PermissionDeniedError):
            await compared(pd, account)
    assert not account.requests


def test_the_command_shows_outside_changes_and_says_what_to_do_when_it_cannot_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account = Sandbox(clock=lambda: datetime.now(UTC))
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps([EVERYTHING]))
    monkeypatch.setenv("ARX_POLICY", str(policy))
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{tmp_path / 'audit.db'}")
    monkeypatch.setenv("PAGERDUTY_API_KEY", account.token)
    monkeypatch.setenv("PAGERDUTY_REQUESTER_EMAIL", account.email)
    with run_in_thread(account) as served:
        monkeypatch.setenv("PAGERDUTY_BASE_URL", served.url)
        assert run(["call", "services:update", f"service_id={SERVICE}", "description=ours"]) == 0
        assert run(["audit", "reconcile", "--since", "1h ago", "-o", "json"]) == 0
        capsys.readouterr()
        account.record_change("delete", "team", "P41PJSO", by=account.email, address=ELSEWHERE, request_id="web-1")
        assert run(["audit", "reconcile", "--since", "1h ago", "-o", "table"]) == 5
        shown = capsys.readouterr()
        assert "2 changes of the configuration, 1 of them through the connector" in shown.out
        assert all(text in shown.out for text in ("Oncall Bot", "delete", "team P41PJSO Data", "browser", ELSEWHERE))
        assert "1 changes outside the connector" in shown.err
        assert run(["audit", "reconcile", "--since", "1h ago", "-o", "json"]) == 5
        found = json.loads(capsys.readouterr().out)["configuration"]
        assert [change["resource_id"] for change in found["outside"]] == ["P41PJSO"]
        assert run(["audit", "reconcile", "--since", "1h ago", "--incidents-only"]) == 0
        assert json.loads(capsys.readouterr().out)["configuration"] is None
        for status in (402, 403):
            account.options.audit_records = status
            assert run(["audit", "reconcile", "--since", "1h ago"]) == 1
            assert "--incidents-only" in capsys.readouterr().err
        account.options.audit_records = 200
        for fault in (Fault(path="/audit/records", status=400), Fault(path="/users", status=402)):
            account.faults.add(fault)
            assert run(["audit", "reconcile", "--since", "1h ago"]) == 1
            assert "--incidents-only" not in capsys.readouterr().err, "it would not help"
            account.faults.clear()
        policy.write_text(json.dumps([EVERYTHING, denying("audit:read")]))
        assert run(["audit", "reconcile", "--since", "1h ago"]) == 3
        assert "--incidents-only" in capsys.readouterr().err
        assert run(["audit", "reconcile", "--since", "1h ago", "--until", "2h ago"]) == 2


class Holding(httpx.AsyncBaseTransport):
    """Holds the request for audit records until a test lets it go."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner, self.held, self.released = inner, asyncio.Event(), asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/audit/records":
            self.held.set()
            await self.released.wait()
        return await self.inner.handle_async_request(request)


async def test_what_is_done_through_the_connector_meanwhile_is_not_outside(
    pd: PagerDutyConnector, account: Sandbox, tmp_path: Path, clock: Clock
) -> None:
    holding = Holding(account.transport())
    async with connector(account, tmp_path / "audit.db", clock, transport=holding) as slow:
        comparing = asyncio.ensure_future(compared(slow, account))
        await holding.held.wait()
        await pd.update_service(SERVICE, description="meanwhile")
        await pd.audit.flush()
        holding.released.set()
        all_quiet(await comparing, recorded=1)


async def failed(call: Coroutine[Any, Any, Any]) -> None:
    with pytest.raises(PagerDutyError):
        await call


async def test_a_write_outside_the_span_is_not_missing(pd: PagerDutyConnector, account: Sandbox, clock: Clock) -> None:
    since = clock() - timedelta(minutes=1)
    until = clock()
    clock.advance(minutes=1)  # within the span in which clocks may differ
    await pd.create_service("After the span", POLICY)
    await pd.audit.flush()
    clock.advance(minutes=20)
    found = (await reconcile(pd, requester_email=account.email, since=since, until=until)).configuration
    assert found is not None
    all_quiet(found, recorded=0)


async def test_a_deletion_with_an_unknown_outcome_is_not_missing(
    pd: PagerDutyConnector, account: Sandbox, clock: Clock
) -> None:
    account.faults.dropped("after", method="DELETE")
    account.faults.dropped("after", method="GET", path="/services/*", times=None)  # so that nothing shows the outcome
    await failed(pd.delete_service(SERVICE))
    account.account.tables["audit_record"].clear()
    account.faults.clear()
    await pd.audit.flush()
    [outcome] = [r async for r in pd.audit.records(action_type="connector.completed", operation="services:delete")]
    assert outcome.status == "unknown"
    clock.advance(minutes=20)
    all_quiet(await compared(pd, account), recorded=0)


async def test_a_change_at_the_end_of_the_span_is_of_the_next_one(pd: PagerDutyConnector, account: Sandbox) -> None:
    """The sandbox takes both bounds as inclusive, so that one change would be in two spans."""
    account.record_change("update", "team", "P41PJSO", by=account.email)
    [record] = account.account.all("audit_record")
    at, hour = record["execution_time"], timedelta(hours=1)
    for since, until, count in ((at - hour, at, 0), (at, at + hour, 1)):
        found = (await reconcile(pd, requester_email=account.email, since=since, until=until)).configuration
        assert found is not None
        assert len(found.outside) == count


async def test_one_request_that_changes_two_objects_is_two_changes(pd: PagerDutyConnector, account: Sandbox) -> None:
    for team in ("P41PJSO", "POTHER1"):
        account.record_change("update", "team", team, by=account.email, request_id="web-1")
    found = await compared(pd, account)
    assert sorted(str(change.resource_id) for change in found.outside) == ["P41PJSO", "POTHER1"]


async def test_changes_are_listed_from_the_oldest_though_their_records_mix(
    pd: PagerDutyConnector, account: Sandbox, clock: Clock
) -> None:
    for request, team in (("long", "POLD001"), ("short", "PNEW001"), ("long", "POLD001")):
        account.record_change("update", "team", team, by=account.email, request_id=request)
        clock.advance(seconds=1)
    assert [change.resource_id for change in (await compared(pd, account)).outside] == ["POLD001", "PNEW001"]


@pytest.mark.parametrize("rotated", [False, True])
async def test_a_lost_response_explains_nothing_that_was_done_without_its_key(
    account: Sandbox, tmp_path: Path, clock: Clock, rotated: bool
) -> None:
    async with connector(account, tmp_path / "audit.db", clock) as pd:
        account.faults.server_error(method="PUT")
        await failed(pd.update_service(SERVICE, description="not done"))
        account.record_change("update", "service", SERVICE, by=account.email, method="browser")
        if not rotated:  # the last characters of the key before are unknown
            account.record_change("update", "service", SERVICE, **ANOTHER_KEY)
    account.token = "sandbox-token-renewed" if rotated else account.token
    async with connector(account, tmp_path / "audit.db", clock) as later:
        found = await compared(later, account)
    assert (found.matched, len(found.outside), found.confirmed) == (0, 1 if rotated else 2, [])


async def test_of_two_lost_writes_the_nearest_explains_a_change(
    pd: PagerDutyConnector, account: Sandbox, clock: Clock
) -> None:
    for work in (False, True):
        account.faults.server_error(work=work, method="PUT")
        await failed(pd.update_service(SERVICE, description=f"done: {work}"))
        await pd.audit.flush()
        clock.advance(minutes=1)
    found = await compared(pd, account)
    assert (found.matched, found.outside) == (1, [])
    assert [clock() - own.at < timedelta(minutes=2) for own in found.confirmed] == [True]


async def test_a_write_that_changed_two_objects_is_confirmed_once(pd: PagerDutyConnector, account: Sandbox) -> None:
    shown = {"x-request-id": "sandbox-1"}
    account.faults.add(Fault(method="PUT", status=200, work=True, body="<html>", headers=shown))
    await failed(pd.update_service(SERVICE, description="lost"))
    [record] = account.account.all("audit_record")
    ours = {"method": "api_token", "token": account.token[-4:]}
    request = record["execution_context"]["request_id"]
    account.record_change("update", "team", "P41PJSO", **ours, request_id=request)
    found = await compared(pd, account)
    assert (found.matched, found.outside, len(found.confirmed)) == (2, [], 1)
