"""The request examples and documented values of PagerDuty's own document can be sent, and its answers read."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from pagerduty_client import InvalidRequestError, models
from pagerduty_client.shapes import Body

from tests.client.test_requests import DOCUMENT, OPERATIONS

HERE = Path(__file__).parent
REQUESTS = json.loads((HERE / "requests.json").read_text(encoding="utf-8"))
ANSWERS = json.loads((HERE / "examples.json").read_text(encoding="utf-8"))
BY_NAME = {operation["operationId"]: (path, operation) for path, _, operation in (each.values for each in OPERATIONS)}
# What a GET answers, where the PUT of the same resource takes it back: the members that hold it on both sides.
PAIRS = [
    ("get_incident", "incident", "UpdateIncidentBody"),
    ("get_service", "service", "UpdateServiceBody"),
    ("get_escalation_policy", "escalation_policy", "UpdateEscalationPolicyBody"),
    ("list_incidents", "incidents", "ManageIncidentsBody"),
]


def body_of(name: str) -> type[Body]:
    _, operation = BY_NAME[name]
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    model: type[Body] = getattr(models, reference.rpartition("/")[2])
    return model


@pytest.mark.parametrize(
    ("name", "example"),
    [pytest.param(n, each, id=f"{n} {label}") for n, named in REQUESTS.items() for label, each in named.items()],
)
def test_every_published_request_example_is_sent_as_it_is(name: str, example: Any) -> None:
    path, operation = BY_NAME[name]
    endpoint = importlib.import_module(f"pagerduty_client.api.{operation['tags'][0]}.{name}")
    request = endpoint.request(*["PX"] * path.count("{"), body=body_of(name).parse(example))
    assert request.json == example


def test_an_example_is_published_for_every_endpoint_that_takes_a_body_but_the_retired_ones() -> None:
    taking = {name for name, (_, operation) in BY_NAME.items() if "requestBody" in operation}
    assert taking - REQUESTS.keys() == {"create_event_rule", "update_event_rule"}


@pytest.mark.parametrize(
    ("model", "value"),
    [
        ("AlertGroupingParametersWrite", {"type": "time", "config": {"timeout": 0}}),
        ("AlertGroupingParametersWrite", {"type": "intelligent", "config": {"time_window": 0}}),
        ("AlertGroupingParametersWrite", {"type": None, "config": None}),
        ("AlertGroupingParametersWrite", {"type": "intelligent", "config": {"aggregate": None, "fields": None}}),
        ("ServiceUpdate", {"alert_grouping": None, "alert_grouping_timeout": None}),
        ("ServiceUpdate", {"alert_grouping": "time", "alert_grouping_timeout": 0}),
        ("ServiceUpdate", {"auto_resolve_timeout": 0, "acknowledgement_timeout": None, "support_hours": None}),
        ("AutoPauseNotificationsParametersWrite", {"enabled": True, "timeout": 0}),
        ("AutoPauseNotificationsParametersWrite", {"enabled": False, "timeout": None}),
        ("IncidentUrgencyRuleWrite", {"type": "constant", "urgency": "high", "during_support_hours": None}),
        (
            "EmailParserWriteValueExtractorsItem",
            {"type": "between", "part": "body", "value_name": "k", "starts_after": "a", "ends_before": "b"},
        ),
        (
            "EscalationRuleWrite",
            {
                "id": "PR",
                "escalation_delay_in_minutes": 5,
                "targets": [{"id": "PU", "type": "user_reference"}],
                "escalation_rule_assignment_strategy": {"type": "round_robin"},
            },
        ),
    ],
)
def test_a_documented_value_can_be_written(model: str, value: dict[str, Any]) -> None:
    body: type[Body] = getattr(models, model)
    assert body.parse(value).to_dict() == value


def expected(schema: dict[str, Any], value: Any) -> Any:
    """Return the part of an answer's value that a request can hold by the document, not by the client's own rule."""
    if isinstance(value, dict) and (reference := next(refs(schema), None)):
        members = DOCUMENT["components"]["schemas"][reference]["properties"]
        return {name: expected(members[name], item) for name, item in value.items() if name in members}
    if isinstance(value, list):
        return [expected(schema["items"], item) for item in value]
    return value


def refs(schema: dict[str, Any]) -> Any:
    for each in [schema, *schema.get("oneOf", [])]:
        if "$ref" in each:
            yield each["$ref"].rpartition("/")[2]


@pytest.mark.parametrize(
    ("name", "member", "model", "answer"),
    [
        pytest.param(*pair, answer, id=f"{pair[0]} {label}")
        for pair in PAIRS
        for label, answer in ANSWERS[pair[0]].items()
    ],
)
def test_the_answer_of_a_get_without_what_is_read_only_goes_back_with_put(
    name: str, member: str, model: str, answer: dict[str, Any]
) -> None:
    body: type[Body] = getattr(models, model)
    sent = body.from_response(answer).to_dict()
    assert sent == expected({"$ref": f"/{model}"}, answer)
    assert sent[member]
    tag = BY_NAME[name][1]["tags"][0]
    endpoint = importlib.import_module(f"pagerduty_client.api.{tag}.{name}")
    assert body.from_response(endpoint.parse(answer)).to_dict() == sent


def test_an_alert_and_an_event_rule_go_back_too() -> None:
    written = {"type": "alert", "status": "resolved", "incident": {"id": "PI", "type": "incident_reference"}}
    answer = {"alert": {**written, "id": "PA", "suppressed": False}}
    assert models.UpdateAlertBody.from_response(answer).to_dict() == {"alert": written}
    rule = {"id": "r", "catch_all": False, "condition": ["and", None], "actions": [["route", "PS"]]}
    assert models.EventRuleWrite.from_response(rule).to_dict() == {
        "condition": ["and", None], "actions": [["route", "PS"]]
    }  # fmt: skip


def test_nulls_go_back_where_they_mean_something_and_derived_values_stay_as_they_are() -> None:
    service = {"status": "critical", "description": None, "support_hours": None, "name": None, "alert_grouping": None}
    sent = models.ServiceUpdate.from_response(service).to_dict()
    assert sent == {"description": None, "support_hours": None, "alert_grouping": None}
    assert models.ServiceUpdate.from_response({"status": "disabled"}).to_dict() == {"status": "disabled"}


def test_what_is_left_of_an_answer_is_still_checked() -> None:
    rule = {"escalation_delay_in_minutes": 5, "targets": [{"id": "PU", "type": "robot_reference", "summary": "R2"}]}
    with pytest.raises(InvalidRequestError, match=r"escalation_rules\[0\]\.targets\[0\]\.type is 'robot_reference'"):
        models.EscalationPolicyUpdate.from_response({"escalation_rules": [rule]})
    with pytest.raises(InvalidRequestError, match=r"incident\.type is missing"):
        models.UpdateIncidentBody.from_response({"incident": {"status": "resolved"}})
