"""List, read and create incidents; `incident_writes.py` changes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from arx_wrapper.sandbox import lifecycle
from arx_wrapper.sandbox.account import JSON, Incident, Ref
from arx_wrapper.sandbox.endpoint import PAGE, REFERENCE, Call, Endpoint, Reply, Shape, created, ok
from arx_wrapper.sandbox.errors import refuse
from arx_wrapper.sandbox.paging import page, shown, sorted_by

STATUSES = ("triggered", "acknowledged", "resolved")
URGENCIES = ("high", "low")
_SORT_FIELDS = ("incident_number", "created_at", "resolved_at", "urgency")
_DEFAULT_SPAN, _LONGEST_SPAN = timedelta(days=31), timedelta(days=184)  # "one month", "six months"
_INCLUDE = (
    "acknowledgers",
    "agents",
    "assignees",
    "body",
    "conference_bridge",
    "custom_fields",
    "escalation_policies",
    "first_trigger_log_entries",
    "priorities",
    "services",
    "teams",
    "users",
)

Test = Callable[[Incident], bool]


def list_incidents(call: Call) -> Reply:
    tests = [*_span(call), *_filters(call)]
    found = [incident for incident in call.account.incidents() if all(test(incident) for test in tests)]
    if sort_by := call.one("sort_by"):  # otherwise they are in order of their numbers already
        found = sorted_by(found, sort_by, _SORT_FIELDS, "created_at")
    return page(call, "incidents", found, _INCLUDE)


def _span(call: Call) -> list[Test]:
    """Return the tests for `since` and `until`, at most six months apart; `date_range=all` disables both.

    When only one is given, PagerDuty uses the month after or before it; when neither is, the last month.
    """
    since, until = call.time("since"), call.time("until")
    if call.choice("date_range", ("all",)) == "all":
        return []
    if since is None and until is None:
        start = call.now - _DEFAULT_SPAN
        return [lambda incident: incident["created_at"] >= start]
    start = since or (until or call.now) - _DEFAULT_SPAN
    end = until or start + _DEFAULT_SPAN
    if end < start:
        raise refuse(2001, "until must not be before since")
    if end - start > _LONGEST_SPAN:
        raise refuse(2001, "The time range must not exceed six months")
    return [lambda incident: start <= incident["created_at"] < end]


def _filters(call: Call) -> list[Test]:
    statuses, urgencies = call.many("statuses", STATUSES), call.many("urgencies", URGENCIES)
    services = {Ref("service", id_) for id_ in call.many("service_ids")}
    teams = {Ref("team", id_) for id_ in call.many("team_ids")}
    users = {Ref("user", id_) for id_ in call.many("user_ids")}
    key = call.one("incident_key")
    candidates: tuple[tuple[Any, Test], ...] = (
        (statuses, lambda incident: incident["status"] in statuses),
        (urgencies, lambda incident: incident["urgency"] in urgencies),
        (services, lambda incident: incident["service"] in services),
        (teams, lambda incident: not teams.isdisjoint(incident["teams"])),
        # A resolved incident has no assignments, so it never matches.
        (users, lambda incident: any(a["assignee"] in users for a in incident["assignments"])),
        (key is not None, lambda incident: incident["incident_key"] == key),
    )
    return [test for wanted, test in candidates if wanted]


def get_incident(call: Call) -> Reply:
    return ok({"incident": shown(call, call.account.incident(call.path["id"]), _INCLUDE)})


def create_incident(call: Call) -> Reply:
    given = call.wrapped("incident")
    members, hidden = _new_members(call, given)
    assignees = assignees_of(call, given)
    if assignees and given.get("escalation_policy"):
        raise refuse(2001, "Assignments and escalation policy cannot both be given")
    if len(assignees) > 1:
        raise refuse(2001, "An incident can be assigned to one user only when it is created")
    me, at = call.user.ref, call.now
    incident = lifecycle.trigger(call.account, members, hidden, at=at, by=me)
    if assignees:
        lifecycle.assign(call.account, incident, assignees, at=at, by=me, directly=True)
    else:
        lifecycle.escalate(call.account, incident, 1, at=at, by=me, quietly=True)
    if assignees == [me]:
        lifecycle.acknowledge(call.account, incident, at=at, by=me)
    return created({"incident": incident})


def _new_members(call: Call, given: JSON) -> tuple[JSON, JSON]:
    account = call.account
    if given.get("type") != "incident":
        raise refuse(2001, "type must be incident")
    if not isinstance(given.get("service"), dict):
        raise refuse(2001, "service is required")
    service = account.get("service", account.reference(given["service"], "service", _no_service).id)
    policy = policy_of(call, given) if given.get("escalation_policy") else service["escalation_policy"]
    members = {
        "title": title_of(given),
        "service": service.ref,
        "urgency": urgency_of(given) if "urgency" in given else _usual_urgency(service),
        "escalation_policy": policy,
        "priority": priority_of(call, given),
        "incident_key": key_of(call, given, service.ref),
    }
    hidden = {"body": given.get("body"), "conference_bridge": given.get("conference_bridge")}
    return members, hidden


def key_of(call: Call, given: JSON, service: Ref) -> str:
    key = given.get("incident_key")
    if key is None:
        return f"{call.account.random.getrandbits(128):032x}"
    if not isinstance(key, str) or not key:
        raise refuse(2001, "incident_key must be text")
    if any(incident["incident_key"] == key for incident in call.account.open_incidents(service)):
        raise refuse(2002, "Open incident with matching dedup key already exists on this service")
    return key


def title_of(given: JSON) -> str:
    title = given.get("title")
    if not isinstance(title, str) or not title.strip():
        raise refuse(2001, "Title cannot be empty.")
    return title


def urgency_of(given: JSON) -> str:
    if given["urgency"] not in URGENCIES:
        raise refuse(2001, "urgency must be high or low")
    return str(given["urgency"])


def priority_of(call: Call, given: JSON) -> Ref | None:
    if given.get("priority") is None:
        return None
    return call.account.reference(given["priority"], "priority", lambda: refuse(1020))


def policy_of(call: Call, given: JSON) -> Ref:
    return call.account.reference(given["escalation_policy"], "escalation_policy", lambda: refuse(1014))


def assignees_of(call: Call, given: JSON) -> list[Ref]:
    assignments = given.get("assignments") or []
    users = [item.get("assignee") if isinstance(item, dict) else None for item in assignments]
    return call.account.references(users, "user", lambda: refuse(1007))


def _usual_urgency(service: Any) -> str:
    urgency = service["incident_urgency_rule"].get("urgency")
    return urgency if urgency in URGENCIES else "high"


def _no_service() -> Exception:
    return refuse(2002, "Service not found")


CONFERENCE: Shape = {"conference_number": None, "conference_url": None}
NEW_INCIDENT: Shape = {
    "type": None,
    "title": None,
    "service": REFERENCE,
    "priority": {**REFERENCE, "name": None},
    "urgency": None,
    "body": {"type": None, "details": None},
    "incident_key": None,
    "assignments": {"assignee": REFERENCE, "at": None},
    "incident_type": {"id": None, "name": None},
    "escalation_policy": REFERENCE,
    "conference_bridge": CONFERENCE,
}
_FILTERS = (
    "date_range incident_key service_ids[] team_ids[] user_ids[] urgencies[] statuses[] sort_by since until"
    " time_zone include[]"
)

ENDPOINTS = (
    Endpoint("GET", "/incidents", list_incidents, PAGE | set(_FILTERS.split())),
    Endpoint("GET", "/incidents/{id}", get_incident, frozenset({"include[]"})),
    Endpoint("POST", "/incidents", create_incident, body={"incident": NEW_INCIDENT}, requester="required"),
)
__all__ = ["ENDPOINTS"]
