"""Priorities: the labels that incidents can be given."""

from __future__ import annotations

from pagerduty_client import models as m

from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import Limit, Offset


class Priorities(Resource):
    """The `priorities:*` operations."""

    async def list_priorities(
        self, *, limit: Limit | None = None, offset: Offset | None = None, total: bool | None = None
    ) -> Page[m.Priority]:
        """List the priorities that incidents can have, most severe first.

        An extension: the reference has no such operation. Its ids are what `priority_id` takes.

        Source: `GET /priorities`. Risk: LOW.
        """
        return await self._page(m.Priority, "priorities:read", locals())
