"""Conditions in CEL: what they see, what is refused at load, and that whatever fails at run time denies."""

from __future__ import annotations

import random
from typing import Any

import pytest

from arx_wrapper import PolicyError, Verdict
from arx_wrapper.policy.condition import Condition, ConditionError
from tests.policy.support import NOW, bare, entry, policy
from tests.support import CANARY

ALL: dict[str, Any] = {"operations": ["*"], "risk_max": "high"}


def holds(text: str, params: dict[str, Any]) -> bool:
    return told(Condition.compile(text), params)


def told(condition: Condition, params: dict[str, Any]) -> bool:
    call = bare("incidents:create", params=params)
    return condition.holds(call, call.effects[0], params, NOW)


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("params.duration == 60 && params.size == 1 && params.type == 'x'", {"duration": 60, "size": 1, "type": "x"}),
        ("params['in'] == 1 && params['null'] == 2 && params['has'] == 3", {"in": 1, "null": 2, "has": 3}),
        ("params.n == 9223372036854775807", {"n": 2**63 - 1}),
        ("params.n == 9007199254740993 && params.n != 9007199254740992", {"n": 2**53 + 1}),
        ("params.n == -9223372036854775807 - 1", {"n": -(2**63)}),
        ("params.flag && params.flag != 1", {"flag": True}),
        ("params.nothing == null", {"nothing": None}),
        ("!has(params.urgency)", {}),
        ("!has(params.urgency) || params.urgency == 'low'", {"urgency": "low"}),
        ("params.incidents.all(one, has(one.status) && one.status != 'resolved')", {"incidents": [{"status": "x"}]}),
        ("params.assignee_ids.exists(user, user == 'PU1')", {"assignee_ids": ["PU2", "PU1"]}),
        ("'PU1' in params.assignee_ids && size(params.assignee_ids) == 1", {"assignee_ids": ["PU1"]}),
        ("timestamp(params.start_time) < now + duration('1h')", {"start_time": "2026-01-01T12:59:59Z"}),
        ("now.getHours() == 12 && now.getDayOfWeek() == 4", {}),
        ("operation.startsWith('incidents:') && risk == 'medium'", {}),
        ("params.title.matches('^[a-z]+$')", {"title": "a" * 1_000}),
        ("!params.title.matches('^(a+)+$')", {"title": "a" * 10_000 + "!"}),  # no backtracking
        ("params.a.b.c == 'x'", {"a": {"b": {"c": "x"}}}),
    ],
)
def test_it_holds(text: str, params: dict[str, Any]) -> None:
    assert holds(text, params)


FAILS: list[tuple[str, dict[str, Any]]] = [
    ("params.urgency == 'low'", {}),
    ("params.a.b == 1", {"a": {}}),
    ("has(params.a.b)", {}),
    ("params.incidents.all(one, one.status == 'resolved')", {"incidents": [{"status": "resolved"}, {}]}),
    ("params.l[5] == 1 || params.l[-1] == 1", {"l": [1]}),
    ("params.n + 1 > 0", {"n": 2**63 - 1}),
    ("params.n / 0 == 1", {"n": 1}),
    ("params.text > 1", {"text": "2"}),
    ("int(params.text) > 1", {"text": "9" * 30}),
    ("timestamp(params.text) > now", {"text": "soon"}),
    ("params.text < now", {"text": "2025-01-01T00:00:00Z"}),
    ("params.text.matches(params.other)", {"text": "a", "other": "("}),
    ("params.text ? true : false", {"text": "x"}),
    ("params.text", {"text": "true"}),
    ("1", {}),
    ("null", {}),
    ("params", {}),
    ("now", {}),
]


@pytest.mark.parametrize("text", ["timestamp(params.title) > now", "int(params.title) > 1", "params.title > 1"])
def test_an_error_shows_no_value(text: str) -> None:
    with pytest.raises(ConditionError) as error:
        holds(text, {"title": CANARY})
    assert CANARY not in repr(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(("text", "params"), FAILS)
@pytest.mark.parametrize("kind", [ALL, {**ALL, "approval": "hitl"}, {"deny": ["incidents:create"]}])
def test_what_cannot_be_told_denies_whatever_else_permits(
    text: str, params: dict[str, Any], kind: dict[str, Any]
) -> None:
    decision = policy(entry("open", **ALL), entry("unsure", **kind, when=text)).decide(
        bare("incidents:create", params=params), NOW
    )
    assert (decision.verdict, decision.policy) == (Verdict.DENY, "unsure")
    assert text in decision.reason or repr(text) in decision.reason


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("params.urgency ==", "is not CEL"),
        ("", "must be text"),
        ("params.in == 1", "is not CEL"),
        ("true false", "is not CEL"),
        ("(" * 500 + "true" + ")" * 500, "is not CEL"),
        ("agent == 'a'", "the variable 'agent', which does not exist; did you mean 'agent_id'"),
        ("param.urgency == 'low'", "did you mean 'params'"),
        ("__class__ == 1", "the variable '__class__'"),
        ("[1].exists(x, x == y)", "the variable 'y'"),
        ("operation.startWith('incidents')", "did you mean 'startsWith'"),
        ("params.title.lowerAscii() == 'x'", "the function 'lowerAscii'"),
        ("open('x')", "the function 'open'"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_load(text: str, problem: str) -> None:
    with pytest.raises(PolicyError, match="when: ") as error:
        policy(entry(**ALL, when=text))
    assert problem in str(error.value)


def test_the_parameters_that_it_names_are_known() -> None:
    assert Condition.compile("params.a == params . b && has(params.c.d) && params['e'] == 1").parameters == {
        "a",
        "b",
        "c",
    }


def test_no_text_and_no_parameters_make_it_fail_otherwise() -> None:
    """Nonsense by the thousand is either refused, or true, false or an error: never a crash."""
    draw = random.Random(7)  # noqa: S311 - test data
    words = [
        *"params.a[]()1-!?:,",
        "params",
        "'x'",
        "==",
        "&&",
        "||",
        "has",
        "size",
        "now",
        "in",
        "1u",
        "b'x'",
        "null",
        "true",
        "1e999",
    ]
    outcomes = {"refused": 0, "unsure": 0, "told": 0}
    for _ in range(5_000):
        text = " ".join(draw.choices(words, k=draw.randint(1, 7)))
        try:
            condition = Condition.compile(text)
        except ValueError:
            outcomes["refused"] += 1
            continue
        try:
            told(condition, {"a": 1})
            outcomes["told"] += 1
        except ConditionError:
            outcomes["unsure"] += 1
    assert all(outcomes.values()), outcomes


@pytest.mark.parametrize(
    ("text", "params", "reason"),
    [
        ("params.service_id == 'P1'", {}, "this call has no service_id"),
        ("params['service_id'] == 'P1'", {"title": "x"}, "this call has no service_id"),
        ("{'a': 1}[params.title] == 1", {"title": CANARY}, "KeyError"),
        ("params.a.b == 1", {"a": {}}, "KeyError"),
        ("params.n > 1", {"n": "x"}, "TypeError"),
    ],
)
def test_a_parameter_that_the_call_lacks_is_named_and_no_value(text: str, params: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConditionError) as failed:
        holds(text, params)
    assert str(failed.value) == reason
