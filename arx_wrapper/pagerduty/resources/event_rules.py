"""Define the methods of global event rules, an API that PagerDuty is retiring in favour of event orchestrations.

For an account that no longer has them, every method raises `EndpointRetiredError`.
"""

from __future__ import annotations

from pagerduty_client import models as m

from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import Email, Fields, Id


class EventRules(Resource):
    """The `rules:*` operations that are written by hand."""

    async def create_event_rule(self, rule: Fields, *, requester_email: Email | None = None) -> m.EventRule:
        """Create a global event rule. One that may keep events from paging is judged at HIGH.

        Args:
            rule: `{"condition": ["and", ["contains", ["path", "payload", "source"], "x"]],
                "actions": [["route", "PABC123"]]}`

        Source: `POST /event_rules`. Risk: MEDIUM. Raises `ArxError`, as `execute()` does.
        """
        return await self._one(m.EventRule, "rules:create", locals())

    async def update_event_rule(
        self, rule_id: Id, rule: Fields, *, requester_email: Email | None = None
    ) -> m.EventRule:
        """Change a global event rule, given in the form of `create_event_rule()`; the catch-all rule cannot change.

        One that may keep events from paging is judged at HIGH, and so is one without actions.

        Source: `PUT /event_rules/{rule_id}`. Risk: MEDIUM. Raises `ArxError`, as `execute()` does.
        """
        return await self._one(m.EventRule, "rules:update", locals())
