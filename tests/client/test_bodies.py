"""Bodies are closed and strict: what is misspelt, read-only or of the wrong type is refused, and said where."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from pagerduty_client import UNSET, InvalidRequestError, Unset, models
from pagerduty_client.api.incidents import list_incidents
from pagerduty_client.shapes import Body

from tests.client.test_requests import DOCUMENT, sample

CLOSED = [
    name for name, schema in DOCUMENT["components"]["schemas"].items() if schema.get("additionalProperties") is False
]


def wrong(value: Any) -> Iterator[Any]:
    """Values of every other JSON type than a value's own."""
    others = ["text", True, 7, 0.5, None, {}, []]
    yield from (other for other in others if type(other) is not type(value))


@pytest.mark.parametrize("name", CLOSED)
def test_every_body_reads_and_writes_what_the_document_allows(name: str) -> None:
    model: type[Body] = getattr(models, name)
    whole = sample({"$ref": f"/{name}"})
    least = sample({"$ref": f"/{name}"}, full=False)
    assert model.parse(whole).to_dict() == whole
    assert model.parse(least).to_dict() == least
    assert model.parse(model.parse(whole).to_dict()) == model.parse(whole)


@pytest.mark.parametrize("name", CLOSED)
def test_every_body_refuses_unknown_names_missing_members_and_wrong_types(name: str) -> None:
    model: type[Body] = getattr(models, name)
    schema = DOCUMENT["components"]["schemas"][name]
    whole = sample({"$ref": f"/{name}"})
    refusals = 0
    for member in whole:
        with pytest.raises(InvalidRequestError, match=f"did you mean '{member}'"):
            model.parse({**whole, f"{member}z": whole[member]})
        if member in schema.get("required", []):
            with pytest.raises(InvalidRequestError, match="is missing") as refused:
                model.parse({key: value for key, value in whole.items() if key != member})
            assert refused.value.path == member
        for other in wrong(whole[member]):
            if _allows(schema["properties"][member], other):
                continue
            with pytest.raises(InvalidRequestError) as refused:
                model.parse({**whole, member: other})
            assert refused.value.path.startswith(member)
            assert refused.value.accepted
            refusals += 1
    assert refusals > 0 or name == "EventRuleWrite"


def _allows(schema: dict[str, Any], value: object) -> bool:
    """Return whether the document allows this value of another type: null, an empty list or object, or anything."""
    if value is None:
        return "null" in str(schema.get("type")) or {"type": "null"} in schema.get("oneOf", [])
    if "$ref" in schema or "oneOf" in schema:
        target = schema.get("$ref") or schema["oneOf"][0]["$ref"]
        named = DOCUMENT["components"]["schemas"][target.rpartition("/")[2]]
        return value == {} and "properties" in named and not named.get("required")
    if schema.get("type") == "array":
        return value == [] and not schema.get("minItems")
    return schema.get("type") == "number" and type(value) in (int, float)


@pytest.mark.parametrize(
    ("incident", "path", "accepted"),
    [
        ({"type": "incident", "statsu": "resolved"}, "incident.statsu", "did you mean 'status'?"),
        ({"type": "incident", "id": "P1"}, "incident.id", "one of"),
        ({"type": "incident", "status": "closed"}, "incident.status", "one of acknowledged, resolved, triggered"),
        ({"type": "incident", "escalation_level": True}, "incident.escalation_level", "a whole number"),
        ({"type": "incident", "assignments": [{"assignee": {"id": 7, "type": "user_reference"}}]},
         "incident.assignments[0].assignee.id", "text"),
        ({"type": "incident", "priority": {"id": "P", "typ": "x"}}, "incident.priority.typ", "did you mean 'type'?"),
        ({"status": "resolved"}, "incident.type", "one of incident, incident_reference"),
        ("text", "incident", "an object"),
    ],
)  # fmt: skip
def test_a_refusal_says_where_and_what_would_be_right(incident: Any, path: str, accepted: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        models.UpdateIncidentBody.parse({"incident": incident})
    assert refused.value.path == path
    assert accepted in refused.value.accepted
    assert path in str(refused.value)


def test_null_goes_where_it_means_something_and_nowhere_else() -> None:
    body = models.UpdateIncidentBody.parse({"incident": {"type": "incident", "priority": None}})
    assert body.to_dict() == {"incident": {"type": "incident", "priority": None}}
    assert models.AnalyticsQuery.parse({"aggregate_unit": None}).to_dict() == {"aggregate_unit": None}
    with pytest.raises(InvalidRequestError, match=r"incident\.title"):
        models.UpdateIncidentBody.parse({"incident": {"type": "incident", "title": None}})


def test_an_update_sends_only_what_was_given() -> None:
    assert models.ServiceUpdate(name="db").to_dict() == {"name": "db"}
    assert models.EscalationPolicyUpdate(name="db").to_dict() == {"name": "db"}


def test_read_only_members_cannot_be_written() -> None:
    for member in ("id", "self", "html_url", "summary", "created_at", "teams", "integrations"):
        with pytest.raises(InvalidRequestError, match="is not a member that can be written"):
            models.ServiceUpdate.parse({member: "x"})
    with pytest.raises(InvalidRequestError, match="status"):
        models.ServiceCreate.parse({"status": "disabled"})
    with pytest.raises(InvalidRequestError, match="status"):
        models.ServiceUpdate.parse({"status": "critical"})


@pytest.mark.parametrize("seconds", [0, 604_801, -1, 2**63, True, "60", 1.0, math.inf, math.nan])
def test_numbers_stay_within_their_bounds(seconds: Any) -> None:
    with pytest.raises(InvalidRequestError, match="a whole number of 1 to 604800"):
        models.SnoozeIncidentBody.parse({"duration": seconds})


def test_a_number_too_long_to_print_is_refused_like_any_other() -> None:
    with pytest.raises(InvalidRequestError, match="duration is <int>"):
        models.SnoozeIncidentBody.parse({"duration": 10**5_000})
    with pytest.raises(InvalidRequestError, match="limit is <int>"):
        list_incidents.request(limit=10**5_000)


def test_an_escalation_rule_has_one_to_ten_targets() -> None:
    target = {"id": "PU", "type": "user_reference"}
    for count in (0, 11):
        with pytest.raises(InvalidRequestError, match="a list of 1 to 10"):
            models.EscalationRuleWrite.parse({"escalation_delay_in_minutes": 5, "targets": [target] * count})


@pytest.mark.parametrize("time", ["tomorrow", "2025-06-15", "2025-06-15T02:00:00", 5, datetime(2025, 6, 15)])
def test_a_time_in_a_body_is_an_instant(time: Any) -> None:
    window = sample({"$ref": "/MaintenanceWindowCreate"})
    with pytest.raises(InvalidRequestError, match="an ISO 8601 time with its offset"):
        models.MaintenanceWindowCreate.parse({**window, "start_time": time})


def test_typed_construction_is_as_strict_as_reading() -> None:
    service = models.ServiceReference(id="PS", type="service_reference")
    window = models.MaintenanceWindowCreate(
        type="maintenance_window",
        start_time=datetime(2025, 6, 15, 2, tzinfo=UTC),
        end_time="2025-06-15T04:00:00Z",
        services=[service],
    )
    assert models.CreateMaintenanceWindowBody(maintenance_window=window).to_dict() == {
        "maintenance_window": {
            "type": "maintenance_window",
            "start_time": "2025-06-15T02:00:00+00:00",
            "end_time": "2025-06-15T04:00:00Z",
            "services": [{"id": "PS", "type": "service_reference"}],
        }
    }
    with pytest.raises(InvalidRequestError, match="duration"):
        models.SnoozeIncidentBody(duration=0)
    with pytest.raises(InvalidRequestError, match="services"):
        attrs.evolve(window, services=[{"id": "PS"}])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        models.SnoozeIncidentBody(duration=1, reason="x")  # type: ignore[call-arg]


def test_an_event_rule_takes_any_json_and_only_json() -> None:
    rule = {"condition": ["and", ["contains", ["path", "payload"], "x"]], "actions": [["suppress", True]]}
    assert models.EventRuleWrite.parse(rule).to_dict() == rule
    for value in (math.nan, 10**400, {1: 2}, b"x", datetime.now(UTC), {"x"}):
        with pytest.raises(InvalidRequestError, match=r"actions\[0\]"):
            models.EventRuleWrite.parse({"actions": [value]})


def test_a_refused_value_is_escaped_and_cut() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        models.SnoozeIncidentBody.parse({"duration": "\x1b[31m\n" + "x" * 10_000})
    assert len(str(refused.value)) < 200
    assert str(refused.value).isprintable()
    with pytest.raises(InvalidRequestError) as refused:
        models.SnoozeIncidentBody.parse({"\u202e" + "x" * 10_000: 1})
    assert len(str(refused.value)) < 250
    assert str(refused.value).isascii()


def test_a_refusal_survives_pickling() -> None:
    error = InvalidRequestError("incident.status", "is 'x'", "one of a, b")
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(twin), twin.path, twin.accepted) == (str(error), error.path, error.accepted)


def test_unset_is_one_and_the_same_after_a_copy_or_a_pickle() -> None:
    body = models.ServiceUpdate(name="db")
    for twin in (UNSET, copy.copy(UNSET), copy.deepcopy(UNSET), pickle.loads(pickle.dumps(UNSET))):  # noqa: S301
        assert twin is UNSET
    for copied in (copy.deepcopy(body), pickle.loads(pickle.dumps(body))):  # noqa: S301
        assert copied == body
        assert copied.status is UNSET
    assert isinstance(UNSET, Unset)
    assert not UNSET
