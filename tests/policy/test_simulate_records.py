"""`policy simulate` over records that the tests write: what is kept of a call, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from arx_wrapper import OPERATIONS, PagerDutyConnector, audit
from arx_wrapper.audit import Entry
from arx_wrapper.core import simulation
from arx_wrapper.core.simulation import Simulation, simulate
from arx_wrapper.policy import PolicySet
from tests.policy.test_simulate import Counting, changes, proposed
from tests.support import EVERYTHING

USERS, UPDATE, MERGE = ("users:read", "low", 1), ("incidents:update", "medium", 1), ("incidents:merge", "medium", 1)


def asked(*effects: tuple[str, str, int], params: Any = None, was: str | None = "PERMIT", **more: Any) -> Entry:
    """The record of a call of the first effect's operation."""
    metadata: dict[str, Any] = {"effects": [list(effect) for effect in effects]} if effects else {}
    return Entry(
        **{
            "action_type": "connector.called",
            "status": "in_progress",
            "org_id": "org",
            "agent_id": "agent",
            "connector": "pagerduty",
            "operation": effects[0][0] if effects else None,
            "policy_verdict": was,
            "metadata": metadata if params is None else {**metadata, "params": params},
            **more,
        }
    )


async def judged(policy: PolicySet, *calls: Entry, seconds: float = 1) -> Simulation:
    """Judge calls, each of which was made some seconds after the one before."""
    moments = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds * step) for step in count())
    with TemporaryDirectory() as folder:
        log = audit.open(f"sqlite:///{folder}/audit.db", clock=lambda: next(moments))
        try:
            for call in calls:
                await log.append(call)
            return await simulate(log, policy, OPERATIONS, PagerDutyConnector.is_alias)
        finally:
            await log.aclose()


def counted(found: Simulation) -> tuple[int, int, int, int, int]:
    changed = sum(change.count for change in found.changes)
    return found.judged, found.unsure, found.suspended, found.unknown, changed


async def test_records_without_a_verdict_operations_that_are_gone_and_suspended_agents_are_not_judged() -> None:
    found = await judged(
        proposed({**EVERYTHING, "deny": ["*"]}),
        asked(USERS, was=None),
        asked(("users:gone", "low", 1)),
        asked(USERS, was="DENY", reason="Agent 'agent' is suspended: it paged everybody."),
        asked(USERS, was="DENY", reason="Agent 'agent' may not."),
    )
    assert counted(found) == (1, 0, 1, 1, 0)


async def test_the_most_frequent_change_is_first() -> None:
    found = await judged(proposed({**EVERYTHING, "deny": ["*"]}), asked(UPDATE), asked(USERS), asked(USERS))
    assert [change.count for change in found.changes] == [2, 1]


async def test_calls_of_two_organisations_are_judged_and_limited_apart() -> None:
    calls = [asked(USERS, org_id=org) for org in ("one", "two")]
    assert counted(await judged(proposed({**EVERYTHING, "orgs": ["one"]}), *calls))[4] == 1
    assert (await judged(proposed({**EVERYTHING, "limits": {"users:read": "1/hour"}}), *calls)).changes == []


async def test_a_call_without_recorded_effects_has_the_effect_of_its_operation() -> None:
    """The parameters have none of the operation's form: they are of another release."""
    policy = proposed({**EVERYTHING, "deny": ["incidents:update"]})
    gone = {"incidents": 7, "source_incident_ids": 7}
    names = ("users:read", "incidents:update", "incidents:manage", "incidents:merge")
    found = await judged(policy, *[asked(operation=name, params=gone) for name in names])
    assert changes(found) == {("incidents:update", "PERMIT", "DENY", 1)}
    assert found.judged == 4


@pytest.mark.parametrize("most", [1, 50_000])
async def test_a_log_of_many_distinct_calls_is_judged_in_bounded_memory(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "_KNOWN", most)
    policy = Counting(proposed({**EVERYTHING, "deny": ["incidents:*"]}).entries, connector="pagerduty")
    found = await judged(policy, *[asked(effect) for _ in range(5) for effect in (USERS, UPDATE)])
    assert changes(found) == {("incidents:update", "PERMIT", "DENY", 5)}
    assert policy.decided == (11 if most == 1 else 3), "each call that was forgotten, and one for the reason"


async def test_an_effect_whose_parameters_cannot_be_derived_fails_its_condition() -> None:
    policy = proposed({**EVERYTHING, "when": 'params.incident_id == "PMINE01"'})
    params = {"incident_id": "PMINE01", "urgency": "low"}
    found = await judged(policy, asked(UPDATE, ("incidents:resolve", "medium", 1), params=params))
    assert changes(found) == {("incidents:update", "PERMIT", "DENY", 1)}


async def test_a_condition_on_the_time_is_judged_at_the_time_of_each_call() -> None:
    judgements = []
    for hour in range(8):
        policy = proposed({**EVERYTHING, "when": f'now < timestamp("2026-01-01T0{hour}:30:00Z")'})
        judgements.append(counted(await judged(policy, asked(USERS), asked(USERS), seconds=3600))[4])
    assert sorted(judgements, reverse=True) == judgements
    assert {2, 1, 0} == set(judgements), "denied are both, then the later one, then none"


async def test_a_recorded_null_is_not_an_absent_parameter() -> None:
    policy = proposed({**EVERYTHING, "when": "!has(params.urgency)"})
    calls = [asked(UPDATE, params={"incident_id": "P1", **more}) for more in ({}, {"urgency": None})]
    assert counted(await judged(policy, *calls)) == (2, 0, 0, 0, 1)


async def test_denied_calls_use_up_no_limit() -> None:
    policy = proposed({**EVERYTHING, "when": 'params.urgency == "low"', "limits": {"incidents:update": "2/hour"}})
    calls = [asked(UPDATE, params={"incident_id": "P1", "urgency": urgency}) for urgency in ["high"] * 3 + ["low"] * 2]
    assert counted(await judged(policy, *calls))[4] == 3


async def test_a_limit_counts_every_object_of_a_call() -> None:
    policy = proposed({**EVERYTHING, "limits": {"incidents:resolve": "4/hour"}})
    three = asked(MERGE, ("incidents:resolve", "medium", 3))
    assert counted(await judged(policy, three, three))[4] == 1


async def test_a_use_is_over_at_the_end_of_its_window() -> None:
    policy = proposed({**EVERYTHING, "limits": {"users:read": "1/minute"}})
    assert (await judged(policy, asked(USERS), asked(USERS), seconds=60)).changes == []
    assert counted(await judged(policy, asked(USERS), asked(USERS), seconds=59))[4] == 1


@pytest.mark.parametrize(
    ("conditional", "unsure"),
    [
        ({"deny": ["incidents:update"], "when": 'params.urgency == "low"'}, 1),
        ({"deny": ["users:read"], "when": 'params.urgency == "low"'}, 0),
        ({"deny": ["incidents:update"], "when": 'agent_id == "other"'}, 0),
        ({"deny": ["incidents:update"], "when": "size(params) > 9"}, 1),
    ],
)
async def test_a_condition_reads_unrecorded_parameters_only_when_it_reads_parameters_of_the_call(
    conditional: dict[str, Any], unsure: int
) -> None:
    entry = {"name": "c", "connector": "pagerduty", **conditional}
    found = await judged(proposed(EVERYTHING, entry), asked(UPDATE))
    assert counted(found) == (1 - unsure, unsure, 0, 0, 0)


@pytest.mark.parametrize(
    ("text", "unsure"), [("[12 characters]", 1), ("[12 characters] of it", 0), ("x [12 characters]", 0), ("low", 0)]
)
async def test_text_of_which_the_length_was_kept_is_not_judged_wherever_it_is(text: str, unsure: int) -> None:
    policy = proposed({**EVERYTHING, "when": "size(params.incidents) > 0"})
    params = {"incidents": [{"id": "P1", "resolution": text}]}
    found = await judged(policy, asked(("incidents:manage", "medium", 1), params=params))
    assert counted(found) == (1 - unsure, unsure, 0, 0, 0)
