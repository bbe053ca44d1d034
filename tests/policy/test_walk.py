"""Every member that a write can send is classified: what else sending it does, or why nothing else.

A spec that brings a new member, or an endpoint that brings a new body, fails here until somebody has thought about
what it can silence, resolve, acknowledge, reassign, reroute or merge.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from arx_wrapper import InvalidParamsError, PagerDutyConnector, Risk
from arx_wrapper.pagerduty.operations import TABLE

SPEC: dict[str, Any] = json.loads((Path(__file__).parents[2] / "spec" / "pagerduty.json").read_text("utf-8"))


@frozen
class Also:
    """Sending it is also this other act; the sample shows it."""

    operation: str
    sample: Mapping[str, Any]


@frozen
class High:
    """Sending it is judged at HIGH; the sample shows it."""

    sample: Mapping[str, Any]


@frozen
class Itself:
    """It is the operation and no other act, for this reason."""

    reason: str


@frozen
class Unreachable:
    """No parameter sends it."""


WORDING, FIXED = Itself("text that people read"), Itself("says what kind of object it is, and is fixed")
EDIT = Itself("changes what the incident says, not who deals with it or whether")
ROUTING = Itself("decides who is paged from now on, which is what the operation is for")
CREATION = Itself("a new object: nothing that is there changes")
REFERENCE = Itself("names the target")
INCIDENT = {
    "assignments": Also("incidents:reassign", {"assignee_ids": ["U1"]}),
    "conference_bridge": EDIT,
    "escalation_level": Also("incidents:reassign", {"escalation_level": 2}),
    "escalation_policy": Also("incidents:reassign", {"escalation_policy_id": "E1"}),
    "incident_type": Itself("says of which kind it is"),
    "priority": EDIT,
    "resolution": WORDING,
    "title": WORDING,
    "type": FIXED,
    "urgency": EDIT,
}
SERVICE = {
    "acknowledgement_timeout": High({"fields": {"acknowledgement_timeout": 0}}),
    "alert_creation": High({"fields": {"alert_creation": "create_incidents"}}),
    "alert_grouping": High({"fields": {"alert_grouping": "time"}}),
    "alert_grouping_parameters": High({"fields": {"alert_grouping_parameters": {"type": "time"}}}),
    "alert_grouping_timeout": High({"fields": {"alert_grouping_timeout": 1440}}),
    "auto_pause_notifications_parameters": High({"fields": {"auto_pause_notifications_parameters": {"enabled": True}}}),
    "auto_resolve_timeout": High({"fields": {"auto_resolve_timeout": 60}}),
    "description": WORDING,
    "escalation_policy": ROUTING,
    "incident_urgency_rule": High({"fields": {"incident_urgency_rule": {"type": "constant", "urgency": "low"}}}),
    "name": WORDING,
    "scheduled_actions": High({"fields": {"scheduled_actions": []}}),
    "support_hours": High({"fields": {"support_hours": {"type": "fixed_time_per_day", "time_zone": "UTC"}}}),
    "type": FIXED,
}
ESCALATION = {
    "description": WORDING,
    "escalation_rules": ROUTING,
    "name": WORDING,
    "num_loops": ROUTING,
    "on_call_handoff_notifications": Itself("tells people that their shift begins"),
    "services": Unreachable(),
    "teams": Itself("decides who may see and edit the policy"),
    "type": FIXED,
}
INTEGRATION = {"service": Unreachable()} | dict.fromkeys(
    (
        "email_filter_mode",
        "email_filters",
        "email_incident_creation",
        "email_parsers",
        "email_parsing_fallback",
        "integration_email",
        "name",
        "type",
        "vendor",
    ),
    CREATION,
)
SUPPRESS = {"rule": {"condition": ["and"], "actions": [["suppress", True]]}}
RULE = {
    "actions": High(SUPPRESS),
    "advanced_condition": High({"rule": {"advanced_condition": []}}),
    "condition": High({"rule": {"condition": ["and"]}}),
}
QUERY = dict.fromkeys(
    ("aggregate_unit", "filters", "order", "order_by", "time_zone"), Itself("asks, and writes nothing")
)


def created(*members: str) -> dict[str, Also | High | Itself | Unreachable]:
    """The members of a new object."""
    return dict.fromkeys(members, CREATION)


# The members that each endpoint can send, by the operation that has all of its parameters.
WRITES: dict[str, Mapping[str, Also | High | Itself | Unreachable]] = {
    "POST /analytics/metrics/incidents/all": QUERY,
    "POST /analytics/metrics/incidents/services": QUERY,
    "POST /escalation_policies": {**created(*ESCALATION), "services": Unreachable()},
    "PUT /escalation_policies/{policy_id}": ESCALATION,
    "DELETE /escalation_policies/{policy_id}": {},
    "POST /event_rules": RULE,
    "PUT /event_rules/{rule_id}": RULE,
    "POST /incidents": {
        **created("assignments", "escalation_policy", "priority", "urgency", "conference_bridge"),
        **dict.fromkeys(("body", "title"), WORDING),
        "incident_key": Itself("keeps a second incident of the same key from being opened"),
        "incident_type": Itself("says of which kind it is"),
        "service": REFERENCE,
        "type": FIXED,
    },
    "PUT /incidents": {**INCIDENT, "id": REFERENCE, "status": Also("incidents:resolve", {"status": "resolved"})},
    "PUT /incidents/{incident_id}": {
        **INCIDENT,
        "service": Also("incidents:reassign", {"service_id": "S2"}),
        "status": Also("incidents:acknowledge", {"status": "acknowledged"}),
    },
    "PUT /incidents/{incident_id}/alerts/{alert_id}": {
        "incident": Also("incidents:merge", {"parent_incident_id": "P2"}),
        "status": Also("incidents:resolve", {"status": "resolved"}),
        "type": FIXED,
    },
    "PUT /incidents/{incident_id}/merge": {
        "source_incidents": Also("incidents:resolve", {"source_incident_ids": ["P2"]}),
    },
    "POST /incidents/{incident_id}/notes": {"content": WORDING},
    "POST /incidents/{incident_id}/snooze": {"duration": Also("incidents:acknowledge", {"duration": 60})},
    "POST /maintenance_windows": {
        "description": WORDING,
        "end_time": High({"start_time": "2025-06-01T00:00:00Z", "end_time": "2025-06-02T00:00:00Z"}),
        "services": REFERENCE,
        "start_time": High({"start_time": "2025-06-01T00:00:00Z", "end_time": "2025-06-02T00:00:00Z"}),
        "type": FIXED,
    },
    "DELETE /maintenance_windows/{window_id}": {},
    "POST /services": created(*SERVICE, "status"),
    "PUT /services/{service_id}": {**SERVICE, "status": High({"status": "disabled"})},
    "DELETE /services/{service_id}": {},
    "POST /services/{service_id}/integrations": {
        **INTEGRATION,
        "email_parsers": Also(
            "incidents:resolve",
            {"fields": {"email_parsers": [{"action": "resolve", "match_predicate": {"type": "all"}}]}},
        ),
    },
}
# What a call of some of them needs besides the ids in its path.
NEEDED: dict[str, dict[str, Any]] = {
    "POST /escalation_policies": {"name": "n", "rules": []},
    "POST /incidents": {"title": "t", "service_id": "S1"},
    "POST /maintenance_windows": {"service_ids": ["S1"]},
    "POST /services": {"name": "n", "escalation_policy_id": "E1"},
    "POST /services/{service_id}/integrations": {"type": "generic_email_inbound_integration"},
}
# What the members hold further down, besides plain references ({"id", "type"}) and objects that hold one. A claim about
# a member is about all of it, so that what the document adds there has to be weighed too.
INNER = {
    "alert_grouping_parameters": "config config.aggregate config.fields config.time_window config.timeout type",
    "auto_pause_notifications_parameters": "enabled recommended_timeout timeout",
    "body": "details type",
    "conference_bridge": "conference_number conference_url",
    "email_filters": "body_mode body_regex from_email_mode from_email_regex subject_mode subject_regex",
    "email_parsers": "action match_predicate match_predicate.children match_predicate.matcher match_predicate.part "
    "match_predicate.type value_extractors value_extractors.ends_before value_extractors.ends_with "
    "value_extractors.part value_extractors.regex "
    "value_extractors.starts_after value_extractors.type value_extractors.value_name",
    "escalation_rules": "escalation_delay_in_minutes escalation_rule_assignment_strategy "
    "escalation_rule_assignment_strategy.type id targets targets.id targets.type",
    "filters": "created_at_end created_at_start escalation_policy_ids major min_ackowledgements "
    "min_manual_escalations min_timeout_escalations pd_advance_used priority_ids priority_names service_ids team_ids "
    "urgency",
    "incident_type": "name",
    "incident_urgency_rule": "during_support_hours during_support_hours.type during_support_hours.urgency "
    "outside_support_hours outside_support_hours.type outside_support_hours.urgency type urgency",
    "scheduled_actions": "at at.name at.type to_urgency type",
    "support_hours": "days_of_week end_time start_time time_zone type",
}


def operation_of(endpoint: str) -> str:
    """The operation of an endpoint that has all of its parameters."""
    pd = PagerDutyConnector("agent", "org", policies=[])
    rows = [row for row in TABLE.values() if f"{row.method} {row.path}" == endpoint]
    return max(rows, key=lambda row: len(pd.model_of(row.name).names)).name


def base_of(endpoint: str) -> dict[str, Any]:
    """Return the arguments that every call of an endpoint needs."""
    return {**dict.fromkeys(TABLE[operation_of(endpoint)].path_names, "P1"), **NEEDED.get(endpoint, {})}


CLAIMS = [
    pytest.param(operation_of(endpoint), base_of(endpoint), member, claim, id=f"{endpoint} {member}")
    for endpoint, members in WRITES.items()
    for member, claim in members.items()
]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        node: Any = SPEC
        for part in schema["$ref"].removeprefix("#/").split("/"):
            node = node[part]
        schema = node
    return schema


def members(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = resolved(schema)
    for part in [*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        yield from members(part)
    if "items" in schema:
        yield from members(schema["items"])
    for name, value in schema.get("properties", {}).items():
        if not resolved(value).get("readOnly"):
            yield name, value


def sent_by(operation: dict[str, Any]) -> set[str]:
    """The members of a body: those of the object in its envelope, or its own where it has none."""
    if "requestBody" not in operation:
        return set()
    (content,) = resolved(operation["requestBody"])["content"].values()
    own = dict(members(content["schema"]))
    if len(own) == 1:
        inner = {name for name, _ in members(next(iter(own.values())))}
        return inner if inner - {"id", "type"} else set(own)
    return set(own)


def inner(schema: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[str]:
    """The members below a member, as dotted paths; a schema that holds itself is walked once."""
    for name, value in members(schema):
        one = next(iter(value.get("oneOf", ())), value)  # what may be null stands beside it
        reference = str(one.get("$ref") or one.get("items", {}).get("$ref"))
        yield name
        if reference not in above:
            yield from (f"{name}.{below}" for below in inner(value, (*above, reference)))


ENDPOINTS = {
    f"{method.upper()} {path}": operation
    for path, item in SPEC["paths"].items()
    for method, operation in item.items()
    if method in ("post", "put", "delete", "patch")
}


def test_every_endpoint_that_can_write_is_classified() -> None:
    assert set(WRITES) == set(ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_member_that_it_can_send_is_classified(endpoint: str) -> None:
    assert set(WRITES[endpoint]) == sent_by(ENDPOINTS[endpoint])


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_what_its_members_hold_is_known(endpoint: str) -> None:
    body = ENDPOINTS[endpoint].get("requestBody")
    (content,) = resolved(body)["content"].values() if body else ({"schema": {}},)
    found: dict[str, set[str]] = {}
    for path in inner(content["schema"]):
        place = path.split(".")
        while place and place[0] not in WRITES[endpoint]:
            del place[0]  # the envelope
        if len(place) > 1:
            found.setdefault(place[0], set()).add(".".join(place[1:]))
    for member, below in found.items():
        assert below == set(INNER[member].split()) if member in INNER else is_reference(below), member


def is_reference(members: set[str]) -> bool:
    """Return whether an object is a plain reference, or holds one and nothing else."""
    wrapper = min(members)
    return members in ({"id", "type"}, {wrapper, f"{wrapper}.id", f"{wrapper}.type"})


def judged(operation: str, base: Mapping[str, Any], sample: Mapping[str, Any]) -> dict[str, Risk]:
    params = {"incidents": [{"id": "P1", **sample}]} if operation == "incidents:manage" else {**base, **sample}
    call = PagerDutyConnector("agent", "org", policies=[]).plan(operation, params).call
    return {effect.operation: effect.risk for effect in call.effects}


@pytest.mark.parametrize(("operation", "base", "member", "claim"), CLAIMS)
def test_the_claim_holds(operation: str, base: dict[str, Any], member: str, claim: object) -> None:
    if isinstance(claim, Also):
        assert claim.operation in judged(operation, base, claim.sample)
    elif isinstance(claim, High):
        assert judged(operation, base, claim.sample)[operation] is Risk.HIGH
    elif isinstance(claim, Unreachable):
        named = {} if f"{member}_id" in base else {f"{member}_id": "X"}  # the path's own is sent in the path only
        for params in ({member: {"id": "X"}}, named or {member: "X"}, {"fields": {member: {"id": "X"}}}):
            with pytest.raises(InvalidParamsError):
                judged(operation, base, params)
    else:
        assert isinstance(claim, Itself)
        assert claim.reason


def test_operations_that_share_an_endpoint_send_no_more_than_the_one_that_is_classified() -> None:
    others = {row.name for row in TABLE.values() if row.writes} - set(map(operation_of, WRITES))
    assert others == {"incidents:resolve", "incidents:acknowledge", "incidents:reassign"}
    pd = PagerDutyConnector("agent", "org", policies=[])
    for name in others:
        own = set(pd.model_of(name).names) - {"incident_id", "requester_email"}
        assert own <= {"resolution", "assignee_ids"}, name
