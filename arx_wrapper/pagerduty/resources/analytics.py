"""Define the methods of analytics: aggregated figures of past incidents, about a day behind."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta
from pagerduty_client import models as m

from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import Fields, Ids, Null, Time, Urgency, Zone

Unit = Literal["day", "week", "month"]
Order = Literal["asc", "desc"]
Column = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="a member of the answer's records")]


class Analytics(Resource):
    """The `analytics:*` operations."""

    async def get_incident_analytics(
        self,
        *,
        since: Time | None = None,
        until: Time | None = None,
        urgency: Urgency | None = None,
        service_ids: Ids | None = None,
        team_ids: Ids | None = None,
        aggregate_unit: Unit | Null | None = None,
        time_zone: Zone | None = None,
        order: Order | None = None,
        order_by: Column | None = None,
        filters: Fields | None = None,
    ) -> m.AnalyticsMetrics:
        """Get figures over all incidents: counts, times to acknowledge and to resolve, interruptions.

        Args:
            since, until: The span in which the incidents were created, at most a year; ISO 8601 with an offset, or
                aware.
            urgency, service_ids, team_ids: Only incidents with this urgency, of these services, of these teams.
            aggregate_unit: One record for each `day`, `week` or `month`; `NULL` for one over the whole span.
            time_zone: The zone in which days, weeks and months begin, by its IANA name.
            order_by, order: The member that records are sorted by, and the direction.
            filters: Further members of PagerDuty's filters (`major`, `priority_names`, ...).

        Source: `POST /analytics/metrics/incidents/all`. Risk: LOW. Raises `ArxError`, as `execute()` does.
        """
        return await self._one(m.AnalyticsMetrics, "analytics:read", locals())

    async def get_service_analytics(
        self,
        *,
        since: Time | None = None,
        until: Time | None = None,
        urgency: Urgency | None = None,
        service_ids: Ids | None = None,
        team_ids: Ids | None = None,
        aggregate_unit: Unit | Null | None = None,
        time_zone: Zone | None = None,
        order: Order | None = None,
        order_by: Column | None = None,
        filters: Fields | None = None,
    ) -> m.AnalyticsMetrics:
        """Get incident figures for each service.

        The parameters are those of `get_incident_analytics()`.

        Source: `POST /analytics/metrics/incidents/services`. Risk: LOW. Raises `ArxError`, as `execute()` does.
        """
        return await self._one(m.AnalyticsMetrics, "analytics:services", locals())
