"""Policy governs what comes back: keys and people's addresses are in no answer, preview, record, span or log."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve

import arx_wrapper
from arx_wrapper import (
    OPERATIONS,
    ApprovalPendingError,
    Config,
    PagerDutyConnector,
    PermissionDeniedError,
    ValidationError,
)
from arx_wrapper.cli.main import run
from arx_wrapper.config import MEMORY
from arx_wrapper.core.redaction import HIDDEN
from arx_wrapper.model import Call
from arx_wrapper.pagerduty.operations import TABLE
from arx_wrapper.policy import Policies, load
from arx_wrapper.vault.fixed import FixedVault
from tests.support import EVERYTHING, decide, trail

PHONE, MAIL, KEY = "5550199777", "canary.mail@example.com", "canary-key-77"
ROUTING, CALENDAR = "sandbox-routing-key-not-a-secret", "canary-cal-77"
CANARIES = (PHONE, MAIL, KEY, ROUTING, CALENDAR)
REFERENCE = sorted((Path(arx_wrapper.__file__).parent / "pagerduty" / "policies").glob("*.yaml"))
PLAIN = {name: value for name, value in EVERYTHING.items() if name != "show"}


def planted(policies: Any, **config: Any) -> PagerDutyConnector:
    """A connector to an account whose people and services bear canaries."""
    settings = evolve(Config.load(audit_default=MEMORY), **config)
    pd = PagerDutyConnector.sandbox(policies=policies, config=settings)
    assert pd.sandbox_account is not None
    account = pd.sandbox_account.account
    for user in account.all("user"):
        if user["email"] != pd.sandbox_account.email:
            user["email"] = MAIL
        user["http_cal_url"] = user["web_cal_url"] = f"https://calendar.example.com/{CALENDAR}"
    for method in account.all("contact_method"):
        method["address"] = PHONE
    for integration in account.all("integration"):
        integration["integration_key"] = KEY
    for entry in account.all("log_entry"):
        notification = {"type": "sms", "address": PHONE}
        entry["channel"] = {"type": "email", "from": MAIL, "to": MAIL, "notification": notification}
    return pd


async def ids(pd: PagerDutyConnector) -> dict[str, str]:
    assert pd.sandbox_account is not None
    account = pd.sandbox_account.account
    return {kind: next(iter(account.all(kind)))["id"] for kind in ("user", "service", "incident")}


READS: list[tuple[str, dict[str, Any]]] = [
    ("users:read", {"include": ["contact_methods", "notification_rules"], "limit": 100}),
    ("users:read_detail", {"user_id": "user", "include": ["contact_methods", "notification_rules"]}),
    ("users:read_contact", {"user_id": "user"}),
    ("users:read_notification", {"user_id": "user", "include": ["contact_methods"]}),
    ("services:read", {"include": ["integrations"]}),
    ("services:read_detail", {"service_id": "service", "include": ["integrations"]}),
    ("services:read_integrations", {"service_id": "service"}),
    ("schedules:read_oncall", {"include": ["users"]}),
    (
        "incidents:read",
        {"include": ["users", "assignees", "acknowledgers", "first_trigger_log_entries"], "date_range": "all"},
    ),
    ("incidents:read_detail", {"incident_id": "incident", "include": ["users", "assignees"]}),
    ("incidents:read_log", {"incident_id": "incident", "include": ["channels"]}),
    ("incidents:read_notes", {"incident_id": "incident"}),
    ("rules:read", {}),
    ("escalation:read", {"include": ["targets"]}),
]


def about(params: dict[str, Any], named: dict[str, str]) -> dict[str, Any]:
    return {name: named.get(value, value) if isinstance(value, str) else value for name, value in params.items()}


async def seen_by(pd: PagerDutyConnector) -> list[str]:
    """Everything that a caller is handed by every read that policy permits, in every way to call."""
    named, seen = await ids(pd), []
    for operation, params in READS:
        params = about(params, named)
        try:
            body = await pd.execute(operation, params)
        except PermissionDeniedError:
            continue
        seen.append(json.dumps(body))
        method = getattr(pd, OPERATIONS[operation].function)
        result = await method(**params)
        seen.append(repr(result.items if hasattr(result, "items") else result))
        seen.append(
            json.dumps([one.to_dict() for one in getattr(result, "items", [result]) if hasattr(one, "to_dict")])
        )
        if OPERATIONS[operation].records:
            seen += [json.dumps(record.to_dict()) async for record in pd.iterate(operation, params)]
    assert seen
    return seen


@pytest.mark.parametrize("policy", REFERENCE, ids=lambda path: path.stem)
async def test_no_canary_is_handed_to_a_caller_under_the_reference_policies(
    policy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    policies = [*_entries(policy)]
    if "no-maintenance" in policy.stem:  # it permits nothing by itself
        policies.append({**PLAIN, "risk_max": "low"})
    async with planted(policies, capture_params=True) as pd:
        for text in await seen_by(pd):
            assert not [canary for canary in CANARIES if canary in text], text[:2_000]
        records = "".join(str(record) for record in await trail(pd))
    assert not [canary for canary in CANARIES if canary in records + caplog.text]


def _entries(file: Path) -> list[dict[str, Any]]:
    import yaml

    found: list[dict[str, Any]] = yaml.safe_load(file.read_text("utf-8"))
    return found


async def test_every_canary_is_handed_out_where_policy_shows_it() -> None:
    shows = {**PLAIN, "show": ["email", "*.address", "integration_key", "external_id", "*_cal_url", "channel.*"]}
    async with planted([shows]) as pd:
        seen = "".join(await seen_by(pd))
    assert [canary for canary in CANARIES if canary not in seen] == []
    assert HIDDEN not in seen


async def test_only_what_is_named_is_shown() -> None:
    async with planted([{**PLAIN, "show": ["contact_methods.address"]}]) as pd:
        named = await ids(pd)
        body = (await pd.execute("users:read_detail", {"user_id": named["user"], "include": ["contact_methods"]}))[
            "user"
        ]
        assert {method["address"] for method in body["contact_methods"]} == {PHONE}
        assert body["email"] == HIDDEN
        assert body["name"] != HIDDEN


async def test_the_outcome_says_what_was_hidden_and_never_its_value() -> None:
    async with planted([{**PLAIN, "hide": ["job_title"]}]) as pd:
        users = (await pd.execute("users:read", {"limit": 3}))["users"]
        outcome = (await trail(pd))[-1]
        assert outcome.metadata["hidden"] == {"email": 3, "job_title": 3, "http_cal_url": 3, "web_cal_url": 3}
        assert {user["job_title"] for user in users} == {HIDDEN}
        assert not [user async for user in pd.iterate("users:read", max_items=2) if user.email != HIDDEN]
        outcome = (await trail(pd))[-1]
        assert outcome.metadata["hidden"] == {"email": 2, "job_title": 2, "http_cal_url": 2, "web_cal_url": 2}
        await pd.list_teams(limit=1)
        assert "hidden" not in (await trail(pd))[-1].metadata


async def test_a_write_hides_what_its_answer_holds_and_the_captured_state_too() -> None:
    policies = [{**PLAIN, "hide": ["status", "title"]}]
    async with planted(policies, capture_params=True) as pd:
        named = await ids(pd)
        made = await pd.create_service_integration(named["service"], "events_api_v2_inbound_integration")
        assert made.integration_key == HIDDEN
        incident = await pd.create_incident("Replication lag", named["service"])
        assert (incident.title, incident.status) == (HIDDEN, HIDDEN)
        outcome = (await trail(pd))[-1]
        assert outcome.metadata["hidden"] == {"title": 1, "status": 1}
        assert outcome.metadata["after"]["status"] == HIDDEN


async def test_a_reviewer_is_shown_what_policy_shows_and_the_approval_still_holds() -> None:
    asking = {**PLAIN, "approval": "hitl", "hide": ["title", "service.name", "service.summary"]}
    async with planted([asking], approvals_mode="raise") as pd:
        assert pd.sandbox_account is not None
        incident = next(one for one in pd.sandbox_account.account.all("incident") if one["status"] != "resolved")
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.resolve_incident(incident["id"])
        asked = await pd.approval(str(pending.value.approval_id))
        assert asked.target is not None
        assert HIDDEN in json.dumps(asked.target)
        assert incident["title"] not in json.dumps(asked.target) + asked.sentence
        await decide(pd, asked.id)
        body = await pd.execute("incidents:resolve", {"incident_id": incident["id"]}, approval_id=asked.id)
        assert body["incident"]["title"] == HIDDEN


async def test_what_one_effect_hides_is_hidden_though_the_operation_called_shows_it() -> None:
    shows = {**PLAIN, "operations": ["users:read", "users:read_detail"], "show": ["*"]}
    others = {**PLAIN, "name": "others", "operations": ["users:read_contact", "users:read_notification"]}
    async with planted([shows, others]) as pd:
        user = (await ids(pd))["user"]
        alone = (await pd.execute("users:read_detail", {"user_id": user}))["user"]
        assert alone["web_cal_url"] != HIDDEN
        with_methods = await pd.execute("users:read_detail", {"user_id": user, "include": ["contact_methods"]})
        assert {method["address"] for method in with_methods["user"]["contact_methods"]} == {HIDDEN}


async def test_an_entry_that_only_hides_holds_for_every_answer_of_its_agents() -> None:
    only_hides = {"name": "baseline", "connector": "pagerduty", "hide": ["summary"], "agents": ["agent-s*"]}
    async with planted([{**PLAIN, "show": ["*"]}, only_hides]) as pd:
        assert {team.summary for team in await pd.list_teams(limit=5)} == {HIDDEN}
    async with planted([{**PLAIN, "show": ["*"]}, {**only_hides, "agents": ["other"]}]) as pd:
        assert HIDDEN not in {team.summary for team in await pd.list_teams(limit=5)}
    async with planted([only_hides]) as pd:
        with pytest.raises(PermissionDeniedError):  # it permits nothing
            await pd.list_teams()


async def test_a_condition_decides_on_hiding_and_one_that_fails_hides() -> None:
    def policies(when: str) -> list[dict[str, Any]]:
        return [{**PLAIN, "show": ["*"]}, {"name": "h", "connector": "pagerduty", "hide": ["summary"], "when": when}]

    for when, hidden in (("agent_id == 'x'", False), ("agent_id != 'x'", True), ("params.nothing == 1", True)):
        async with planted(policies(when)) as pd:
            assert ((await pd.list_teams(limit=1))[0].summary == HIDDEN) is hidden


async def test_an_entry_that_observes_hides_and_shows_nothing() -> None:
    observing = {**PLAIN, "name": "observing", "enforce": False, "hide": ["summary"], "show": ["*"]}
    async with planted([PLAIN, observing]) as pd:
        assert HIDDEN not in {team.summary for team in await pd.list_teams(limit=5)}
        assert {user.email for user in await pd.list_users(limit=3)} == {HIDDEN}


async def test_a_hidden_id_does_not_keep_pages_from_being_read() -> None:
    async with planted([{**PLAIN, "hide": ["id"]}]) as pd:
        assert pd.sandbox_account is not None
        records = [one async for one in pd.iterate("incidents:read", {"date_range": "all", "limit": 7})]
        assert len(records) == len(pd.sandbox_account.account.all("incident"))
        assert {one.id for one in records} == {HIDDEN}


class Tightening(Policies):
    """A policy that comes to hide `summary` after some judgements of a call."""

    def __init__(self, after: int, **more: Any) -> None:
        shown, hiding = {**PLAIN, **more, "show": ["*"]}, {**PLAIN, **more, "hide": ["summary"]}
        super().__init__([shown], registry=TABLE, connector="pagerduty")
        self.judged, self.after = 0, after
        self.tight = load([hiding], registry=TABLE, connector="pagerduty")

    def decide(self, call: Call, now: Any) -> Any:
        self.judged += 1
        return (self.tight if self.judged > self.after else self.current).decide(call, now)


async def test_what_policy_comes_to_hide_while_a_list_is_read_is_hidden_from_then_on() -> None:
    async with planted(Tightening(3)) as pd:
        seen = [one.summary == HIDDEN async for one in pd.iterate("incidents:read", {"date_range": "all", "limit": 5})]
    assert len(set(seen)) == 2
    assert seen == sorted(seen), "shown first, hidden from then on"


async def test_what_policy_comes_to_hide_while_a_reviewer_decides_is_hidden() -> None:
    async with planted(Tightening(1, approval="hitl")) as pd:
        named = await ids(pd)
        waiting = asyncio.create_task(pd.create_incident("Replication lag", named["service"]))
        while not (asked := await pd.backends.approvals.list("pending")):
            await asyncio.sleep(0.01)
        await decide(pd, asked[0].id)
        assert (await waiting).summary == HIDDEN


REFUSED = {
    "message": f"A user with email {MAIL} exists since 2025-06-01T12:00:00Z",
    "code": 2001,
    "errors": [
        f"Address {PHONE} is taken by <{MAIL}>",
        {"phone": ["+1 (555) 019-9777", "555-019-9777"]},
        "Incident 1234567",
    ],
}


def refusing(policies: Any) -> PagerDutyConnector:
    """A connector to a server whose errors quote people's addresses."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": REFUSED})

    return PagerDutyConnector.sandbox(
        policies=policies,
        transport=httpx.MockTransport(answer),
        base_url="http://127.0.0.1",
        vault=FixedVault(api_key="k", requester_email="oncall@example.com"),
    )


async def test_the_text_of_an_error_hides_addresses_too() -> None:
    for call in ("users:read", {"query": "x"}), ("incidents:add_note", {"incident_id": "P1", "content": "x"}):
        async with refusing([PLAIN]) as pd:
            with pytest.raises(ValidationError) as caught:
                await pd.execute(*call)
        error, told = caught.value, str(caught.value) + repr(caught.value)
        assert error.message == f"A user with email {HIDDEN} exists since 2025-06-01T12:00:00Z"
        assert error.errors[0] == f"Address {HIDDEN} is taken by <{HIDDEN}>"
        assert error.errors[-1] == "Incident 1234567"
        assert not [text for text in (MAIL, PHONE, "9777") if text in told + str(error.args)]


async def test_the_text_of_an_error_holds_the_addresses_that_policy_shows_or_the_caller_named() -> None:
    async with refusing([EVERYTHING]) as pd:
        with pytest.raises(ValidationError, match=f"{MAIL} .*{PHONE}"):
            await pd.list_users()
    async with refusing([PLAIN]) as pd:
        with pytest.raises(ValidationError, match=MAIL) as caught:
            await pd.list_users(query=MAIL)
    assert PHONE not in str(caught.value)


async def test_an_address_that_the_caller_named_is_found_by_it() -> None:
    async with planted([PLAIN]) as pd:
        assert pd.sandbox_account is not None
        own = pd.sandbox_account.email
        found = (await pd.execute("users:read", {"query": own}))["users"]
        assert [user["email"] for user in found] == [own]


def test_policy_explain_says_what_is_hidden_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "policy.yaml"
    entry = {**PLAIN, "hide": ["job_title"], "show": ["email"]}
    file.write_text(json.dumps([entry]))
    monkeypatch.setenv("ARX_POLICY", str(file))
    monkeypatch.setenv("ARX_SANDBOX", "1")
    assert run(["policy", "explain", "users:read", "--output", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["hide"], said["show"]) == (["job_title"], ["email"])
    assert "contact_methods.address" in said["hidden_by_default"]
    assert run(["policy", "explain", "users:read", "--output", "table"]) == 0
    out = capsys.readouterr().out
    assert "hides: job_title" in out
    assert "shows: email" in out


def test_the_command_line_hides_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps([PLAIN]))
    monkeypatch.setenv("ARX_POLICY", str(file))
    monkeypatch.setenv("ARX_SANDBOX", "1")
    for output in ("json", "table"):
        assert run(["call", "users:read", "limit=3", "--output", output]) == 0
        out = capsys.readouterr().out
        assert HIDDEN in out
        assert "@example.com" not in out


async def test_a_tool_hides_too() -> None:
    from arx_wrapper.mcp.tools import Tools

    async def never(*_: object) -> None:
        raise AssertionError("nothing is waited for here")

    async with planted([PLAIN]) as pd:
        tools = Tools(pd)
        named = await ids(pd)
        offered = {tool.name for tool in tools.offered()}
        for operation, params in READS:
            for detail in ({}, {"detail": "full"}):
                name = operation.replace(":", "_")
                assert name in offered
                answer = str(await tools.call(name, {**about(params, named), **detail}, never))
                assert "'done': False" not in answer, (operation, answer[:500])
                assert not [canary for canary in CANARIES if canary in answer], (operation, detail)
