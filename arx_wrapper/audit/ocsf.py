"""Convert records to events of the Open Cybersecurity Schema Framework: class 6003, API Activity, version 1.5.0."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from arx_wrapper._version import __version__
from arx_wrapper.audit.record import AuditRecord

_VERSION: Final = "1.5.0"
_CLASS: Final = 6003
_CATEGORY: Final = 6
_ACTIVITIES: Final[Mapping[str | None, tuple[int, str]]] = {
    "POST": (1, "Create"),
    "GET": (2, "Read"),
    "PUT": (3, "Update"),
    "DELETE": (4, "Delete"),
}
_OTHER: Final = (99, "Other")
_STATUSES: Final[Mapping[str, tuple[int, str]]] = {
    "success": (1, "Success"),
    "error": (2, "Failure"),
    "blocked": (2, "Failure"),
    "unknown": (0, "Unknown"),
}
_SEVERITIES: Final[Mapping[str | None, tuple[int, str]]] = {
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
}


def event_of(record: AuditRecord) -> dict[str, Any]:
    """Return the event for a record.

    The actor is the reviewer in a review, and the agent in all other records. The authorization is the verdict of
    policy, or of the reviewer. Members that the schema does not have are under `unmapped`, with the record's names.
    """
    activity, activity_name = _ACTIVITIES.get(record.method, _OTHER)
    status, status_name = _STATUSES.get(record.status, (99, "Other"))
    severity, severity_name = _SEVERITIES.get(record.risk, (1, "Informational"))
    event: dict[str, Any] = {
        "activity_id": activity,
        "activity_name": activity_name if activity != 99 else record.action_type,
        "actor": _actor(record),
        "api": {"operation": record.operation or record.action_type, "service": {"name": record.connector}},
        "category_name": "Application Activity",
        "category_uid": _CATEGORY,
        "class_name": "API Activity",
        "class_uid": _CLASS,
        "metadata": {
            "correlation_uid": record.metadata.get("intent") or record.id,
            "event_code": record.action_type,
            "original_time": record.created_at,
            "product": {"name": "arx-pagerduty", "vendor_name": "ARX", "version": __version__},
            "sequence": record.seq,
            "tenant_uid": record.org_id,
            "uid": record.id,
            "version": _VERSION,
        },
        "resources": [{"uid": uid, "type": name} for name, uid in _named(record.metadata.get("ids", {}))],
        "severity": severity_name,
        "severity_id": severity,
        "src_endpoint": {"name": record.agent_id, "type_id": 99, "type": "Agent"},
        "status": status_name if status != 99 else record.status,
        "status_id": status,
        "time": int(datetime.fromisoformat(record.created_at).timestamp() * 1000),
        "type_name": f"API Activity: {activity_name}",
        "type_uid": _CLASS * 100 + activity,
        "unmapped": {
            "agent_id": record.agent_id,
            "hash": record.hash,
            "inputs_hash": record.inputs_hash,
            "metadata": record.metadata,
            "outputs_hash": record.outputs_hash,
            "policy": record.policy,
            "policy_verdict": record.policy_verdict,
            "prev_hash": record.prev_hash,
            "reason": record.reason,
        },
    }
    if record.duration_ms is not None:
        event["duration"] = round(record.duration_ms)
    if record.error:
        event["status_detail"] = record.error
        event["api"]["response"] = {"error": record.error}
    if record.approval_id:
        event["unmapped"]["approval_id"] = record.approval_id
    if not event["resources"]:
        del event["resources"]
    return event


def _actor(record: AuditRecord) -> dict[str, Any]:
    metadata = record.metadata
    reviewer, verdict = metadata.get("reviewer"), metadata.get("verdict") or record.policy_verdict
    user = {"uid": record.agent_id, "type_id": 3, "type": "System", "org": {"uid": record.org_id}}
    if isinstance(reviewer, str):
        user = {"uid": reviewer, "name": reviewer, "type_id": 1, "type": "User", "org": {"uid": record.org_id}}
    actor: dict[str, Any] = {"user": user}
    if verdict:
        policy = {"name": record.policy, "desc": record.reason}
        authorization = {"decision": str(verdict), "policy": {name: value for name, value in policy.items() if value}}
        actor["authorizations"] = [{name: value for name, value in authorization.items() if value}]
    return actor


def _named(ids: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name.removesuffix("_ids").removesuffix("_id"), str(uid))
        for name, found in ids.items()
        for uid in (found if isinstance(found, list) else [found])
    ]
