"""Schedules, and who is on call by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta
from pagerduty_client import models as m

from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import Id, Ids, Limit, LocalTime, Offset, Query, Zone

Include = Annotated[Sequence[Literal["schedule_layers", "overrides_subschedule", "final_schedule"]], Meta(min_length=1)]
OncallInclude = Annotated[Sequence[Literal["escalation_policies", "users", "schedules"]], Meta(min_length=1)]


class Schedules(Resource):
    """The `schedules:*` operations."""

    async def list_schedules(
        self,
        *,
        query: Query | None = None,
        team_ids: Ids | None = None,
        include: Include | None = None,
        include_next_oncall_for_user: Id | None = None,
        time_zone: Zone | None = None,
        since: LocalTime | None = None,
        until: LocalTime | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Schedule]:
        """List on-call schedules.

        Args:
            include_next_oncall_for_user: The id of a user; each schedule says when that user is on call next.

        Source: `GET /schedules`. Risk: LOW.
        """
        return await self._page(m.Schedule, "schedules:read", locals())

    async def get_schedule(
        self,
        schedule_id: Id,
        *,
        time_zone: Zone | None = None,
        since: LocalTime | None = None,
        until: LocalTime | None = None,
        overflow: bool | None = None,
        include_next_oncall_for_user: Id | None = None,
    ) -> m.Schedule:
        """Get one schedule, rendered between `since` and `until`.

        Args:
            overflow: Keep entries whole that reach over the range, instead of cutting them to it.
            include_next_oncall_for_user: The id of a user; the schedule says when that user is on call next.

        Source: `GET /schedules/{schedule_id}`. Risk: LOW.
        """
        return await self._one(m.Schedule, "schedules:read_detail", locals())

    async def get_oncall_users(
        self,
        *,
        user_ids: Ids | None = None,
        escalation_policy_ids: Ids | None = None,
        schedule_ids: Ids | None = None,
        since: LocalTime | None = None,
        until: LocalTime | None = None,
        earliest: bool | None = None,
        include: OncallInclude | None = None,
        time_zone: Zone | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Oncall]:
        """List who is on call: now, or between `since` and `until`, at most 90 days ahead.

        An entry without start and end is permanent.

        Args:
            earliest: Only the first on-call of each policy, level and user.

        Source: `GET /oncalls`. Risk: LOW.
        """
        return await self._page(m.Oncall, "schedules:read_oncall", locals())
