"""Define one call, its effects, and the decision of policy on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from arx_wrapper.model.operation import Operation, Params
from arx_wrapper.model.risk import Risk, Verdict


@frozen(kw_only=True)
class Effect:
    """One operation that a call performs: the operation called, or another that the same request performs.

    Attributes:
        operation: The operation whose permission is needed.
        risk: The risk at which it is judged.
        count: How many times the call performs it (once for each entry of a bulk call). Limits count these.
        params: The parameters that conditions see, one set for each time, named as `operation` names them. A value may
            be `Unknown`; None stands for a set whose values are all unknown.
    """

    operation: str
    risk: Risk
    count: int = 1
    params: tuple[Params | None, ...] = field(default=(None,), repr=False, eq=False)


@frozen(kw_only=True)
class Call:
    """One call, frozen. Policy, audit log, reviewers and transport all use exactly this text.

    Attributes:
        id: Unique id; the intent record carries it.
        operation: The table's row.
        agent_id: The agent that calls.
        org_id: The organisation for which it calls.
        canonical: The validated parameters as canonical JSON.
        params: The same, decoded for policy conditions; read-only by convention, never the source of what is sent.
        effects: Every operation that the call performs; the operation called comes first.
        iteration: The bounds of an iteration over all pages, `{"max_items": 500}`; None for a call of one page.
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
    """At most `count` uses of `operation` by an agent in any `seconds`; `text` is the limit as the policy wrote it."""

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
        levels: The levels whose users may decide, in order; empty means all levels.
        escalate_after: Seconds without a decision after which the next level's users may decide too. None: the users of
            all levels may decide at once.
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
        min_approvals: The number of different ones of them who must approve.
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
        hide: Globs of the members that it hides.
        show: Exceptions to these, and to the members that are hidden by default.
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
        reason: The reason in one sentence, for people.
        source: `file:line` of the entry, when it came from a file.
        channel: The channel on which to notify reviewers (`hitl_channel`).
        min_approvals: How many different reviewers must agree.
        reviewers: One rule for each entry that names reviewers; each has to be met. Empty: any reviewer may approve.
        visibility: The members that the response shows, by effect. A member that one effect hides is hidden.
        limits: The limits to be counted when the intent is written.
        observed: The verdicts of entries in observe mode, which are not enforced: `name: VERDICT`.
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


@frozen(kw_only=True)
class Request:
    """A request, complete and checked, that was not sent yet.

    Attributes:
        method: The HTTP method.
        path: The path as it will be sent, without a host; its segments are checked.
        query: Names and values in order; a list is repeated.
        headers: Further headers.
        json: The body as plain JSON data; None when there is none.
        operation_id: The endpoint's name.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    json: Any = field(default=None, repr=False)
    operation_id: str
