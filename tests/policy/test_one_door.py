"""One door for each member of a body: what a parameter sends is taken from that parameter and from nowhere else.

Policy judges the parameter. A second way to send the same member would bypass conditions, bounds and recorded ids.
"""

from __future__ import annotations

from typing import Any

import pytest
from pagerduty_client import Request

from arx_wrapper import NULL, OPERATIONS, InvalidParamsError, PagerDutyConnector, Verdict
from tests.policy.support import entry

PD = PagerDutyConnector("agent", "org", policies=[])
RULES = [{"escalation_delay_in_minutes": 5, "targets": [{"id": "PX", "type": "user_reference"}]}]
# A value of each parameter that stands beside `fields` or `filters`, and another one.
VALUES: dict[str, tuple[Any, Any]] = {
    "name": ("one", "other"),
    "description": ("one", "other"),
    "status": ("active", "disabled"),
    "escalation_policy_id": ("P1", "P2"),
    "type": ("events_api_v2_inbound_integration", "generic_email_inbound_integration"),
    "vendor_id": ("P1", "P2"),
    "rules": (RULES, [{**RULES[0], "escalation_delay_in_minutes": 99}]),
    "num_loops": (1, 2),
    "team_ids": (["P1"], ["P2"]),
    "service_ids": (["P1"], ["P2"]),
    "since": ("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z"),
    "until": ("2025-03-01T00:00:00Z", "2025-04-01T00:00:00Z"),
    "urgency": ("high", "low"),
}
OPEN = ("fields", "filters")
# Sent beside `filters`, not within.
BESIDE = {"aggregate_unit", "order", "order_by", "time_zone"}


def request(operation: str, params: dict[str, Any]) -> Request:
    return PD.plan(operation, params).request


def needed(operation: str) -> dict[str, Any]:
    return {name: VALUES.get(name, ("P1",))[0] for name in PD.model_of(operation).required}


def sent(operation: str, params: dict[str, Any]) -> dict[str, Any]:
    """The members of the object in the body."""
    body: dict[str, Any] = request(operation, params).json
    if operation.startswith("analytics:"):
        return body.get("filters", {})
    (members,) = body.values()
    return members


def doors() -> list[tuple[str, str, str, str]]:
    """Operation, its open parameter, another parameter, and the member that this one sends."""
    found = []
    for operation, row in OPERATIONS.items():
        names = set(PD.model_of(operation).names)
        for further in names.intersection(OPEN):
            for name in sorted(names - {further, "requester_email", *row.path_names} - BESIDE):
                first, second = VALUES[name]
                base = needed(operation)
                one, other = (sent(operation, {**base, name: value}) for value in (first, second))
                (member,) = {key for key in one if one[key] != other.get(key)}
                found.append((operation, further, name, member))
    return found


DOORS = doors()


def test_every_operation_that_takes_further_members_is_walked() -> None:
    open_ones = {name for name in OPERATIONS if set(PD.model_of(name).names).intersection(OPEN)}
    assert {operation for operation, *_ in DOORS} == open_ones
    assert open_ones == {
        "services:create",
        "services:update",
        "services:create_integration",
        "escalation:create",
        "escalation:update",
        "analytics:read",
        "analytics:services",
    }
    assert len(DOORS) == 30


@pytest.mark.parametrize(("operation", "further", "name", "member"), DOORS)
def test_a_member_that_a_parameter_sends_is_taken_from_nowhere_else(
    operation: str, further: str, name: str, member: str
) -> None:
    base = {key: value for key, value in needed(operation).items() if key != name}
    first, second = VALUES[name]
    value = sent(operation, {**needed(operation), name: second})[member]
    for params in (
        {**base, name: first, further: {member: value}},
        {**base, name: first, further: {member: sent(operation, {**base, name: first})[member]}},  # the same value
        {**base, name: first, further: {member: NULL}},
        {**needed(operation), further: {member: value}},
    ):
        with pytest.raises(InvalidParamsError) as refused:
            request(operation, params)
        assert refused.value.param == f"{further}.{member}"
        assert repr(name) in refused.value.accepted


@pytest.mark.parametrize(
    ("operation", "member", "value"),
    [
        ("services:create", "type", "service_reference"),
        ("services:update", "type", "service_reference"),
        ("services:update", "id", "P2"),
        ("escalation:update", "type", "escalation_policy_reference"),
        ("escalation:update", "id", "P2"),
        ("escalation:create", "services", [{"id": "P2", "type": "service_reference"}]),
        ("escalation:update", "services", [{"id": "P2", "type": "service_reference"}]),
        ("services:create_integration", "service", {"id": "P2", "type": "service_reference"}),
    ],
)
def test_a_member_that_names_the_target_or_its_kind_is_refused(operation: str, member: str, value: Any) -> None:
    with pytest.raises(InvalidParamsError) as refused:
        request(operation, {**needed(operation), "fields": {member: value}})
    assert member in refused.value.param


def test_the_kind_of_an_object_may_be_said_as_it_is() -> None:
    assert sent("services:update", {"service_id": "P1", "fields": {"type": "service"}}) == {"type": "service"}


def test_the_id_of_an_event_rule_is_in_the_path_alone() -> None:
    for member in ("id", "rule_id"):
        with pytest.raises(InvalidParamsError):
            request("rules:update", {"rule_id": "R1", "rule": {"condition": ["and"], member: "R2"}})


def test_a_condition_on_a_parameter_is_not_evaded_by_its_member() -> None:
    guarded = [entry("p", operations=["escalation:update"], risk_max="medium", when="!has(params.rules)")]
    pd = PagerDutyConnector("agent", "org", policies=guarded)
    assert pd.explain("escalation:update", {"policy_id": "P1", "rules": RULES}).verdict is Verdict.DENY
    with pytest.raises(InvalidParamsError, match="the parameter 'rules'"):
        pd.explain("escalation:update", {"policy_id": "P1", "fields": {"escalation_rules": RULES}})
