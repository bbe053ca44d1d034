"""List the columns of each kind of record, most important first: a narrow table omits the last ones.

`core/column_selection.py` explains their form. Keep a list's columns few and short: the MCP server and the reviewers'
pages show the same ones, and an incident of a list fits 350 bytes of JSON.
"""

from __future__ import annotations

from typing import Final

Columns = tuple[str, ...]

INCIDENTS: Final[Columns] = (
    "id",
    "status",
    "urgency",
    "title",
    "service",
    "assignees=assignments.assignee",
    "created_at",
    "number=incident_number",
    "priority",
)
INCIDENT: Final[Columns] = (
    *INCIDENTS,
    "escalation_policy",
    "teams",
    "acknowledged_by=acknowledgements.acknowledger",
    "acknowledged_at=acknowledgements.at",
    "pending=pending_actions.type",
    "pending_at=pending_actions.at",
    "changed_at=last_status_change_at",
    "changed_by=last_status_change_by",
    "alerts=alert_counts.all",
    "resolve_reason",
    "conference=conference_bridge.conference_url",
    "incident_key",
    "html_url",
)
ALERTS: Final[Columns] = (
    "id",
    "status",
    "severity",
    "summary",
    "created_at",
    "suppressed",
    "alert_key",
    "integration",
    "service",
    "incident",
)
# No operation accepts the id of an entry or a note, so their text comes first.
LOG_ENTRIES: Final[Columns] = ("created_at", "summary", "note=channel.summary", "agent", "id", "type")
NOTES: Final[Columns] = ("created_at", "user", "content", "id")

AUDIT_RECORDS: Final[Columns] = (
    "execution_time",
    "actors",
    "action",
    "resource=root_resource",
    "part=details.resource",
    "fields=details.fields.name",
    "by=method.type",
    "from=execution_context.remote_address",
    "key=method.truncated_token",
    "request=execution_context.request_id",
    "id",
)

SERVICES: Final[Columns] = (
    "id",
    "status",
    "name",
    "escalation_policy",
    "teams",
    "last_incident=last_incident_timestamp",
    "description",
)
SERVICE: Final[Columns] = (
    *SERVICES,
    "urgency=incident_urgency_rule.urgency",
    "acknowledgement_timeout",
    "auto_resolve_timeout",
    "alert_creation",
    "integrations",
    "created_at",
    "html_url",
)
# Without `integration_key`, a secret with which anyone can page people. `-o json` shows it when it is needed.
INTEGRATIONS: Final[Columns] = ("id", "name", "type", "vendor", "service", "created_at")

ESCALATION_POLICIES: Final[Columns] = (
    "id",
    "name",
    "targets=escalation_rules.targets",
    "after_minutes=escalation_rules.escalation_delay_in_minutes",
    "repeats=num_loops",
    "services",
    "teams",
    "description",
)
ESCALATION_POLICY: Final[Columns] = (*ESCALATION_POLICIES, "on_call_handoff_notifications", "html_url")

SCHEDULES: Final[Columns] = ("id", "name", "users", "time_zone", "escalation_policies", "teams", "description")
SCHEDULE: Final[Columns] = (
    *SCHEDULES,
    "layers=schedule_layers.name",
    "on_call=final_schedule.rendered_schedule_entries.user",
    "from=final_schedule.rendered_schedule_entries.start",
    "until=final_schedule.rendered_schedule_entries.end",
    "html_url",
)
ONCALLS: Final[Columns] = (
    "level=escalation_level",
    "user",
    "escalation_policy",
    "start",
    "end",
    "schedule",
    "user_id=user.id",
)

USERS: Final[Columns] = ("id", "name", "email", "role", "job_title", "time_zone", "teams")
USER: Final[Columns] = (*USERS, "contact_methods", "notification_rules", "description", "html_url")
CONTACT_METHODS: Final[Columns] = ("id", "type", "label", "address", "country_code")
NOTIFICATION_RULES: Final[Columns] = (
    "id",
    "urgency",
    "after_minutes=start_delay_in_minutes",
    "contact=contact_method",
    "contact_type=contact_method.type",
)

TEAMS: Final[Columns] = ("id", "name", "description", "default_role")
TEAM: Final[Columns] = (*TEAMS, "html_url")

PRIORITIES: Final[Columns] = ("id", "name", "description")
MAINTENANCE_WINDOWS: Final[Columns] = (
    "id",
    "start_time",
    "end_time",
    "services",
    "description",
    "created_by",
    "teams",
)
EVENT_RULES: Final[Columns] = ("id", "disabled", "condition", "actions", "catch_all")

ANALYTICS: Final[Columns] = (
    "period=range_start",
    "incidents=total_incident_count",
    "ack_seconds=mean_seconds_to_first_ack",
    "resolve_seconds=mean_seconds_to_resolve",
    "interruptions=total_interruptions",
    "engaged_seconds=total_engaged_seconds",
    "acknowledged=total_incidents_acknowledged",
    "escalations=total_escalation_count",
    "snoozed_seconds=total_snoozed_seconds",
    "notifications=total_notifications",
)
SERVICE_ANALYTICS: Final[Columns] = ("service=service_name", *ANALYTICS, "service_id")
