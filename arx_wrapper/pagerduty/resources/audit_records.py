"""Audit records: PagerDuty's own record of who changed what in the account's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta
from pagerduty_client import models as m

from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import Id, Instant, Limit

ResourceTypes = Annotated[
    Sequence[Literal["users", "teams", "schedules", "escalation_policies", "services", "ip_allow_lists"]],
    Meta(min_length=1),
]
Actions = Annotated[Sequence[Literal["create", "update", "delete"]], Meta(min_length=1)]
Token = Annotated[
    str, Meta(pattern=r"^[!-~]{1,8}$(?!\n)", description="the last characters of a key, as a record shows them")
]
Cursor = Annotated[str, Meta(pattern=r"^[!-~]{1,4096}$(?!\n)", description="the next_cursor of the page before")]


class AuditRecords(Resource):
    """The `audit:*` operations."""

    async def list_audit_records(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        root_resource_types: ResourceTypes | None = None,
        actor_type: Literal["user_reference", "api_key_reference", "app_reference"] | None = None,
        actor_id: Id | None = None,
        method_type: Literal["browser", "oauth", "api_token", "identity_provider", "other"] | None = None,
        method_truncated_token: Token | None = None,
        actions: Actions | None = None,
        limit: Limit | None = None,
        cursor: Cursor | None = None,
    ) -> Page[m.AuditRecord]:
        """List who changed what in the account's configuration, newest first.

        An extension: the reference has no such operation. PagerDuty records changes of users, teams, schedules,
        escalation policies and services, and keeps them for 18 months. Only an account's key, or one of an admin, may
        read them (403), and only on plans that include the audit trail (402).

        Args:
            since: Default: 24 hours before `until`.
            until: Default: now. One page reaches over 31 days at most; `iterate()` reads more.
            actor_id: Needs `actor_type`.
            method_truncated_token: Needs `method_type`.
            cursor: The page's `next_cursor`, for the next one.

        Source: `GET /audit/records`. Risk: MEDIUM.
        """
        return await self._page(m.AuditRecord, "audit:read", locals())
