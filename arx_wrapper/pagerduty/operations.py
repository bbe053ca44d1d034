"""Define the table of operations: the reference's 45 and three extensions. No other registry is keyed by operation.

A new operation is a row here: `python -m codegen methods` derives its typed method from the row and PagerDuty's
document. A write adds its body (`bodies.py`), its effects (`effects.py`), the sentence and the state that a reviewer is
shown (`sentences.py`, `target_state.py`) and the lookup of its effect when its response is lost
(`lost_response_lookups.py`). An operation whose parameters are not those of the endpoint or of the body has a method of
its own in `resources/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from attrs import evolve
from pagerduty_client.scopes import SCOPES

from arx_wrapper.model import NO_TARGET, NOT_RECOVERABLE, ByCursor, ByTime, Many, One, Operation, Risk, no_effects
from arx_wrapper.pagerduty import (
    bodies,
    columns,
    effects,
    fallbacks,
    lost_response_lookups,
    paged_people,
    sentences,
    target_state,
)
from arx_wrapper.pagerduty.included import included

LOW, MEDIUM, HIGH = Risk.LOW, Risk.MEDIUM, Risk.HIGH

# The values of `include` with which an incident holds whole objects instead of references.
_OF_INCIDENTS: Final = (
    "acknowledgers", "agents", "assignees", "escalation_policies", "first_trigger_log_entries", "services", "teams",
    "users",
)  # fmt: skip
_ROWS = (
    Operation(
        "incidents:read", "GET", "/incidents", LOW,
        endpoint="incidents.list_incidents", returns=Many("incidents", "Incident"),
        summary="List and query incidents with filters",
        doc="""List incidents, by default those of the last month.

            A span of time covers at most six months; `date_range="all"` lists all times instead. With
            `user_ids` PagerDuty never returns resolved incidents.""",
        args={"sort_by": "`incident_number`, `created_at`, `resolved_at` or `urgency`, each with `:asc` or `:desc`."},
        paging=ByTime(default_span=timedelta(days=31)), probe=True,
        effects=effects.read, performs=included(*_OF_INCIDENTS),
        columns=columns.INCIDENTS, not_for_agents=("incident_key",),
    ),
    Operation(
        "incidents:read_detail", "GET", "/incidents/{incident_id}", LOW,
        endpoint="incidents.get_incident", returns=One("incident", "Incident"),
        summary="Get full incident details by ID",
        doc="Get one incident, by its id or its number.",
        effects=effects.read, performs=included(*_OF_INCIDENTS, given=("incident_id",)),
        columns=columns.INCIDENT,
    ),
    Operation(
        "incidents:create", "POST", "/incidents", MEDIUM,
        endpoint="incidents.create_incident", returns=One("incident", "Incident"),
        summary="Create a new incident",
        body=bodies.create_incident, effects=no_effects, target_state=target_state.new_incident,
        recovery=lost_response_lookups.CREATED_INCIDENT, pages=paged_people.new_incident, log_entry="trigger_log_entry",
        columns=columns.INCIDENT,
        sentence=sentences.create_incident,
    ),
    Operation(
        "incidents:update", "PUT", "/incidents/{incident_id}", MEDIUM,
        endpoint="incidents.update_incident", returns=One("incident", "Incident"),
        summary="Update incident fields (status, urgency, etc.)",
        body=bodies.update_incident, effects=effects.update_incident,
        target_state=target_state.changed_incident, recovery=NOT_RECOVERABLE, pages=paged_people.changed_incident,
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
        target_state=target_state.incidents, recovery=NOT_RECOVERABLE, pages=paged_people.changed_incidents,
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
        doc="Acknowledge an incident for `duration` seconds, after which it notifies again.",
        body=bodies.SNOOZE_INCIDENT, effects=effects.snooze_incident,
        target_state=target_state.incident, recovery=lost_response_lookups.SNOOZED, log_entry="snooze_log_entry",
        needs=("incidents:acknowledge",),
        columns=columns.INCIDENT,
        sentence=sentences.snooze_incident,
        performs={"incidents:acknowledge": ()},
    ),
    Operation(
        "incidents:merge", "PUT", "/incidents/{incident_id}/merge", MEDIUM,
        endpoint="incidents.merge_incidents", returns=One("incident", "Incident"),
        summary="Merge other incidents into this one",
        doc="Merge other incidents into this one: their alerts move here and they are resolved.",
        body=bodies.MERGE_INCIDENTS, effects=effects.merge_incidents,
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
        doc="List the alerts of an incident.", needs=("alerts:read",),
        columns=columns.ALERTS,
        performs={
            "alerts:read": (),
            **included("services", "first_trigger_log_entries", "incidents", given=("incident_id",)),
        },
        not_for_agents=("sort_by",),
    ),
    Operation(
        "incidents:read_log", "GET", "/incidents/{incident_id}/log_entries", LOW,
        endpoint="incidents.list_incident_log_entries", returns=Many("log_entries", "LogEntry"),
        summary="Get log entries (timeline) for an incident", paging=ByTime(), doc="List an incident's timeline.",
        effects=effects.read, performs=included("incidents", "services", "teams", given=("incident_id",)),
        columns=columns.LOG_ENTRIES, not_for_agents=("is_overview",),
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
        doc="Add a note of up to 2,000 characters to an incident.",
        body=bodies.INCIDENT_NOTE, effects=no_effects,
        target_state=target_state.incident, recovery=lost_response_lookups.NOTED, log_entry="annotate_log_entry",
        columns=columns.NOTES,
        sentence=sentences.say("Add a note to {incident}: {content}."),
    ),
    Operation(
        "incidents:reassign", "PUT", "/incidents/{incident_id}", MEDIUM,
        endpoint="incidents.update_incident", function="reassign_incident", returns=One("incident", "Incident"),
        summary="Reassign an incident to different user(s)",
        doc="Assign an incident to these users instead: they are notified.",
        body=bodies.REASSIGN_INCIDENT, effects=no_effects,
        target_state=target_state.changed_incident, recovery=NOT_RECOVERABLE, pages=paged_people.users("assignee_ids"),
        log_entry="assign_log_entry",
        columns=columns.INCIDENT,
        sentence=sentences.reassign_incident,
    ),
    Operation(
        "incidents:resolve", "PUT", "/incidents/{incident_id}", MEDIUM,
        endpoint="incidents.update_incident", function="resolve_incident", returns=One("incident", "Incident"),
        summary="Resolve an incident (set status=resolved)",
        doc="Resolve an incident, with a note on its log if `resolution` is given.",
        body=bodies.RESOLVE_INCIDENT, effects=no_effects,
        target_state=target_state.incident, recovery=lost_response_lookups.RESOLVED, log_entry="resolve_log_entry",
        columns=columns.INCIDENT,
        sentence=sentences.resolve_incident,
    ),
    Operation(
        "incidents:acknowledge", "PUT", "/incidents/{incident_id}", LOW,
        endpoint="incidents.update_incident", function="acknowledge_incident", returns=One("incident", "Incident"),
        summary="Acknowledge an incident (set status=acknowledged)",
        doc="Acknowledge an incident: it stops escalating.",
        body=bodies.ACKNOWLEDGE_INCIDENT, effects=no_effects,
        target_state=target_state.incident, recovery=lost_response_lookups.ACKNOWLEDGED,
        log_entry="acknowledge_log_entry",
        columns=columns.INCIDENT,
        sentence=sentences.say("Acknowledge {incident}: it stops escalating."),
    ),
    Operation(
        "alerts:read", "GET", "/incidents/{incident_id}/alerts", LOW,
        endpoint="incidents.list_incident_alerts", function="list_alerts", returns=Many("alerts", "Alert"),
        summary="Get alerts for an incident", effects=effects.read_alerts, doc="List the alerts of an incident.",
        needs=("incidents:read_alerts",),
        columns=columns.ALERTS,
        performs={
            "incidents:read_alerts": (),
            **included("services", "first_trigger_log_entries", "incidents", given=("incident_id",)),
        },
        not_for_agents=("alert_key", "sort_by", "statuses", "offset"),
    ),
    Operation(
        "alerts:update", "PUT", "/incidents/{incident_id}/alerts/{alert_id}", MEDIUM,
        endpoint="alerts.update_alert", returns=One("alert", "Alert"),
        summary="Update an alert (resolve, suppress, etc.)",
        doc="""Resolve or re-trigger an alert, or move it to another incident.

            Resolving also needs `incidents:resolve`, because an incident resolves with its last alert; moving also
            needs `incidents:merge`.""",
        body=bodies.ALERT, effects=effects.update_alert,
        target_state=target_state.incident, recovery=NOT_RECOVERABLE,
        columns=columns.ALERTS,
        sentence=sentences.update_alert,
        performs={"incidents:resolve": (), "incidents:merge": ()},
    ),
    Operation(
        "services:read", "GET", "/services", LOW,
        endpoint="services.list_services", returns=Many("services", "Service"),
        summary="List all services", probe=True,
        args={"query": "Matches part of a name.", "name": "Matches a whole name."},
        columns=columns.SERVICES,
        effects=effects.read, performs=included("escalation_policies", "teams", "integrations"),
        not_for_agents=("sort_by", "offset"),
    ),
    Operation(
        "services:read_detail", "GET", "/services/{service_id}", LOW,
        endpoint="services.get_service", returns=One("service", "Service"),
        summary="Get service details by ID", doc="Get one service.",
        columns=columns.SERVICE,
        effects=effects.read, performs=included("escalation_policies", "teams", "integrations", given=("service_id",)),
    ),
    Operation(
        "services:create", "POST", "/services", HIGH,
        endpoint="services.create_service", returns=One("service", "Service"),
        summary="Create a new service",
        doc="Create a service whose incidents follow an escalation policy.",
        body=bodies.NEW_SERVICE, effects=no_effects, target_state=target_state.new_service,
        recovery=NOT_RECOVERABLE,
        columns=columns.SERVICE, audited=("service", "create"),
        sentence=sentences.create_service,
    ),
    Operation(
        "services:update", "PUT", "/services/{service_id}", MEDIUM,
        endpoint="services.update_service", returns=One("service", "Service"),
        summary="Update an existing service", highest_risk=HIGH,
        doc="""Change a service; omitted parameters are not changed.

            `status="disabled"`, and fields that stop or weaken its alerts, silence the service and are judged at
            HIGH.""",
        body=bodies.SERVICE, effects=effects.update_service,
        target_state=target_state.changed_service, recovery=NOT_RECOVERABLE,
        columns=columns.SERVICE, audited=("service", "update"),
        sentence=sentences.update_service,
    ),
    Operation(
        "services:delete", "DELETE", "/services/{service_id}", HIGH,
        endpoint="services.delete_service",
        summary="Delete a service permanently",
        doc="Delete a service and its integrations, permanently.",
        effects=no_effects, target_state=target_state.service, recovery=NOT_RECOVERABLE,
        audited=("service", "delete"),
        sentence=sentences.delete_service,
    ),
    Operation(
        "services:read_integrations", "GET", "/services/{service_id}/integrations", LOW,
        endpoint="services.list_service_integrations", returns=Many("integrations", "Integration"),
        summary="List integrations for a service", fallback=fallbacks.INTEGRATIONS_OF_SERVICE,
        doc="""List the integrations of a service.

            For an account that does not serve this path (404 or 405), the service is read with its integrations
            instead. `integration_key` lets its holder raise incidents: treat it as a secret.""",
        columns=columns.INTEGRATIONS,
    ),
    Operation(
        "services:create_integration", "POST", "/services/{service_id}/integrations", MEDIUM,
        endpoint="services.create_service_integration", returns=One("integration", "Integration"),
        summary="Create a new integration on a service",
        doc="Create an integration, through which events can raise incidents on the service.",
        body=bodies.INTEGRATION, effects=effects.create_integration,
        target_state=target_state.service, recovery=NOT_RECOVERABLE,
        columns=columns.INTEGRATIONS, audited=("service", "update"),
        sentence=sentences.create_integration,
        performs={"incidents:resolve": ("*",)},
    ),
    Operation(
        "escalation:read", "GET", "/escalation_policies", LOW,
        endpoint="escalation_policies.list_escalation_policies",
        returns=Many("escalation_policies", "EscalationPolicy"),
        summary="List escalation policies", probe=True,
        effects=effects.read, performs=included("services", "teams", "targets"),
        columns=columns.ESCALATION_POLICIES, not_for_agents=("sort_by", "offset"),
    ),
    Operation(
        "escalation:read_detail", "GET", "/escalation_policies/{policy_id}", LOW,
        endpoint="escalation_policies.get_escalation_policy", returns=One("escalation_policy", "EscalationPolicy"),
        summary="Get escalation policy details",
        effects=effects.read, performs=included("services", "teams", "targets"),
        columns=columns.ESCALATION_POLICY,
    ),
    Operation(
        "escalation:create", "POST", "/escalation_policies", MEDIUM,
        endpoint="escalation_policies.create_escalation_policy", returns=One("escalation_policy", "EscalationPolicy"),
        summary="Create a new escalation policy",
        body=bodies.NEW_ESCALATION_POLICY, effects=no_effects, target_state=NO_TARGET, recovery=NOT_RECOVERABLE,
        columns=columns.ESCALATION_POLICY, audited=("escalation_policy", "create"),
        sentence=sentences.create_escalation_policy,
    ),
    Operation(
        "escalation:update", "PUT", "/escalation_policies/{policy_id}", MEDIUM,
        endpoint="escalation_policies.update_escalation_policy", returns=One("escalation_policy", "EscalationPolicy"),
        summary="Update an existing escalation policy",
        doc="Change an escalation policy: the next incident follows the new rules; omitted ones are not changed.",
        body=bodies.ESCALATION_POLICY, effects=no_effects,
        target_state=target_state.escalation_policy, recovery=NOT_RECOVERABLE,
        columns=columns.ESCALATION_POLICY, audited=("escalation_policy", "update"),
        sentence=sentences.update_escalation_policy,
    ),
    Operation(
        "escalation:delete", "DELETE", "/escalation_policies/{policy_id}", HIGH,
        endpoint="escalation_policies.delete_escalation_policy",
        summary="Delete an escalation policy",
        doc="Delete an escalation policy that no service uses.",
        effects=no_effects, target_state=target_state.escalation_policy, recovery=NOT_RECOVERABLE,
        audited=("escalation_policy", "delete"),
        sentence=sentences.delete_escalation_policy,
    ),
    Operation(
        "schedules:read", "GET", "/schedules", LOW,
        endpoint="schedules.list_schedules", returns=Many("schedules", "Schedule"),
        summary="List on-call schedules", probe=True,
        args={"include_next_oncall_for_user": "A user's id; each schedule says when that user is on call next."},
        effects=effects.read, performs=included("schedule_layers", "overrides_subschedule", "final_schedule"),
        columns=columns.SCHEDULES, not_for_agents=("offset",),
    ),
    Operation(
        "schedules:read_detail", "GET", "/schedules/{schedule_id}", LOW,
        endpoint="schedules.get_schedule", returns=One("schedule", "Schedule"),
        summary="Get schedule details",
        doc="Get one schedule, rendered between `since` and `until`.",
        args={
            "overflow": "Whether entries may reach beyond the range, instead of being cut to it.",
            "include_next_oncall_for_user": "A user's id; the schedule says when that user is on call next.",
        },
        columns=columns.SCHEDULE, not_for_agents=("overflow",),
    ),
    Operation(
        "schedules:read_oncall", "GET", "/oncalls", LOW,
        endpoint="schedules.list_oncalls", function="get_oncall_users", returns=Many("oncalls", "Oncall"),
        summary="Query currently on-call users",
        doc="""List who is on call: now, or between `since` and `until`, at most 90 days ahead.

            An entry without start and end is permanent.""",
        effects=effects.read, performs=included("escalation_policies", "users", "schedules"),
        columns=columns.ONCALLS, not_for_agents=("offset",),
    ),
    Operation(
        "users:read", "GET", "/users", LOW,
        endpoint="users.list_users", returns=Many("users", "User"),
        summary="List all users", probe=True,
        args={"query": "Matches part of a name or e-mail address."},
        columns=columns.USERS,
        effects=effects.read, performs=included("contact_methods", "notification_rules", "teams"),
        not_for_agents=("offset",),
    ),
    Operation(
        "users:read_detail", "GET", "/users/{user_id}", LOW,
        endpoint="users.get_user", returns=One("user", "User"),
        summary="Get user details by ID", doc="Get one user.",
        effects=effects.read_user,
        columns=columns.USER,
        performs={
            **included("contact_methods", "notification_rules", "teams", given=("user_id",)),
            "users:read_me": (),
        },
    ),
    Operation(
        "users:read_contact", "GET", "/users/{user_id}/contact_methods", LOW,
        endpoint="users.list_user_contact_methods", returns=Many("contact_methods", "ContactMethod"),
        summary="Get contact methods for a user",
        doc="List a user's contact methods: phone, e-mail, text message, push.",
        columns=columns.CONTACT_METHODS,
    ),
    Operation(
        "users:read_notification", "GET", "/users/{user_id}/notification_rules", LOW,
        endpoint="users.list_user_notification_rules", returns=Many("notification_rules", "NotificationRule"),
        summary="Get notification rules for a user",
        doc="List a user's notification rules.",
        args={"urgency": "The urgency of incidents that the rules are for; PagerDuty's default is `high`."},
        columns=columns.NOTIFICATION_RULES,
        effects=effects.read, performs=included("contact_methods", given=("user_id",)),
    ),
    Operation(
        "teams:read", "GET", "/teams", LOW,
        endpoint="teams.list_teams", returns=Many("teams", "Team"),
        summary="List all teams", probe=True,
        columns=columns.TEAMS, not_for_agents=("offset",),
    ),
    Operation(
        "teams:read_detail", "GET", "/teams/{team_id}", LOW,
        endpoint="teams.get_team", returns=One("team", "Team"),
        summary="Get team details by ID", doc="Get one team.",
        columns=columns.TEAM,
    ),
    Operation(
        "maintenance:read", "GET", "/maintenance_windows", LOW,
        endpoint="maintenance_windows.list_maintenance_windows",
        returns=Many("maintenance_windows", "MaintenanceWindow"),
        summary="List maintenance windows",
        effects=effects.read, performs=included("teams", "services", "users"),
        columns=columns.MAINTENANCE_WINDOWS,
    ),
    Operation(
        "maintenance:create", "POST", "/maintenance_windows", HIGH,
        endpoint="maintenance_windows.create_maintenance_window",
        returns=One("maintenance_window", "MaintenanceWindow"),
        summary="Create maintenance window (silences alerts for services)",
        doc="""Silence services between two times: no incident is raised on them, no one is notified.

            PagerDuty takes a start in the past as now; the end must lie in the future and after the start.""",
        body=bodies.MAINTENANCE_WINDOW, effects=no_effects,
        target_state=target_state.window_services, recovery=lost_response_lookups.OPENED_WINDOW,
        columns=columns.MAINTENANCE_WINDOWS, audited=("maintenance_window", "create"),
        sentence=sentences.create_maintenance_window,
    ),
    Operation(
        "maintenance:delete", "DELETE", "/maintenance_windows/{window_id}", MEDIUM,
        endpoint="maintenance_windows.delete_maintenance_window",
        summary="Delete (end) a maintenance window",
        doc="Delete a future maintenance window or end an ongoing one; alerting comes back.",
        effects=no_effects, target_state=target_state.window, recovery=NOT_RECOVERABLE,
        audited=("maintenance_window", "delete"),
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
        columns=columns.ANALYTICS, not_for_agents=("filters",),
    ),
    Operation(
        "analytics:services", "POST", "/analytics/metrics/incidents/services", LOW, writes=False,
        endpoint="analytics.get_service_analytics", returns=One(None, "AnalyticsMetrics"),
        records=Many("data", "AnalyticsIncidentMetrics"),
        summary="Get per-service incident analytics metrics", body=bodies.analytics,
        columns=columns.SERVICE_ANALYTICS, not_for_agents=("filters",),
    ),
)  # fmt: skip

# Reads outside the reference's 45: what agents need to fill in parameters of those, and what an auditor compares.
_EXTENSIONS = (
    Operation(
        "priorities:read", "GET", "/priorities", LOW, extension=True, since=2,
        endpoint="priorities.list_priorities", returns=Many("priorities", "Priority"),
        summary="List the priorities of incidents",
        doc="List the priorities that incidents can have, most severe first; `priority_id` takes their ids.",
        columns=columns.PRIORITIES,
    ),
    Operation(
        "users:read_me", "GET", "/users/me", LOW, extension=True, since=2,
        endpoint="users.get_current_user", returns=One("user", "User"),
        summary="Get the user whose API key is in use",
        doc="Get the user whose API key is in use. PagerDuty refuses it for keys of an account (400).",
        effects=effects.read_oneself, needs=("users:read_detail",),
        columns=columns.USER,
        performs={
            "users:read_detail": ("user_id",), "users:read_contact": ("user_id",),
            "users:read_notification": ("user_id", "urgency"), "teams:read_detail": ("*",),
        },
    ),
    Operation(
        "audit:read", "GET", "/audit/records", MEDIUM, extension=True, since=2,
        endpoint="audit.list_audit_records", returns=Many("records", "AuditRecord"),
        summary="List who changed what in the account's configuration",
        doc="""List who changed what in the account's configuration, newest first.

            PagerDuty records changes of users, teams, schedules, escalation policies and services, and keeps them for
            18 months. Only an account's key, or one of an admin, may read them (403), and only on plans that include
            the audit trail (402).""",
        args={
            "since": "The start of the span; by default 24 hours before `until`.",
            "until": "The end of the span; by default now. One page covers at most 31 days; `iterate()` reads more.",
        },
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
