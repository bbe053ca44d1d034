"""Compute the OAuth scopes that operations need, the fewest that a key must have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from arx_wrapper.model import NO_TARGET, Operation


def needed(operations: Iterable[Operation]) -> dict[str, tuple[str, ...]]:
    """Return every scope that operations need, each with the operations that need it.

    A write whose target is shown to reviewers, or whose lost response is looked up, also needs the read scope of the
    same resources.
    """
    found: dict[str, dict[str, None]] = {}
    for operation in operations:
        for scope in (*operation.scopes, *_looking(operation)):
            found.setdefault(scope, {})[operation.name] = None
    return {scope: tuple(found[scope]) for scope in sorted(found)}


def compared(needed: Mapping[str, tuple[str, ...]], granted: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the missing scopes, and those that no operation needs. `as_account-…` names the account; it is ignored."""
    has = {scope for scope in granted if not scope.startswith("as_account")}
    return sorted(needed.keys() - has), sorted(has - needed.keys())


def _looking(operation: Operation) -> tuple[str, ...]:
    looks = operation.target_state not in (None, NO_TARGET) or (operation.recovery and operation.recovery.find)
    if not operation.writes or not looks:
        return ()
    return tuple(f"{scope.removesuffix('.write')}.read" for scope in operation.scopes if scope.endswith(".write"))
