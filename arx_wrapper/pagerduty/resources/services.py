"""Define the methods of services and their integrations that cannot be derived."""

from __future__ import annotations

from typing import Literal

from pagerduty_client import models as m

from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import Email, Fields, Id, Title

IntegrationType = Literal[
    "aws_cloudwatch_inbound_integration",
    "cloudkick_inbound_integration",
    "event_transformer_api_inbound_integration",
    "events_api_v2_inbound_integration",
    "generic_email_inbound_integration",
    "generic_events_api_inbound_integration",
    "keynote_inbound_integration",
    "nagios_inbound_integration",
    "pingdom_inbound_integration",
    "sql_monitor_inbound_integration",
]


class Services(Resource):
    """The `services:*` operations that are written by hand."""

    async def create_service_integration(
        self,
        service_id: Id,
        type: IntegrationType,  # noqa: A002 - PagerDuty's name for it
        *,
        name: Title | None = None,
        vendor_id: Id | None = None,
        fields: Fields | None = None,
        requester_email: Email | None = None,
    ) -> m.Integration:
        """Create an integration, through which events can raise incidents on the service.

        Args:
            vendor_id: The id of a PagerDuty vendor.
            fields: Further writable members of PagerDuty's schema; an unknown name is refused.

        Source: `POST /services/{service_id}/integrations`. Risk: MEDIUM. Raises `ArxError`, as `execute()` does.
        """
        return await self._one(m.Integration, "services:create_integration", locals())
