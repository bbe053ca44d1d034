"""Services: what incidents happen on, and the integrations that raise them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta
from pagerduty_client import models as m

from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import Description, Email, Fields, Id, Ids, Limit, Null, Offset, Query, Title, Zone

Include = Annotated[
    Sequence[Literal["escalation_policies", "teams", "integrations", "auto_pause_notifications_parameters"]],
    Meta(min_length=1),
]
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
    """The `services:*` operations."""

    async def list_services(
        self,
        *,
        query: Query | None = None,
        name: Title | None = None,
        team_ids: Ids | None = None,
        time_zone: Zone | None = None,
        sort_by: Literal["name", "name:asc", "name:desc"] | None = None,
        include: Include | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Service]:
        """List services.

        Args:
            query: Matches part of a name.
            name: Matches a whole name.

        Source: `GET /services`. Risk: LOW.
        """
        return await self._page(m.Service, "services:read", locals())

    async def get_service(self, service_id: Id, *, include: Include | None = None) -> m.Service:
        """Get one service.

        Source: `GET /services/{service_id}`. Risk: LOW.
        """
        return await self._one(m.Service, "services:read_detail", locals())

    async def create_service(
        self,
        name: Title,
        escalation_policy_id: Id,
        *,
        description: Description | None = None,
        fields: Fields | None = None,
        requester_email: Email | None = None,
    ) -> m.Service:
        """Create a service whose incidents follow an escalation policy.

        Args:
            fields: Further writable members of PagerDuty's service schema; an unknown name is refused.

        Source: `POST /services`. Risk: HIGH.
        """
        return await self._one(m.Service, "services:create", locals())

    async def update_service(
        self,
        service_id: Id,
        *,
        name: Title | None = None,
        description: Description | Null | None = None,
        status: Literal["active", "disabled"] | None = None,
        escalation_policy_id: Id | None = None,
        fields: Fields | None = None,
        requester_email: Email | None = None,
    ) -> m.Service:
        """Change a service; what is not given stays as it is.

        `status="disabled"`, and fields that stop or weaken its alerts, silence the service and are judged at HIGH.

        Source: `PUT /services/{service_id}`. Risk: MEDIUM.
        """
        return await self._one(m.Service, "services:update", locals())

    async def delete_service(self, service_id: Id, *, requester_email: Email | None = None) -> None:
        """Delete a service and its integrations, permanently.

        Source: `DELETE /services/{service_id}`. Risk: HIGH.
        """
        await self._gone("services:delete", locals())

    async def list_service_integrations(self, service_id: Id) -> Page[m.Integration]:
        """List the integrations of a service.

        An account that does not serve this path (404 or 405) is asked for the service with its integrations instead.
        `integration_key` lets its holder raise incidents: treat it as a secret.

        Source: `GET /services/{service_id}/integrations`. Risk: LOW.
        """
        return await self._page(m.Integration, "services:read_integrations", locals())

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

        Source: `POST /services/{service_id}/integrations`. Risk: MEDIUM.
        """
        return await self._one(m.Integration, "services:create_integration", locals())
