"""Check whether a reviewer's decision counts for a policy entry that names people, groups or on-call rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from arx_wrapper.errors import ApprovalDeniedError, ApprovalError
from arx_wrapper.model import OnCall, ReviewerRule

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest, Review, Reviewers

Levels = Mapping[int, frozenset[str]]
"""The users who are on call, by level: their ids and addresses."""
AskOnCall = Callable[[str], Awaitable[Levels]]
"""Read who is on call for an escalation policy now."""


@frozen(kw_only=True)
class Standing:
    """The result of checking a reviewer's decision against a rule.

    Attributes:
        counts: True when the decision counts.
        because: The reason, for people: `is on call at level 1 of PESC123`.
    """

    counts: bool
    because: str


@define(kw_only=True)
class Judge:
    """Applies the rules of a policy entry to reviewers.

    Attributes:
        request: The request for approval.
        reviewers: The present reviewers.
        groups: Groups of reviewers, by name, from the configuration.
        ask_on_call: Reads who is on call; None when that is not possible.
        looked_up: The on-call data that was read, for the record.
    """

    request: ApprovalRequest
    reviewers: Reviewers
    groups: Mapping[str, Sequence[str]]
    ask_on_call: AskOnCall | None
    looked_up: dict[str, dict[str, list[str]]] = field(factory=dict)

    async def standing(self, rule: ReviewerRule, review: Review) -> Standing:
        """Check a decision against a rule, reading who is on call when the rule requires it.

        Raises:
            ApprovalError: the rule requires on-call data, which cannot be read here.
        """
        name = review.reviewer
        if name in rule.people:
            return Standing(counts=True, because="is named by the policy")
        for group in rule.groups:
            if name in self.groups.get(group, ()):
                return Standing(counts=True, because=f"is in the group {group}")
        reasons = []
        for on_call in rule.on_call:
            found = await self._on_call(on_call, review)
            if found.counts:
                return found
            reasons.append(found.because)
        return Standing(counts=False, because=" and ".join(reasons) or "is none of its reviewers")

    async def _on_call(self, rule: OnCall, review: Review) -> Standing:
        if self.ask_on_call is None:
            raise ApprovalError(
                f"{self.request.id}: policy requires who is on call for {rule.escalation_policy}, which cannot be read "
                "here. Nothing was decided.",
                approval_id=self.request.id,
            )
        levels = await self.ask_on_call(rule.escalation_policy)
        self.looked_up[rule.escalation_policy] = {str(level): sorted(users) for level, users in sorted(levels.items())}
        known = self._known_as(review.reviewer)
        may = _levels(rule, levels, review.at - self.request.created_at)
        for level in may:
            if known & levels.get(level, frozenset()):
                return Standing(counts=True, because=f"is on call at level {level} of {rule.escalation_policy}")
        shown = ", ".join(map(str, may)) or "none"
        return Standing(counts=False, because=f"is not on call at level {shown} of {rule.escalation_policy}")

    def _known_as(self, name: str) -> set[str]:
        enrolled = self.reviewers.enrolled.get(name)
        return {name.casefold(), *([enrolled.user.casefold()] if enrolled and enrolled.user else [])}


async def require_one(judge: Judge, rules: Iterable[ReviewerRule], review: Review) -> None:
    """Check, when a decision is made, that it counts for one of a policy's rules.

    Raises:
        ApprovalDeniedError: it counts for none of them.
    """
    reasons = []
    for rule in rules:
        found = await judge.standing(rule, review)
        if found.counts:
            return
        reasons.append(f"{rule.policy}: {review.reviewer} {found.because}")
    if reasons:
        raise ApprovalDeniedError(
            f"{judge.request.id}: the decision of {review.reviewer!a} does not count: {'; '.join(reasons)}. "
            "Nothing was decided.",
            approval_id=judge.request.id,
        )


async def require_all(judge: Judge, rules: Iterable[ReviewerRule]) -> list[dict[str, Any]]:
    """Check, when the approvals are used, that every rule has enough of them.

    Returns:
        The result for each reviewer and rule, for the record.

    Raises:
        ApprovalDeniedError: a rule has too few.
    """
    found: list[dict[str, Any]] = []
    for rule in rules:
        counted, reasons = 0, []
        for review in judge.request.decisions:
            standing = await judge.standing(rule, review)
            counted += standing.counts and review.approve
            reasons.append(f"{review.reviewer} {standing.because}")
            found.append({"policy": rule.policy, "reviewer": review.reviewer, "counts": standing.counts})
        if counted < rule.min_approvals:
            raise ApprovalDeniedError(
                f"{judge.request.id}: {counted} of the {rule.min_approvals} approvals that {rule.policy} requires of "
                f"its reviewers count now: {'; '.join(reasons) or 'none decided'}. Nothing was sent. Ask anew.",
                approval_id=judge.request.id,
            )
    return found


def rules_of(request: ApprovalRequest) -> tuple[ReviewerRule, ...]:
    """Return the rules that a request was made with."""
    import msgspec

    return tuple(msgspec.convert(rule, ReviewerRule) for rule in request.reviewers)


def _levels(rule: OnCall, found: Levels, waited: timedelta) -> Sequence[int]:
    """Return the levels whose users may decide after a request has waited for a time."""
    levels = rule.levels or tuple(sorted(found))
    if rule.escalate_after is None:
        return levels
    return levels[: 1 + int(max(0.0, waited.total_seconds()) // rule.escalate_after)]  # clocks may differ slightly
