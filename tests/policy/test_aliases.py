"""Each act by each of its names: equal verdicts. And what was judged is what the request on the wire does.

`python -m pytest tests/policy/test_aliases.py -k table -s` prints the table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from arx_wrapper import NULL, OPERATIONS, InvalidParamsError, PagerDutyConnector, Risk
from arx_wrapper.model import Request
from arx_wrapper.pagerduty.operations import TABLE
from tests.test_effects import ACTS, EVERYTHING, SILENCES

SILENCE = "any silencing"
WAYS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    **ACTS,
    "incidents:snooze": [("incidents:snooze", {"incident_id": "P1", "duration": 60})],
    SILENCE: SILENCES,
}
ASK = {**EVERYTHING, "name": "ask", "approval": "hitl", "hitl_channel": "#ops"}


def policies(act: str) -> dict[str, list[dict[str, Any]]]:
    """Four policies about an act, and about nothing else."""
    if act == SILENCE:
        return {
            "denied": [{**EVERYTHING, "risk_max": "medium"}],
            "asked": [{**EVERYTHING, "approval": {"high": "hitl"}, "hitl_channel": "#ops"}],
            "permitted": [EVERYTHING],
            "not named": [{**EVERYTHING, "risk_max": "medium", "approval": "auto"}],
        }
    return {
        "denied": [EVERYTHING, {"name": "no", "connector": "pagerduty", "deny": [act]}],
        "asked": [EVERYTHING, {**ASK, "operations": [act]}],
        "permitted": [EVERYTHING],
        "not named": [{**EVERYTHING, "operations": [name for name in TABLE if name != act]}],
    }


def verdicts(act: str, operation: str, params: dict[str, Any]) -> tuple[str, ...]:
    return tuple(
        PagerDutyConnector("agent", "org", policies=given).explain(operation, params).verdict.value
        for given in policies(act).values()
    )


def test_the_table_of_every_act_by_every_name_has_equal_verdicts() -> None:
    write = sys.stdout.write
    write(f"\n{'act':22} {'by':27} {'denied':9} {'asked':9} {'permitted':9} {'not named':9} with\n")
    for act, ways in WAYS.items():
        for operation, params in ways:
            found = verdicts(act, operation, params)
            said = {name: value for name, value in params.items() if name not in TABLE[operation].path_names}
            write(f"{act:22} {operation:27} {' '.join(f'{verdict:9}' for verdict in found)} {said}\n")
            assert found == ("DENY", "ESCALATE", "PERMIT", "DENY"), (act, operation, params)


def done_by(request: Request) -> Iterator[str]:
    """Return the effects of a request, read from the wire alone, as PagerDuty's documentation has it."""
    match [request.method, *request.path.strip("/").split("/")], request.json:
        case ["PUT", "incidents"], {"incidents": entries}:
            for entry in entries:
                yield from done_to_incident(entry)
        case ["PUT", "incidents", _], {"incident": change}:
            yield from done_to_incident(change)
        case ["PUT", "incidents", _, "merge"], {"source_incidents": [*_]}:
            yield from ("incidents:merge", "incidents:resolve")
        case ["POST", "incidents", _, "snooze"], _:
            yield from ("incidents:snooze", "incidents:acknowledge")
        case ["PUT", "incidents", _, "alerts", _], {"alert": change}:
            if change.get("status") == "resolved":
                yield "incidents:resolve"
            if "incident" in change:
                yield "incidents:merge"


def done_to_incident(change: dict[str, Any]) -> Iterator[str]:
    status = change.get("status")
    if status == "resolved":
        yield "incidents:resolve"
    if status == "acknowledged":
        yield "incidents:acknowledge"
    if change.keys() & {"assignments", "escalation_policy", "escalation_level"}:
        yield "incidents:reassign"
    if change.keys() & {"title", "urgency", "priority", "conference_bridge"} or status == "triggered":
        yield "incidents:update"


# What each parameter of these writes may be.
VALUES: dict[str, list[Any]] = {
    "assignee_ids": [["U1"], ["U1", "U2"]],
    "conference_bridge": [{"conference_number": "1"}],
    "duration": [60],
    "escalation_level": [1, 2],
    "escalation_policy_id": ["E1"],
    "parent_incident_id": ["P7"],
    "priority_id": ["P9", NULL],
    "resolution": ["done"],
    "source_incident_ids": [["P2"], ["P2", "P3"]],
    "status": ["triggered", "acknowledged", "resolved"],
    "title": ["t"],
    "urgency": ["high", "low"],
}
CHANGES = [name for name, row in OPERATIONS.items() if row.writes and row.path.startswith("/incidents")]
PD = PagerDutyConnector("agent", "org", policies=[EVERYTHING])


def drawn(names: Iterable[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(VALUES[name]) for name in names})


def params_of(operation: str) -> st.SearchStrategy[dict[str, Any]]:
    if operation == "incidents:manage":
        entry = drawn(set(PD.model_of("incidents:update").names) & set(VALUES))
        entries = st.lists(entry, min_size=1, max_size=3)
        return entries.map(lambda found: {"incidents": [{"id": f"P{n}", **one} for n, one in enumerate(found)]})
    path = {name: name.upper() for name in OPERATIONS[operation].path_names}
    return drawn(set(PD.model_of(operation).names) & set(VALUES)).map(lambda found: {**path, **found})


@pytest.mark.parametrize("operation", sorted(set(CHANGES) - {"incidents:create", "incidents:add_note"}))
def test_what_is_judged_is_what_the_request_does(operation: str) -> None:
    @settings(max_examples=200, deadline=None)
    @given(params_of(operation))
    def holds(params: dict[str, Any]) -> None:
        try:
            plan = PD.plan(operation, params)
            call, request = plan.call, plan.request
        except InvalidParamsError:
            assume(False)
        assert {effect.operation for effect in call.effects} == {operation, *done_by(request)}

    holds()


def test_the_table_has_every_operation_that_can_do_an_act() -> None:
    able: set[tuple[str, str]] = set()
    for operation in CHANGES:
        needed = {name: VALUES[name][0] for name in PD.model_of(operation).required if name in VALUES}
        path = {name: name.upper() for name in OPERATIONS[operation].path_names}
        for name, values in VALUES.items():
            for value in values:
                bulk = operation == "incidents:manage"
                params = {"incidents": [{"id": "P1", name: value}]} if bulk else {**path, **needed, name: value}
                try:
                    request = PD.plan(operation, params).request
                except InvalidParamsError:
                    continue
                able |= {(act, operation) for act in done_by(request)}
    assert len(able) > 10
    assert able <= {(act, operation) for act, ways in WAYS.items() for operation, _ in ways}


def test_every_operation_that_is_high_by_itself_or_may_become_so_is_weighed() -> None:
    silencing = {operation for operation, _ in SILENCES}
    high = {name for name, row in OPERATIONS.items() if row.risk is Risk.HIGH}
    assert high - silencing == {"services:create", "escalation:delete"}, "neither silences what is there"
