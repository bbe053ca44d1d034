"""Define the parameters that hold the rules of an escalation policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from arx_wrapper.params import Id

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


if TYPE_CHECKING:  # callers write rules as mappings, whose members are validated at run time
    Rules = Sequence[Rule | Mapping[str, Any]]
else:
    Rules = Annotated[
        Sequence[Rule],
        Meta(
            min_length=1,
            description='rules of {"escalation_delay_in_minutes", "targets": [{"id", "type"}]}, also with "id" and '
            '"escalation_rule_assignment_strategy": {"type"}',
        ),
    ]
