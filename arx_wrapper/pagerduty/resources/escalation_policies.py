"""Escalation policies: who is notified, in which order."""

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
    """A target that a rule notifies. What else a response says of a target is accepted, so that it can be sent back."""

    id: Id
    type: Literal["user", "schedule", "user_reference", "schedule_reference", "schedule_v3_reference"]
    summary: str | UnsetType | None = UNSET
    self: str | UnsetType | None = UNSET
    html_url: str | UnsetType | None = UNSET


class Strategy(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The strategy by which a rule chooses among its targets."""

    type: Literal["assign_to_everyone", "round_robin"]


class Rule(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One level of a policy: its targets, and the minutes after which the next level's turn comes.

    An update that repeats a rule's id keeps the rule. A rule is taken exactly as a response holds it.
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
    """The `escalation:*` operations that need more than their rows say."""

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
            rules: At least one, each with 1 to 10 targets.
            num_loops: How often the policy repeats when no one acknowledges.
            fields: Further writable members of PagerDuty's schema; an unknown name is refused.

        Source: `POST /escalation_policies`. Risk: MEDIUM.
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

        Source: `PUT /escalation_policies/{policy_id}`. Risk: MEDIUM.
        """
        return await self._one(m.EscalationPolicy, "escalation:update", locals())
