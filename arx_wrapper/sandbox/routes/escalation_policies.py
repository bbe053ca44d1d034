"""Serve escalation policies."""

from __future__ import annotations

from typing import Any

from arx_wrapper.sandbox.account import JSON, Ref, Resource
from arx_wrapper.sandbox.endpoint import PAGE, REFERENCE, Call, Endpoint, Reply, Shape, created, no_content, ok
from arx_wrapper.sandbox.errors import refuse
from arx_wrapper.sandbox.paging import matching, page, shown, sorted_by

__all__ = ["ENDPOINTS"]

MOST_TARGETS = 10
_INCLUDE = ("services", "teams", "targets", "escalation_rule_assignment_strategies")
_TARGETS = {
    kind: kind.removesuffix("_reference") for kind in ("user", "user_reference", "schedule", "schedule_reference")
}


def list_policies(call: Call) -> Reply:
    users = set(call.many("user_ids"))
    found = [
        policy
        for policy in matching(call, call.account.all("escalation_policy"))
        if not users or any(target.id in users for target in _targets(policy))
    ]
    ordered = sorted_by(found, call.one("sort_by"), ("name",), "name")
    return page(call, "escalation_policies", ordered, _INCLUDE)


def _targets(policy: Resource) -> list[Ref]:
    return [target for rule in policy["escalation_rules"] for target in rule["targets"]]


def get_policy(call: Call) -> Reply:
    return ok({"escalation_policy": shown(call, _policy(call), _INCLUDE)})


def create_policy(call: Call) -> Reply:
    given = call.wrapped("escalation_policy")
    if given.get("type") != "escalation_policy":
        raise refuse(2001, "type must be escalation_policy")
    members = {
        "description": None,
        "num_loops": 0,
        "on_call_handoff_notifications": "if_has_services",
        "teams": [],
        **_members(call, {"name": None, "escalation_rules": None, **given}, None),
    }
    return created({"escalation_policy": call.account.add("escalation_policy", "/escalation_policies", members)})


def update_policy(call: Call) -> Reply:
    policy = _policy(call)
    policy.update(_members(call, call.wrapped("escalation_policy"), policy))
    return ok({"escalation_policy": policy})


def delete_policy(call: Call) -> Reply:
    policy = _policy(call)
    users = [s["name"] for s in call.account.all("service") if s["escalation_policy"] == policy.ref]
    if users:
        raise refuse(2001, f"The escalation policy is in use by: {', '.join(users)}")
    call.account.delete(policy)
    return no_content()


def _policy(call: Call) -> Resource:
    return call.account.get("escalation_policy", call.path["id"])


def _members(call: Call, given: JSON, policy: Resource | None) -> JSON:
    simple = ("description", "num_loops", "on_call_handoff_notifications")
    members = {name: given[name] for name in simple if name in given}
    if "name" in given:
        members["name"] = _name(call, given["name"], policy)
    if "escalation_rules" in given:
        members["escalation_rules"] = _rules(call, given["escalation_rules"])
    if "teams" in given:
        members["teams"] = call.account.references(given["teams"], "team", lambda: refuse(2001, "Team not found"))
    return members


def _name(call: Call, name: Any, policy: Resource | None) -> str:
    if not isinstance(name, str) or not name.strip():
        raise refuse(2001, "Name can't be blank")
    others = (p for p in call.account.all("escalation_policy") if p is not policy)
    if any(other["name"].casefold() == name.casefold() for other in others):
        raise refuse(2001, "Name has already been taken")
    return name


def _rules(call: Call, given: Any) -> list[JSON]:
    if not isinstance(given, list) or not given:
        raise refuse(2001, "At least one escalation rule is required")
    return [_rule(call, rule if isinstance(rule, dict) else {}) for rule in given]


def _rule(call: Call, given: JSON) -> JSON:
    targets, delay = given.get("targets"), given.get("escalation_delay_in_minutes")
    if type(delay) is not int or delay < 1:
        raise refuse(2001, "escalation_delay_in_minutes must be at least 1")
    if not isinstance(targets, list) or not 1 <= len(targets) <= MOST_TARGETS:
        raise refuse(2001, f"A rule has 1 to {MOST_TARGETS} targets")
    rule = {
        "id": given.get("id") or call.account.new_id(),
        "escalation_delay_in_minutes": delay,
        "targets": [_target(call, target) for target in targets],
    }
    if strategy := given.get("escalation_rule_assignment_strategy"):
        rule["escalation_rule_assignment_strategy"] = strategy
    return rule


def _target(call: Call, given: Any) -> Ref:
    kind = _TARGETS.get(given.get("type", "")) if isinstance(given, dict) else None
    if kind is None:
        raise refuse(2001, "A target is a user_reference or a schedule_reference")
    return call.account.reference(given, kind, lambda: refuse(2001, f"Target {kind} not found"))


_RULE: Shape = {
    "id": None,
    "escalation_delay_in_minutes": None,
    "targets": REFERENCE,
    "escalation_rule_assignment_strategy": None,
}
_BODY: Shape = {
    "escalation_policy": {
        **REFERENCE,
        **dict.fromkeys(("name", "description", "num_loops", "on_call_handoff_notifications", "services")),
        "escalation_rules": _RULE,
        "teams": REFERENCE,
    }
}
_LIST_QUERY = PAGE | {"query", "user_ids[]", "team_ids[]", "include[]", "sort_by"}
_ONE = "/escalation_policies/{id}"

ENDPOINTS = (
    Endpoint("GET", "/escalation_policies", list_policies, _LIST_QUERY),
    Endpoint("POST", "/escalation_policies", create_policy, body=_BODY, requester="optional"),
    Endpoint("GET", _ONE, get_policy, frozenset({"include[]"})),
    Endpoint("PUT", _ONE, update_policy, body=_BODY),
    Endpoint("DELETE", _ONE, delete_policy),
)
