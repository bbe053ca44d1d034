"""Alerts: what an incident was raised by."""

from __future__ import annotations

from typing import Literal

from pagerduty_client import models as m

from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.pagerduty.resources.incident_timeline import AlertInclude, AlertStatuses
from arx_wrapper.params import Email, Id, Limit, Offset, SortFields, Text


class Alerts(Resource):
    """The `alerts:*` operations."""

    async def list_alerts(
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

        Also needs `incidents:read_alerts`, which is the same act.
        Source: `GET /incidents/{incident_id}/alerts`. Risk: LOW.
        """
        return await self._page(m.Alert, "alerts:read", locals())

    async def update_alert(
        self,
        incident_id: Id,
        alert_id: Id,
        *,
        status: Literal["triggered", "resolved"] | None = None,
        parent_incident_id: Id | None = None,
        requester_email: Email | None = None,
    ) -> m.Alert:
        """Resolve or re-trigger an alert, or move it to another incident.

        Resolving also needs `incidents:resolve`, because an incident resolves with its last alert; moving also needs
        `incidents:merge`. Source: `PUT /incidents/{incident_id}/alerts/{alert_id}`. Risk: MEDIUM.
        """
        return await self._one(m.Alert, "alerts:update", locals())
