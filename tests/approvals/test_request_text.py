"""A model's text cannot make a reviewer's page lie."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arx_wrapper.approvals import render
from arx_wrapper.approvals.request_text import escape
from tests.approvals.conftest import terms

DECEPTIONS = {
    "bidirectional override": "\u202egnisserP\u202c",
    "isolate": "\u2066x\u2069",
    "terminal escape": "\x1b[2J\x1b[31m",
    "operating system command": "\x1b]0;title\x07",
    "C1 control": "\x9b31m",
    "carriage return": "harmless\rharmful",
    "fake row": "x\nrisk          LOW",
    "line separator": "x\u2028risk          LOW",
    "padding": "x" + " " * 200 + "risk LOW",
    "no-break padding": "x" + "\u00a0" * 200,
    "zero width": "ad\u200bmin",
    "byte order mark": "\ufeff",
    "tag characters": "\U000e0041\U000e0042",
    "variation selector": "a\ufe0f",
    "hangul filler": "\u3164",
    "private use": "\ue000",
    "delete": "a\x7f",
    "backspace": "a\b\b",
}


@pytest.mark.parametrize("text", DECEPTIONS.values(), ids=DECEPTIONS.keys())
async def test_a_deception_is_shown_as_escapes(store, text):
    asked = await store.request(**terms(params=json.dumps({"title": text}, ensure_ascii=False).encode(), reason=text))
    decided = await store.decide(asked.id, "alice", False, text)
    for request in (asked, decided):
        lines = render(request).split("\n")
        assert len(lines) == 20 + len(request.decisions)
        assert sum(line.startswith("risk ") for line in lines) == 1
        for line in lines:
            assert all(unicodedata.category(character)[0] not in "CZ" or character == " " for character in line)
            assert "   " not in line[14:]
    assert text not in render(decided)


@given(st.text())
def test_escaped_parameters_mean_the_same(text):
    parameters = json.dumps({"title": text}, ensure_ascii=False)
    assert json.loads(escape(parameters)) == json.loads(parameters)


def test_plain_text_stays_as_it_is():
    assert escape("Größe: 5 µs — déjà vu, 日本語, 🔥") == "Größe: 5 µs — déjà vu, 日本語, 🔥"


async def test_a_long_field_says_how_much_is_missing_and_of_what(store):
    asked = await store.request(**terms(params=b'{"body":"' + b"x" * 10_000 + b'","zz":"delete everything"}'))
    shown = render(asked, limit=500)
    assert f"[TRUNCATED: {len(asked.params) - 500} of {len(asked.params)} characters not shown" in shown
    assert shown.count(asked.digest) == 2
    assert "delete everything" not in shown
    assert "delete everything" in render(asked, limit=None)


async def test_the_reviewer_sees_what_is_asked_by_whom_and_why(store):
    asked = await store.request(**terms(target={"status": "active"}))
    shown = render(asked)
    for expected in (asked.id, asked.digest, "org-acme", "agent-001", "maintenance:create", "HIGH", "PABC123"):
        assert expected in shown
    for expected in ('{"status":"active"}', "policy.yaml:1", "HIGH risk needs a person.", "0 of 1", "pending"):
        assert expected in shown


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([], "any reviewer"),
        ([{"policy": "a", "people": ["ada", "bo"], "min_approvals": 2}], "2 of ada or bo (a)"),
        (
            [
                {"policy": "a", "groups": ["sre"]},
                {
                    "policy": "b",
                    "on_call": [{"escalation_policy": "PESC1", "levels": [1, 2], "escalate_after": 300}],
                },
            ],
            "group sre (a); on call for PESC1 at level 1, 2, the next level after 5 min (b)",
        ),
        ([{"policy": "b", "on_call": [{"escalation_policy": "PESC1"}]}], "on call for PESC1 at level any (b)"),
    ],
)
async def test_whose_approvals_count_is_said_in_words(store, rules, said):
    asked = await store.request(**terms(reviewers=rules))
    assert f"reviewers     {said}" in render(asked).split("\n")
