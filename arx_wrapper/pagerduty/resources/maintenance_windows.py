"""Maintenance windows: times in which services raise no incidents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta
from pagerduty_client import models as m

from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import Description, Email, Id, Ids, Instant, Limit, Offset, Query

Include = Annotated[Sequence[Literal["teams", "services", "users"]], Meta(min_length=1)]


class MaintenanceWindows(Resource):
    """The `maintenance:*` operations."""

    async def list_maintenance_windows(
        self,
        *,
        query: Query | None = None,
        team_ids: Ids | None = None,
        service_ids: Ids | None = None,
        filter: Literal["past", "future", "ongoing", "open", "all"] | None = None,  # noqa: A002 - PagerDuty's name
        include: Include | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.MaintenanceWindow]:
        """List maintenance windows.

        Source: `GET /maintenance_windows`. Risk: LOW.
        """
        return await self._page(m.MaintenanceWindow, "maintenance:read", locals())

    async def create_maintenance_window(
        self,
        start_time: Instant,
        end_time: Instant,
        service_ids: Ids,
        *,
        description: Description | None = None,
        requester_email: Email | None = None,
    ) -> m.MaintenanceWindow:
        """Silence services between two times: no incident is raised on them, no one is notified.

        PagerDuty takes a start in the past as now; the end must lie in the future and after the start.

        Source: `POST /maintenance_windows`. Risk: HIGH.
        """
        return await self._one(m.MaintenanceWindow, "maintenance:create", locals())

    async def delete_maintenance_window(self, window_id: Id, *, requester_email: Email | None = None) -> None:
        """Delete a future maintenance window or end an ongoing one; alerting comes back.

        Source: `DELETE /maintenance_windows/{window_id}`. Risk: MEDIUM.
        """
        await self._gone("maintenance:delete", locals())
