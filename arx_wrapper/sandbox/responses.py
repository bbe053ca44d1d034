"""Render stored resources as the JSON of a response."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import partial
from typing import Any

import orjson

from arx_wrapper.sandbox.account import JSON, Account, Incident, Ref, Resource

__all__ = ["encode", "expanded"]

_WEB = "https://sandbox.example.com"
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS | orjson.OPT_PASSTHROUGH_SUBCLASS

# The members whose references `include[]=name` replaces with whole resources.
_EXPANDS: dict[str, tuple[str, ...]] = {
    "acknowledgers": ("acknowledger",),
    "agents": ("agent", "last_status_change_by"),
    "assignees": ("assignee",),
    "contact_methods": ("contact_methods", "contact_method"),
    "escalation_policies": ("escalation_policy",),
    "first_trigger_log_entries": ("first_trigger_log_entry",),
    "incidents": ("incident",),
    "integrations": ("integrations",),
    "notification_rules": ("notification_rules",),
    "priorities": ("priority",),
    "schedules": ("schedule",),
    "services": ("service", "services"),
    "targets": ("targets",),
    "teams": ("teams",),
    "users": ("user", "created_by"),
}


def encode(account: Account, base: str, value: Any) -> bytes:
    """Return JSON, with links under `base`."""
    return orjson.dumps(value, partial(_shown, account, base), _OPTIONS)


def expanded(account: Account, value: Any, include: list[str], zone: tzinfo | None) -> Any:
    """Return the value with whole resources in place of included references, and its times in a zone."""
    names = {member for name in include for member in _EXPANDS.get(name, ())}
    return _expanded(account, value, names, set(include), zone, "") if names or include or zone else value


def _expanded(account: Account, value: Any, names: set[str], hidden: set[str], zone: tzinfo | None, member: str) -> Any:
    if isinstance(value, Ref):
        return (account.resolve(value) or value) if member in names else value
    if isinstance(value, datetime):
        return value.astimezone(zone) if zone else value
    if isinstance(value, list):
        return [_expanded(account, item, names, hidden, zone, member) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value, Resource):
        shown = _members(account, value)
        for name in hidden.intersection(value.hidden):
            shown[name] = value.hidden[name]
        copy = Resource(value.kind, value.home, {}, value.hidden)
        copy.update({k: _expanded(account, v, names, hidden, zone, k) for k, v in shown.items()})
        copy["summary"] = value.summary
        return copy
    return {k: _expanded(account, v, names, hidden, zone, k) for k, v in value.items()}


def _shown(account: Account, base: str, value: Any) -> JSON:
    """Encode references and resources, which orjson does not know."""
    if isinstance(value, Ref):
        resource = account.resolve(value)
        if resource is None:
            return {"id": value.id, "type": f"{value.kind}_reference", "summary": None}
        return {**_identity(base, resource), "type": f"{resource['type']}_reference"}
    if isinstance(value, Resource):
        return {**_identity(base, value), **_members(account, value)}
    raise TypeError(f"cannot be sent as JSON: {type(value).__name__}")


def _identity(base: str, resource: Resource) -> JSON:
    return {
        "id": resource["id"],
        "type": resource["type"],
        "summary": resource.summary,
        "self": base + resource.path,
        "html_url": _WEB + resource.path,
    }


def _members(account: Account, resource: Resource) -> JSON:
    derive = _DERIVED.get(resource.kind)
    return {**resource, **derive(account, resource)} if derive else dict(resource)


def _incident(account: Account, incident: Resource) -> JSON:
    if not isinstance(incident, Incident):
        return {}
    resolved = sum(alert["status"] == "resolved" for alert in incident.alerts)
    total = len(incident.alerts)
    return {"alert_counts": {"all": total, "triggered": total - resolved, "resolved": resolved}}


def _service(account: Account, service: Resource) -> JSON:
    return {"status": _service_status(account, service)}


def _service_status(account: Account, service: Resource) -> str:
    if service["status"] == "disabled":
        return "disabled"
    if account.windows_at(service.ref, account.clock.now()):
        return "maintenance"
    statuses = {incident["status"] for incident in account.open_incidents(service.ref)}
    return "critical" if "triggered" in statuses else "warning" if statuses else "active"


def _escalation_policy(account: Account, policy: Resource) -> JSON:
    return {"services": [s.ref for s in account.all("service") if s["escalation_policy"] == policy.ref]}


def _schedule(account: Account, schedule: Resource) -> JSON:
    policies = [
        policy.ref
        for policy in account.all("escalation_policy")
        if any(schedule.ref in rule["targets"] for rule in policy["escalation_rules"])
    ]
    return {"escalation_policies": policies}


_DERIVED: dict[str, Callable[[Account, Resource], JSON]] = {
    "incident": _incident,
    "service": _service,
    "escalation_policy": _escalation_policy,
    "schedule": _schedule,
}
