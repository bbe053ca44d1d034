"""Random policies and calls, made from a `random.Random`: a seed's for many cases, one of Hypothesis's to shrink.

Hypothesis takes five times as long to draw a case as the engine and the oracle take to judge it, so the many come from
seeds: a case's number is its seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any, TypeVar

from attrs import frozen

from arx_wrapper import OPERATIONS, Call, Effect, Risk
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import PolicySet, load
from tests.policy.support import NOW, bare

_T = TypeVar("_T")

NAMES = sorted(OPERATIONS)
PARAMS: list[dict[str, str]] = [{}, {"urgency": "low"}, {"urgency": "high"}]
_PATTERNS = sorted(
    {"*", "*:*", "*:read*", "*read*", "*e*:*e*"}
    | set(OPERATIONS)
    | {f"{name.partition(':')[0]}:*" for name in OPERATIONS}
    | {f"{name[:-1]}*" for name in OPERATIONS}
)
_RISKS = ["low", "medium", "high"]
_APPROVALS = ["none", "auto", "hitl"]
_WHO = ["*", "agent-*", "agent-1", "agent-2", "*-2", "org-1", "o*"]
_EXPIRES = [(NOW + timedelta(seconds=step)).isoformat() for step in (-3600, -1, 0, 1, 3600)]


@frozen
class Case:
    """A policy, as it is written and as it was loaded, and a call that it judges."""

    entries: list[dict[str, Any]]
    loaded: PolicySet
    call: Call


@cache
def case(number: int) -> Case:
    """Return the case with this number: the same one in every run."""
    random = Random(number)  # noqa: S311 - no secret
    written = entries(random)
    return Case(written, load(written, registry=RISKS, connector="pagerduty"), call(random))


def entries(random: Random) -> list[dict[str, Any]]:
    """Return the entries of a policy, some of them of another connector, expired or only observing."""
    return [_entry(random, f"p{number}") for number in range(random.randint(0, 6))]


def call(random: Random) -> Call:
    """Return a call with effects of up to three operations, each with parameters of its own."""
    operation, own = random.choice(NAMES), random.choice(PARAMS)
    effects = {
        name: Effect(
            operation=name, risk=max(random.choice(list(Risk)), RISKS[name]), params=tuple(_some(random, PARAMS, 3))
        )
        for name in random.choices(NAMES, k=random.randint(0, 2))
    }
    effects[operation] = Effect(operation=operation, risk=RISKS[operation], params=(own,))
    agent, org = random.choice(["agent-1", "agent-2"]), random.choice(["org-1", "org-2"])
    return bare(operation, agent=agent, org=org, params=own, effects=tuple(effects.values()))


def _entry(random: Random, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "connector": random.choice(["pagerduty", "pagerduty", "other"])}
    kind = random.choice(["operations", "deny", "both"])
    if kind != "deny":
        # Half of them broad: cases in which nothing matches tell engines apart the least.
        globs = [random.choice(random.choice((["*", "*:*"], _PATTERNS))) for _ in range(random.randint(1, 4))]
        entry |= {"operations": globs, "risk_max": random.choice(_RISKS), "approval": _approval(random)}
    if kind != "operations":
        entry["deny"] = _some(random, _PATTERNS, 4)
    for key, values in (("agents", _WHO), ("orgs", _WHO)):
        if random.randrange(4) == 0:
            entry[key] = _some(random, values, 2)
    for key, value in (("expires", random.choice(_EXPIRES)), ("enforce", random.random() < 0.5)):
        if random.randrange(4) == 0:
            entry[key] = value
    if random.randrange(3) == 0:
        entry["when"] = 'has(params.urgency) && params.urgency == "low"'
    return entry


def _approval(random: Random) -> str | dict[str, str]:
    if random.random() < 0.5:
        return random.choice(_APPROVALS)
    return {risk: random.choice(_APPROVALS) for risk in random.sample(_RISKS, random.randint(0, 3))}


def _some(random: Random, values: Sequence[_T], most: int) -> list[_T]:
    return [random.choice(values) for _ in range(random.randint(1, most))]
