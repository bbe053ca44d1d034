"""Real answers break the document. Whatever comes: nothing raises, nothing is lost."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from pagerduty_client import models
from pagerduty_client.answer import Answer

ENDPOINTS = {
    operation["operationId"]: operation["tags"][0]
    for item in json.loads((Path(__file__).parents[2] / "spec" / "pagerduty.json").read_text())["paths"].values()
    for operation in item.values()
}
EXAMPLES = [
    pytest.param(name, value, id=f"{name}-{label}")
    for name, labels in json.loads((Path(__file__).parent / "examples.json").read_text()).items()
    for label, value in labels.items()
]
# The published document has no example of these; their shape is PagerDuty's developer documentation's.
RULES = {
    "rules": [
        {"id": "r-1", "condition": ["or", ["equals", ["path", "payload", "source"], "x"]], "catch_all": False,
         "advanced_condition": [], "actions": [["route", "PSERVICE"]]},
        {"id": "r-2", "catch_all": True, "advanced_condition": [], "actions": [["suppress", True]]},
    ],
    "object_version": "v1", "format_version": "1", "external_id": "the-routing-key",
}  # fmt: skip
EXAMPLES += [
    pytest.param("list_event_rules", RULES, id="list_event_rules"),
    pytest.param("create_event_rule", RULES["rules"][0], id="create_event_rule"),
    pytest.param("update_event_rule", RULES["rules"][0], id="update_event_rule"),
    pytest.param(
        "list_service_integrations",
        {"integrations": [{"id": "PI", "type": "events_api_v2_inbound_integration", "integration_key": "the-key"}]},
        id="list_service_integrations",
    ),
]

Mutation = Callable[[], object]


def parse(name: str, data: Any) -> Answer:
    endpoint = importlib.import_module(f"pagerduty_client.api.{ENDPOINTS[name]}.{name}")
    parsed: Answer = endpoint.parse(data)
    return parsed


def access_everything(value: object) -> int:
    """Ask for every attribute of every model below; return how many were asked for."""
    if isinstance(value, list):
        return sum(access_everything(item) for item in value)
    if not isinstance(value, Answer):
        return 0
    names = [each.name for each in attrs.fields(type(value)) if each.name != "_raw"]
    repr(value)
    return len(names) + sum(access_everything(getattr(value, name)) for name in names)


def mutations(root: Any) -> Iterator[tuple[str, Any]]:
    """Every one-at-a-time mutation of a JSON value: its kind, and the value."""
    for path, value in list(places(root)):
        if path and not isinstance(value, dict | list):
            yield "null scalar", changed(root, path, lambda _: None)
            yield "scalar to object", changed(root, path, lambda old: {"value": old})
            yield "scalar to list", changed(root, path, lambda old: [old])
            yield "another scalar", changed(root, path, lambda old: 7 if isinstance(old, str) else "seven")
        if path and isinstance(value, dict | list):
            yield "null object or list", changed(root, path, lambda _: None)
            yield "object or list to scalar", changed(root, path, lambda _: "scalar")
        if path and isinstance(path[-1], str):
            yield "missing key", removed(root, path)
        if path and path[-1] == "type":
            yield "unknown type", changed(root, path, lambda _: "type_of_tomorrow")
        if path and isinstance(value, str):
            yield "unknown value", changed(root, path, lambda _: "value_of_tomorrow")
        if isinstance(value, dict):
            yield "unknown key", changed(root, path, lambda old: {**old, "key_of_tomorrow": {"deep": [1, None]}})
        if isinstance(value, list):
            yield "empty list", changed(root, path, lambda _: [])
            yield "null in a list", changed(root, path, lambda old: [*old, None])


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def changed(root: Any, path: tuple[str | int, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(root)
    result = copy.deepcopy(root)
    holder = result
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = change(holder[path[-1]])
    return result


def removed(root: Any, path: tuple[str | int, ...]) -> Any:
    result = copy.deepcopy(root)
    holder = result
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    return result


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_published_answer_decodes_and_loses_nothing(name: str, example: Any) -> None:
    before = copy.deepcopy(example)
    answer = parse(name, example)
    assert access_everything(answer) > 0
    assert answer.to_dict() == before
    assert example == before


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_no_mutation_of_an_answer_raises_or_loses_a_value(
    name: str, example: Any, record_property: Callable[[str, object], None]
) -> None:
    counts: dict[str, int] = {}
    accessed = 0
    for kind, mutant in mutations(example):
        before = copy.deepcopy(mutant)
        answer = parse(name, mutant)
        accessed += access_everything(answer)
        assert answer.to_dict() == before, kind
        counts[kind] = counts.get(kind, 0) + 1
    assert counts["missing key"] > 0
    print(f"{name}: {sum(counts.values())} mutations, {accessed} attributes: {counts}")  # noqa: T201 - shown by -s
    record_property("mutations", counts)


def test_an_attribute_is_what_the_document_declares() -> None:
    incident = models.Incident.from_dict(
        {"id": "P1", "created_at": "2025-01-01T00:00:00Z", "service": {"id": "PS", "name": "db"},
         "assignments": [{"assignee": {"id": "PU"}}], "self": "https://example.com"}
    )  # fmt: skip
    assert incident.created_at is not None
    assert incident.created_at.utcoffset() is not None
    assert isinstance(incident.service, models.Service)
    assert incident.service.name == "db"
    assert incident.assignments is not None
    assert isinstance(incident.assignments[0].assignee, models.User)
    assert incident.self == "https://example.com"


def test_missing_and_null_are_both_none_and_stay_apart_in_the_dict() -> None:
    incident = models.Incident.from_dict({"title": None})
    assert incident.title is None
    assert incident.summary is None
    assert incident.to_dict() == {"title": None}


@pytest.mark.parametrize("text", ["yesterday", "", "2025-01-01", "2025-01-01T00:00:00", 1735689600, ["x"]])
def test_a_time_that_is_no_instant_is_handed_through_as_it_came(text: object) -> None:
    assert models.Incident.from_dict({"created_at": text}).created_at == text


def test_a_reference_that_comes_expanded_has_its_attributes_typed() -> None:
    entry = models.LogEntry.from_dict({"agent": {"type": "user", "name": "Ada", "email": "ada@example.com"}})
    assert entry.agent is not None
    assert entry.agent.name == "Ada"


def test_a_page_converts_nothing_until_it_is_asked() -> None:
    page = models.IncidentList.from_dict({"incidents": [{"id": "P1", "created_at": "2025-01-01T00:00:00Z"}]})
    assert page.incidents is not None
    (incident,) = page.incidents
    slot = vars(models.Incident)["created_at"]
    with pytest.raises(AttributeError):
        slot.__get__(incident)
    assert incident.created_at is incident.created_at
    assert slot.__get__(incident) is incident.created_at


def test_unknown_members_are_kept_aside() -> None:
    incident = models.Incident.from_dict({"id": "P1", "brand_new": {"a": 1}})
    assert incident.additional_properties == {"brand_new": {"a": 1}}


def test_a_repr_shows_no_routing_key_wherever_it_stands() -> None:
    key = "canary-routing-key"
    service = models.Service.from_dict({"id": "PS", "integrations": [{"id": "PI", "integration_key": key}]})
    rules = models.EventRuleList.from_dict({"rules": [], "external_id": key})
    entry = models.LogEntry.from_dict({"channel": {"type": "api", "service_key": key, "details": {"k": key}}})
    elsewhere = models.Incident.from_dict({"title": {"integration_key": key}, "integration_key": key})
    for model in (service, rules, entry, elsewhere):
        access_everything(model)
        assert key not in repr(model)
    assert service.integrations is not None
    assert service.integrations[0].integration_key == key
    assert rules.external_id == key


def test_attrs_and_the_standard_library_treat_an_answer_as_any_attrs_value() -> None:
    raw = {"id": "P1", "title": None, "created_at": "2025-01-01T00:00:00Z", "service": {"id": "PS"}, "new": [1]}
    incident = models.Incident.from_dict(raw)
    assert {"id", "title", "service"} <= {each.name for each in attrs.fields(models.Incident)}
    for twin in (copy.copy(incident), copy.deepcopy(incident), pickle.loads(pickle.dumps(incident))):  # noqa: S301
        assert twin == incident
        assert twin.to_dict() == raw
    assert attrs.evolve(incident) == incident
    evolved = attrs.evolve(incident, title="new", service=models.Service(id="PT"))  # type: ignore[call-arg]  # **members
    assert evolved.to_dict() == {**raw, "title": "new", "service": {"id": "PT"}}
    assert incident.to_dict() == raw
    assert incident != evolved
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        incident.title = "other"  # type: ignore[misc]


def test_a_copy_given_out_does_not_change_the_answer() -> None:
    incident = models.Incident.from_dict({"teams": [{"id": "PT"}], "new": {"a": 1}})
    incident.to_dict()["teams"].clear()
    incident.additional_properties["new"]["a"] = 2
    assert incident.to_dict() == {"teams": [{"id": "PT"}], "new": {"a": 1}}


def test_a_misspelt_attribute_or_member_is_an_error() -> None:
    incident = models.Incident.from_dict({"sttaus": "triggered"})
    with pytest.raises(AttributeError, match="sttaus"):
        incident.sttaus  # type: ignore[attr-defined]  # noqa: B018 - the access is the claim
    with pytest.raises(TypeError, match="sttaus"):
        models.Incident(sttaus="triggered")


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_an_answer_that_is_no_object_at_all_is_said_to_be_none(data: Any) -> None:
    with pytest.raises(ValueError, match="IncidentList: the answer is no JSON object"):
        parse("list_incidents", data)
