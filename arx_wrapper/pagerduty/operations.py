"""The table: 45 operations, each with its method, path, risk and generated call. The only place that states a risk.

A new operation is a row here, a method of the same parameters in `resources/`, and a cassette. What a
write sends is in `bodies.py`; what it amounts to, in `effects.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from arx_wrapper.model import Body, EffectRule, HttpMethod, Operation, Risk
from arx_wrapper.pagerduty import bodies, effects

LOW, MEDIUM, HIGH = Risk.LOW, Risk.MEDIUM, Risk.HIGH


def _read(
    name: str,
    path: str,
    endpoint: str,
    answer: str | None,
    model: str,
    summary: str,
    *,
    function: str | None = None,
    method: HttpMethod = "GET",
    body: Body | None = None,
    effects: EffectRule | None = None,
    deprecated: bool = False,
) -> Operation:
    return Operation(
        name=name,
        method=method,
        path=path,
        risk=LOW,
        function=function or endpoint.rpartition(".")[2],
        endpoint=endpoint,
        answer=answer,
        model=model,
        summary=summary,
        body=body,
        effects=effects,
        deprecated=deprecated,
    )


def _write(
    name: str,
    method: HttpMethod,
    path: str,
    risk: Risk,
    endpoint: str,
    answer: str | None,
    model: str | None,
    summary: str,
    *,
    effects: EffectRule,
    body: Body | None = None,
    function: str | None = None,
    deprecated: bool = False,
) -> Operation:
    return Operation(
        name=name,
        method=method,
        path=path,
        risk=risk,
        function=function or endpoint.rpartition(".")[2],
        endpoint=endpoint,
        answer=answer,
        model=model,
        summary=summary,
        writes=True,
        effects=effects,
        body=body,
        deprecated=deprecated,
    )


_INCIDENT = "/incidents/{incident_id}"
_ALERTS = "/incidents/{incident_id}/alerts"
_UPDATE_INCIDENT = "incidents.update_incident"
_POLICY = "/escalation_policies/{policy_id}"

# fmt: off
_ROWS = (
    _read("incidents:read", "/incidents", "incidents.list_incidents", "incidents", "Incident",
          "List and query incidents with filters"),
    _read("incidents:read_detail", _INCIDENT, "incidents.get_incident", "incident", "Incident",
          "Get full incident details by ID"),
    _write("incidents:create", "POST", "/incidents", MEDIUM, "incidents.create_incident", "incident", "Incident",
           "Create a new incident", body=bodies.create_incident, effects=effects.none),
    _write("incidents:update", "PUT", _INCIDENT, MEDIUM, _UPDATE_INCIDENT, "incident", "Incident",
           "Update incident fields (status, urgency, etc.)",
           body=bodies.update_incident, effects=effects.update_incident),
    _write("incidents:manage", "PUT", "/incidents", MEDIUM, "incidents.manage_incidents", "incidents", "Incident",
           "Bulk manage incidents (acknowledge, resolve, merge)",
           body=bodies.manage_incidents, effects=effects.manage_incidents),
    _write("incidents:snooze", "POST", _INCIDENT + "/snooze", LOW, "incidents.snooze_incident", "incident", "Incident",
           "Snooze an incident for a duration", body=bodies.snooze_incident, effects=effects.snooze_incident),
    _write("incidents:merge", "PUT", _INCIDENT + "/merge", MEDIUM, "incidents.merge_incidents", "incident", "Incident",
           "Merge other incidents into this one", body=bodies.merge_incidents, effects=effects.merge_incidents),
    _read("incidents:read_alerts", _ALERTS, "incidents.list_incident_alerts", "alerts", "Alert",
          "Get alerts associated with an incident", effects=effects.read_alerts),
    _read("incidents:read_log", _INCIDENT + "/log_entries", "incidents.list_incident_log_entries",
          "log_entries", "LogEntry", "Get log entries (timeline) for an incident"),
    _read("incidents:read_notes", _INCIDENT + "/notes", "incidents.list_incident_notes", "notes", "IncidentNote",
          "Get notes on an incident"),
    _write("incidents:add_note", "POST", _INCIDENT + "/notes", LOW, "incidents.add_incident_note",
           "note", "IncidentNote", "Add a note to an incident", body=bodies.add_incident_note, effects=effects.none),
    _write("incidents:reassign", "PUT", _INCIDENT, MEDIUM, _UPDATE_INCIDENT, "incident", "Incident",
           "Reassign an incident to different user(s)", function="reassign_incident",
           body=bodies.update_incident, effects=effects.none),
    _write("incidents:resolve", "PUT", _INCIDENT, MEDIUM, _UPDATE_INCIDENT, "incident", "Incident",
           "Resolve an incident (set status=resolved)", function="resolve_incident",
           body=bodies.resolve_incident, effects=effects.none),
    _write("incidents:acknowledge", "PUT", _INCIDENT, LOW, _UPDATE_INCIDENT, "incident", "Incident",
           "Acknowledge an incident (set status=acknowledged)", function="acknowledge_incident",
           body=bodies.acknowledge_incident, effects=effects.none),

    _read("alerts:read", _ALERTS, "incidents.list_incident_alerts", "alerts", "Alert",
          "Get alerts for an incident", function="list_alerts", effects=effects.read_alerts),
    _write("alerts:update", "PUT", _ALERTS + "/{alert_id}", MEDIUM, "alerts.update_alert", "alert", "Alert",
           "Update an alert (resolve, suppress, etc.)", body=bodies.update_alert, effects=effects.update_alert),

    _read("services:read", "/services", "services.list_services", "services", "Service", "List all services"),
    _read("services:read_detail", "/services/{service_id}", "services.get_service", "service", "Service",
          "Get service details by ID"),
    _write("services:create", "POST", "/services", HIGH, "services.create_service", "service", "Service",
           "Create a new service", body=bodies.create_service, effects=effects.none),
    _write("services:update", "PUT", "/services/{service_id}", MEDIUM, "services.update_service", "service", "Service",
           "Update an existing service", body=bodies.update_service, effects=effects.update_service),
    _write("services:delete", "DELETE", "/services/{service_id}", HIGH, "services.delete_service", None, None,
           "Delete a service permanently", effects=effects.none),
    _read("services:read_integrations", "/services/{service_id}/integrations", "services.list_service_integrations",
          "integrations", "Integration", "List integrations for a service"),
    _write("services:create_integration", "POST", "/services/{service_id}/integrations", MEDIUM,
           "services.create_service_integration", "integration", "Integration",
           "Create a new integration on a service", body=bodies.create_service_integration,
           effects=effects.create_integration),

    _read("escalation:read", "/escalation_policies", "escalation_policies.list_escalation_policies",
          "escalation_policies", "EscalationPolicy", "List escalation policies"),
    _read("escalation:read_detail", _POLICY, "escalation_policies.get_escalation_policy",
          "escalation_policy", "EscalationPolicy", "Get escalation policy details"),
    _write("escalation:create", "POST", "/escalation_policies", MEDIUM, "escalation_policies.create_escalation_policy",
           "escalation_policy", "EscalationPolicy", "Create a new escalation policy",
           body=bodies.escalation_policy, effects=effects.none),
    _write("escalation:update", "PUT", _POLICY, MEDIUM, "escalation_policies.update_escalation_policy",
           "escalation_policy", "EscalationPolicy", "Update an existing escalation policy",
           body=bodies.escalation_policy, effects=effects.none),
    _write("escalation:delete", "DELETE", _POLICY, HIGH, "escalation_policies.delete_escalation_policy", None, None,
           "Delete an escalation policy", effects=effects.none),

    _read("schedules:read", "/schedules", "schedules.list_schedules", "schedules", "Schedule",
          "List on-call schedules"),
    _read("schedules:read_detail", "/schedules/{schedule_id}", "schedules.get_schedule", "schedule", "Schedule",
          "Get schedule details"),
    _read("schedules:read_oncall", "/oncalls", "schedules.list_oncalls", "oncalls", "Oncall",
          "Query currently on-call users", function="get_oncall_users"),

    _read("users:read", "/users", "users.list_users", "users", "User", "List all users"),
    _read("users:read_detail", "/users/{user_id}", "users.get_user", "user", "User", "Get user details by ID"),
    _read("users:read_contact", "/users/{user_id}/contact_methods", "users.list_user_contact_methods",
          "contact_methods", "ContactMethod", "Get contact methods for a user"),
    _read("users:read_notification", "/users/{user_id}/notification_rules", "users.list_user_notification_rules",
          "notification_rules", "NotificationRule", "Get notification rules for a user"),

    _read("teams:read", "/teams", "teams.list_teams", "teams", "Team", "List all teams"),
    _read("teams:read_detail", "/teams/{team_id}", "teams.get_team", "team", "Team", "Get team details by ID"),

    _read("maintenance:read", "/maintenance_windows", "maintenance_windows.list_maintenance_windows",
          "maintenance_windows", "MaintenanceWindow", "List maintenance windows"),
    _write("maintenance:create", "POST", "/maintenance_windows", HIGH, "maintenance_windows.create_maintenance_window",
           "maintenance_window", "MaintenanceWindow",
           "Create maintenance window (silences alerts for services)",
           body=bodies.create_maintenance_window, effects=effects.none),
    _write("maintenance:delete", "DELETE", "/maintenance_windows/{window_id}", MEDIUM,
           "maintenance_windows.delete_maintenance_window", None, None,
           "Delete (end) a maintenance window", effects=effects.none),

    _read("rules:read", "/event_rules", "event_rules.list_event_rules", "rules", "EventRule",
          "List global event rules", deprecated=True),
    _write("rules:create", "POST", "/event_rules", MEDIUM, "event_rules.create_event_rule", None, "EventRule",
           "Create a global event rule", body=bodies.event_rule, effects=effects.event_rule, deprecated=True),
    _write("rules:update", "PUT", "/event_rules/{rule_id}", MEDIUM, "event_rules.update_event_rule", None, "EventRule",
           "Update a global event rule", body=bodies.event_rule, effects=effects.event_rule, deprecated=True),

    _read("analytics:read", "/analytics/metrics/incidents/all", "analytics.get_incident_analytics",
          None, "AnalyticsMetrics", "Get aggregate incident analytics metrics", method="POST", body=bodies.analytics),
    _read("analytics:services", "/analytics/metrics/incidents/services", "analytics.get_service_analytics",
          None, "AnalyticsMetrics", "Get per-service incident analytics metrics", method="POST",
          body=bodies.analytics),
)
# fmt: on

OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType({row.name: row for row in _ROWS})
RISKS: Final[Mapping[str, Risk]] = MappingProxyType({row.name: row.risk for row in _ROWS})
