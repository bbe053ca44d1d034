"""Implement PagerDuty's endpoints, one module for each family."""

from arx_wrapper.sandbox.routes import (
    analytics,
    audit_records,
    escalation_policies,
    event_rules,
    incident_writes,
    incidents,
    maintenance_windows,
    schedules,
    services,
    timeline,
    users_teams,
)

__all__ = ["ENDPOINTS"]

_FAMILIES = (
    incidents,
    incident_writes,
    timeline,
    services,
    escalation_policies,
    schedules,
    users_teams,
    maintenance_windows,
    event_rules,
    analytics,
    audit_records,
)

ENDPOINTS = tuple(endpoint for family in _FAMILIES for endpoint in family.ENDPOINTS)
