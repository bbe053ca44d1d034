"""Encode Python values as a query, strictly: a wrong value could widen a filter or change another resource."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from .errors import InvalidRequestError, shown
from .shapes import FREE, INTEGER, NUMBER, Allowed, Shape, printed, text
from .types import UNSET, Unset

_ZONED: Final = "text, or a datetime with a zone"


Query = list[tuple[str, str]]


def add_text(
    query: Query, wire: str, name: str, value: object, allowed: Allowed | None = None, shape: Shape | None = None
) -> None:
    """Add a text parameter, which must be one of `allowed` when it is given."""
    if value is not UNSET:
        query.append((wire, text(name, value, allowed, shape)))


def add_time(query: Query, wire: str, name: str, value: object) -> None:
    """Add a time: text unchanged, a datetime in ISO 8601 with its offset."""
    if value is UNSET:
        return
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidRequestError(name, "is a datetime without a zone", _ZONED)
        value = value.isoformat()
    query.append((wire, text(name, value)))


def add_integer(query: Query, wire: str, name: str, value: object, shape: Shape = INTEGER) -> None:
    """Add a whole number; `True` is not one."""
    if value is not UNSET:
        query.append((wire, str(shape.read(value, name))))


def add_number(query: Query, wire: str, name: str, value: object, shape: Shape = NUMBER) -> None:
    """Add a finite number."""
    if value is not UNSET:
        query.append((wire, str(shape.read(value, name))))


def add_boolean(query: Query, wire: str, name: str, value: object) -> None:
    """Add true or false; the texts are neither."""
    if value is UNSET:
        return
    if not isinstance(value, bool):
        raise InvalidRequestError(name, f"is {shown(value)}", "True or False")
    query.append((wire, "true" if value else "false"))


def add_repeated(
    query: Query,
    wire: str,
    name: str,
    values: Iterable[object] | Unset,
    allowed: Allowed | None = None,
    shape: Shape | None = None,
    least: int = 1,
    most: int | None = None,
) -> None:
    """Add a list, repeated (`statuses[]=a&statuses[]=b`)."""
    if not isinstance(values, Unset):
        listed = _listed(name, values, least, most)
        query.extend((wire, text(f"{name}[{i}]", value, allowed, shape)) for i, value in enumerate(listed))


def add_joined(
    query: Query,
    wire: str,
    name: str,
    values: object,
    allowed: Allowed | None = None,
    shape: Shape | None = None,
    least: int = 1,
    most: int | None = None,
) -> None:
    """Add a list as one text, joined by commas (`sort_by=a,b`); a single text is also accepted."""
    if isinstance(values, Unset):
        return
    listed = _listed(name, values.split(",") if isinstance(values, str) else values, least, most)
    query.append((wire, ",".join(text(name, value, allowed, shape) for value in listed)))


def add_members(query: Query, wire: str, name: str, value: object) -> None:
    """Add an object, one pair for each member (`filter[urgency]=high`), OpenAPI's deepObject."""
    if value is UNSET:
        return
    if not isinstance(value, Mapping) or not value:
        raise InvalidRequestError(name, f"is {shown(value)}", "an object with at least one member")
    for member, item in value.items():
        label = f"{name}[{member}]"
        for each in _listed(label, item, 1, None) if isinstance(item, list | tuple) else (item,):
            query.append((f"{wire}[{text(name, member)}]", text(label, printed(each))))


def add_json(query: Query, wire: str, name: str, value: object) -> None:
    """Add JSON as text."""
    if value is not UNSET:
        query.append((wire, json.dumps(FREE.read(value, name), separators=(",", ":"))))


def _listed(name: str, values: object, least: int, most: int | None) -> Sequence[object]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidRequestError(name, f"is {shown(values)}", "a list of texts")
    listed = list(values)
    if not listed:
        raise InvalidRequestError(name, "is an empty list, which would drop the filter", "a list of at least one text")
    if len(listed) < least or (most is not None and len(listed) > most):
        bounds = f"{least} to {most}" if most is not None else f"at least {least}"
        raise InvalidRequestError(name, f"has {len(listed)} items", f"a list of {bounds} texts")
    return listed
