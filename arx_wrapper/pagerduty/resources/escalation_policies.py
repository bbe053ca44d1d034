"""Define the methods of escalation policies that cannot be derived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from pagerduty_client import models as m

from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import AnyIds, Description, Email, Fields, Id, Null, Title

Loops = Annotated[int, Meta(ge=0, le=9, description="0 to 9")]


class Target(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A target that a rule notifies. Members that a response adds are accepted, so that it can be sent back."""

    id: Id
    type: Literal["user", "schedule", "user_reference", "schedule_reference", "schedule_v3_reference"]
    summary: str | UnsetType | None = UNSET
    self: str | UnsetType | None = UNSET
    html_url: str | UnsetType | None = UNSET


class Strategy(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The strategy by which a rule chooses among its targets."""

    type: Literal["assign_to_everyone", "round_robin"]


class Rule(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One level of a policy: its targets, and the minutes after which the next level is notified.

    An update keeps a rule whose id it repeats. A rule from a response is accepted unchanged.
    """

    escalation_delay_in_minutes: Annotated[int, Meta(ge=1, le=1_440)]
    targets: Annotated[Sequence[Target], Meta(min_length=1, max_length=10)]
    id: Id | UnsetType = UNSET
    escalation_rule_assignment_strategy: Strategy | UnsetType | None = UNSET


Rules = Annotated[
    Sequence[Rule],
    Meta(
        min_length=1,
        description='rules of {"escalation_delay_in_minutes", "targets": [{"id", "type"}]}, also with "id" and '
        '"escalation_rule_assignment_strategy": {"type"}',
    ),
]


class EscalationPolicies(Resource):
    """The `escalation:*` operations that are written by hand."""

    async def create_escalation_policy(
        self,
        name: Title,
        rules: Rules,
        *,
        description: Description | None = None,
        num_loops: Loops | None = None,
        team_ids: AnyIds | None = None,
        fields: Fields | None = None,
        requester_email: Email | None = None,
    ) -> m.EscalationPolicy:
        """Create an escalation policy.

        Args:
            rules: The levels in order, at least one, each with 1 to 10 targets and a delay in minutes.
            num_loops: The number of repetitions when no one acknowledges, 0 to 9.
            fields: Further writable members of PagerDuty's schema; an unknown name is refused.

        Source: `POST /escalation_policies`. Risk: MEDIUM. Raises `ArxError`, as `execute()` does.
        """
        return await self._one(m.EscalationPolicy, "escalation:create", locals())

    async def update_escalation_policy(
        self,
        policy_id: Id,
        *,
        name: Title | None = None,
        rules: Rules | None = None,
        description: Description | Null | None = None,
        num_loops: Loops | None = None,
        team_ids: AnyIds | None = None,
        fields: Fields | None = None,
        requester_email: Email | None = None,
    ) -> m.EscalationPolicy:
        """Change an escalation policy: the next incident follows the new rules.

        The parameters are those of `create_escalation_policy()`; omitted ones are not changed.

        Source: `PUT /escalation_policies/{policy_id}`. Risk: MEDIUM. Raises `ArxError`, as `execute()` does.
        """
        return await self._one(m.EscalationPolicy, "escalation:update", locals())
