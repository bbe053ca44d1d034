"""Expand a call into its effects: the operation itself and every other operation that the same request performs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from arx_wrapper.model import Call, Effect, Operation, Params, Unknown

_ALIAS = Unknown("it names an object by another name than its id")
Table = Mapping[str, Operation]
IsAlias = Callable[[str, Any], bool]
"""Tell whether a parameter's value names an object by another name than its id."""


def expand(row: Operation, params: Params, table: Table, is_alias: IsAlias) -> tuple[Effect, ...]:
    """Return the effects of a call, each with its own parameters: the operation itself first.

    Args:
        row: The operation that is called.
        params: Its parameters, validated.
        table: Every operation of the connector.
        is_alias: Tells which values are second names. Conditions cannot compare those, so they become `Unknown`.
    """
    effects = {row.name: Effect(operation=row.name, risk=row.risk, params=(_comparable(params, is_alias),))}
    for spec in row.effects(params) if row.effects else ():
        risk, known = max(table[spec.operation].risk, spec.at_least), effects.get(spec.operation)
        if spec.operation == row.name:  # the call itself, at a higher risk or several times
            own = effects[row.name]
            effects[row.name] = Effect(
                operation=row.name, risk=max(own.risk, risk), count=max(own.count, spec.times), params=own.params
            )
            continue
        each = (None if spec.params is None else _comparable(spec.params, is_alias),)
        effects[spec.operation] = Effect(
            operation=spec.operation,
            risk=max(risk, known.risk) if known else risk,
            count=spec.times + (known.count if known else 0),
            params=(known.params if known else ()) + each,
        )
    return tuple(effects.values())


def minimal_call(row: Operation, table: Table, *, agent_id: str, org_id: str) -> Call:
    """Return a call without parameters, to be judged by the effects that every call of the operation has."""
    own = Effect(operation=row.name, risk=row.risk, params=({},))
    needed = (Effect(operation=name, risk=table[name].risk) for name in row.needs)
    effects = (own, *needed)
    return Call(id="", operation=row, agent_id=agent_id, org_id=org_id, canonical=b"{}", params={}, effects=effects)


def _comparable(params: Params, is_alias: IsAlias) -> Params:
    if not any(is_alias(name, value) for name, value in params.items()):
        return params
    return {name: _ALIAS if is_alias(name, value) else value for name, value in params.items()}
