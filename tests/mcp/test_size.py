"""Whatever PagerDuty answers, what is handed on fits, is whole JSON, and says what it left out."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arx_wrapper import errors
from arx_wrapper.mcp.errors import explain
from arx_wrapper.mcp.truncation import fit
from arx_wrapper.model import Decision, Risk, Verdict

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=400),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=12), inner, max_size=8),
    max_leaves=40,
)


@settings(max_examples=50 if os.environ.get("CI") else 25)
@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4), st.lists(JSON, max_size=20), st.integers(1, 4_000))
def test_it_fits_and_says_so_when_something_is_missing(more: dict[str, Any], records: list[Any], cap: int) -> None:
    body = {**more, "records": records}
    found, cut = fit(body, "records", cap)
    assert len(msgspec.json.encode(found)) <= max(cap, len(b"{}"))
    assert (cut is None) is (found == body)
    if cut and cut.keys() == {"records_kept", "records_left_out"}:
        assert found == {**body, "records": records[: cut["records_kept"]]}
        assert cut["records_kept"] + cut["records_left_out"] == len(records)


def test_as_many_records_are_kept_as_fit() -> None:
    records = [{"id": f"P{number:03}"} for number in range(100)]
    body = {"records": records, "more": True}
    room = len(msgspec.json.encode({"records": records[:10], "more": True}))
    assert len(fit(body, "records", room)[0]["records"]) == 10
    assert len(fit(body, "records", room - 1)[0]["records"]) == 9


def test_one_object_that_is_too_large_keeps_its_members_with_shorter_texts() -> None:
    body = {"incident": {"id": "P1", "title": "T", "body": "x" * 200_000, "people": list(range(5_000))}}
    found, cut = fit(body, "incident", 10_000)
    assert found["incident"].keys() == body["incident"].keys()
    assert found["incident"]["body"] == "x" * 4_000 + "… [196,000 more characters]"
    assert found["incident"]["people"] == list(range(100))
    assert cut == {"texts_cut_at": 4_000, "inner_lists_cut_at": 100}


def instance(kind: type[errors.ArxError]) -> errors.ArxError:
    decision = Decision(verdict=Verdict.DENY, risk=Risk.LOW, operation="o", policy="p", reason="because.")
    made: dict[type[errors.ArxError], errors.ArxError] = {
        errors.UnknownOperationError: errors.UnknownOperationError("x"),
        errors.InvalidParamsError: errors.InvalidParamsError("o", "p", "is wrong", "right"),
        errors.PermissionDeniedError: errors.PermissionDeniedError(decision),
        errors.TransportError: errors.TransportError("lost", outcome="unknown"),
    }
    return made.get(kind) or kind("message")


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_says_whether_anything_was_sent_and_what_to_do(name: str) -> None:
    found = explain(instance(getattr(errors, name)))
    assert found["class"] == name
    assert found["sent"] in ("no", "refused", "unknown", "yes")
    assert found["do_next"]
    assert msgspec.json.encode(found)


def test_what_may_have_been_done_is_not_called_undone() -> None:
    assert explain(errors.TransportError("lost", outcome="unknown"))["sent"] == "unknown"
    assert explain(errors.TransportError("lost", outcome="not_sent"))["sent"] == "no"
    assert explain(errors.ServerError("failed", status=502))["sent"] == "unknown"
    assert explain(errors.AuditError("full"))["sent"] == "no"
    after = explain(errors.AuditError("full", sent=True))
    assert (after["sent"], "do not repeat it" in after["do_next"]) == ("yes", True)
