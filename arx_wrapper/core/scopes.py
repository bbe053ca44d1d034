"""The OAuth scopes that operations need: the least that a key must have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from arx_wrapper.model import NO_TARGET, Operation


def needed(operations: Iterable[Operation]) -> dict[str, tuple[str, ...]]:
    """Return every scope that operations need, each with the operations that need it.

    A write also reads, where a reviewer is shown its target or a lost response is looked for: it needs the read scope
    of the same resources.
    """
    found: dict[str, dict[str, None]] = {}
    for operation in operations:
        for scope in (*operation.scopes, *_looking(operation)):
            found.setdefault(scope, {})[operation.name] = None
    return {scope: tuple(found[scope]) for scope in sorted(found)}


def compared(needed: Mapping[str, tuple[str, ...]], granted: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the scopes that are lacking, and those that nothing needs. `as_account-…` says whose account it is."""
    has = {scope for scope in granted if not scope.startswith("as_account")}
    return sorted(needed.keys() - has), sorted(has - needed.keys())


def _looking(operation: Operation) -> tuple[str, ...]:
    looks = operation.target_state not in (None, NO_TARGET) or (operation.recovery and operation.recovery.find)
    if not operation.writes or not looks:
        return ()
    return tuple(f"{scope.removesuffix('.write')}.read" for scope in operation.scopes if scope.endswith(".write"))
