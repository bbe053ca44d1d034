"""The decision: which entries match each thing that a call amounts to, and what the strictest of them says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve, frozen

from arx_wrapper.model import (
    Call,
    Decision,
    Effect,
    Limit,
    Params,
    ReviewerRule,
    Risk,
    Verdict,
    Visibility,
)
from arx_wrapper.policy.condition import ConditionError
from arx_wrapper.policy.entry import PolicyEntry, glob

_ORDER = {Verdict.PERMIT: 0, Verdict.ESCALATE: 1, Verdict.DENY: 2}
_HELP = (
    "no policy is configured, so everything is denied. Name a policy file in ARX_POLICY; `arx_wrapper/policies` holds "
    "four to start from."
)


@frozen(kw_only=True)
class EntryTrace:
    """Whether one entry matched one effect of a call, and why."""

    entry: PolicyEntry
    effect: Effect
    matched: bool
    why: str


@frozen(kw_only=True)
class _Candidates:
    """The entries that are about an operation at a risk, by what can be told before a call."""

    conditional: bool
    denies: tuple[PolicyEntry, ...]
    permits: tuple[PolicyEntry, ...]
    observed: tuple[PolicyEntry, ...]


class PolicySet:
    """A loaded policy. Never changes; see `Policies` for one that follows its file.

    Attributes:
        entries: All of its entries, in order.
    """

    def __init__(self, entries: Iterable[PolicyEntry], *, connector: str) -> None:
        self.entries = tuple(entries)
        self._connector = connector
        self._own = tuple(entry for entry in self.entries if glob(entry.connector).fullmatch(connector))
        self._visible = [entry for entry in self._own if entry.enforce and entry.visibility]
        self._hiding = [entry for entry in self._visible if not entry.operations]
        self._candidates: dict[tuple[str, Risk], _Candidates] = {}
        self._globs: dict[str, re.Pattern[str]] = {}

    def is_about(self, entry: PolicyEntry) -> bool:
        """Whether an entry is about the connector that this set is for."""
        return entry in self._own

    def applies(self, entry: PolicyEntry, call: Call, now: datetime) -> bool:
        """Whether an entry is in force for who calls, whatever they call."""
        if entry.expires is not None and now >= entry.expires:
            return False
        return self._named(entry.agents, call.agent_id) and self._named(entry.orgs, call.org_id)

    def decide(self, call: Call, now: datetime) -> Decision:
        """What the policy says of a call: the strictest of what it says of each effect.

        Args:
            call: The call, with everything that it amounts to.
            now: Aware, for `expires` and conditions.
        """
        decisions = [
            self._effect(call, effect, params, now) for effect in call.effects for params in self._judged(effect)
        ]
        strictest = max(decisions, key=lambda decision: _ORDER[decision.verdict])
        if len(decisions) == 1:
            return strictest
        return evolve(
            strictest,
            risk=call.risk,
            min_approvals=max(decision.min_approvals for decision in decisions),
            reviewers=tuple(dict.fromkeys(rule for decision in decisions for rule in decision.reviewers)),
            visibility=tuple(dict.fromkeys(group for decision in decisions for group in decision.visibility)),
            limits=tuple(dict.fromkeys(limit for decision in decisions for limit in decision.limits)),
            observed=tuple(dict.fromkeys(note for decision in decisions for note in decision.observed)),
        )

    def possible_verdicts(self, call: Call, now: datetime) -> frozenset[Verdict]:
        """What the policy may say of calls like this one, whatever the parameters, other than no.

        Conditions and limits are left open. Empty: it denies them all; ESCALATE alone: a reviewer is always asked.

        Args:
            call: An operation, with what every call of it amounts to.
            now: Aware, for `expires`.
        """
        found = [self._possible(call, effect, now) for effect in call.effects]
        if not all(found):
            return frozenset()
        if frozenset({Verdict.ESCALATE}) in found:
            return frozenset({Verdict.ESCALATE})
        # What else a write amounts to, its parameters decide: any entry that asks may come to ask about it.
        asks = call.operation.writes and any("hitl" in entry.approval.values() for entry in self._own)
        return frozenset().union(*found, {Verdict.ESCALATE} if asks else ())

    def trace(self, call: Call, now: datetime) -> list[EntryTrace]:
        """For every entry and effect, whether the entry matched, and why or why not."""
        return [
            EntryTrace(entry=entry, effect=effect, matched=matched, why=why)
            for effect in call.effects
            for params in self._judged(effect)
            for entry in self.entries
            for matched, why in [self._why(entry, call, effect, params, now)]
        ]

    def _judged(self, effect: Effect) -> tuple[Params | None, ...]:
        """Return the parameters to judge an effect with: one set stands for all where there are no conditions."""
        each = tuple(effect.params) or (None,)
        return each if len(each) == 1 or self._about(effect).conditional else each[:1]

    def _effect(self, call: Call, effect: Effect, params: Params | None, now: datetime) -> Decision:
        found = self._about(effect)
        observed = tuple(self._observe(found.observed, call, effect, params, now)) if found.observed else ()
        for entry in found.denies:
            matched, why = self._matches(entry, call, effect, params, now)
            if matched or why:
                of = _subject(params) if entry.when else ""
                reason = f"policy {entry} denies {effect.operation}{of}{f' ({why})' if why else ''}."
                return _decision(Verdict.DENY, effect, entry, reason, observed=observed)
        matching = []
        for entry in found.permits:
            matched, why = self._matches(entry, call, effect, params, now)
            if why:
                reason = f"policy {entry} cannot be evaluated: {why}."
                return _decision(Verdict.DENY, effect, entry, reason, observed=observed)
            if matched:
                matching.append(entry)
        if not matching:
            unmet = [entry for entry in found.permits if entry.when and self.applies(entry, call, now)]
            return self._default(effect, params, observed, unmet)
        for entry in matching:
            if not _may_name(entry, call.params.get("requester_email")):
                reason = (
                    f"policy {entry} names the `requesters` that a write may have, and this call's is none of them."
                )
                return _decision(Verdict.DENY, effect, entry, reason, observed=observed)
        limits = tuple(limit for entry in matching for limit in entry.limits if limit.operation == effect.operation)
        visibility = self._visibility(matching, call, effect, params, now)
        asking = [entry for entry in matching if entry.approval.get(effect.risk) == "hitl"]
        if not asking:
            reason = f"policy {matching[0]} permits it."
            return _decision(
                Verdict.PERMIT, effect, matching[0], reason, limits=limits, observed=observed, visibility=visibility
            )
        entry = max(asking, key=lambda asked: asked.min_approvals)
        reason = f"policy {entry} asks a reviewer for {effect.operation} at {effect.risk.name}."
        return _decision(
            Verdict.ESCALATE,
            effect,
            entry,
            reason,
            limits=limits,
            observed=observed,
            visibility=visibility,
            reviewers=tuple(asked.reviewers for asked in asking if asked.reviewers),
        )

    def _visibility(
        self, matching: list[PolicyEntry], call: Call, effect: Effect, params: Params | None, now: datetime
    ) -> tuple[Visibility, ...]:
        """Return what the matching entries hide and show, and what others hide of every answer."""
        if not self._visible:
            return ()
        found = [entry for entry in matching if entry.hide or entry.show]
        for entry in self._hiding:
            matched, why = self._matches(entry, call, effect, params, now)
            if matched or why:
                found.append(entry)
        return tuple(visibility for entry in found if (visibility := entry.visibility))

    def _possible(self, call: Call, effect: Effect, now: datetime) -> frozenset[Verdict]:
        """What may be said of one effect other than no; a write's may turn out to be of a higher risk."""
        risks = (risk for risk in Risk if risk == effect.risk or (call.operation.writes and risk > effect.risk))
        return frozenset().union(*(self._possible_at(call, evolve(effect, risk=risk), now) for risk in risks))

    def _possible_at(self, call: Call, effect: Effect, now: datetime) -> frozenset[Verdict]:
        found = self._about(effect)
        if any(entry.when is None and self.applies(entry, call, now) for entry in found.denies):
            return frozenset()
        permits = [entry for entry in found.permits if self.applies(entry, call, now)]
        asking = [entry for entry in permits if entry.approval.get(effect.risk) == "hitl"]
        if asking and (len(asking) == len(permits) or any(entry.when is None for entry in asking)):
            return frozenset({Verdict.ESCALATE})
        return frozenset({Verdict.PERMIT, Verdict.ESCALATE} if asking else {Verdict.PERMIT} if permits else ())

    def _default(
        self, effect: Effect, params: Params | None, observed: tuple[str, ...], unmet: Sequence[PolicyEntry]
    ) -> Decision:
        above = [
            entry
            for entry in self._own
            if entry.enforce and _any(entry.operations, effect.operation) and effect.risk > entry.risk_max
        ]
        if not self.entries:
            reason = _HELP
        elif unmet and unmet[0].when:
            reason = (
                f"policy {unmet[0]} permits {effect.operation} only when {unmet[0].when.text}, which does not hold"
                f"{_subject(params)}."
            )
        elif above:
            reason = (
                f"policy {above[0]} permits {effect.operation} up to {above[0].risk_max.name} only, and it is "
                f"{effect.risk.name}."
            )
        else:
            reason = f"no policy entry permits {effect.operation}. Add it to the `operations` of one."
        return _decision(Verdict.DENY, effect, None, reason, observed=observed)

    def _about(self, effect: Effect) -> _Candidates:
        key = (effect.operation, effect.risk)
        try:
            return self._candidates[key]
        except KeyError:
            denies = [entry for entry in self._own if _any(entry.deny, effect.operation)]
            permits = [
                entry
                for entry in self._own
                if _any(entry.operations, effect.operation) and effect.risk <= entry.risk_max
            ]
            found = self._candidates[key] = _Candidates(
                conditional=any(entry.when is not None for entry in (*denies, *permits, *self._hiding)),
                denies=tuple(entry for entry in denies if entry.enforce),
                permits=tuple(entry for entry in permits if entry.enforce),
                observed=tuple(entry for entry in self._own if not entry.enforce and entry in (*denies, *permits)),
            )
            return found

    def _matches(
        self, entry: PolicyEntry, call: Call, effect: Effect, params: Params | None, now: datetime
    ) -> tuple[bool, str]:
        """Whether the rest of an entry matches; with a reason when that cannot be told."""
        if not self.applies(entry, call, now):
            return False, ""
        if entry.when is None:
            return True, ""
        try:
            return entry.when.holds(call, effect, params, now), ""
        except ConditionError as error:
            return False, f"its condition {entry.when.text!r} failed: {error}"

    def _named(self, patterns: Sequence[str], name: str) -> bool:
        for pattern in patterns:
            if pattern == "*" or pattern == name:
                return True
            if "*" in pattern:
                if pattern not in self._globs:
                    self._globs[pattern] = glob(pattern)
                if self._globs[pattern].fullmatch(name):
                    return True
        return False

    def _observe(
        self, entries: tuple[PolicyEntry, ...], call: Call, effect: Effect, params: Params | None, now: datetime
    ) -> Iterable[str]:
        for entry in entries:
            matched, why = self._matches(entry, call, effect, params, now)
            if _any(entry.deny, effect.operation) and (matched or why):
                yield f"{entry.name}: {Verdict.DENY}"
            elif matched:
                asks = entry.approval.get(effect.risk) == "hitl"
                yield f"{entry.name}: {Verdict.ESCALATE if asks else Verdict.PERMIT}"

    def _why(
        self, entry: PolicyEntry, call: Call, effect: Effect, params: Params | None, now: datetime
    ) -> tuple[bool, str]:
        if not self.is_about(entry):
            return False, f"it is about the connector {entry.connector!r}"
        denied = _any(entry.deny, effect.operation)
        if not denied and not _any(entry.operations, effect.operation):
            return False, f"no glob of it matches {effect.operation}"
        if not denied and effect.risk > entry.risk_max:
            return False, f"risk {effect.risk.name} is above its risk_max {entry.risk_max.name}"
        if entry.expires is not None and now >= entry.expires:
            return False, f"it expired at {entry.expires.isoformat()}"
        if not self._named(entry.agents, call.agent_id):
            return False, f"it is not about the agent {call.agent_id!a}"
        if not self._named(entry.orgs, call.org_id):
            return False, f"it is not about the organisation {call.org_id!a}"
        matched, why = self._matches(entry, call, effect, params, now)
        if why:
            return True, why + ", which denies"
        if not matched and entry.when:
            return False, f"its condition {entry.when.text!r} does not hold"
        return matched, "it denies" if denied else f"approval: {entry.approval.get(effect.risk, 'none')}"


def _decision(
    verdict: Verdict,
    effect: Effect,
    entry: PolicyEntry | None,
    reason: str,
    *,
    limits: tuple[Limit, ...] = (),
    observed: tuple[str, ...] = (),
    visibility: tuple[Visibility, ...] = (),
    reviewers: tuple[ReviewerRule, ...] = (),
) -> Decision:
    return Decision(
        verdict=verdict,
        risk=effect.risk,
        operation=effect.operation,
        policy=entry.name if entry else None,
        reason=reason,
        source=entry.source if entry else None,
        channel=entry.hitl_channel if entry else None,
        min_approvals=entry.min_approvals if entry and verdict is Verdict.ESCALATE else 1,
        reviewers=reviewers,
        visibility=(visibility,),
        limits=limits,
        observed=observed,
    )


def _may_name(entry: PolicyEntry, requester: Any) -> bool:
    """Tell whether an entry lets a call be made for its requester; addresses are the same whatever their case."""
    if requester is None or not entry.requesters:
        return True
    return any(glob(pattern.lower()).fullmatch(str(requester).lower()) for pattern in entry.requesters)


def _subject(params: Params | None) -> str:
    """Say which object an effect is about: its ids, and no other parameter."""
    ids = [
        f"{name} {value}" for name, value in (params or {}).items() if name.endswith("_id") and isinstance(value, str)
    ]
    return f" for {', '.join(ids)}" if ids else ""


def _any(patterns: Sequence[str], name: str) -> bool:
    return any(pattern == name or glob(pattern).fullmatch(name) for pattern in patterns)
