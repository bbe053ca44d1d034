"""Define one entry of a policy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from attrs import field, frozen

from arx_wrapper.model import Limit, ReviewerRule, Risk, Visibility
from arx_wrapper.policy.condition import Condition

# The bytes of a policy file or a policy's test file.
MAX_BYTES: Final = 1_000_000
Approval = Literal["none", "auto", "hitl"]


@frozen
class Located:
    """A value and its line, counted from 1; mappings and lists hold further such values."""

    value: Any
    line: int | None = field(default=None, eq=False)

    def plain(self) -> Any:
        """Return the value without lines."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


@frozen(kw_only=True)
class PolicyEntry:
    """One entry.

    Attributes:
        name: Its name, unique in its policy.
        connector: The connector that it is for.
        operations: Globs of the operations that it permits; `*` is the only wildcard.
        deny: Globs of the operations that it denies, even when another entry permits them.
        risk_max: The highest risk that it permits.
        approval: For each risk, whether a reviewer has to approve.
        hitl_channel: The channel on which reviewers are notified.
        description: A text for people.
        agents, orgs: Globs of the agents and organisations that it is for.
        expires: The time from which on it no longer matches.
        when: A condition in CEL; None means always.
        limits: Limits of an agent's uses of the operations that it permits.
        min_approvals: The number of different reviewers who must approve.
        reviewers: The reviewers whose approvals count; None for any reviewer.
        requesters: Globs of the addresses that a write may name as its requester; empty for any. The vault's own is
            always accepted.
        hide: Globs over members that it hides in responses; without operations, in every response.
        show: Exceptions to `hide`, and to the members that are hidden by default.
        enforce: False for an entry that is evaluated and recorded, but never enforced.
        table: The version of the connector's table that its globs were written for; None when it states none.
        later: The operations that were added in a later version, which its globs do not permit.
        source: `file:line` of the entry.
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
        """Return the members of responses that it hides and shows; None for neither."""
        if not self.hide and not self.show:
            return None
        return Visibility(policy=self.name, hide=self.hide, show=self.show)

    def globs_match(self, operation: str) -> bool:
        """Return True when one of its globs matches an operation, permitted or not."""
        return matches_any(self.operations, operation)

    def permits(self, operation: str) -> bool:
        """Return True when it names an operation, or when one of its globs matches an operation that is not newer."""
        if operation in self.later:
            return operation in self.operations
        return self.globs_match(operation)

    def __str__(self) -> str:
        return f"{self.name!r} ({self.source})" if self.source else repr(self.name)


def glob(pattern: str) -> re.Pattern[str]:
    """Return a glob as a regular expression for `fullmatch`: it matches whole names, case-sensitively."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def matches_any(patterns: Sequence[str], name: str) -> bool:
    """Return True when one of the globs matches the whole name."""
    return any(pattern == name or glob(pattern).fullmatch(name) for pattern in patterns)


def located(value: Any) -> Located:
    """Wrap a value that did not come from a file, without line numbers."""
    if isinstance(value, dict):
        return Located({key: located(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return Located([located(item) for item in value])
    return Located(value)
