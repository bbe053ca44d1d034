"""Build the decision of one entry on one effect: the verdict, and the reason in words."""

from __future__ import annotations

from typing import Final

from arx_wrapper.model import Decision, Effect, Limit, Params, ReviewerRule, Verdict, Visibility
from arx_wrapper.policy.entry import PolicyEntry

# One effect, and no entry that hides or shows.
_BY_DEFAULT: Final[tuple[tuple[Visibility, ...], ...]] = ((),)
HELP: Final = (
    "no policy is configured, so everything is denied. Name a policy file in ARX_POLICY; `arx-pagerduty init` writes "
    "one to start from."
)


def decision(
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
    """Return the decision of one entry on one effect; without an entry, the default, which denies."""
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
        visibility=(visibility,) if visibility else _BY_DEFAULT,
        limits=limits,
        observed=observed,
    )


def subject(params: Params | None) -> str:
    """Name the objects of an effect by their ids, without any other parameter."""
    ids = [
        f"{name} {value}" for name, value in (params or {}).items() if name.endswith("_id") and isinstance(value, str)
    ]
    return f" for {', '.join(ids)}" if ids else ""
