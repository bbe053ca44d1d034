"""Serve an incident's alerts, notes and log entries, and the account's log entries."""

from __future__ import annotations

from collections.abc import Iterable

from arx_wrapper.sandbox import lifecycle
from arx_wrapper.sandbox.account import Incident, Resource
from arx_wrapper.sandbox.endpoint import PAGE, Call, Endpoint, Reply, ok
from arx_wrapper.sandbox.errors import refuse
from arx_wrapper.sandbox.paging import page, shown, sorted_by

__all__ = ["ENDPOINTS"]

LONGEST_NOTE = 2_000
_ALERT_STATUSES = ("triggered", "resolved")
_ALERT_INCLUDE = ("services", "first_trigger_log_entries", "incidents")
_LOG_INCLUDE = ("incidents", "services", "channels", "teams")
_OVERVIEW = frozenset(
    f"{kind}_log_entry" for kind in ("trigger", "acknowledge", "resolve", "escalate", "unacknowledge", "snooze")
)


def list_alerts(call: Call) -> Reply:
    statuses, key = call.many("statuses", _ALERT_STATUSES), call.one("alert_key")
    alerts = [
        alert
        for alert in call.account.incident(call.path["id"]).alerts
        if (not statuses or alert["status"] in statuses) and (key is None or alert["alert_key"] == key)
    ]
    ordered = sorted_by(alerts, call.one("sort_by"), ("created_at", "resolved_at"), "created_at")
    return page(call, "alerts", ordered, _ALERT_INCLUDE)


def get_alert(call: Call) -> Reply:
    return ok({"alert": _alert(call, call.account.incident(call.path["id"]))})


def update_alert(call: Call) -> Reply:
    incident = call.account.incident(call.path["id"])
    alert, given = _alert(call, incident), call.wrapped("alert")
    status = given.get("status")
    if status not in (None, *_ALERT_STATUSES):
        raise refuse(2001, "status must be triggered or resolved")
    parent = _parent(call, given.get("incident")) if given.get("incident") else incident
    if status:
        alert["status"] = status
    if parent is not incident:
        incident.alerts.remove(alert)
        parent.alerts.append(alert)
        alert["incident"], alert.home = parent.ref, f"{parent.path}/alerts"
    # An incident is resolved with the last of its alerts.
    if status == "resolved" and parent.open and all(a["status"] == "resolved" for a in parent.alerts):
        lifecycle.resolve(call.account, parent, at=call.now, by=call.user.ref)
    return ok({"alert": alert})


def _alert(call: Call, incident: Incident) -> Resource:
    alert = call.account.get("alert", call.path["alert_id"])
    if alert not in incident.alerts:
        raise refuse(2100)
    return alert


def _parent(call: Call, given: object) -> Incident:
    found = call.account.find("incident", given.get("id") if isinstance(given, dict) else None)
    if not isinstance(found, Incident) or not found.open:
        raise refuse(2001, "incident must be an open incident")
    return found


def list_notes(call: Call) -> Reply:
    return ok({"notes": call.account.incident(call.path["id"]).notes})


def add_note(call: Call) -> Reply:
    incident = call.account.incident(call.path["id"])
    content = call.wrapped("note").get("content")
    if not isinstance(content, str) or not content.strip():
        raise refuse(2001, "Content cannot be empty.")
    if len(content) > LONGEST_NOTE:
        raise refuse(2001, f"Content is too long (maximum is {LONGEST_NOTE} characters)")
    note = lifecycle.add_note(call.account, incident, content, at=call.now, by=call.user.ref)
    return Reply(call.options.note_status, {"note": note})


def list_incident_log(call: Call) -> Reply:
    return _log(call, call.account.incident(call.path["id"]).log)


def list_log(call: Call) -> Reply:
    return _log(call, call.account.all("log_entry"))


def get_log_entry(call: Call) -> Reply:
    return ok({"log_entry": shown(call, call.account.get("log_entry", call.path["id"]), _LOG_INCLUDE)})


def _log(call: Call, entries: Iterable[Resource]) -> Reply:
    """Newest first."""
    since, until, overview = call.time("since"), call.time("until"), call.flag("is_overview")
    teams = set(call.many("team_ids"))
    found = [
        entry
        for entry in entries
        if (since is None or entry["created_at"] >= since)
        and (until is None or entry["created_at"] < until)
        and (not overview or entry["type"] in _OVERVIEW)
        and (not teams or any(team.id in teams for team in entry["teams"]))
    ]
    found.reverse()  # the sort is stable: of entries of the same second, the newest comes first
    found.sort(key=lambda entry: entry["created_at"], reverse=True)
    return page(call, "log_entries", found, _LOG_INCLUDE)


_LOG_QUERY = PAGE | {"time_zone", "since", "until", "is_overview", "include[]"}
_ALERT_QUERY = PAGE | {"alert_key", "statuses[]", "sort_by", "include[]"}
_ALERT = {"alert": {"id": None, "type": None, "status": None, "incident": {"id": None, "type": None}}}

ENDPOINTS = (
    Endpoint("GET", "/incidents/{id}/alerts", list_alerts, _ALERT_QUERY),
    Endpoint("GET", "/incidents/{id}/alerts/{alert_id}", get_alert),
    Endpoint("PUT", "/incidents/{id}/alerts/{alert_id}", update_alert, body=_ALERT, requester="required"),
    Endpoint("GET", "/incidents/{id}/notes", list_notes),
    Endpoint("POST", "/incidents/{id}/notes", add_note, body={"note": {"content": None}}, requester="required"),
    Endpoint("GET", "/incidents/{id}/log_entries", list_incident_log, _LOG_QUERY),
    Endpoint("GET", "/log_entries", list_log, _LOG_QUERY | {"team_ids[]"}),
    Endpoint("GET", "/log_entries/{id}", get_log_entry, frozenset({"time_zone", "include[]"})),
)
