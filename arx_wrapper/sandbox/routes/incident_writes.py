"""Change incidents: update one or many, snooze, merge. A request takes effect as a whole or not at all."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from arx_wrapper.sandbox import lifecycle
from arx_wrapper.sandbox.account import JSON, Incident, Ref
from arx_wrapper.sandbox.endpoint import PAGE, REFERENCE, Call, Endpoint, Reply, Shape, created, ok
from arx_wrapper.sandbox.errors import ApiError, refuse
from arx_wrapper.sandbox.routes.incidents import (
    CONFERENCE,
    STATUSES,
    assignees_of,
    policy_of,
    priority_of,
    title_of,
    urgency_of,
)

__all__ = ["ENDPOINTS"]

MOST_AT_ONCE = 250
MOST_ALERTS = 1_000
LONGEST_SNOOZE = 604_800  # a week


@frozen(kw_only=True)
class Change:
    """A request's change of one incident, after all checks that could refuse it."""

    incident: Incident
    members: JSON
    hidden: JSON
    status: str | None
    resolution: str | None
    level: int | None
    policy: Ref | None
    assignees: list[Ref]


def update_incident(call: Call) -> Reply:
    given = call.wrapped("incident")
    change = _checked(call, call.account.incident(call.path["id"]), given)
    if "service" in given:
        no_service = refuse(2002, "Service not found")
        change.members["service"] = call.account.reference(given["service"], "service", lambda: no_service)
    _apply(call, change)
    return ok({"incident": change.incident})


def manage_incidents(call: Call) -> Reply:
    entries = call.body.get("incidents")
    if not isinstance(entries, list) or not entries:
        raise refuse(2001, "incidents is required and must be a list")
    if len(entries) > MOST_AT_ONCE:
        message = f"At most {MOST_AT_ONCE} incidents can be managed at once"
        raise ApiError(413, {"error": {"message": message}})
    changes = [_checked(call, _named(call, entry), entry) for entry in entries]
    if len({change.incident["id"] for change in changes}) < len(changes):
        raise refuse(2001, "an incident is named more than once")
    for change in changes:
        _apply(call, change)
    return ok({"incidents": [change.incident for change in changes]})


def _named(call: Call, entry: Any) -> Incident:
    found = call.account.find("incident", entry.get("id") if isinstance(entry, dict) else None)
    if not isinstance(found, Incident):
        raise refuse(1004, "incident not found")
    return found


def _checked(call: Call, incident: Incident, given: JSON) -> Change:
    if given.get("type") not in ("incident", "incident_reference"):
        raise refuse(2001, "type must be incident or incident_reference")
    members: JSON = {}
    if "title" in given:
        members["title"] = title_of(given)
    if "urgency" in given:
        members["urgency"] = urgency_of(given)
    if "priority" in given:
        members["priority"] = priority_of(call, given)
    policy = policy_of(call, given) if given.get("escalation_policy") else None
    assignees = assignees_of(call, given)
    if assignees and policy:
        raise refuse(2001, "Assignments and escalation policy cannot both be given")
    status = _status(call, incident, given)
    rerouted = bool(policy or assignees or given.get("escalation_level"))
    if rerouted and not incident.open and status is None:
        raise refuse(1001)
    return Change(
        incident=incident,
        members=members,
        hidden={"conference_bridge": given["conference_bridge"]} if "conference_bridge" in given else {},
        status=status,
        resolution=given.get("resolution"),
        level=_level(call, incident, given, policy),
        policy=policy,
        assignees=assignees,
    )


def _status(call: Call, incident: Incident, given: JSON) -> str | None:
    status = given.get("status")
    if status is None:
        return None
    if status not in STATUSES:
        raise refuse(1003, f"status must be one of {', '.join(STATUSES)}")
    if status == "resolved" and not incident.open:
        raise refuse(1001)
    mine = any(a["acknowledger"] == call.user.ref for a in incident["acknowledgements"])
    if status == "acknowledged" and incident["status"] == "acknowledged" and mine:
        raise refuse(1002)
    return str(status)


def _level(call: Call, incident: Incident, given: JSON, policy: Ref | None) -> int | None:
    level = given.get("escalation_level")
    if level is None:
        return None
    in_force = policy or incident["escalation_policy"]
    rules = call.account.get("escalation_policy", in_force.id)["escalation_rules"]
    if type(level) is not int or not 1 <= level <= len(rules):
        raise refuse(2001, f"escalation_level must be 1 to {len(rules)}")
    return level


def _apply(call: Call, change: Change) -> None:
    account, incident, at, by = call.account, change.incident, call.now, call.user.ref
    incident.update(change.members)
    incident.hidden.update(change.hidden)
    incident["updated_at"] = at
    if not incident.open and change.status in ("triggered", "acknowledged"):
        lifecycle.reopen(account, incident, at=at, by=by)
    if change.policy:
        incident["escalation_policy"] = change.policy
    rerouted = bool(change.policy or change.level or change.assignees)
    if change.assignees:
        lifecycle.assign(account, incident, change.assignees, at=at, by=by, directly=True)
    elif rerouted:
        lifecycle.escalate(account, incident, change.level or 1, at=at, by=by)
    # The new assignees have not acknowledged the incident.
    status = change.status or ("triggered" if rerouted else incident["status"])
    if incident["status"] == "acknowledged" and status == "triggered":
        lifecycle.unacknowledge(account, incident, at=at, by=by)
    if change.status == "acknowledged":
        lifecycle.acknowledge(account, incident, at=at, by=by)
    if change.status == "resolved":
        lifecycle.resolve(account, incident, at=at, by=by, note=change.resolution)


def snooze_incident(call: Call) -> Reply:
    incident = call.account.incident(call.path["id"])
    duration = call.body.get("duration")
    if type(duration) is not int or not 1 <= duration <= LONGEST_SNOOZE:
        raise refuse(1013, f"duration must be 1 to {LONGEST_SNOOZE} seconds")
    if not incident.open:
        raise refuse(1001)
    lifecycle.snooze(call.account, incident, duration, at=call.now, by=call.user.ref)
    return created({"incident": incident})


def merge_incidents(call: Call) -> Reply:
    target = call.account.incident(call.path["id"])
    given = call.body.get("source_incidents")
    if not isinstance(given, list) or not given:
        raise refuse(2001, "source_incidents is required and must be a list")
    sources = [_named(call, entry) for entry in given]
    _check_merge(target, sources)
    at, by = call.now, call.user.ref
    for source in sources:
        for alert in source.alerts:
            alert["incident"], alert.home = target.ref, f"{target.path}/alerts"
        target.alerts += source.alerts
        source.alerts = []
        if source.open:
            lifecycle.resolve(call.account, source, at=at, by=by, merged_into=target)
        else:
            source["resolve_reason"] = {"type": "merge_resolve_reason", "incident": target.ref}
    target["updated_at"] = at
    return ok({"incident": target.ref})


def _check_merge(target: Incident, sources: list[Incident]) -> None:
    if not target.open:
        raise refuse(1001, "Incidents cannot be merged into a resolved incident")
    for source in sources:
        if source is target:
            raise refuse(2001, "An incident cannot be merged into itself")
        if source["resolve_reason"]:
            raise refuse(1019, f"{source['id']} was merged before")
    if len(target.alerts) + sum(len(source.alerts) for source in sources) > MOST_ALERTS:
        raise refuse(2001, f"An incident cannot have more than {MOST_ALERTS} alerts")


_CHANGE: Shape = {
    "type": None,
    "status": None,
    "resolution": None,
    "title": None,
    "priority": {**REFERENCE, "name": None},
    "escalation_level": None,
    "assignments": {"assignee": REFERENCE, "at": None},
    "incident_type": {"id": None, "name": None},
    "escalation_policy": REFERENCE,
    "urgency": None,
    "conference_bridge": CONFERENCE,
}

ENDPOINTS = (
    Endpoint(
        "PUT",
        "/incidents",
        manage_incidents,
        PAGE,
        body={"incidents": {"id": None, **_CHANGE}},
        requester="required",
    ),
    Endpoint(
        "PUT",
        "/incidents/{id}",
        update_incident,
        body={"incident": {"id": None, "service": REFERENCE, **_CHANGE}},
        requester="required",
    ),
    Endpoint("POST", "/incidents/{id}/snooze", snooze_incident, body={"duration": None}, requester="required"),
    Endpoint(
        "PUT",
        "/incidents/{id}/merge",
        merge_incidents,
        body={"source_incidents": REFERENCE},
        requester="required",
    ),
)
