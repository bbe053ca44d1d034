"""One call of every operation, valid in the sandbox's account: what cassettes record and table-driven tests run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen


@frozen(kw_only=True)
class Subjects:
    """The ids that the calls need: the sandbox's, or those of a live account."""

    service: str
    incident: str
    other_incident: str
    alert: str
    alert_incident: str
    policy: str
    unused_policy: str
    schedule: str
    user: str
    team: str
    window: str
    rule: str


def calls(ids: Subjects) -> Mapping[str, dict[str, Any]]:
    """Operation → parameters, reads before the writes that change what they read."""
    rule = {"condition": ["and", ["contains", ["path", "payload", "source"], "x"]], "actions": [["route", ids.service]]}
    targets = [{"id": ids.user, "type": "user_reference"}]
    return {
        "incidents:read": {"statuses": ["triggered", "acknowledged"], "urgencies": ["high"], "limit": 5},
        "incidents:read_detail": {"incident_id": ids.incident, "include": ["acknowledgers"]},
        "incidents:read_alerts": {"incident_id": ids.alert_incident, "limit": 5},
        "incidents:read_log": {"incident_id": ids.incident, "is_overview": True, "limit": 5},
        "incidents:read_notes": {"incident_id": ids.incident},
        "alerts:read": {"incident_id": ids.alert_incident, "statuses": ["triggered"], "sort_by": ["created_at:desc"]},
        "services:read": {"query": "a", "sort_by": "name:asc", "include": ["teams"], "limit": 5},
        "services:read_detail": {"service_id": ids.service, "include": ["escalation_policies"]},
        "services:read_integrations": {"service_id": ids.service},
        "escalation:read": {"include": ["services"], "limit": 5},
        "escalation:read_detail": {"policy_id": ids.policy},
        "schedules:read": {"limit": 5, "total": True},
        "schedules:read_detail": {"schedule_id": ids.schedule, "time_zone": "UTC", "overflow": False},
        "schedules:read_oncall": {"earliest": True, "limit": 5},
        "users:read": {"limit": 5},
        "users:read_detail": {"user_id": ids.user, "include": ["contact_methods"]},
        "users:read_contact": {"user_id": ids.user},
        "users:read_notification": {"user_id": ids.user, "urgency": "high"},
        "teams:read": {"limit": 5},
        "teams:read_detail": {"team_id": ids.team},
        "maintenance:read": {"filter": "open", "limit": 5},
        "rules:read": {},
        "analytics:read": {"since": "2025-01-01T00:00:00Z", "urgency": "high", "aggregate_unit": "month"},
        "analytics:services": {"since": "2025-01-01T00:00:00Z", "service_ids": [ids.service]},
        "incidents:create": {
            "title": "Replication lag above 30 s",
            "service_id": ids.service,
            "urgency": "high",
            "body": "Detected by monitoring.",
            "incident_key": "replication-lag",
        },
        "incidents:acknowledge": {"incident_id": ids.incident},
        "incidents:add_note": {"incident_id": ids.incident, "content": "Looking into it."},
        "incidents:snooze": {"incident_id": ids.incident, "duration": 3600},
        "incidents:reassign": {"incident_id": ids.incident, "assignee_ids": [ids.user]},
        "incidents:update": {"incident_id": ids.incident, "title": "Replication lag above 60 s"},
        "incidents:manage": {"incidents": [{"id": ids.incident, "status": "acknowledged"}]},
        "alerts:update": {"incident_id": ids.alert_incident, "alert_id": ids.alert, "status": "resolved"},
        "incidents:merge": {"incident_id": ids.incident, "source_incident_ids": [ids.other_incident]},
        "incidents:resolve": {"incident_id": ids.incident, "resolution": "Replica rebuilt."},
        "services:create": {"name": "Search", "escalation_policy_id": ids.policy, "description": "Full text search"},
        "services:update": {
            "service_id": ids.service,
            "description": "The orders",
            "fields": {"auto_resolve_timeout": 14400},
        },
        "services:create_integration": {
            "service_id": ids.service,
            "type": "events_api_v2_inbound_integration",
            "name": "Monitoring",
        },
        "escalation:create": {
            "name": "Search on call",
            "rules": [{"escalation_delay_in_minutes": 10, "targets": targets}],
        },
        "escalation:update": {"policy_id": ids.policy, "num_loops": 2},
        "escalation:delete": {"policy_id": ids.unused_policy},
        "maintenance:create": {
            "start_time": "2025-06-15T02:00:00Z",
            "end_time": "2025-06-15T04:00:00Z",
            "service_ids": [ids.service],
            "description": "Scheduled database maintenance",
        },
        "maintenance:delete": {"window_id": ids.window},
        "rules:create": {"rule": rule},
        "rules:update": {"rule_id": ids.rule, "rule": rule},
        "services:delete": {"service_id": ids.service},
    }
