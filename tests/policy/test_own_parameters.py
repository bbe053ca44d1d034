"""Each effect of a call is judged with its own parameters, in the vocabulary of the operation that it names.

The matrix crosses every operation that another one performs with conditions over it, in entries that permit and in
entries that deny. What a call does not tell makes a condition fail, and a failing condition denies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from attrs import frozen

from arx_wrapper import Decision, PagerDutyConnector, Verdict
from arx_wrapper.model import Unknown
from arx_wrapper.pagerduty.operations import TABLE
from tests.policy.support import entry

ALL: dict[str, Any] = {"operations": ["*"], "risk_max": "high"}
MINE, THEIRS = "PMINE", "PTHEIRS"


def judged(policies: list[dict[str, Any]], operation: str, params: dict[str, Any]) -> Decision:
    return PagerDutyConnector("agent", "org", policies=policies).explain(operation, params)


def but_only(operation: str, condition: str) -> list[dict[str, Any]]:
    """Permit everything, and one operation on a condition only."""
    others = [name for name in TABLE if name != operation]
    allowed = entry("allowed", operations=[operation], risk_max="high", when=condition)
    return [entry("others", operations=others, risk_max="high"), allowed]


def unless(operation: str, condition: str) -> list[dict[str, Any]]:
    """Permit everything, but deny one operation on a condition."""
    return [entry("all", **ALL), entry("denied", deny=[operation], when=condition)]


@frozen
class Sibling:
    """A call that performs another operation too.

    Attributes:
        performed: The operation.
        called: The operation that is called.
        params: Its parameters, `THEIRS` where the performed operation meets what a condition is about.
        condition: Holds where the performed operation may go on; written for that operation alone.
    """

    performed: str
    called: str
    params: dict[str, Any]
    condition: str


OF_INCIDENT = f'params.incident_id == "{MINE}"'
RESOLUTION = 'has(params.resolution) && params.resolution == "agreed"'
ASSIGNEES = 'params.assignee_ids.all(user, user == "UMINE")'
SIBLINGS = [
    *(
        Sibling(performed, "incidents:update", {"incident_id": THEIRS, **change}, OF_INCIDENT)
        for performed, change in (
            ("incidents:resolve", {"status": "resolved"}),
            ("incidents:acknowledge", {"status": "acknowledged"}),
            ("incidents:reassign", {"assignee_ids": ["UMINE"]}),
            ("incidents:reassign", {"escalation_level": 2}),
        )
    ),
    *(
        Sibling(
            performed, "incidents:manage", {"incidents": [{"id": MINE, **change}, {"id": THEIRS, **change}]}, condition
        )
        for performed, change, condition in (
            ("incidents:resolve", {"status": "resolved"}, OF_INCIDENT),
            ("incidents:acknowledge", {"status": "acknowledged"}, OF_INCIDENT),
            ("incidents:reassign", {"assignee_ids": ["UMINE"]}, OF_INCIDENT),
            ("incidents:update", {"title": "t"}, OF_INCIDENT),
            ("incidents:update", {"status": "triggered"}, OF_INCIDENT),
            ("incidents:update", {"urgency": "low"}, 'params.urgency == "high"'),
            ("incidents:update", {"urgency": "low"}, '!has(params.urgency) || params.urgency == "high"'),
            ("incidents:update", {"title": "t", "status": "resolved"}, "!has(params.status)"),
        )
    ),
    Sibling("incidents:resolve", "incidents:update", {"incident_id": MINE, "status": "resolved"}, RESOLUTION),
    Sibling("incidents:resolve", "incidents:merge", {"incident_id": MINE, "source_incident_ids": ["P1"]}, RESOLUTION),
    Sibling(
        "incidents:resolve",
        "incidents:manage",
        {"incidents": [{"id": MINE, "status": "resolved", "resolution": "agreed"}, {"id": MINE, "status": "resolved"}]},
        RESOLUTION,
    ),
    Sibling(
        "incidents:resolve",
        "incidents:merge",
        {"incident_id": MINE, "source_incident_ids": [MINE, THEIRS]},
        OF_INCIDENT,
    ),
    Sibling("incidents:acknowledge", "incidents:snooze", {"incident_id": THEIRS, "duration": 60}, OF_INCIDENT),
    Sibling(
        "incidents:resolve",
        "alerts:update",
        {"incident_id": THEIRS, "alert_id": "A1", "status": "resolved"},
        OF_INCIDENT,
    ),
    Sibling(
        "incidents:resolve",
        "alerts:update",
        {"incident_id": MINE, "alert_id": "A1", "status": "resolved", "parent_incident_id": THEIRS},
        OF_INCIDENT,
    ),
    Sibling(
        "incidents:merge",
        "alerts:update",
        {"incident_id": MINE, "alert_id": "A1", "parent_incident_id": THEIRS},
        OF_INCIDENT,
    ),
    Sibling(
        "incidents:merge",
        "alerts:update",
        {"incident_id": THEIRS, "alert_id": "A1", "parent_incident_id": MINE},
        f'params.source_incident_ids.all(source, source == "{MINE}")',
    ),
    Sibling("incidents:reassign", "incidents:update", {"incident_id": MINE, "assignee_ids": ["UTHEIRS"]}, ASSIGNEES),
    Sibling("alerts:read", "incidents:read_alerts", {"incident_id": THEIRS}, OF_INCIDENT),
    Sibling("incidents:read_alerts", "alerts:read", {"incident_id": THEIRS}, OF_INCIDENT),
    Sibling(
        "services:read_integrations",
        "services:read_detail",
        {"service_id": THEIRS, "include": ["integrations"]},
        f'params.service_id == "{MINE}"',
    ),
    Sibling(
        "users:read_contact",
        "users:read_detail",
        {"user_id": THEIRS, "include": ["contact_methods"]},
        f'params.user_id == "{MINE}"',
    ),
    Sibling(
        "users:read_me",
        "users:read_detail",
        {"user_id": "me", "include": ["teams"]},
        "!has(params.include)",
    ),
    Sibling(
        "users:read_contact",
        "users:read_notification",
        {"user_id": THEIRS, "include": ["contact_methods"]},
        f'params.user_id == "{MINE}"',
    ),
    *(
        Sibling(
            performed,
            called,
            {**params, "requester_email": "them@example.com"},
            'has(params.requester_email) && params.requester_email == "us@example.com"',
        )
        for performed, called, params in (
            ("incidents:resolve", "incidents:update", {"incident_id": MINE, "status": "resolved"}),
            ("incidents:resolve", "incidents:merge", {"incident_id": MINE, "source_incident_ids": ["P1"]}),
            ("incidents:acknowledge", "incidents:snooze", {"incident_id": MINE, "duration": 60}),
            ("incidents:update", "incidents:manage", {"incidents": [{"id": MINE, "title": "t"}]}),
            ("incidents:merge", "alerts:update", {"incident_id": MINE, "alert_id": "A", "parent_incident_id": "P1"}),
        )
    ),
]
# The call does not tell which incident is resolved, whom a policy pages, whose contact methods come back.
UNTOLD = [
    Sibling(
        "incidents:resolve",
        "rules:create",
        {"rule": {"actions": [["route", "P1"], ["event_action", "resolve"]]}},
        OF_INCIDENT,
    ),
    Sibling(
        "incidents:resolve",
        "rules:update",
        {"rule_id": "R1", "rule": {"actions": [["route", "P1"], ["event_action", "resolve"]]}},
        "!has(params.resolution)",
    ),
    Sibling(
        "incidents:resolve",
        "services:create_integration",
        {
            "service_id": "P1",
            "type": "generic_email_inbound_integration",
            "fields": {"email_parsers": [{"action": "resolve", "match_predicate": {"type": "all"}}]},
        },
        f'params["incident_id"] == "{MINE}"',
    ),
    *(
        Sibling("incidents:reassign", called, params, condition)
        for condition in (ASSIGNEES, "has(params.assignee_ids)", "!has(params.assignee_ids)", "size(params) > 0")
        for called, params in (
            ("incidents:update", {"incident_id": MINE, "escalation_policy_id": "E1"}),
            ("incidents:update", {"incident_id": MINE, "escalation_level": 2, "assignee_ids": ["UMINE"]}),
            (
                "incidents:manage",
                {"incidents": [{"id": MINE, "escalation_policy_id": "E1", "assignee_ids": ["UMINE"]}]},
            ),
        )
    ),
    Sibling(
        "services:read_integrations", "services:read", {"include": ["integrations"]}, f'params.service_id == "{MINE}"'
    ),
    Sibling("users:read_notification", "users:read", {"include": ["notification_rules"]}, "!has(params.user_id)"),
    Sibling("users:read_contact", "users:read", {"include": ["contact_methods"]}, f'params.user_id != "{THEIRS}"'),
    Sibling(
        "users:read_notification",
        "users:read_detail",
        {"user_id": MINE, "include": ["notification_rules"]},
        '!has(params.urgency) || params.urgency == "high"',
    ),
]
UNTOLD += [
    Sibling("users:read_detail", "users:read_me", {}, f'params.user_id == "{MINE}"'),
    Sibling("users:read_contact", "users:read_me", {"include": ["contact_methods"]}, "has(params.user_id)"),
    Sibling("users:read_notification", "users:read_me", {"include": ["notification_rules"]}, "has(params.user_id)"),
]
# What `include` writes out is read, whichever operation has it.
USER, SERVICE, TEAM, POLICY = "users:read_detail", "services:read_detail", "teams:read_detail", "escalation:read_detail"
EMBEDDED: dict[str, tuple[str, ...]] = {
    "acknowledgers": (USER, SERVICE),
    "agents": (USER, SERVICE, "services:read_integrations"),
    "assignees": (USER,),
    "contact_methods": ("users:read_contact",),
    "escalation_policies": (POLICY,),
    "final_schedule": ("schedules:read_detail",),
    "first_trigger_log_entries": ("incidents:read_log",),
    "incidents": ("incidents:read_detail",),
    "integrations": ("services:read_integrations",),
    "notification_rules": ("users:read_notification",),
    "overrides_subschedule": ("schedules:read_detail",),
    "schedule_layers": ("schedules:read_detail",),
    "schedules": ("schedules:read_detail",),
    "services": (SERVICE,),
    "targets": (USER, "schedules:read_detail"),
    "teams": (TEAM,),
    "users": (USER,),
}
# Other parts of the object itself; of a priority, every answer shows the name.
PARTS = {
    "auto_pause_notifications_parameters", "calendar_urls", "channels", "conference_bridge", "custom_fields",
    "escalation_rule_assignment_strategies", "priorities", "privileges", "subdomains",
}  # fmt: skip
IDS = {USER: "user_id", SERVICE: "service_id", TEAM: "team_id", POLICY: "policy_id"} | {
    "incidents:read_log": "incident_id",
    "incidents:read_detail": "incident_id",
    "schedules:read_detail": "schedule_id",
    "services:read_integrations": "service_id",
    "users:read_contact": "user_id",
    "users:read_notification": "user_id",
}


def includes() -> Iterator[tuple[str, str]]:
    """Yield every operation with each value that its `include` takes."""
    pd = PagerDutyConnector("agent", "org", policies=[])
    for name in TABLE:
        model = pd.model_of(name)
        if "include" in model.names:
            yield from ((name, value) for value in re.findall(r"'(\w+)'", model.accepted("include")))


EMBEDDING = [
    Sibling(
        performed,
        called,
        {**dict.fromkeys(TABLE[called].path_names, THEIRS), "include": [value]},
        f'params.{IDS[performed]} == "{MINE}"',
    )
    for called, value in includes()
    for performed in EMBEDDED.get(value, ())
    if performed != called
]
# PagerDuty takes an incident's number for its id, and `me` for that of a user.
NUMBERED = [
    Sibling("users:read_detail", "users:read_detail", {"user_id": "me"}, f'params.user_id != "{THEIRS}"'),
    Sibling("users:read_contact", "users:read_contact", {"user_id": "me"}, f'params.user_id != "{THEIRS}"'),
    Sibling(
        "incidents:read_detail", "incidents:read_detail", {"incident_id": "1234"}, f'params.incident_id != "{THEIRS}"'
    ),
    Sibling("incidents:resolve", "incidents:resolve", {"incident_id": "1234"}, f'params.incident_id != "{THEIRS}"'),
    Sibling(
        "incidents:resolve",
        "incidents:update",
        {"incident_id": "1234", "status": "resolved"},
        f'params.incident_id != "{THEIRS}"',
    ),
    Sibling(
        "incidents:merge",
        "incidents:merge",
        {"incident_id": MINE, "source_incident_ids": ["P1", "1234"]},
        f'!("{THEIRS}" in params.source_incident_ids)',
    ),
    Sibling(
        "incidents:manage",
        "incidents:manage",
        {"incidents": [{"id": "1234", "title": "t"}]},
        f'params.incidents.all(one, one.id != "{THEIRS}")',
    ),
    Sibling(
        "incidents:update",
        "incidents:manage",
        {"incidents": [{"id": MINE, "title": "t"}, {"id": "1234", "title": "t"}]},
        f'params.incident_id != "{THEIRS}"',
    ),
    Sibling(
        "incidents:merge",
        "alerts:update",
        {"incident_id": MINE, "alert_id": "A1", "parent_incident_id": "1234"},
        f'params.incident_id != "{THEIRS}"',
    ),
]


@pytest.mark.parametrize("sibling", [*SIBLINGS, *UNTOLD, *EMBEDDING, *NUMBERED])
def test_a_condition_that_permits_an_operation_holds_for_it_by_every_name(sibling: Sibling) -> None:
    decision = judged(but_only(sibling.performed, sibling.condition), sibling.called, sibling.params)
    assert (decision.verdict, decision.operation) == (Verdict.DENY, sibling.performed), decision.reason


@pytest.mark.parametrize("sibling", [*SIBLINGS, *UNTOLD, *EMBEDDING, *NUMBERED])
def test_a_condition_that_denies_an_operation_holds_for_it_by_every_name(sibling: Sibling) -> None:
    decision = judged(unless(sibling.performed, f"!({sibling.condition})"), sibling.called, sibling.params)
    assert (decision.verdict, decision.operation) == (Verdict.DENY, sibling.performed), decision.reason
    assert decision.policy == "denied"


@pytest.mark.parametrize("sibling", SIBLINGS)
def test_a_condition_on_which_a_reviewer_is_asked_holds_by_every_name(sibling: Sibling) -> None:
    asking = entry(
        "asks", operations=[sibling.performed], risk_max="high", approval="hitl", when=f"!({sibling.condition})"
    )
    decision = judged([entry("all", **ALL), asking], sibling.called, sibling.params)
    assert (decision.verdict, decision.operation) == (Verdict.ESCALATE, sibling.performed), decision.reason
    assert decision.policy == "asks"


@pytest.mark.parametrize("sibling", [*UNTOLD, *NUMBERED])
def test_where_a_reviewer_would_be_asked_on_what_a_call_does_not_tell_it_is_denied(sibling: Sibling) -> None:
    asking = entry("asks", operations=[sibling.performed], risk_max="high", approval="hitl", when=sibling.condition)
    assert judged([entry("all", **ALL), asking], sibling.called, sibling.params).verdict is Verdict.DENY


@pytest.mark.parametrize("sibling", [*UNTOLD, *NUMBERED])
@pytest.mark.parametrize("negated", [False, True])
def test_what_a_call_does_not_tell_denies_whichever_way_the_condition_is_written(
    sibling: Sibling, negated: bool
) -> None:
    condition = f"!({sibling.condition})" if negated else sibling.condition
    for policies in (but_only(sibling.performed, condition), unless(sibling.performed, condition)):
        decision = judged(policies, sibling.called, sibling.params)
        assert decision.verdict is Verdict.DENY


@pytest.mark.parametrize("sibling", [*UNTOLD, *NUMBERED])
def test_a_condition_that_reads_nothing_untold_is_evaluated(sibling: Sibling) -> None:
    other = 'agent_id == "agent" && operation == "' + sibling.performed + '"'
    assert judged(but_only(sibling.performed, other), sibling.called, sibling.params).verdict is Verdict.PERMIT
    assert judged(unless(sibling.performed, f"!({other})"), sibling.called, sibling.params).verdict is Verdict.PERMIT


# A merge leaves no note of its own, and this entry of a bulk call always states a status.
MEETING = [
    sibling
    for sibling in SIBLINGS
    if (sibling.called, sibling.condition) != ("incidents:merge", RESOLUTION)
    and sibling.condition not in ("!has(params.status)", "!has(params.include)")
]


@pytest.mark.parametrize("sibling", MEETING)
def test_the_same_call_about_what_the_condition_permits_goes_on(sibling: Sibling) -> None:
    def own(value: Any) -> Any:
        if isinstance(value, dict):
            found = {name: own(item) for name, item in value.items()}
            return {**found, "resolution": "agreed"} if found.get("status") == "resolved" else found
        if isinstance(value, list):
            return [own(item) for item in value]
        known = {THEIRS: MINE, "UTHEIRS": "UMINE", "low": "high", "them@example.com": "us@example.com"}
        return known.get(value, value)

    params = own(sibling.params)
    if sibling.called == "alerts:update":
        params.pop("resolution", None)
    for policies in (
        but_only(sibling.performed, sibling.condition),
        unless(sibling.performed, f"!({sibling.condition})"),
    ):
        decision = judged(policies, sibling.called, params)
        assert decision.verdict is Verdict.PERMIT, decision.reason


def test_merging_a_foreign_incident_into_ones_own_does_not_resolve_it() -> None:
    policies = [
        entry("mine", operations=["incidents:resolve"], risk_max="medium", when='params.incident_id == "MINE"'),
        entry("merging", operations=["incidents:merge"], risk_max="medium"),
    ]
    merge = {"incident_id": "MINE", "source_incident_ids": ["FOREIGN"]}
    decision = judged(policies, "incidents:merge", merge)
    assert (decision.verdict, decision.operation) == (Verdict.DENY, "incidents:resolve")
    assert "FOREIGN" in decision.reason
    assert judged(policies, "incidents:merge", {**merge, "source_incident_ids": ["MINE"]}).verdict is Verdict.PERMIT


def test_the_operation_that_a_condition_sees_is_the_one_that_is_performed() -> None:
    policies = [entry("p", **ALL, when=f'operation != "incidents:resolve" || ({OF_INCIDENT})')]
    for called, params in (
        ("incidents:resolve", {"incident_id": THEIRS}),
        ("incidents:merge", {"incident_id": MINE, "source_incident_ids": [THEIRS]}),
        ("incidents:manage", {"incidents": [{"id": THEIRS, "status": "resolved"}]}),
    ):
        assert judged(policies, called, params).verdict is Verdict.DENY


def test_of_several_sources_each_needs_an_entry_that_permits_it_and_two_entries_may_share_them() -> None:
    resolving = {"operations": ["incidents:resolve"], "risk_max": "medium"}
    shared = [
        entry("merging", operations=["incidents:merge"], risk_max="medium"),
        entry("one", **resolving, when='params.incident_id == "P1"'),
        entry("two", **resolving, when='params.incident_id == "P2"', approval="hitl", min_approvals=3),
    ]
    for sources, verdict, approvals in (
        (["P1"], Verdict.PERMIT, 1),
        (["P1", "P2"], Verdict.ESCALATE, 3),
        (["P2", "P1"], Verdict.ESCALATE, 3),
        (["P1", "P2", "P3"], Verdict.DENY, 3),
    ):
        decision = judged(shared, "incidents:merge", {"incident_id": "P9", "source_incident_ids": sources})
        assert (decision.verdict, decision.min_approvals) == (verdict, approvals)


def test_every_effect_is_told_in_the_vocabulary_of_its_operation_as_often_as_it_is_performed() -> None:
    pd = PagerDutyConnector("agent", "org", policies=[])
    for sibling in (*SIBLINGS, *UNTOLD, *EMBEDDING, *NUMBERED):
        call = pd.plan(sibling.called, sibling.params).call
        assert sibling.performed in {effect.operation for effect in call.effects}
        for effect in call.effects:
            model = pd.model_of(effect.operation)
            assert len(effect.params) == effect.count or effect.operation == "incidents:manage"
            for params in effect.params:
                assert set(params or {}) <= set(model.names)
                for name, value in (params or {}).items():
                    assert isinstance(value, Unknown) or model.takes(name, value), (effect.operation, name, value)


def test_the_table_says_what_each_operation_performs_and_what_its_calls_may_not_tell() -> None:
    pd = PagerDutyConnector("agent", "org", policies=[])
    performed: dict[tuple[str, str], set[str]] = {}
    for sibling in (*SIBLINGS, *UNTOLD, *EMBEDDING):
        for effect in pd.plan(sibling.called, sibling.params).call.effects:
            if effect.operation == sibling.called:
                continue
            untold = performed.setdefault((sibling.called, effect.operation), set())
            for params in effect.params:
                named = {"*"} if params is None else {n for n, value in params.items() if isinstance(value, Unknown)}
                untold |= named
    for called, row in TABLE.items():
        assert set(row.needs) <= set(row.performs)
        assert {name: set(untold) for name, untold in row.performs.items()} == {
            name: untold for (by, name), untold in performed.items() if by == called
        }, called


def test_every_value_of_include_reads_an_object_or_adds_parts_of_its_own() -> None:
    assert {value for _, value in includes()} == EMBEDDED.keys() | PARTS
    assert not EMBEDDED.keys() & PARTS


@pytest.mark.parametrize(("called", "value"), list(includes()))
def test_what_include_writes_out_is_read_once_and_counts_once(called: str, value: str) -> None:
    pd = PagerDutyConnector("agent", "org", policies=[])
    params = {**dict.fromkeys(TABLE[called].path_names, MINE), "include": sorted({value, *_others(called)})}
    effects = pd.plan(called, params).call.effects
    assert all(effect.count == 1 for effect in effects)


def _others(called: str) -> set[str]:
    return {value for name, value in includes() if name == called}


def test_the_reference_policies_still_permit_every_include() -> None:
    for policy in ("pd-oncall-readonly", "pd-incident-responder", "pd-full-admin"):
        pd = PagerDutyConnector(
            "agent", "org", policies=str(files("arx_wrapper.pagerduty") / "policies" / f"{policy}.yaml")
        )
        for called, value in includes():
            params = {**dict.fromkeys(TABLE[called].path_names, MINE)}
            before, after = pd.explain(called, params), pd.explain(called, {**params, "include": [value]})
            assert after.verdict is before.verdict, (policy, called, value, after.reason)


def test_every_operation_that_another_performs_is_in_the_matrix() -> None:
    performed = {(sibling.called, sibling.performed) for sibling in (*SIBLINGS, *UNTOLD, *EMBEDDING)}
    from tests.test_effects import ACTS

    for act, ways in ACTS.items():
        assert {(called, act) for called, _ in ways if called != act} <= performed


@pytest.mark.parametrize(
    ("value", "alias"),
    [("41", True), (["P1", "41"], True), ([{"id": "41"}], True), ("41X", False), ("X41", False), ("41\n", False)],
)
def test_only_a_number_is_a_second_name_of_an_incident(value: Any, alias: bool) -> None:
    name = "incident_id" if isinstance(value, str) else "incidents" if value[0] != "P1" else "source_incident_ids"
    assert PagerDutyConnector.is_alias(name, value) is alias
