"""Change an incident's state, and add the log entry of each change.

Every function takes the time of the change, so that the seed can create history by the same rules.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from arx_wrapper.sandbox.account import JSON, Account, Incident, Ref, Resource
from arx_wrapper.sandbox.on_call_shifts import responders

__all__ = [
    "acknowledge",
    "add_alert",
    "add_note",
    "assign",
    "escalate",
    "record",
    "reopen",
    "resolve",
    "run_due",
    "snooze",
    "trigger",
    "unacknowledge",
]

_API: JSON = {"type": "api"}


def record(
    account: Account, incident: Incident, kind: str, at: datetime, agent: Ref, summary: str, **members: Any
) -> Resource:
    """Add a log entry; `kind` is PagerDuty's name for it without `_log_entry`."""
    entry = account.add(
        "log_entry",
        "/log_entries",
        {
            "id": account.new_id(13, "Q"),
            "type": f"{kind}_log_entry",
            "summary": summary,
            "created_at": at,
            "agent": agent,
            "channel": _API,
            "service": incident["service"],
            "incident": incident.ref,
            "teams": incident["teams"],
            "contexts": [],
            **members,
        },
    )
    incident.log.append(entry)
    return entry


def trigger(
    account: Account,
    members: JSON,
    hidden: JSON,
    *,
    at: datetime,
    by: Ref,
    summary: str = "Triggered through the API.",
) -> Incident:
    """Create an incident with `title`, `service`, `escalation_policy` and `urgency`, not yet assigned."""
    service = account.get("service", members["service"].id)
    incident = Incident(
        {
            "id": members.get("id") or account.new_id(13, "Q"),
            "type": "incident",
            "incident_number": len(account.tables.get("incident", ())) + 1,
            "created_at": at,
            "updated_at": at,
            "status": "triggered",
            "incident_key": None,
            "assignments": [],
            "assigned_via": "escalation_policy",
            "last_status_change_at": at,
            "last_status_change_by": service.ref,
            "resolved_at": None,
            "resolve_reason": None,
            "is_mergeable": True,
            "incident_type": {"name": "incident_default"},
            "priority": None,
            "teams": list(service["teams"]),
            "pending_actions": [],
            "acknowledgements": [],
            "alert_grouping": None,
            **members,
        },
        hidden,
    )
    account.store(incident)
    service["last_incident_timestamp"] = at
    entry = record(account, incident, "trigger", at, by, summary, event_details={"description": incident["title"]})
    incident["first_trigger_log_entry"] = entry.ref
    return incident


def assign(
    account: Account, incident: Incident, users: list[Ref], *, at: datetime, by: Ref, directly: bool = False
) -> None:
    """Assign the incident to `users` and notify them."""
    incident["assignments"] = [{"at": at, "assignee": user} for user in users]
    incident["assigned_via"] = "direct_assignment" if directly else "escalation_policy"
    incident["updated_at"] = at
    record(account, incident, "assign", at, by, f"Assigned to {_names(account, users)}.", assignees=users)
    for user in users:
        record(
            account,
            incident,
            "notify",
            at,
            by,
            f"Notified {_names(account, [user])} by e-mail.",
            channel={"type": "auto", "notification": {"type": "email_notification", "status": "success"}},
            user=user,
        )


def escalate(account: Account, incident: Incident, level: int, *, at: datetime, by: Ref, quietly: bool = False) -> None:
    """Assign the incident to a level of its escalation policy; `quietly` omits the `escalate` log entry."""
    policy = account.get("escalation_policy", incident["escalation_policy"].id)
    users = responders(account, policy, level, at)
    incident.level = level
    if not quietly:
        record(account, incident, "escalate", at, by, f"Escalated to level {level}.", assignees=users)
    assign(account, incident, users, at=at, by=by)


def acknowledge(account: Account, incident: Incident, *, at: datetime, by: Ref) -> None:
    others = [a for a in incident["acknowledgements"] if a["acknowledger"] != by]
    incident["acknowledgements"] = [*others, {"at": at, "acknowledger": by}]
    _status(incident, "acknowledged", at, by)
    record(account, incident, "acknowledge", at, by, f"Acknowledged by {_names(account, [by])}.")


def unacknowledge(account: Account, incident: Incident, *, at: datetime, by: Ref) -> None:
    """Set an acknowledged incident back to triggered."""
    incident["acknowledgements"], incident["pending_actions"] = [], []
    _status(incident, "triggered", at, by)
    record(account, incident, "unacknowledge", at, by, "Unacknowledged.")


def snooze(account: Account, incident: Incident, seconds: int, *, at: datetime, by: Ref) -> None:
    """Acknowledge the incident for a number of seconds."""
    if incident["status"] == "triggered":
        acknowledge(account, incident, at=at, by=by)
    ends = at + timedelta(seconds=seconds)
    incident["pending_actions"] = [{"type": "unacknowledge", "at": ends}]
    heappush(account.due, (ends, incident["id"]))
    incident["updated_at"] = at
    summary = f"Snoozed for {seconds} seconds by {_names(account, [by])}."
    channel = {"type": "snooze", "duration": seconds}
    record(account, incident, "snooze", at, by, summary, channel=channel)


def resolve(
    account: Account,
    incident: Incident,
    *,
    at: datetime,
    by: Ref,
    note: str | None = None,
    merged_into: Incident | None = None,
) -> None:
    """Resolve the incident and its alerts. The log entry holds `note`."""
    for alert in incident.alerts:
        alert["status"] = "resolved"
    incident["assignments"], incident["acknowledgements"], incident["pending_actions"] = [], [], []
    incident["resolved_at"] = at
    if merged_into:
        incident["resolve_reason"] = {"type": "merge_resolve_reason", "incident": merged_into.ref}
    _status(incident, "resolved", at, by)
    extra: JSON = {} if note is None else {"note": note, "channel": {"type": "note", "summary": note}}
    how = f"Merged into {merged_into.summary}." if merged_into else f"Resolved by {_names(account, [by])}."
    record(account, incident, "resolve", at, by, how, **extra)


def reopen(account: Account, incident: Incident, *, at: datetime, by: Ref) -> None:
    """Set a resolved incident to triggered, and assign it to the escalation policy's first level again."""
    incident["resolved_at"], incident["resolve_reason"] = None, None
    _status(incident, "triggered", at, by)
    record(account, incident, "trigger", at, by, f"Reopened by {_names(account, [by])}.")
    escalate(account, incident, 1, at=at, by=by, quietly=True)


def add_note(account: Account, incident: Incident, content: str, *, at: datetime, by: Ref) -> Resource:
    note = account.add(
        "note",
        f"{incident.path}/notes",
        {
            "user": by,
            "channel": {"summary": "The PagerDuty website or APIs"},
            "content": content,
            "created_at": at,
            "updated_at": at,
        },
    )
    incident.notes.append(note)
    channel = {"type": "note", "summary": content}
    summary = f"Note added by {_names(account, [by])}."
    record(account, incident, "annotate", at, by, summary, channel=channel, note=content)
    return note


def add_alert(account: Account, incident: Incident, *, at: datetime, severity: str, source: str) -> Resource:
    """Receive an event from a monitoring tool through the service's first integration."""
    service = account.get("service", incident["service"].id)
    integration = service["integrations"][0] if service["integrations"] else None
    alert = account.add(
        "alert",
        f"{incident.path}/alerts",
        {
            "summary": incident["title"],
            "created_at": at,
            "status": "triggered" if incident.open else "resolved",
            "alert_key": f"{source}/{account.new_id()}",
            "service": service.ref,
            "incident": incident.ref,
            "first_trigger_log_entry": incident["first_trigger_log_entry"],
            "suppressed": False,
            "severity": severity,
            "integration": integration,
            "body": {"type": "alert_body", "contexts": [], "details": {"source": source}},
        },
    )
    incident.alerts.append(alert)
    return alert


def run_due(account: Account, now: datetime) -> None:
    """Set snoozed incidents whose time has passed back to triggered."""
    while account.due and account.due[0][0] <= now:
        at, id_ = heappop(account.due)
        incident = account.incident(id_)
        if {"type": "unacknowledge", "at": at} in incident["pending_actions"]:
            unacknowledge(account, incident, at=at, by=incident["service"])


def _status(incident: Incident, status: str, at: datetime, by: Ref) -> None:
    incident["status"] = status
    incident["updated_at"] = incident["last_status_change_at"] = at
    incident["last_status_change_by"] = by


def _names(account: Account, users: list[Ref]) -> str:
    found = (account.resolve(user) for user in users)
    return ", ".join(str(user.summary) for user in found if user) or "nobody"
