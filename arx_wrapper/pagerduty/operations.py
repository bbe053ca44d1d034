"""The table: the reference's 45 operations and three extensions. No other registry is keyed by operation.

A new operation is a row here, a method of the same parameters in `resources/`, and a cassette. A write adds its body
(`bodies.py`), its effects (`effects.py`), the state that a reviewer is shown (`target_state.py`) and how to find out
what became of it when its response is lost (`recovery.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from attrs import evolve
from pagerduty_client.scopes import SCOPES

from arx_wrapper.model import NO_TARGET, NOT_RECOVERABLE, ByCursor, ByTime, Many, One, Operation, Risk
from arx_wrapper.pagerduty import bodies, columns, effects, pages, recovery, sentences, target_state

LOW, MEDIUM, HIGH = Risk.LOW, Risk.MEDIUM, Risk.HIGH

_ROWS = (
    Operation(
        "incidents:read", "GET", "/incidents", LOW,
        endpoint="incidents.list_incidents", returns=Many("incidents", "Incident"),
        summary="List and query incidents with filters",
        paging=ByTime(default_span=timedelta(days=31)), probe=True,
        columns=columns.INCIDENTS,
        not_for_agents=("incident_key",),
    ),
    Operation(
        "incidents:read_detail", "GET", "/incidents/{incident_id}", LOW,
        endpoint="incidents.get_incident", returns=One("incident", "Incident"),
        summary="Get full incident details by ID",
        columns=columns.INCIDENT,
    ),
    Operation(
        "incidents:create", "POST", "/incidents", MEDIUM,
        endpoint="incidents.create_incident", returns=One("incident", "Incident"),
        summary="Create a new incident",
        body=bodies.create_incident, effects=effects.none, target_state=target_state.new_incident,
        recovery=recovery.CREATED_INCIDENT, pages=pages.new_incident, log_entry="trigger_log_entry",
        columns=columns.INCIDENT,
        sentence=sentences.create_incident,
    ),
    Operation(
        "incidents:update", "PUT", "/incidents/{incident_id}", MEDIUM,
        endpoint="incidents.update_incident", returns=One("incident", "Incident"),
        summary="Update incident fields (status, urgency, etc.)",
        body=bodies.update_incident, effects=effects.update_incident,
        target_state=target_state.changed_incident, recovery=NOT_RECOVERABLE, pages=pages.changed_incident,
        certain_effects=("incidents:acknowledge", "incidents:resolve"),
        not_for_agents=("service_id",),
        columns=columns.INCIDENT,
        sentence=sentences.update_incident,
        performs={"incidents:resolve": (), "incidents:acknowledge": (), "incidents:reassign": ("assignee_ids",)},
    ),
    Operation(
        "incidents:manage", "PUT", "/incidents", MEDIUM,
        endpoint="incidents.manage_incidents", returns=Many("incidents", "Incident"),
        summary="Bulk manage incidents (acknowledge, resolve, merge)",
        body=bodies.manage_incidents, effects=effects.manage_incidents,
        target_state=target_state.incidents, recovery=NOT_RECOVERABLE, pages=pages.changed_incidents,
        columns=columns.INCIDENTS,
        sentence=sentences.manage_incidents,
        performs={
            "incidents:update": (), "incidents:resolve": (), "incidents:acknowledge": (),
            "incidents:reassign": ("assignee_ids",),
        },
    ),
    Operation(
        "incidents:snooze", "POST", "/incidents/{incident_id}/snooze", LOW,
        endpoint="incidents.snooze_incident", returns=One("incident", "Incident"),
        summary="Snooze an incident for a duration",
        body=bodies.snooze_incident, effects=effects.snooze_incident,
        target_state=target_state.incident, recovery=recovery.SNOOZED, log_entry="snooze_log_entry",
        needs=("incidents:acknowledge",),
        columns=columns.INCIDENT,
        sentence=sentences.snooze_incident,
        performs={"incidents:acknowledge": ()},
    ),
    Operation(
        "incidents:merge", "PUT", "/incidents/{incident_id}/merge", MEDIUM,
        endpoint="incidents.merge_incidents", returns=One("incident", "Incident"),
        summary="Merge other incidents into this one",
        body=bodies.merge_incidents, effects=effects.merge_incidents,
        target_state=target_state.merge, recovery=NOT_RECOVERABLE,
        needs=("incidents:resolve",),
        columns=columns.INCIDENT,
        sentence=sentences.merge_incidents,
        performs={"incidents:resolve": ()},
    ),
    Operation(
        "incidents:read_alerts", "GET", "/incidents/{incident_id}/alerts", LOW,
        endpoint="incidents.list_incident_alerts", returns=Many("alerts", "Alert"),
        summary="Get alerts associated with an incident", effects=effects.read_alerts,
        needs=("alerts:read",),
        columns=columns.ALERTS,
        performs={"alerts:read": ()},
        not_for_agents=("sort_by",),
    ),
    Operation(
        "incidents:read_log", "GET", "/incidents/{incident_id}/log_entries", LOW,
        endpoint="incidents.list_incident_log_entries", returns=Many("log_entries", "LogEntry"),
        summary="Get log entries (timeline) for an incident", paging=ByTime(),
        columns=columns.LOG_ENTRIES,
        not_for_agents=("is_overview",),
    ),
    Operation(
        "incidents:read_notes", "GET", "/incidents/{incident_id}/notes", LOW,
        endpoint="incidents.list_incident_notes", returns=Many("notes", "IncidentNote"),
        summary="Get notes on an incident",
        columns=columns.NOTES,
    ),
    Operation(
        "incidents:add_note", "POST", "/incidents/{incident_id}/notes", LOW,
        endpoint="incidents.add_incident_note", returns=One("note", "IncidentNote"),
        summary="Add a note to an incident",
        body=bodies.add_incident_note, effects=effects.none,
        target_state=target_state.incident, recovery=recovery.NOTED, log_entry="annotate_log_entry",
        columns=columns.NOTES,
        sentence=sentences.add_note,
    ),
    Operation(
        "incidents:reassign", "PUT", "/incidents/{incident_id}", MEDIUM,
        endpoint="incidents.update_incident", function="reassign_incident", returns=One("incident", "Incident"),
        summary="Reassign an incident to different user(s)",
        body=bodies.update_incident, effects=effects.none,
        target_state=target_state.changed_incident, recovery=NOT_RECOVERABLE, pages=pages.changed_incident,
        log_entry="assign_log_entry",
        columns=columns.INCIDENT,
        sentence=sentences.reassign_incident,
    ),
    Operation(
        "incidents:resolve", "PUT", "/incidents/{incident_id}", MEDIUM,
        endpoint="incidents.update_incident", function="resolve_incident", returns=One("incident", "Incident"),
        summary="Resolve an incident (set status=resolved)",
        body=bodies.resolve_incident, effects=effects.none,
        target_state=target_state.incident, recovery=recovery.RESOLVED, log_entry="resolve_log_entry",
        columns=columns.INCIDENT,
        sentence=sentences.resolve_incident,
    ),
    Operation(
        "incidents:acknowledge", "PUT", "/incidents/{incident_id}", LOW,
        endpoint="incidents.update_incident", function="acknowledge_incident", returns=One("incident", "Incident"),
        summary="Acknowledge an incident (set status=acknowledged)",
        body=bodies.acknowledge_incident, effects=effects.none,
        target_state=target_state.incident, recovery=recovery.ACKNOWLEDGED, log_entry="acknowledge_log_entry",
        columns=columns.INCIDENT,
        sentence=sentences.acknowledge_incident,
    ),
    Operation(
        "alerts:read", "GET", "/incidents/{incident_id}/alerts", LOW,
        endpoint="incidents.list_incident_alerts", function="list_alerts", returns=Many("alerts", "Alert"),
        summary="Get alerts for an incident", effects=effects.read_alerts,
        needs=("incidents:read_alerts",),
        columns=columns.ALERTS,
        performs={"incidents:read_alerts": ()},
        not_for_agents=("alert_key", "sort_by", "statuses", "offset"),
    ),
    Operation(
        "alerts:update", "PUT", "/incidents/{incident_id}/alerts/{alert_id}", MEDIUM,
        endpoint="alerts.update_alert", returns=One("alert", "Alert"),
        summary="Update an alert (resolve, suppress, etc.)",
        body=bodies.update_alert, effects=effects.update_alert,
        target_state=target_state.incident, recovery=NOT_RECOVERABLE,
        columns=columns.ALERTS,
        sentence=sentences.update_alert,
        performs={"incidents:resolve": (), "incidents:merge": ()},
    ),
    Operation(
        "services:read", "GET", "/services", LOW,
        endpoint="services.list_services", returns=Many("services", "Service"),
        summary="List all services", probe=True,
        effects=effects.read_service,
        columns=columns.SERVICES,
        performs={"services:read_integrations": ("*",)},
        not_for_agents=("sort_by", "offset"),
    ),
    Operation(
        "services:read_detail", "GET", "/services/{service_id}", LOW,
        endpoint="services.get_service", returns=One("service", "Service"),
        summary="Get service details by ID",
        effects=effects.read_service,
        columns=columns.SERVICE,
        performs={"services:read_integrations": ()},
    ),
    Operation(
        "services:create", "POST", "/services", HIGH,
        endpoint="services.create_service", returns=One("service", "Service"),
        summary="Create a new service",
        body=bodies.create_service, effects=effects.none, target_state=target_state.new_service,
        recovery=NOT_RECOVERABLE,
        columns=columns.SERVICE,
        sentence=sentences.create_service,
    ),
    Operation(
        "services:update", "PUT", "/services/{service_id}", MEDIUM,
        endpoint="services.update_service", returns=One("service", "Service"),
        summary="Update an existing service", highest_risk=HIGH,
        body=bodies.update_service, effects=effects.update_service,
        target_state=target_state.changed_service, recovery=NOT_RECOVERABLE,
        columns=columns.SERVICE,
        sentence=sentences.update_service,
    ),
    Operation(
        "services:delete", "DELETE", "/services/{service_id}", HIGH,
        endpoint="services.delete_service",
        summary="Delete a service permanently",
        effects=effects.none, target_state=target_state.service, recovery=NOT_RECOVERABLE,
        sentence=sentences.delete_service,
    ),
    Operation(
        "services:read_integrations", "GET", "/services/{service_id}/integrations", LOW,
        endpoint="services.list_service_integrations", returns=Many("integrations", "Integration"),
        summary="List integrations for a service", fallback=recovery.INTEGRATIONS_OF_SERVICE,
        columns=columns.INTEGRATIONS,
    ),
    Operation(
        "services:create_integration", "POST", "/services/{service_id}/integrations", MEDIUM,
        endpoint="services.create_service_integration", returns=One("integration", "Integration"),
        summary="Create a new integration on a service",
        body=bodies.create_service_integration, effects=effects.create_integration,
        target_state=target_state.service, recovery=NOT_RECOVERABLE,
        columns=columns.INTEGRATIONS,
        sentence=sentences.create_integration,
        performs={"incidents:resolve": ("*",)},
    ),
    Operation(
        "escalation:read", "GET", "/escalation_policies", LOW,
        endpoint="escalation_policies.list_escalation_policies",
        returns=Many("escalation_policies", "EscalationPolicy"),
        summary="List escalation policies", probe=True,
        columns=columns.ESCALATION_POLICIES,
        not_for_agents=("sort_by", "offset"),
    ),
    Operation(
        "escalation:read_detail", "GET", "/escalation_policies/{policy_id}", LOW,
        endpoint="escalation_policies.get_escalation_policy", returns=One("escalation_policy", "EscalationPolicy"),
        summary="Get escalation policy details",
        columns=columns.ESCALATION_POLICY,
    ),
    Operation(
        "escalation:create", "POST", "/escalation_policies", MEDIUM,
        endpoint="escalation_policies.create_escalation_policy", returns=One("escalation_policy", "EscalationPolicy"),
        summary="Create a new escalation policy",
        body=bodies.escalation_policy, effects=effects.none, target_state=NO_TARGET, recovery=NOT_RECOVERABLE,
        columns=columns.ESCALATION_POLICY,
        sentence=sentences.create_escalation_policy,
    ),
    Operation(
        "escalation:update", "PUT", "/escalation_policies/{policy_id}", MEDIUM,
        endpoint="escalation_policies.update_escalation_policy", returns=One("escalation_policy", "EscalationPolicy"),
        summary="Update an existing escalation policy",
        body=bodies.escalation_policy, effects=effects.none,
        target_state=target_state.escalation_policy, recovery=NOT_RECOVERABLE,
        columns=columns.ESCALATION_POLICY,
        sentence=sentences.update_escalation_policy,
    ),
    Operation(
        "escalation:delete", "DELETE", "/escalation_policies/{policy_id}", HIGH,
        endpoint="escalation_policies.delete_escalation_policy",
        summary="Delete an escalation policy",
        effects=effects.none, target_state=target_state.escalation_policy, recovery=NOT_RECOVERABLE,
        sentence=sentences.delete_escalation_policy,
    ),
    Operation(
        "schedules:read", "GET", "/schedules", LOW,
        endpoint="schedules.list_schedules", returns=Many("schedules", "Schedule"),
        summary="List on-call schedules", probe=True,
        columns=columns.SCHEDULES,
        not_for_agents=("offset",),
    ),
    Operation(
        "schedules:read_detail", "GET", "/schedules/{schedule_id}", LOW,
        endpoint="schedules.get_schedule", returns=One("schedule", "Schedule"),
        summary="Get schedule details",
        columns=columns.SCHEDULE,
        not_for_agents=("overflow",),
    ),
    Operation(
        "schedules:read_oncall", "GET", "/oncalls", LOW,
        endpoint="schedules.list_oncalls", function="get_oncall_users", returns=Many("oncalls", "Oncall"),
        summary="Query currently on-call users",
        columns=columns.ONCALLS,
        not_for_agents=("offset",),
    ),
    Operation(
        "users:read", "GET", "/users", LOW,
        endpoint="users.list_users", returns=Many("users", "User"),
        summary="List all users", probe=True,
        effects=effects.read_user,
        columns=columns.USERS,
        performs={"users:read_contact": ("*",), "users:read_notification": ("*",)},
        not_for_agents=("offset",),
    ),
    Operation(
        "users:read_detail", "GET", "/users/{user_id}", LOW,
        endpoint="users.get_user", returns=One("user", "User"),
        summary="Get user details by ID",
        effects=effects.read_user,
        columns=columns.USER,
        performs={"users:read_contact": (), "users:read_notification": ("urgency",), "users:read_me": ()},
    ),
    Operation(
        "users:read_contact", "GET", "/users/{user_id}/contact_methods", LOW,
        endpoint="users.list_user_contact_methods", returns=Many("contact_methods", "ContactMethod"),
        summary="Get contact methods for a user",
        columns=columns.CONTACT_METHODS,
    ),
    Operation(
        "users:read_notification", "GET", "/users/{user_id}/notification_rules", LOW,
        endpoint="users.list_user_notification_rules", returns=Many("notification_rules", "NotificationRule"),
        summary="Get notification rules for a user",
        effects=effects.read_notification_rules,
        columns=columns.NOTIFICATION_RULES,
        performs={"users:read_contact": ()},
    ),
    Operation(
        "teams:read", "GET", "/teams", LOW,
        endpoint="teams.list_teams", returns=Many("teams", "Team"),
        summary="List all teams", probe=True,
        columns=columns.TEAMS,
        not_for_agents=("offset",),
    ),
    Operation(
        "teams:read_detail", "GET", "/teams/{team_id}", LOW,
        endpoint="teams.get_team", returns=One("team", "Team"),
        summary="Get team details by ID",
        columns=columns.TEAM,
    ),
    Operation(
        "maintenance:read", "GET", "/maintenance_windows", LOW,
        endpoint="maintenance_windows.list_maintenance_windows",
        returns=Many("maintenance_windows", "MaintenanceWindow"),
        summary="List maintenance windows",
        columns=columns.MAINTENANCE_WINDOWS,
    ),
    Operation(
        "maintenance:create", "POST", "/maintenance_windows", HIGH,
        endpoint="maintenance_windows.create_maintenance_window",
        returns=One("maintenance_window", "MaintenanceWindow"),
        summary="Create maintenance window (silences alerts for services)",
        body=bodies.create_maintenance_window, effects=effects.none,
        target_state=target_state.window_services, recovery=recovery.OPENED_WINDOW,
        columns=columns.MAINTENANCE_WINDOWS,
        sentence=sentences.create_maintenance_window,
    ),
    Operation(
        "maintenance:delete", "DELETE", "/maintenance_windows/{window_id}", MEDIUM,
        endpoint="maintenance_windows.delete_maintenance_window",
        summary="Delete (end) a maintenance window",
        effects=effects.none, target_state=target_state.window, recovery=NOT_RECOVERABLE,
        sentence=sentences.delete_maintenance_window,
    ),
    Operation(
        "rules:read", "GET", "/event_rules", LOW,
        endpoint="event_rules.list_event_rules", returns=Many("rules", "EventRule"),
        summary="List global event rules", deprecated=True,
        columns=columns.EVENT_RULES,
    ),
    Operation(
        "rules:create", "POST", "/event_rules", MEDIUM,
        endpoint="event_rules.create_event_rule", returns=One(None, "EventRule"),
        summary="Create a global event rule", deprecated=True, highest_risk=HIGH,
        body=bodies.event_rule, effects=effects.event_rule, target_state=NO_TARGET, recovery=NOT_RECOVERABLE,
        columns=columns.EVENT_RULES,
        sentence=sentences.create_event_rule,
        performs={"incidents:resolve": ("*",)},
    ),
    Operation(
        "rules:update", "PUT", "/event_rules/{rule_id}", MEDIUM,
        endpoint="event_rules.update_event_rule", returns=One(None, "EventRule"),
        summary="Update a global event rule", deprecated=True, highest_risk=HIGH,
        body=bodies.event_rule, effects=effects.event_rule, target_state=NO_TARGET, recovery=NOT_RECOVERABLE,
        columns=columns.EVENT_RULES,
        sentence=sentences.update_event_rule,
        performs={"incidents:resolve": ("*",)},
    ),
    Operation(
        "analytics:read", "POST", "/analytics/metrics/incidents/all", LOW, writes=False,
        endpoint="analytics.get_incident_analytics", returns=One(None, "AnalyticsMetrics"),
        records=Many("data", "AnalyticsIncidentMetrics"),
        summary="Get aggregate incident analytics metrics", body=bodies.analytics,
        columns=columns.ANALYTICS,
        not_for_agents=("filters",),
    ),
    Operation(
        "analytics:services", "POST", "/analytics/metrics/incidents/services", LOW, writes=False,
        endpoint="analytics.get_service_analytics", returns=One(None, "AnalyticsMetrics"),
        records=Many("data", "AnalyticsIncidentMetrics"),
        summary="Get per-service incident analytics metrics", body=bodies.analytics,
        columns=columns.SERVICE_ANALYTICS,
        not_for_agents=("filters",),
    ),
)  # fmt: skip

# Reads outside the reference's 45: what agents need to fill in parameters of those, and what an auditor compares.
_EXTENSIONS = (
    Operation(
        "priorities:read", "GET", "/priorities", LOW, extension=True, since=2,
        endpoint="priorities.list_priorities", returns=Many("priorities", "Priority"),
        summary="List the priorities of incidents",
        columns=columns.PRIORITIES,
    ),
    Operation(
        "users:read_me", "GET", "/users/me", LOW, extension=True, since=2,
        endpoint="users.get_current_user", returns=One("user", "User"),
        summary="Get the user whose API key is in use",
        effects=effects.read_oneself, needs=("users:read_detail",),
        columns=columns.USER,
        performs={
            "users:read_detail": ("user_id",), "users:read_contact": ("user_id",),
            "users:read_notification": ("user_id", "urgency"),
        },
    ),
    Operation(
        "audit:read", "GET", "/audit/records", MEDIUM, extension=True, since=2,
        endpoint="audit.list_audit_records", returns=Many("records", "AuditRecord"),
        summary="List who changed what in the account's configuration",
        paging=ByCursor(default_span=timedelta(days=1), widest=timedelta(days=31)),
        columns=columns.AUDIT_RECORDS,
        not_for_agents=("actor_id", "actor_type", "method_truncated_token", "method_type"),
    ),
)  # fmt: skip


def _table(rows: Iterable[Operation]) -> Mapping[str, Operation]:
    """Return the rows by name, with the OAuth scopes that the published document states."""
    return MappingProxyType({row.name: evolve(row, scopes=SCOPES[row.endpoint]) for row in rows})


OPERATIONS: Final[Mapping[str, Operation]] = _table(_ROWS)
EXTENSIONS: Final[Mapping[str, Operation]] = _table(_EXTENSIONS)
TABLE: Final[Mapping[str, Operation]] = MappingProxyType({**OPERATIONS, **EXTENSIONS})
RISKS: Final[Mapping[str, Risk]] = MappingProxyType({row.name: row.risk for row in TABLE.values()})
