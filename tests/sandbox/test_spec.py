"""Every endpoint's answer, held against PagerDuty's specification."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import frozen

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.routes import ENDPOINTS
from tests.sandbox.api import JSON, Api, headers, ref
from tests.sandbox.openapi import Document

SPEC = Path(__file__).parents[2] / "spec" / "pagerduty.json"

# What the published specification requires, or its every example shows; the trimmed one requires nothing.
REQUIRED_BY_TYPE = {
    "incident": "incident_number title created_at updated_at status incident_key service assignments assigned_via"
    " last_status_change_at last_status_change_by first_trigger_log_entry alert_counts is_mergeable escalation_policy"
    " teams pending_actions acknowledgements urgency resolved_at priority",
    "alert": "created_at status alert_key service incident suppressed severity integration body",
    "service": "name status escalation_policy teams integrations created_at incident_urgency_rule alert_creation",
    "escalation_policy": "name escalation_rules num_loops services teams",
    "schedule": "name time_zone escalation_policies users teams",
    "user": "name email time_zone role teams contact_methods notification_rules",
    "team": "name description default_role",
    "maintenance_window": "sequence_number start_time end_time services teams created_by",
    "priority": "name description",
    "assignment_notification_rule": "start_delay_in_minutes contact_method urgency",
    "email_contact_method": "label address",
    "sms_contact_method": "label address country_code",
    "trigger_log_entry": "created_at agent channel service incident teams contexts event_details",
}
REQUIRED_BY_MEMBER = {
    "assignments": "at assignee",
    "acknowledgements": "at acknowledger",
    "pending_actions": "type at",
    "escalation_rules": "id escalation_delay_in_minutes targets",
    "schedule_layers": "id start users rotation_virtual_start rotation_turn_length_seconds",
    "rendered_schedule_entries": "user start end",
    "oncalls": "user schedule escalation_policy escalation_level start end",
    "notes": "id user channel content created_at",
    "data": "total_incident_count mean_seconds_to_resolve mean_seconds_to_first_ack range_start",
}
IDENTITY = "id type summary self html_url"
# Values that PagerDuty sends and its specification leaves out where they occur.
UNLISTED = ("'incident' is not one of", "'acknowledge_log_entry' is not one of")
WITHOUT_LINKS = frozenset({"vendor_reference"})


@frozen
class Answered:
    method: str
    path: str
    status: int
    body: Any


class Tour(Api):
    """Remembers what it was answered."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        super().__init__(client)
        self.answers: list[Answered] = []

    async def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200, **params: Any) -> JSON:
        answer = await super().__call__(method, path, body, status=status, **params)
        self.answers.append(Answered(method, path, status, answer or None))
        return answer


async def about_incidents(api: Api) -> None:
    one = "/incidents/P1234AB"
    source = await api.create(body={"type": "incident_body", "details": "x"})
    include = ["services", "assignees", "acknowledgers", "escalation_policies", "first_trigger_log_entries", "teams"]
    await api("GET", "/incidents", limit=100)
    await api("GET", "/incidents", limit=100, include_list=include)
    await api("GET", one)
    await api.change({"id": "P1234AB"}, status="acknowledged")
    await api("PUT", "/incidents", {"incidents": [{"id": "P1234AB", "type": "incident", "title": "New"}]})
    await api("POST", f"{one}/snooze", {"duration": 60}, status=201)
    await api("POST", f"{one}/notes", {"note": {"content": "x"}})
    await api("GET", f"{one}/notes")
    await api("PUT", f"{one}/merge", {"source_incidents": [ref("incident", source["id"])]})
    await api("GET", f"/incidents/{source['id']}")
    alert = (await api("GET", f"{one}/alerts"))["alerts"][0]["id"]
    await api("GET", f"{one}/alerts/{alert}")
    await api("PUT", f"{one}/alerts/{alert}", {"alert": {"status": "resolved"}})
    await api("GET", f"{one}/log_entries", limit=100)
    entry = (await api("GET", "/log_entries", limit=100))["log_entries"][0]["id"]
    await api("GET", f"/log_entries/{entry}")


async def about_services(api: Api) -> None:
    await api("GET", "/services")
    await api("GET", "/services", include_list=["integrations", "teams", "escalation_policies"])
    await api("GET", "/services/PABC123")
    [policy, *_] = (await api("GET", "/escalation_policies"))["escalation_policies"]
    body = {"type": "service", "name": "New", "escalation_policy": ref("escalation_policy", policy["id"])}
    service = (await api("POST", "/services", {"service": body}, status=201))["service"]
    path = f"/services/{service['id']}"
    await api("PUT", path, {"service": {"name": "Newer"}})
    email = {"type": "generic_email_inbound_integration", "name": "Mail", "vendor": ref("vendor", "PVENDOR")}
    made = (await api("POST", f"{path}/integrations", {"integration": email}, status=201))["integration"]
    await api("GET", f"{path}/integrations")
    await api("GET", f"{path}/integrations/{made['id']}")
    await api("DELETE", path, status=204)


async def about_people(api: Api) -> None:
    [user, *_] = (await api("GET", "/users"))["users"]
    path = f"/users/{user['id']}"
    await api("GET", path, include_list=["contact_methods", "notification_rules", "teams"])
    [method, *_] = (await api("GET", f"{path}/contact_methods"))["contact_methods"]
    [rule, *_] = (await api("GET", f"{path}/notification_rules"))["notification_rules"]
    await api("GET", f"{path}/contact_methods/{method['id']}")
    await api("GET", f"{path}/notification_rules/{rule['id']}")
    await api("GET", "/abilities")
    await api("GET", "/abilities/teams", status=204)
    targets = [ref("user", user["id"])]
    rules = [{"escalation_delay_in_minutes": 5, "targets": targets}]
    body = {"type": "escalation_policy", "name": "New", "escalation_rules": rules}
    answer = await api("POST", "/escalation_policies", {"escalation_policy": body}, status=201)
    policy = f"/escalation_policies/{answer['escalation_policy']['id']}"
    await api("GET", policy, include_list=["targets", "teams"])
    await api("PUT", policy, {"escalation_policy": {"num_loops": 1}})
    await api("DELETE", policy, status=204)


async def about_time(api: Api) -> None:
    [schedule, *_] = (await api("GET", "/schedules"))["schedules"]
    await api("GET", "/schedules", include_list=["schedule_layers", "final_schedule", "overrides_subschedule"])
    await api("GET", f"/schedules/{schedule['id']}")
    await api("GET", "/oncalls")
    await api("GET", "/oncalls", include_list=["users", "schedules", "escalation_policies"])
    body = {
        "type": "maintenance_window",
        "start_time": "2025-06-15T02:00:00Z",
        "end_time": "2025-06-15T04:00:00Z",
        "services": [ref("service", "PABC123")],
    }
    answer = await api("POST", "/maintenance_windows", {"maintenance_window": body}, status=201)
    window = f"/maintenance_windows/{answer['maintenance_window']['id']}"
    await api("GET", "/maintenance_windows")
    await api("GET", window)
    await api("DELETE", window, status=204)
    await api("POST", "/analytics/metrics/incidents/all", {"aggregate_unit": "day"})
    await api("POST", "/analytics/metrics/incidents/services", {})
    rule = {"condition": ["and", ["contains", ["path", "payload", "source"], "x"]], "actions": [["suppress"]]}
    made = await api("POST", "/event_rules", rule, status=201)
    await api("GET", "/event_rules")
    await api("PUT", f"/event_rules/{made['id']}", rule)
    assert (await api("GET", "/audit/records", limit=100))["records"]


async def about_the_rest(api: Tour, sandbox: Sandbox) -> None:
    """Call what was not called, about the first object of the kind that its path names, with every member empty."""

    def identified(found: re.Match[str]) -> str:
        return f"{found[1]}s/{first(sandbox, found[1])}"

    for endpoint in ENDPOINTS:
        called = any(a.method == endpoint.method and pattern(endpoint.path).fullmatch(a.path) for a in api.answers)
        if not called and endpoint.path != "/users/me":  # an account's key has no user
            _, body = Document(SPEC).accepts(endpoint.method, pattern(endpoint.path))
            await api(endpoint.method, re.sub(r"([a-z_]+)s/{id}", identified, endpoint.path), body)


def first(sandbox: Sandbox, named: str) -> str:
    """The id of the account's first object of a kind, `team` or `technical_service`."""
    kind = next(kind for kind in sandbox.account.tables if named.endswith(kind))
    return str(next(iter(sandbox.account.all(kind)))["id"])


@pytest.fixture(scope="module")
def answers() -> list[Answered]:
    return asyncio.run(tour())


async def tour() -> list[Answered]:
    """Call every endpoint with nothing that it does not know, and return the answers."""
    sandbox = Sandbox()
    sandbox.options.list_integrations = True
    async with httpx.AsyncClient(
        transport=sandbox.transport(), base_url=sandbox.base_url, headers=headers(sandbox)
    ) as client:
        api = Tour(client)
        for part in (about_incidents, about_services, about_people, about_time):
            await part(api)
        await about_the_rest(api, sandbox)
        client.headers["Authorization"] = f"Bearer {sandbox.token}"
        await api("GET", "/users/me")
    assert [request.unknown for request in sandbox.requests if request.unknown] == []
    return api.answers


def pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{\w+\}", "[^/]+", template))


def shortcomings(value: Any, holder: str) -> Iterator[str]:
    """Members that are missing, down to the last."""
    if isinstance(value, list):
        for item in value:
            yield from shortcomings(item, holder)
    elif isinstance(value, dict):
        kind = str(value.get("type", ""))
        linked = kind in REQUIRED_BY_TYPE or (kind.endswith("_reference") and kind not in WITHOUT_LINKS)
        required = f"{REQUIRED_BY_TYPE.get(kind, '')} {REQUIRED_BY_MEMBER.get(holder, '')} {IDENTITY * linked}".split()
        yield from (f"{holder} ({kind}) lacks {name}" for name in required if name not in value)
        for name, member in value.items():
            yield from shortcomings(member, name)


def test_the_tour_calls_every_endpoint(answers: list[Answered]) -> None:
    missed = [
        (endpoint.method, endpoint.path)
        for endpoint in ENDPOINTS
        if not any(a.method == endpoint.method and pattern(endpoint.path).fullmatch(a.path) for a in answers)
    ]
    assert missed == []


def test_nothing_required_is_missing(answers: list[Answered]) -> None:
    assert [problem for a in answers for problem in shortcomings(a.body, "")] == []


def test_the_check_for_required_members_finds_a_missing_one() -> None:
    assert list(shortcomings({"assignments": [{"at": "now"}]}, "")) == ["assignments () lacks assignee"]


def test_every_operation_has_its_endpoint() -> None:
    from arx_wrapper.pagerduty.operations import OPERATIONS

    served = {(endpoint.method, re.sub(r"\{\w+\}", "{}", endpoint.path)) for endpoint in ENDPOINTS}
    wanted = {(op.method, re.sub(r"\{\w+\}", "{}", op.path)) for op in OPERATIONS.values()}
    assert len(wanted) == 41
    assert wanted <= served


def test_every_parameter_and_member_of_the_specification_is_known() -> None:
    document = Document(SPEC)
    unknown = []
    for endpoint in ENDPOINTS:
        names, body = document.accepts(endpoint.method, pattern(endpoint.path))
        unknown += [f"{endpoint.method} {endpoint.path} ?{name}" for name in names if name not in endpoint.query]
        unknown += [f"{endpoint.method} {endpoint.path} {name}" for name in endpoint.unknown([], body)]
    assert unknown == []


def test_every_answer_fits_the_specification(answers: list[Answered]) -> None:
    document = Document(SPEC)
    judged = [a for a in answers if a.body is not None and document.knows(a.method, a.path)]
    assert len({(a.method, re.sub(r"/[PQ][A-Z0-9]{6,}", "/{}", a.path)) for a in judged}) >= 38
    problems = [p for a in judged for p in document.problems(a.method, a.path, a.status, a.body)]
    assert [p for p in problems if not any(gap in p for gap in UNLISTED)] == []


def test_the_check_against_the_specification_finds_a_wrong_type() -> None:
    problems = Document(SPEC).problems("GET", "/teams", 200, {"teams": [{"name": 5}], "more": None})
    assert [p.split(": ")[0] for p in problems] == ["GET /teams 200 $.teams[0].name"]
