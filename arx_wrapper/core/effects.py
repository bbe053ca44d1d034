"""What a call amounts to: the operation itself, and every other that the same act is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from arx_wrapper.model import Call, Effect, Operation

Table = Mapping[str, Operation]


def expand(row: Operation, params: Mapping[str, Any], table: Table) -> tuple[Effect, ...]:
    """The operation itself, then everything else that the same act amounts to."""
    effects = {row.name: Effect(operation=row.name, risk=row.risk)}
    for act in row.effects(params) if row.effects else ():
        risk = max(table[act.operation].risk, act.at_least)
        effects[act.operation] = Effect(operation=act.operation, risk=risk, count=act.times)
    return tuple(effects.values())


def minimal_call(row: Operation, table: Table, *, agent_id: str, org_id: str) -> Call:
    """A call without its parameters, to be judged by what it amounts to whatever they are."""
    try:
        effects = expand(row, defaultdict(tuple), table)
    except (TypeError, ValueError, LookupError, AttributeError):  # that cannot be told without them
        effects = (Effect(operation=row.name, risk=row.risk),)
    return Call(id="", operation=row, agent_id=agent_id, org_id=org_id, canonical=b"{}", params={}, effects=effects)
