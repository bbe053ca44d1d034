"""What each write sends: from an operation's parameters to the generated client's request body.

The generated body classes are closed and strict: a name or a value that PagerDuty's schema lacks is refused here,
before anything is judged or sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pagerduty_client import models as m

from arx_wrapper.model import Params

JSON = dict[str, Any]


def create_incident(p: Params) -> object:
    incident: JSON = {
        "type": "incident",
        "service": _reference(p["service_id"], "service"),
        **_only(p, "title", "urgency", "incident_key", "conference_bridge"),
        **_incident_references(p),
    }
    if "body" in p:
        incident["body"] = {"type": "incident_body", "details": p["body"]}
    return m.CreateIncidentBody.parse({"incident": incident})


def update_incident(p: Params) -> object:
    return m.UpdateIncidentBody.parse({"incident": _incident_change(p)})


def resolve_incident(p: Params) -> object:
    return m.UpdateIncidentBody.parse({"incident": {**_incident_change(p), "status": "resolved"}})


def acknowledge_incident(p: Params) -> object:
    return m.UpdateIncidentBody.parse({"incident": {**_incident_change(p), "status": "acknowledged"}})


def manage_incidents(p: Params) -> object:
    entries = [{"id": entry["id"], **_incident_change(entry)} for entry in p["incidents"]]
    return m.ManageIncidentsBody.parse({"incidents": entries})


def snooze_incident(p: Params) -> object:
    return m.SnoozeIncidentBody.parse(_only(p, "duration"))


def merge_incidents(p: Params) -> object:
    sources = [_reference(source, "incident") for source in p["source_incident_ids"]]
    return m.MergeIncidentsBody.parse({"source_incidents": sources})


def add_incident_note(p: Params) -> object:
    return m.AddIncidentNoteBody.parse({"note": _only(p, "content")})


def update_alert(p: Params) -> object:
    alert: JSON = {"type": "alert", **_only(p, "status")}
    if "parent_incident_id" in p:
        alert["incident"] = _reference(p["parent_incident_id"], "incident")
    return m.UpdateAlertBody.parse({"alert": alert})


def create_service(p: Params) -> object:
    return m.CreateServiceBody.parse({"service": {"type": "service", **_service(p, "name", "description")}})


def update_service(p: Params) -> object:
    return m.UpdateServiceBody.parse({"service": {"type": "service", **_service(p, "name", "description", "status")}})


def create_service_integration(p: Params) -> object:
    integration = {**_further(p, "fields", "type", "name", "vendor"), **_only(p, "type", "name")}
    if "vendor_id" in p:
        integration["vendor"] = _reference(p["vendor_id"], "vendor")
    return m.CreateServiceIntegrationBody.parse({"integration": integration})


def escalation_policy(p: Params) -> object:
    policy: JSON = {
        "type": "escalation_policy",
        **p.get("fields", {}),
        **_only(p, "name", "description", "num_loops"),
    }
    if "rules" in p:
        policy["escalation_rules"] = p["rules"]
    if "team_ids" in p:
        policy["teams"] = [_reference(team, "team") for team in p["team_ids"]]
    body = m.UpdateEscalationPolicyBody if "policy_id" in p else m.CreateEscalationPolicyBody
    return body.parse({"escalation_policy": policy})


def create_maintenance_window(p: Params) -> object:
    window: JSON = {
        "type": "maintenance_window",
        "services": [_reference(service, "service") for service in p["service_ids"]],
        **_only(p, "start_time", "end_time", "description"),
    }
    return m.CreateMaintenanceWindowBody.parse({"maintenance_window": window})


def event_rule(p: Params) -> object:
    return m.EventRuleWrite.parse(p["rule"])


def analytics(p: Params) -> object:
    own = {
        "since": "created_at_start",
        "until": "created_at_end",
        "urgency": "urgency",
        "service_ids": "service_ids",
        "team_ids": "team_ids",
    }
    filters = _further(p, "filters", *own.values())
    filters.update({member: p[name] for name, member in own.items() if name in p})
    body = _only(p, "aggregate_unit", "time_zone")
    return m.AnalyticsQuery.parse({**body, "filters": filters} if filters else body)


def _incident_change(p: Params) -> JSON:
    members = _only(p, "status", "title", "urgency", "resolution", "escalation_level", "conference_bridge")
    return {"type": "incident_reference", **members, **_incident_references(p)}


def _incident_references(p: Params) -> JSON:
    references: JSON = {}
    if "priority_id" in p:
        references["priority"] = _reference(p["priority_id"], "priority")
    if "escalation_policy_id" in p:
        references["escalation_policy"] = _reference(p["escalation_policy_id"], "escalation_policy")
    if "assignee_ids" in p:
        references["assignments"] = [{"assignee": _reference(user, "user")} for user in p["assignee_ids"]]
    return references


def _service(p: Params, *own: str) -> JSON:
    service = {**_further(p, "fields", *own, "escalation_policy"), **_only(p, *own)}
    if "escalation_policy_id" in p:
        service["escalation_policy"] = _reference(p["escalation_policy_id"], "escalation_policy")
    return service


def _further(p: Params, name: str, *own: str) -> JSON:
    """Further members, none of which has a parameter of its own: policy judges those, and must not be bypassed."""
    members = dict(p.get(name, {}))
    for member in own:
        if member in members:
            raise TakenError(name, member)
    return members


class TakenError(ValueError):
    """A further member that has a parameter of its own."""

    def __init__(self, name: str, member: str) -> None:
        super().__init__("has a parameter of its own")
        self.path, self.accepted = f"{name}.{member}", "members that have none; use the parameter instead"


def _only(p: Params, *names: str) -> JSON:
    return {name: p[name] for name in names if name in p}


def _reference(identifier: str | None, kind: str) -> Mapping[str, str] | None:
    return None if identifier is None else {"id": identifier, "type": f"{kind}_reference"}
