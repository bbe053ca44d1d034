"""Explain for every entry why it matched a call, or why not."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from arx_wrapper.model import Call, Effect, Params
from arx_wrapper.policy.decision import subject
from arx_wrapper.policy.engine import PolicySet
from arx_wrapper.policy.entry import PolicyEntry, matches_any


@frozen(kw_only=True)
class EntryTrace:
    """One entry and one effect of a call: whether it matched, and why.

    Attributes:
        entry, effect: The two.
        subject: The ids of the effect's objects, ` for incident_id P1`; empty when there are none.
        matched, why: Whether the entry matched, and the reason.
    """

    entry: PolicyEntry
    effect: Effect
    subject: str
    matched: bool
    why: str


def trace(policy: PolicySet, call: Call, now: datetime) -> list[EntryTrace]:
    """Return one trace for every entry and effect.

    Args:
        policy: A loaded policy.
        call: A call with its effects.
        now: Aware, for `expires` and conditions.
    """
    return [
        EntryTrace(entry=entry, effect=effect, subject=subject(params), matched=matched, why=why)
        for effect in call.effects
        for params in policy.parameter_sets(effect)
        for entry in policy.entries
        for matched, why in [_why(policy, entry, call, effect, params, now)]
    ]


def _why(
    policy: PolicySet, entry: PolicyEntry, call: Call, effect: Effect, params: Params | None, now: datetime
) -> tuple[bool, str]:
    if not policy.is_own(entry):
        return False, f"it is for the connector {entry.connector!r}"
    denied = matches_any(entry.deny, effect.operation)
    if not denied and not entry.permits(effect.operation):
        return False, f"none of its globs matches {effect.operation}"
    if not denied and effect.risk > entry.risk_max:
        return False, f"risk {effect.risk.name} is above its risk_max {entry.risk_max.name}"
    if entry.expires is not None and now >= entry.expires:
        return False, f"it expired at {entry.expires.isoformat()}"
    if not policy.named(entry.agents, call.agent_id):
        return False, f"it is not for the agent {call.agent_id!a}"
    if not policy.named(entry.orgs, call.org_id):
        return False, f"it is not for the organisation {call.org_id!a}"
    matched, why = policy.matches(entry, call, effect, params, now)
    if why:
        return True, why + ", so the call is denied"
    if not matched and entry.when:
        return False, f"its condition {entry.when.text!r} does not hold"
    return matched, "it denies" if denied else f"approval: {entry.approval.get(effect.risk, 'none')}"
