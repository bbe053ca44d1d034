"""Predict the verdicts that calls of an operation can receive, before their parameters are known."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve

from arx_wrapper.model import Call, Effect, Risk, Verdict
from arx_wrapper.policy.engine import PolicySet


def possible_verdicts(policy: PolicySet, call: Call, now: datetime) -> frozenset[Verdict]:
    """Return the verdicts other than DENY that calls like this one can receive, over all possible parameters.

    Conditions are assumed to hold or not; limits are ignored. An empty set means that every call is denied; ESCALATE
    alone means that every permitted call needs approval.

    Args:
        policy: A loaded policy.
        call: An operation, with the effects that every call of it has.
        now: Aware, for `expires`.
    """
    found = [_of_effect(policy, call, effect, now) for effect in call.effects]
    if not all(found):
        return frozenset()
    if frozenset({Verdict.ESCALATE}) in found:
        return frozenset({Verdict.ESCALATE})
    # A write's further effects depend on its parameters, so any entry that requires approval may apply.
    asks = call.operation.writes and any("hitl" in entry.approval.values() for entry in policy.own)
    return frozenset().union(*found, {Verdict.ESCALATE} if asks else ())


def _of_effect(policy: PolicySet, call: Call, effect: Effect, now: datetime) -> frozenset[Verdict]:
    """Return the verdicts that one effect can receive, at each risk that a write's parameters can raise it to."""
    risks = (risk for risk in Risk if risk == effect.risk or (call.operation.writes and risk > effect.risk))
    return frozenset().union(*(_at_risk(policy, call, evolve(effect, risk=risk), now) for risk in risks))


def _at_risk(policy: PolicySet, call: Call, effect: Effect, now: datetime) -> frozenset[Verdict]:
    found = policy.candidates(effect)
    if any(entry.when is None and policy.applies(entry, call, now) for entry in found.denies):
        return frozenset()
    permits = [entry for entry in found.permits if policy.applies(entry, call, now)]
    asking = [entry for entry in permits if entry.approval.get(effect.risk) == "hitl"]
    if asking and (len(asking) == len(permits) or any(entry.when is None for entry in asking)):
        return frozenset({Verdict.ESCALATE})
    return frozenset({Verdict.PERMIT, Verdict.ESCALATE} if asking else {Verdict.PERMIT} if permits else ())
