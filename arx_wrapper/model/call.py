"""One call: its effects, and the decision of policy on it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from arx_wrapper.model.operation import Operation, Params
from arx_wrapper.model.risk import Risk, Verdict


@frozen(kw_only=True)
class Effect:
    """An operation that a call performs, whatever name it was called by.

    Attributes:
        operation: The operation whose permission is needed.
        risk: The risk at which it is judged.
        count: How often the call does it (the entries of a bulk call), for limits.
        params: With which parameters, one set for each time, named as `operation` names them; what conditions see. A
            value may be `Unknown`; None stands for a set of which nothing can be told.
    """

    operation: str
    risk: Risk
    count: int = 1
    params: tuple[Params | None, ...] = field(default=(None,), repr=False, eq=False)


@frozen(kw_only=True)
class Call:
    """One call, frozen: what is judged, recorded, approved and sent is this text and nothing else.

    Attributes:
        id: Unique id; the intent record carries it.
        operation: The table's row.
        agent_id: Who asks.
        org_id: For which organisation.
        canonical: The validated parameters as canonical JSON.
        params: The same, decoded for policy conditions; read-only by convention, never the source of what is sent.
        effects: Every operation that the call performs: the one called first.
        iteration: How far an iteration over every page goes, `{"max_items": 500}`; None for a call of one page.
    """

    id: str
    operation: Operation
    agent_id: str
    org_id: str
    canonical: bytes = field(repr=False)
    params: Mapping[str, Any] = field(repr=False)
    effects: tuple[Effect, ...]
    iteration: Mapping[str, Any] | None = None

    @property
    def risk(self) -> Risk:
        return max(effect.risk for effect in self.effects)


@frozen(kw_only=True)
class Limit:
    """At most `count` of `operation` per agent in any `seconds`; `text` is as the policy wrote it."""

    operation: str
    count: int
    seconds: int
    text: str
    policy: str


@frozen(kw_only=True)
class OnCall:
    """The users who are on call for an escalation policy.

    Attributes:
        escalation_policy: Its id.
        levels: The levels whose users may decide, the first to be asked first; empty for all of them.
        escalate_after: Seconds without a decision after which the next level's users may decide too; None when those of
            all levels may from the beginning.
    """

    escalation_policy: str
    levels: tuple[int, ...] = ()
    escalate_after: int | None = None


@frozen(kw_only=True)
class ReviewerRule:
    """The people whose approvals a policy entry counts: any of these.

    Attributes:
        policy: The entry's name.
        people: Names of reviewers.
        groups: Names of groups of reviewers.
        on_call: Reviewers who are on call when they decide, and still when the approval is used.
        min_approvals: How many different ones of them must agree.
    """

    policy: str
    people: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    on_call: tuple[OnCall, ...] = ()
    min_approvals: int = 1


@frozen(kw_only=True)
class Visibility:
    """The members of a response that one policy entry hides and shows: globs, `contact_methods.address`.

    Attributes:
        policy: The entry's name.
        hide: What it hides.
        show: Exceptions to what it hides, and to what is hidden by default.
    """

    policy: str
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()


@frozen(kw_only=True)
class Decision:
    """The decision of policy on one call.

    Attributes:
        verdict: PERMIT, ESCALATE or DENY.
        risk: The risk at which the call was judged.
        operation: The operation that caused the verdict: the one called, or another of its effects.
        policy: Name of the entry that decided; None when none matched.
        reason: For people, one sentence.
        source: `file:line` of the entry, when it came from a file.
        channel: Where to ask reviewers (`hitl_channel`).
        min_approvals: How many different reviewers must agree.
        reviewers: Whose approvals count, by entry: each rule has to be met. Empty: those of any reviewer.
        visibility: What the response shows, by effect: what one of them hides is hidden.
        limits: Limits to be counted when the intent is written.
        observed: What entries in observe mode would have said: `name: VERDICT`.
    """

    verdict: Verdict
    risk: Risk
    operation: str
    policy: str | None = None
    reason: str
    source: str | None = None
    channel: str | None = None
    min_approvals: int = 1
    reviewers: tuple[ReviewerRule, ...] = ()
    visibility: tuple[tuple[Visibility, ...], ...] = ((),)
    limits: tuple[Limit, ...] = ()
    observed: tuple[str, ...] = ()


def new_id() -> str:
    """Return a UUID of version 7: in the order of time, so that an index grows at its end, and not to be foreseen."""
    now, drawn = time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10)) >> 6
    return f"{now << 80 | 0x7 << 76 | drawn >> 62 << 64 | 0x2 << 62 | drawn & 0x3FFFFFFFFFFFFFFF:032x}"
