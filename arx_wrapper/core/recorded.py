"""The parts of parameters and of an API's objects that a record holds: ids, and the members on a list."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

from arx_wrapper.model import Params

# Ids that one record names at most: a bulk call has 250 entries, each with its own assignees.
_MOST_IDS: Final = 1_000
# Levels of an object that are looked at: no object of an API has as many.
_DEEPEST: Final = 20
# An `external_id` is a routing key, which is a secret.
_NAMES_IDS: Final = re.compile(r"(^|_)(?<!external_)ids?$")


def named_ids(params: Params, most: int = _MOST_IDS) -> dict[str, Any]:
    """Return the ids that parameters name, at any depth: `{"incident_id": "P1", "incidents": ["P2", "P3"]}`.

    Those further down are under their path: `incidents.assignee_ids`, `rules.targets`, `filters.service_ids`, each
    once. Ids past `most` are counted under `omitted`.
    """
    ids: dict[str, Any] = {}
    inner: dict[str, dict[str, None]] = {}
    omitted = 0
    for path, found in _ids_in("", params):
        if most == 0:
            omitted += 1
        elif path in params and isinstance(params[path], str):
            ids[path] = found
            most -= 1
        elif found not in inner.setdefault(path, {}):
            inner[path][found] = None
            most -= 1
    ids |= {path: list(found) for path, found in inner.items()}
    return ids | ({"omitted": omitted} if omitted else {})


def _ids_in(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield the ids in a list or an object, each with its path; an object's own id is under the object's path."""
    if isinstance(value, list):
        for item in value:
            yield from _ids_in(path, item)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            below = f"{path}.{name}" if path else name
            if name == "id" and path and isinstance(inner, str):
                yield path, inner
            elif _NAMES_IDS.search(name):
                yield from ((below, one) for one in _each(inner) if isinstance(one, str))
            else:
                yield from _ids_in(below, inner)


def _each(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def state_of(seen: Mapping[str, Any], members: Container[str], depth: int = _DEEPEST) -> dict[str, Any]:
    """Return what of an object may be kept: the members on the list, up to `depth` levels deep, and nothing else."""
    kept: dict[str, Any] = {}
    for name, value in seen.items() if depth else ():
        if isinstance(value, Mapping):
            inner: Any = state_of(value, members, depth - 1)
        elif isinstance(value, list):
            inner = [state_of(item, members, depth - 1) for item in value if isinstance(item, Mapping)]
        else:
            inner = value if name in members else None
        if inner:
            kept[name] = inner
    return kept
