"""A method's signature is its operation's closed parameter model."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arx_wrapper import NULL, OPERATIONS, InvalidParamsError, PagerDutyConnector, UnknownOperationError
from arx_wrapper.core.param_model import ParamModel, param_model
from tests.effort import calls_of, peak_of


def model(operation: str) -> ParamModel:
    return param_model(operation, getattr(PagerDutyConnector, OPERATIONS[operation].function))


def canonical(operation: str, **params: Any) -> Any:
    return msgspec.json.decode(model(operation).canonical(params))


def refused(operation: str, **params: Any) -> InvalidParamsError:
    with pytest.raises(InvalidParamsError) as caught:
        model(operation).canonical(params)
    assert caught.value.operation == operation
    assert "Nothing was sent" in str(caught.value)
    return caught.value


def test_none_means_not_given_and_null_is_sent() -> None:
    assert canonical("incidents:update", incident_id="P1", title=None) == {"incident_id": "P1"}
    assert canonical("incidents:update", incident_id="P1", priority_id=NULL) == {
        "incident_id": "P1",
        "priority_id": None,
    }


def test_null_is_refused_where_the_parameter_cannot_be_null() -> None:
    assert refused("incidents:update", incident_id="P1", title=NULL).param == "title"


def test_null_is_one_object_however_it_is_copied() -> None:
    assert copy.deepcopy(NULL) is NULL
    assert pickle.loads(pickle.dumps(NULL)) is NULL  # noqa: S301 - our own bytes


def test_an_unknown_parameter_is_refused_with_the_nearest_name() -> None:
    error = refused("incidents:read", statusses=["triggered"])
    assert "statuses" in error.accepted


def test_an_unknown_parameters_name_is_given_as_it_is_and_escaped_when_it_is_no_name() -> None:
    assert refused("teams:read", nonsense=1).param == "nonsense"
    assert refused("teams:read", **{"a\x1b[2J": 1}).param == r"'a\x1b[2J'"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_operation_takes_an_unknown_parameter(operation: str) -> None:
    complete = dict.fromkeys(model(operation).required, "P1")
    refused(operation, **complete, no_such_parameter=1)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_required_parameter_is_missed(operation: str) -> None:
    for name in model(operation).required:
        others = {other: "P1" for other in model(operation).required if other != name}
        assert name in str(refused(operation, **others))


@pytest.mark.parametrize("value", [True, "3600", 3600.0, 0, -1, 604_801, 10**30, float("nan"), None, [3600]])
def test_a_snooze_takes_whole_seconds_within_bounds_only(value: object) -> None:
    assert refused("incidents:snooze", incident_id="P1", duration=value).param == "duration"


@pytest.mark.parametrize("value", ["true", 1, 0, "yes", []])
def test_a_flag_is_true_or_false_only(value: object) -> None:
    assert refused("incidents:read", total=value).param == "total"


@pytest.mark.parametrize("name", ["statuses", "urgencies", "service_ids", "team_ids", "user_ids", "include"])
@pytest.mark.parametrize("value", [[], "triggered", {"a": 1}, ["no such thing!"]])
def test_a_filter_list_is_never_empty_nor_a_bare_string(name: str, value: object) -> None:
    assert refused("incidents:read", **{name: value}).param.startswith(name)


def nested(levels: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["lists", "objects"])
def test_parameters_are_nested_to_a_limit(wrap: Callable[[Any], Any]) -> None:
    rule = {"condition": nested(62, lambda inner: [inner]), "actions": [["route", "P1"]]}
    assert canonical("rules:create", rule=rule)["rule"] == rule
    for levels in (64, 480, 487, 494, 100_000):
        assert "deeper than 64 levels" in str(refused("rules:create", rule={"condition": nested(levels, wrap)}))


@pytest.mark.parametrize(
    ("operation", "params", "problem"),
    [
        ("incidents:read", {"service_ids": ["P1"] * 100_000}, "a list holds 100,000 items"),
        ("incidents:read", {"service_ids": ["P1"] * 1_001}, "a list holds 1,001 items"),
        ("incidents:manage", {"incidents": [{"id": "P1"}] * 100_000}, "a list holds 100,000 items"),
        ("incidents:merge", {"incident_id": "P1", "source_incident_ids": ["P2"] * 100_000}, "100,000 items"),
        ("rules:create", {"rule": {"condition": [["x"] * 1_000] * 30}}, "more than 20,000 values"),
        ("rules:create", {"rule": {"condition": [{"a": {}}] * 20_001}}, "20,001 items"),
        ("rules:create", {"rule": {"condition": ["x" * 25_000] * 21}}, "more than 500,000 characters"),
        ("rules:create", {"rule": {"x" * 500_001: 1}}, "more than 500,000 characters"),
        ("services:update", {"service_id": "P1", "fields": {"description": "x" * 500_001}}, "500,000 characters"),
        ("incidents:create", {"title": "x" * 10_000_000, "service_id": "P1"}, "500,000 characters"),
    ],
)
def test_what_is_too_much_for_one_call_is_refused_at_once(operation: str, params: dict[str, Any], problem: str) -> None:
    def call() -> None:
        error = refused(operation, **params)
        assert problem in str(error)
        assert len(str(error)) < 1_000

    assert calls_of(call) < 120_000, "a few for each of the values that one call may hold"
    assert peak_of(call) < 500_000, "what is too much is not copied"


def test_the_most_that_one_call_can_carry_is_taken() -> None:
    ids = [f"P{number}" for number in range(1_000)]
    assert canonical("incidents:read", service_ids=ids, team_ids=ids, user_ids=ids)["team_ids"] == ids
    entries = [{"id": "P1", "status": "resolved", "resolution": "x" * 1_900}] * 250
    assert len(canonical("incidents:manage", incidents=entries)["incidents"]) == 250


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("incidents:manage", {"incidents": [{"id": "P1", "x" * 400_000: 1}]}),
        ("incidents:manage", {"incidents": [{"id": "P1", "status": "x" * 400_000}]}),
        ("incidents:read", {"statuses": ["x" * 400_000]}),
        ("incidents:read", {"sort_by": "x" * 400_000}),
        ("incidents:resolve", {"incident_id": "x" * 400_000}),
        ("services:update", {"service_id": "P1", "fields": {"x" * 400_000: 1}}),
        ("services:update", {"service_id": "P1", "fields": {"alert_creation": "x" * 400_000}}),
        ("rules:create", {"rule": {"x" * 400_000: 1}}),
    ],
)
def test_a_refusal_quotes_no_more_than_a_line_or_two(operation: str, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParamsError) as refused:
        PagerDutyConnector("agent", "org", policies=[]).explain(operation, params)
    assert len(str(refused.value)) < 1_000
    assert len(refused.value.param) < 400


def test_a_name_as_long_as_a_book_is_refused_at_once() -> None:
    def call() -> None:
        refused("incidents:read", **{"x" * 5_000_000: 1})
        with pytest.raises(UnknownOperationError):
            PagerDutyConnector("agent", "org", policies=[]).explain("incidents:" + "x" * 5_000_000)

    assert calls_of(call) < 10_000, "it is not compared with the names that are known, letter by letter"
    assert peak_of(call) < 20_000_000, "it is copied a few times at most"


@pytest.mark.parametrize("null", [None, NULL])
def test_a_null_within_a_parameter_is_sent_as_null_or_refused(null: object) -> None:
    fields = {"acknowledgement_timeout": null, "auto_resolve_timeout": 3600}
    assert canonical("services:update", service_id="P1", fields=fields)["fields"] == {
        "acknowledgement_timeout": None,
        "auto_resolve_timeout": 3600,
    }
    entry = {"id": "P1", "priority_id": null}
    assert canonical("incidents:manage", incidents=[entry])["incidents"] == [{"id": "P1", "priority_id": None}]
    assert refused("incidents:manage", incidents=[{"id": "P1", "title": null}]).param == "incidents[0].title"
    assert refused("incidents:read", statuses=["triggered", null]).param == "statuses[1]"
    rule = {"condition": ["and", {"a": [null, {"b": null}]}], "actions": None}
    assert canonical("rules:create", rule=rule)["rule"] == {
        "condition": ["and", {"a": [None, {"b": None}]}],
        "actions": None,
    }
    bridge = {"conference_url": null}
    assert refused("incidents:update", incident_id="P1", conference_bridge=bridge).param.startswith("conference_bridge")


LOCAL = ("incidents:read", "incidents:read_log", "schedules:read", "schedules:read_detail", "schedules:read_oncall")


@pytest.mark.parametrize("operation", LOCAL)
def test_a_local_time_is_taken_beside_its_zone_and_refused_without(operation: str) -> None:
    path = dict.fromkeys(OPERATIONS[operation].path_names, "P1")
    zone = {"time_zone": "America/New_York"}
    for told, sent in (
        ("2026-11-01T09:00:00", "2026-11-01T09:00:00-05:00"),
        ("2026-07-01T09:00", "2026-07-01T09:00:00-04:00"),
        ("2026-11-01T01:30:00", "2026-11-01T01:30:00-04:00"),  # twice that night: the first
        ("2026-03-08T02:30:00", "2026-03-08T02:30:00-05:00"),  # never that night
        ("2026-11-01T09:00:00.5", "2026-11-01T09:00:00.500000-05:00"),
        (datetime(2026, 11, 1, 9), "2026-11-01T09:00:00-05:00"),
    ):
        for name in ("since", "until"):
            assert canonical(operation, **path, **zone, **{name: told})[name] == sent
            error = refused(operation, **path, **{name: told})
            assert error.param == name
            assert "time_zone" in error.accepted
            assert refused(operation, **path, time_zone="Mars/Olympus", **{name: told}).param == "time_zone"
            for zone_of_none in (5, "America", "../UTC", "x" * 5_000, ["UTC"]):
                assert refused(operation, **path, time_zone=zone_of_none, **{name: told}).param == "time_zone"
    for told in ("2026-11-01", "2026-11-01T09:00:00Z", "2026-11-01T09:00:00-05:00", "2026-11-01T09:00:00+0530"):
        for more in ({}, zone):
            assert canonical(operation, **path, **more, since=told)["since"] == told
    for junk in ("2026-11-01T", "2026-11-01 09:00:00", "T09:00:00", "2026-11-01T09:00:00 ", "2026-11-01T25:00:00"):
        refused(operation, **path, **zone, since=junk)
    assert canonical(operation, **path, time_zone="Mars/Olympus")["time_zone"] == "Mars/Olympus", (
        "PagerDuty's to refuse"
    )


def test_a_time_that_is_written_needs_its_offset() -> None:
    window = {"end_time": "2025-06-15T04:00:00Z", "service_ids": ["P1"]}
    refused("maintenance:create", start_time="2025-06-15T02:00:00", **window)
    refused("analytics:read", since="2025-06-15T02:00:00", time_zone="Europe/Paris")


def test_what_holds_itself_is_refused() -> None:
    rule: dict[str, Any] = {}
    rule["condition"] = [rule]
    assert refused("rules:create", rule=rule).param == "rule"


_ID = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)


@given(_ID)
def test_ids_of_letters_digits_underscore_and_dash_are_taken(identifier: str) -> None:
    assert canonical("incidents:read_detail", incident_id=identifier) == {"incident_id": identifier}


@given(
    st.text(max_size=30).filter(
        lambda text: not text or not all(c.isascii() and (c.isalnum() or c in "_-") for c in text)
    )
)
def test_no_other_text_is_an_id(identifier: str) -> None:
    refused("incidents:read_detail", incident_id=identifier)


@pytest.mark.parametrize(
    "identifier",
    ["../services/PX", "PX/merge", "PX?x", "PX#f", "", "%2e%2e/", "PX\n", "PX\r\n", ".", "..", "\uff30\uff38", "P X"],
)
def test_an_id_cannot_leave_its_place_in_the_path(identifier: str) -> None:
    refused("services:delete", service_id=identifier)


@pytest.mark.parametrize(
    "email",
    [
        "a@b.example\r\nX-Evil: 1",
        "a@b.example\n",
        "a b@c.example",
        "a@b@c.example",
        "ä@b.example",
        "@b.example",
        "a@",
        "a@-b.example",
        "<a@b.example>",
        "a@b.example,c@d.example",
    ],
)
def test_a_requester_is_one_plain_address(email: str) -> None:
    assert refused("incidents:acknowledge", incident_id="P1", requester_email=email).param == "requester_email"


@pytest.mark.parametrize(
    "moment",
    [
        "2025-01-01T00:00:00Z",
        "2025-01-01T00:00:00.123456+02:00",
        "2025-01-01",
        datetime(2025, 1, 1, tzinfo=UTC),
        datetime(2025, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
)
def test_times_are_text_with_an_offset_or_aware(moment: object) -> None:
    sent = canonical("incidents:read", since=moment)["since"]
    assert sent == (moment if isinstance(moment, str) else moment.isoformat())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "moment",
    [
        "2025-01-01T00:00:00",
        "yesterday",
        "2025-13-01",
        1735689600,
        datetime(2025, 1, 1),
        "2025-01-01T00:00:00Z\n",
    ],
)
def test_times_without_a_zone_are_refused(moment: object) -> None:
    assert refused("incidents:read", since=moment).param == "since"


def test_a_silence_needs_exact_times() -> None:
    window = {"end_time": "2025-06-15T04:00:00Z", "service_ids": ["PABC123"]}
    assert refused("maintenance:create", start_time="2025-06-15", **window).param == "start_time"


def test_entries_of_a_bulk_change_are_closed_too() -> None:
    error = refused("incidents:manage", incidents=[{"id": "P1"}, {"id": "P2", "state": "resolved"}])
    assert error.param == "incidents[1]"
    assert "state" in str(error)
    refused("incidents:manage", incidents=[{"status": "resolved"}])
    refused("incidents:manage", incidents=[{"id": "P1"}] * 251)


@pytest.mark.parametrize("value", [{1: 2}, {"a": {1, 2}}, {"a": float("inf")}, {"a": object()}, {"a": b"x"}])
def test_free_members_hold_json_only(value: object) -> None:
    assert refused("services:create", name="x", escalation_policy_id="P1", fields=value).param == "fields"


def test_text_that_is_not_unicode_is_refused() -> None:
    refused("incidents:add_note", incident_id="P1", content="\ud800")


class Status(StrEnum):
    RESOLVED = "resolved"


class Level(IntEnum):
    FIRST = 1


class Disguised(str):
    """Text that says it is something else than what it holds."""

    def __str__(self) -> str:
        return "acknowledged"


def test_kinds_of_text_and_numbers_are_taken_for_what_they_hold() -> None:
    asked = {Disguised("incident_id"): Disguised("P1"), "status": Status.RESOLVED, "escalation_level": Level.FIRST}
    held = {"incident_id": "P1", "status": "resolved", "escalation_level": 1}
    assert canonical("incidents:update", **asked) == held
    assert canonical("incidents:manage", incidents=[{"id": Disguised("P1"), "status": Disguised("resolved")}]) == {
        "incidents": [{"id": "P1", "status": "resolved"}]
    }


@pytest.mark.parametrize("params", [["incident_id"], "incident_id", 7, [], "", 0, False])
def test_parameters_that_are_no_object_are_refused(params: Any) -> None:
    with pytest.raises(InvalidParamsError, match="an object, its members by name"):
        PagerDutyConnector.sandbox(policies=[]).plan("teams:read", params)


def test_the_canonical_text_does_not_depend_on_the_order_given() -> None:
    one = model("incidents:create").canonical({"title": "t", "service_id": "P1", "urgency": "low"})
    other = model("incidents:create").canonical({"urgency": "low", "service_id": "P1", "title": "t"})
    assert one == other


def test_what_was_frozen_does_not_change_with_the_callers_objects() -> None:
    ids = ["P1"]
    frozen = model("incidents:reassign").canonical({"incident_id": "P9", "assignee_ids": ids})
    ids.append("P2")
    assert msgspec.json.decode(frozen)["assignee_ids"] == ["P1"]


def test_redaction_keeps_what_types_confine_and_nothing_else() -> None:
    entry = {"id": "P1", "title": "canary", "status": "resolved"}
    redacted = model("incidents:manage").redacted(canonical("incidents:manage", incidents=[entry]))
    assert redacted == {"incidents": [{"id": "P1", "status": "resolved", "title": "[6 characters]"}]}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(OPERATIONS)), st.data())
def test_whatever_comes_in_is_either_valid_or_refused_by_name(operation: str, data: st.DataObject) -> None:
    names = st.sampled_from([*model(operation).names, "unknown"])
    params = data.draw(st.dictionaries(names, _JSON, max_size=5))
    try:
        text = model(operation).canonical(params)
    except InvalidParamsError as error:
        refusal, text = error, None
    if text is None:
        assert refusal.operation == operation
    else:
        again = {name: NULL if value is None else value for name, value in msgspec.json.decode(text).items()}
        assert model(operation).canonical(again) == text


@pytest.mark.parametrize(
    ("operation", "params", "most"),
    [
        ("incidents:read", {"service_ids": "P1"}, 1_000),
        ("incidents:merge", {"incident_id": "P1", "source_incident_ids": "P2"}, 250),
        ("incidents:resolve", {"incident_id": "P1", "resolution": "x"}, 25_000),
        ("incidents:create", {"title": "x", "service_id": "P1"}, 1_024),
        ("incidents:add_note", {"incident_id": "P1", "content": "x"}, 2_000),
    ],
)
def test_lists_and_texts_have_a_greatest_length(operation: str, params: dict[str, Any], most: int) -> None:
    name, value = next(
        (name, value) for name, value in params.items() if value in ("x", "P1", "P2") and name[-3:] != "_id"
    )
    pd = PagerDutyConnector("agent", "org")
    for count, accepted in ((most, True), (most + 1, False)):
        given = {**params, name: value * count if value == "x" else [f"{value}{number}" for number in range(count)]}
        if accepted:
            pd.plan(operation, given)
        else:
            with pytest.raises(InvalidParamsError):
                pd.plan(operation, given)
