"""Decide a call: match the entries against each of its effects, and return the strictest decision."""

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
    Params,
    Risk,
    Verdict,
    Visibility,
)
from arx_wrapper.policy.condition import ConditionError
from arx_wrapper.policy.decision import HELP, decision, subject
from arx_wrapper.policy.entry import PolicyEntry, glob, matches_any

_ORDER = {Verdict.PERMIT: 0, Verdict.ESCALATE: 1, Verdict.DENY: 2}


@frozen(kw_only=True, eq=False, repr=False)
class Candidates:
    """The entries that name an operation and cover its risk, computed before the first call.

    Attributes:
        conditional: Whether an entry has a condition.
        constant: Whether the entries' decision depends neither on parameters nor on the time.
    """

    conditional: bool
    constant: bool
    denies: tuple[PolicyEntry, ...]
    permits: tuple[PolicyEntry, ...]
    observed: tuple[PolicyEntry, ...]


class PolicySet:
    """A loaded policy. It never changes; `Policies` reloads a changed file.

    Attributes:
        entries: All of its entries, in order.
        own: The entries for its connector.
    """

    def __init__(self, entries: Iterable[PolicyEntry], *, connector: str) -> None:
        self.entries = tuple(entries)
        self._connector = connector
        self.own = tuple(entry for entry in self.entries if glob(entry.connector).fullmatch(connector))
        self._visible = [entry for entry in self.own if entry.enforce and entry.visibility]
        self._hiding = [entry for entry in self._visible if not entry.operations]
        self._candidates: dict[tuple[str, Risk], Candidates] = {}
        self._globs: dict[str, re.Pattern[str]] = {}

    def is_own(self, entry: PolicyEntry) -> bool:
        """Return True when an entry is for this set's connector."""
        return entry in self.own

    def applies(self, entry: PolicyEntry, call: Call, now: datetime) -> bool:
        """Return True when an entry has not expired and matches the agent and the organisation of a call."""
        if entry.expires is not None and now >= entry.expires:
            return False
        return self._is_for(entry, call)

    def decide(self, call: Call, now: datetime) -> Decision:
        """Return the decision on a call: the strictest of those on its effects.

        Args:
            call: The call, with its effects.
            now: The time for `expires` and conditions, aware.
        """
        if len(call.effects) == 1 and len(call.effects[0].params) == 1:  # most calls
            return self._effect(call, call.effects[0], call.effects[0].params[0], now)
        decisions = [
            self._effect(call, effect, params, now) for effect in call.effects for params in self.parameter_sets(effect)
        ]
        strictest = max(decisions, key=lambda decision: _ORDER[decision.verdict])
        return evolve(
            strictest,
            risk=call.risk,
            min_approvals=max(decision.min_approvals for decision in decisions),
            reviewers=tuple(dict.fromkeys(rule for decision in decisions for rule in decision.reviewers)),
            visibility=tuple(dict.fromkeys(group for decision in decisions for group in decision.visibility)),
            limits=tuple(dict.fromkeys(limit for decision in decisions for limit in decision.limits)),
            observed=tuple(dict.fromkeys(note for decision in decisions for note in decision.observed)),
        )

    def is_constant(self, call: Call) -> bool:
        """Return True when every call of this agent with the same effects gets the same decision, at any time."""
        return all(self.candidates(effect).constant for effect in call.effects)

    def parameter_sets(self, effect: Effect) -> tuple[Params | None, ...]:
        """Return the parameter sets to judge an effect with; without conditions, one set stands for all."""
        each = tuple(effect.params) or (None,)
        return each if len(each) == 1 or self.candidates(effect).conditional else each[:1]

    def _effect(self, call: Call, effect: Effect, params: Params | None, now: datetime) -> Decision:
        found = self.candidates(effect)
        observed = tuple(self._observe(found.observed, call, effect, params, now)) if found.observed else ()
        for entry in found.denies:
            matched, why = self.matches(entry, call, effect, params, now)
            if matched or why:
                of = subject(params) if entry.when else ""
                reason = f"policy {entry} denies {effect.operation}{of}{f' ({why})' if why else ''}."
                return decision(Verdict.DENY, effect, entry, reason, observed=observed)
        matching = []
        for entry in found.permits:
            matched, why = self.matches(entry, call, effect, params, now)
            if why:
                reason = f"policy {entry} cannot be evaluated: {why}."
                return decision(Verdict.DENY, effect, entry, reason, observed=observed)
            if matched:
                matching.append(entry)
        if not matching:
            return decision(Verdict.DENY, effect, None, self._why_default(call, effect, params, now), observed=observed)
        if (requester := call.params.get("requester_email")) is not None:
            for entry in matching:
                if not _may_name(entry, requester):
                    reason = f"policy {entry} names the `requesters` of writes, and this call's is not among them."
                    return decision(Verdict.DENY, effect, entry, reason, observed=observed)
        limits = tuple(limit for entry in matching for limit in entry.limits if limit.operation == effect.operation)
        visibility = self._visibility(matching, call, effect, params, now) if self._visible else ()
        asking = [entry for entry in matching if entry.approval.get(effect.risk) == "hitl"]
        if not asking:
            reason = f"policy {matching[0]} permits it."
            return decision(
                Verdict.PERMIT, effect, matching[0], reason, limits=limits, observed=observed, visibility=visibility
            )
        entry = max(asking, key=lambda asked: asked.min_approvals)
        reason = f"policy {entry} requires approval of {effect.operation} at {effect.risk.name}."
        return decision(
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
        """Return the members that the matching entries hide and show, and those that others hide in every response."""
        found = [entry for entry in matching if entry.hide or entry.show]
        for entry in self._hiding:
            matched, why = self.matches(entry, call, effect, params, now)
            if matched or why:
                found.append(entry)
        return tuple(visibility for entry in found if (visibility := entry.visibility))

    def _why_default(self, call: Call, effect: Effect, params: Params | None, now: datetime) -> str:
        """Return the reason why no entry permits an effect, by the entry that comes closest to permitting it."""
        operation, permits = effect.operation, self.candidates(effect).permits
        above = [
            entry for entry in self.own if entry.enforce and entry.permits(operation) and effect.risk > entry.risk_max
        ]
        if not self.entries:
            return HELP
        for entry in permits:
            if entry.when and self.applies(entry, call, now):
                return (
                    f"policy {entry} permits {operation} only when {entry.when.text}, which does not hold"
                    f"{subject(params)}."
                )
        for entry in sorted(above, key=lambda one: not self._is_for(one, call)):
            if self._is_for(entry, call) or not permits:
                others = "" if self._is_for(entry, call) else f", and not for {self._not_for(entry, call)}"
                return (
                    f"policy {entry} permits {operation} up to {entry.risk_max.name} only{others}, and it is "
                    f"{effect.risk.name}."
                )
        for entry in sorted(permits, key=lambda one: not self._is_for(one, call)):
            if self._is_for(entry, call) and entry.expires:
                return f"policy {entry} permitted {operation} until {entry.expires.isoformat()}, and has expired."
            return f"policy {entry} permits {operation}, but not for {self._not_for(entry, call)}."
        if older := [one for one in self.own if operation in one.later and one.globs_match(operation)]:
            return (
                f"{operation} was added in a later version of the table than policy {older[0]} is written for. "
                "Name it in its `operations`, or raise its `table`."
            )
        return f"no policy entry permits {operation}. Add it to the `operations` of one."

    def _is_for(self, entry: PolicyEntry, call: Call) -> bool:
        return self.named(entry.agents, call.agent_id) and self.named(entry.orgs, call.org_id)

    def _not_for(self, entry: PolicyEntry, call: Call) -> str:
        """Name the caller that an entry is not for: the agent before the organisation."""
        if not self.named(entry.agents, call.agent_id):
            return f"agent {call.agent_id!a}"
        return f"organisation {call.org_id!a}"

    def candidates(self, effect: Effect) -> Candidates:
        """Return the entries that name an effect's operation and cover its risk; computed once for each."""
        key = (effect.operation, effect.risk)
        try:
            return self._candidates[key]
        except KeyError:
            denies = [entry for entry in self.own if matches_any(entry.deny, effect.operation)]
            permits = [entry for entry in self.own if entry.permits(effect.operation) and effect.risk <= entry.risk_max]
            concerned = (*denies, *permits, *self._hiding)
            found = self._candidates[key] = Candidates(
                conditional=any(entry.when is not None for entry in concerned),
                constant=not any(entry.when or entry.expires or entry.requesters for entry in concerned),
                denies=tuple(entry for entry in denies if entry.enforce),
                permits=tuple(entry for entry in permits if entry.enforce),
                observed=tuple(entry for entry in self.own if not entry.enforce and entry in (*denies, *permits)),
            )
            return found

    def matches(
        self, entry: PolicyEntry, call: Call, effect: Effect, params: Params | None, now: datetime
    ) -> tuple[bool, str]:
        """Return True when the rest of an entry matches, and a reason when its condition failed."""
        if not self.applies(entry, call, now):
            return False, ""
        if entry.when is None:
            return True, ""
        try:
            return entry.when.holds(call, effect, params, now), ""
        except ConditionError as error:
            return False, f"its condition {entry.when.text!r} failed: {error}"

    def named(self, patterns: Sequence[str], name: str) -> bool:
        """Return True when one of the globs matches an agent's or organisation's whole name."""
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
            matched, why = self.matches(entry, call, effect, params, now)
            if matches_any(entry.deny, effect.operation) and (matched or why):
                yield f"{entry.name}: {Verdict.DENY}"
            elif matched:
                asks = entry.approval.get(effect.risk) == "hitl"
                yield f"{entry.name}: {Verdict.ESCALATE if asks else Verdict.PERMIT}"


def _may_name(entry: PolicyEntry, requester: Any) -> bool:
    """Return True when an entry permits the call's requester; the case of addresses is ignored."""
    if not entry.requesters:
        return True
    return any(glob(pattern.lower()).fullmatch(str(requester).lower()) for pattern in entry.requesters)
