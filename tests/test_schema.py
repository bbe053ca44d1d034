"""The JSON Schemas that tools are offered say what the parameter models take: no less, no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from arx_wrapper import NULL, OPERATIONS, InvalidParamsError, PagerDutyConnector
from arx_wrapper.core import param_schema as schema
from arx_wrapper.core.param_model import ParamModel, param_model
from tests.cases import Subjects, calls

CASES = calls(
    Subjects(
        service="PABC123",
        incident="P1234AB",
        other_incident="P2",
        alert="A1",
        alert_incident="P3",
        policy="E1",
        unused_policy="E2",
        schedule="S1",
        user="U1",
        team="T1",
        window="W1",
        rule="R1",
    )
)
# In place of each parameter, one after the other.
JUNK: tuple[Any, ...] = (
    *("", " ", "x", "a b", "P1\n", "x" * 101, "x" * 1_025, "x" * 2_001, "x" * 25_001, "high", "name:asc", "Bad:x"),
    *("2025-01-01", "2025-13-01", "2025-01-01T00:00:00Z", "2025-01-01T00:00:00", "a@b.example", "not an address"),
    *(0, 1, -1, 10, 100, 101, 9_999, 10_000, 604_801, 1.5, True, False, None),
    *([], [""], ["P1"], ["P1", "a b"], ["high", "low"], ["a:asc", "b:desc", "c"], ["teams"], [1], [None], [{}]),
    *({}, {"x": None}, {"id": "P1"}, [{"id": "P1", "status": "resolved"}], [{"id": "P1", "stats": "resolved"}]),
    *([{"id": "P1", "priority_id": None}], [{"id": "P1", "status": None}], {"conference_url": "x"}, ["x"] * 251),
)  # fmt: skip


def model(operation: str) -> ParamModel:
    return param_model(operation, getattr(PagerDutyConnector, OPERATIONS[operation].function))


def with_nulls(value: Any) -> Any:
    if value is None:
        return NULL
    if isinstance(value, Mapping):
        return {name: with_nulls(item) for name, item in value.items()}
    return [with_nulls(item) for item in value] if isinstance(value, list) else value


def takes(operation: str, params: Mapping[str, Any]) -> bool:
    try:
        model(operation).canonical({name: with_nulls(value) for name, value in params.items()})
    except InvalidParamsError:
        return False
    return True


def variants(operation: str) -> Iterator[dict[str, Any]]:
    valid = CASES[operation]
    for name in model(operation).names:
        yield {other: value for other, value in valid.items() if other != name}
        for junk in JUNK:
            yield {**valid, name: junk}
    yield {**valid, "no_such_parameter": 1}
    yield {}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_schema_and_model_agree(operation: str) -> None:
    found = model(operation).schema()
    Draft202012Validator.check_schema(found)
    validator = Draft202012Validator(found)
    assert validator.is_valid(CASES[operation])
    assert takes(operation, CASES[operation])
    judged = [(params, validator.is_valid(params), takes(operation, params)) for params in variants(operation)]
    unlike = [(params, by_schema) for params, by_schema, by_model in judged if by_schema != by_model]
    # A flat schema cannot say that a local time needs `time_zone` beside it.
    assert [one for one in unlike if "2025-01-01T00:00:00" not in one[0].values() or "time_zone" in one[0]] == []
    assert all(by_schema for _, by_schema in unlike)
    assert not all(by_schema for _, by_schema, _ in judged)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_schema_is_closed_and_stands_alone(operation: str) -> None:
    found = model(operation).schema()
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (found["type"], found["additionalProperties"]) == ("object", False)
    assert "$ref" not in str(found)


def test_docstrings_describe_the_parameters() -> None:
    properties = model("incidents:update").schema()["properties"]
    assert properties["resolution"]["description"] == "Becomes a note on the resolve log entry."
    assert properties["priority_id"]["description"] == "null removes the priority."
    both = model("analytics:read").schema()["properties"]
    assert both["since"]["description"] == both["until"]["description"]
    assert '"actions"' in model("rules:create").schema()["properties"]["rule"]["description"], "a second line"


def test_prose_ends_where_the_sections_begin() -> None:
    assert schema.prose(PagerDutyConnector.snooze_incident).endswith("Also needs `incidents:acknowledge`.")
    for row in OPERATIONS.values():
        text = schema.prose(getattr(PagerDutyConnector, row.function))
        assert text
        assert not [word for word in ("Args:", "Source:", "Risk:", "Raises:") if word in text]


def test_a_type_that_json_has_not_is_named() -> None:
    with pytest.raises(TypeError, match="complex"):
        schema.of_type(complex)
