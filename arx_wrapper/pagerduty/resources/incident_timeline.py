"""The timeline of an incident: its alerts, its log entries, its notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta
from pagerduty_client import models as m

from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import Email, Id, Limit, LocalTime, Note, Offset, SortFields, Text, Zone

LogInclude = Annotated[Sequence[Literal["incidents", "services", "channels", "teams"]], Meta(min_length=1)]
AlertStatuses = Annotated[Sequence[Literal["triggered", "resolved"]], Meta(min_length=1)]
AlertInclude = Annotated[Sequence[Literal["services", "first_trigger_log_entries", "incidents"]], Meta(min_length=1)]


class IncidentTimeline(Resource):
    """The `incidents:read_alerts`, `incidents:read_log`, `incidents:read_notes` and `incidents:add_note` operations."""

    async def list_incident_alerts(
        self,
        incident_id: Id,
        *,
        statuses: AlertStatuses | None = None,
        alert_key: Text | None = None,
        sort_by: SortFields | None = None,
        include: AlertInclude | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Alert]:
        """List the alerts of an incident.

        Also needs `alerts:read`, which is the same act.
        Source: `GET /incidents/{incident_id}/alerts`. Risk: LOW.
        """
        return await self._page(m.Alert, "incidents:read_alerts", locals())

    async def list_incident_log_entries(
        self,
        incident_id: Id,
        *,
        since: LocalTime | None = None,
        until: LocalTime | None = None,
        is_overview: bool | None = None,
        time_zone: Zone | None = None,
        include: LogInclude | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.LogEntry]:
        """List an incident's timeline.

        Args:
            is_overview: Only the most important entries.

        Source: `GET /incidents/{incident_id}/log_entries`. Risk: LOW.
        """
        return await self._page(m.LogEntry, "incidents:read_log", locals())

    async def list_incident_notes(self, incident_id: Id) -> Page[m.IncidentNote]:
        """List all notes on an incident.

        Source: `GET /incidents/{incident_id}/notes`. Risk: LOW.
        """
        return await self._page(m.IncidentNote, "incidents:read_notes", locals())

    async def add_incident_note(
        self, incident_id: Id, content: Note, *, requester_email: Email | None = None
    ) -> m.IncidentNote:
        """Add a note of up to 2,000 characters to an incident.

        Source: `POST /incidents/{incident_id}/notes`. Risk: LOW.
        """
        return await self._one(m.IncidentNote, "incidents:add_note", locals())
