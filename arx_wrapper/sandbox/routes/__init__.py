"""PagerDuty's endpoints, a module for each family."""

from arx_wrapper.sandbox.routes import (
    analytics,
    changes,
    escalation_policies,
    event_rules,
    incidents,
    maintenance_windows,
    people,
    schedules,
    services,
    timeline,
)

__all__ = ["ENDPOINTS"]

_FAMILIES = (
    incidents,
    changes,
    timeline,
    services,
    escalation_policies,
    schedules,
    people,
    maintenance_windows,
    event_rules,
    analytics,
)

ENDPOINTS = tuple(endpoint for family in _FAMILIES for endpoint in family.ENDPOINTS)
