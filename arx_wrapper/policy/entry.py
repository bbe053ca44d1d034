"""One entry of a policy, as it was read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from attrs import field, frozen

from arx_wrapper.model import Limit, ReviewerRule, Risk, Visibility
from arx_wrapper.policy.condition import Condition

Approval = Literal["none", "auto", "hitl"]


@frozen(kw_only=True)
class PolicyEntry:
    """One entry.

    Attributes:
        name: Unique in its policy.
        connector: Which connector it is about.
        operations: Globs of what it permits; `*` is the only wildcard.
        deny: Globs of what it denies, whatever else permits it.
        risk_max: Above this risk the entry permits nothing.
        approval: For each risk, whether a reviewer has to agree.
        hitl_channel: Where reviewers are asked.
        description: For people.
        agents, orgs: Globs of whom it is about.
        expires: From then on it no longer matches.
        when: A condition in CEL; None is always.
        limits: How often an agent may do what it permits.
        min_approvals: How many different reviewers must agree.
        reviewers: Whose approvals count; None for those of any reviewer.
        requesters: Globs of the addresses that a write may name as its requester; empty for any. The vault's own always
            may.
        hide: Globs over members of answers that it hides; without operations, of every answer.
        show: Exceptions to `hide`, and to what is hidden by default.
        enforce: False: evaluated and recorded, never enforced.
        table: The version of the connector's table that its globs were written for; None when it does not say.
        later: The operations that came with a later version, which its globs do not permit.
        source: `file:line`.
    """

    name: str
    connector: str
    operations: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    risk_max: Risk = Risk.LOW
    approval: Mapping[Risk, Approval] = field(factory=dict)
    hitl_channel: str | None = None
    description: str | None = None
    agents: tuple[str, ...] = ("*",)
    orgs: tuple[str, ...] = ("*",)
    expires: datetime | None = None
    when: Condition | None = None
    limits: tuple[Limit, ...] = ()
    min_approvals: int = 1
    reviewers: ReviewerRule | None = None
    requesters: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    enforce: bool = True
    table: int | None = None
    later: frozenset[str] = field(default=frozenset(), repr=False)
    source: str | None = None

    @property
    def visibility(self) -> Visibility | None:
        """The members of answers that it hides and shows; None for neither."""
        if not self.hide and not self.show:
            return None
        return Visibility(policy=self.name, hide=self.hide, show=self.show)

    def globs_match(self, operation: str) -> bool:
        """Return whether one of its globs matches an operation, permitted or not."""
        return matches_any(self.operations, operation)

    def permits(self, operation: str) -> bool:
        """Return whether it names an operation, or a glob of its does that is not older than the operation."""
        if operation in self.later:
            return operation in self.operations
        return self.globs_match(operation)

    def __str__(self) -> str:
        return f"{self.name!r} ({self.source})" if self.source else repr(self.name)


def glob(pattern: str) -> re.Pattern[str]:
    """Return a glob as an expression for `fullmatch`: it matches whole names, case-sensitively."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def matches_any(patterns: Sequence[str], name: str) -> bool:
    """Return whether one of the globs matches the whole name."""
    return any(pattern == name or glob(pattern).fullmatch(name) for pattern in patterns)
