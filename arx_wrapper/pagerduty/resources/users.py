"""Users: people, how they are reached and by which rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta
from pagerduty_client import models as m

from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import Id, Ids, Limit, Offset, Query

_Include = Literal["contact_methods", "notification_rules", "teams", "subdomains"]
Include = Annotated[Sequence[_Include], Meta(min_length=1)]
DetailInclude = Annotated[Sequence[_Include | Literal["calendar_urls"]], Meta(min_length=1)]
RuleInclude = Annotated[Sequence[Literal["contact_methods"]], Meta(min_length=1)]


class Users(Resource):
    """The `users:*` operations."""

    async def list_users(
        self,
        *,
        query: Query | None = None,
        team_ids: Ids | None = None,
        include: Include | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.User]:
        """List users.

        Args:
            query: Matches part of a name or e-mail address.

        Source: `GET /users`. Risk: LOW.
        """
        return await self._page(m.User, "users:read", locals())

    async def get_user(self, user_id: Id, *, include: DetailInclude | None = None) -> m.User:
        """Get one user.

        Source: `GET /users/{user_id}`. Risk: LOW.
        """
        return await self._one(m.User, "users:read_detail", locals())

    async def get_current_user(self, *, include: DetailInclude | None = None) -> m.User:
        """Get the user whose API key is in use.

        An extension: the reference has no such operation. PagerDuty refuses it for keys of an account (400).

        Source: `GET /users/me`. Risk: LOW.
        """
        return await self._one(m.User, "users:read_me", locals())

    async def list_user_contact_methods(self, user_id: Id) -> Page[m.ContactMethod]:
        """List how a user is reached: phone, e-mail, text message, push.

        Source: `GET /users/{user_id}/contact_methods`. Risk: LOW.
        """
        return await self._page(m.ContactMethod, "users:read_contact", locals())

    async def list_user_notification_rules(
        self,
        user_id: Id,
        *,
        urgency: Literal["high", "low", "all"] | None = None,
        include: RuleInclude | None = None,
    ) -> Page[m.NotificationRule]:
        """List when and how a user is notified.

        Args:
            urgency: For incidents of which urgency; PagerDuty's default is `high`.

        Source: `GET /users/{user_id}/notification_rules`. Risk: LOW.
        """
        return await self._page(m.NotificationRule, "users:read_notification", locals())
