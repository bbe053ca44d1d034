"""Analytics: aggregated figures of past incidents, about a day behind."""

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
            since, until: When the incidents were created; at most a year apart.
            aggregate_unit: One figure a `day`, `week` or `month`; `NULL` for one over all.
            order_by, order: The member that records are sorted by, and which way.
            filters: Further members of PagerDuty's filters (`major`, `priority_names`, ...).

        Source: `POST /analytics/metrics/incidents/all`. Risk: LOW.
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
        """Get the same figures for each service.

        Source: `POST /analytics/metrics/incidents/services`. Risk: LOW.
        """
        return await self._one(m.AnalyticsMetrics, "analytics:services", locals())
