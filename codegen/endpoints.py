"""List the endpoints of the published document for which the client is generated."""

from __future__ import annotations

from typing import Final

# The four further endpoints, which the published document lacks, come from the overlay.
ENDPOINTS: Final = (
    "GET /incidents",
    "POST /incidents",
    "PUT /incidents",
    "GET /incidents/{id}",
    "PUT /incidents/{id}",
    "POST /incidents/{id}/snooze",
    "PUT /incidents/{id}/merge",
    "GET /incidents/{id}/alerts",
    "PUT /incidents/{id}/alerts/{alert_id}",
    "GET /incidents/{id}/log_entries",
    "GET /incidents/{id}/notes",
    "POST /incidents/{id}/notes",
    "GET /services",
    "POST /services",
    "GET /services/{id}",
    "PUT /services/{id}",
    "DELETE /services/{id}",
    "POST /services/{id}/integrations",
    "GET /escalation_policies",
    "POST /escalation_policies",
    "GET /escalation_policies/{id}",
    "PUT /escalation_policies/{id}",
    "DELETE /escalation_policies/{id}",
    "GET /schedules",
    "GET /schedules/{id}",
    "GET /oncalls",
    "GET /audit/records",
    "GET /priorities",
    "GET /users",
    "GET /users/me",
    "GET /users/{id}",
    "GET /users/{id}/contact_methods",
    "GET /users/{id}/notification_rules",
    "GET /teams",
    "GET /teams/{id}",
    "GET /maintenance_windows",
    "POST /maintenance_windows",
    "DELETE /maintenance_windows/{id}",
    "POST /analytics/metrics/incidents/all",
    "POST /analytics/metrics/incidents/services",
)
