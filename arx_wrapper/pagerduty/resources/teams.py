"""Teams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta
from pagerduty_client import models as m

from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import Id, Limit, Offset, Query

Include = Annotated[Sequence[Literal["privileges"]], Meta(min_length=1)]


class Teams(Resource):
    """The `teams:*` operations."""

    async def list_teams(
        self,
        *,
        query: Query | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Team]:
        """List teams.

        Source: `GET /teams`. Risk: LOW.
        """
        return await self._page(m.Team, "teams:read", locals())

    async def get_team(self, team_id: Id, *, include: Include | None = None) -> m.Team:
        """Get one team.

        Source: `GET /teams/{team_id}`. Risk: LOW.
        """
        return await self._one(m.Team, "teams:read_detail", locals())
