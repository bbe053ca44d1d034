"""From Python values to the wire: strict, because what is misspelt here widens a filter or hits another resource."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from .errors import InvalidRequestError, shown
from .shapes import FREE, INTEGER, NUMBER, Body, Boolean, Integer, Number, Shape, is_number
from .types import UNSET, Unset

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_ID: Final = "letters, digits, '_' and '-'"
_ZONED: Final = "text, or a datetime with a zone"

_COOKIE: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")

Query = list[tuple[str, str]]
Allowed = frozenset[str] | frozenset[int]
Given = tuple[Any, ...]


def segment(name: str, value: object) -> str:
    """Return a path segment that can neither leave its place nor be empty.

    Raises:
        InvalidRequestError: naming the parameter.
    """
    if isinstance(value, str) and _SEGMENT.fullmatch(value):
        return value
    raise InvalidRequestError(name, f"is {shown(value)}", _ID)


def header(name: str, value: object) -> str:
    """Return a header's value: printable ASCII, so that it can neither end the header nor fail to be encoded.

    Raises:
        InvalidRequestError: naming the header.
    """
    if isinstance(value, str) and _HEADER.fullmatch(value):
        return value
    raise InvalidRequestError(name, f"is {shown(value)}", "printable ASCII text on one line")


def payload(body: object, model: type[Body]) -> dict[str, Any]:
    """Return a body as plain JSON.

    Raises:
        InvalidRequestError: this is no body of the endpoint.
    """
    if isinstance(body, model):
        return body.to_dict()
    raise InvalidRequestError("body", f"is {shown(type(body).__name__)}", f"models.{model.__name__}")


def add_text(
    query: Query, wire: str, name: str, value: object, allowed: Allowed | None = None, shape: Shape | None = None
) -> None:
    """Add a text parameter, one of `allowed` where the values are enumerated."""
    if value is not UNSET:
        query.append((wire, _text(name, value, allowed, shape)))


def add_time(query: Query, wire: str, name: str, value: object) -> None:
    """Add a time: text as it is, a datetime in ISO 8601 with its offset."""
    if value is UNSET:
        return
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidRequestError(name, "is a datetime without a zone", _ZONED)
        value = value.isoformat()
    query.append((wire, _text(name, value)))


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
        query.extend((wire, _text(f"{name}[{i}]", value, allowed, shape)) for i, value in enumerate(listed))


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
    """Add a list as one text, joined by commas (`sort_by=a,b`); one text may stand for a list of one."""
    if isinstance(values, Unset):
        return
    listed = _listed(name, values.split(",") if isinstance(values, str) else values, least, most)
    query.append((wire, ",".join(_text(name, value, allowed, shape) for value in listed)))


def add_members(query: Query, wire: str, name: str, value: object) -> None:
    """Add an object, a pair for each member (`filter[urgency]=high`): OpenAPI's deepObject."""
    if value is UNSET:
        return
    if not isinstance(value, Mapping) or not value:
        raise InvalidRequestError(name, f"is {shown(value)}", "an object with at least one member")
    for member, item in value.items():
        label = f"{name}[{member}]"
        for each in _listed(label, item, 1, None) if isinstance(item, list | tuple) else (item,):
            query.append((f"{wire}[{_text(name, member)}]", _text(label, printed(each))))


def add_json(query: Query, wire: str, name: str, value: object) -> None:
    """Add JSON as text."""
    if value is not UNSET:
        query.append((wire, json.dumps(FREE.read(value, name), separators=(",", ":"))))


def headers(*given: Given) -> tuple[tuple[str, str], ...]:
    """Return the headers that are given. Each is a name, a value, and what is allowed where that is bounded.

    Raises:
        InvalidRequestError: naming the header.
    """
    return tuple([(name, header(name, _checked(name, *rest))) for name, *rest in given if rest[0] is not UNSET])


def cookies(*given: Given) -> tuple[tuple[str, str], ...]:
    """Return the cookies that are given, as one header.

    Raises:
        InvalidRequestError: naming the cookie.
    """
    kept = headers(*given)
    for name, value in kept:
        if not _COOKIE.fullmatch(value):
            raise InvalidRequestError(name, f"is {shown(value)}", "text without spaces, commas, quotes and semicolons")
    return (("Cookie", "; ".join(f"{name}={value}" for name, value in kept)),) if kept else ()


def printed(value: object) -> object:
    """Return a number, a truth value or a list as text; anything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(str(printed(item)) for item in value)
    return str(value) if is_number(value) else value


def _checked(name: str, value: object, allowed: Allowed | None = None, shape: Shape | None = None) -> object:
    return value if allowed is None and shape is None else _text(name, value, allowed, shape)


def _text(name: str, value: object, allowed: Allowed | None = None, shape: Shape | None = None) -> str:
    if isinstance(shape, Integer | Number | Boolean):
        return str(printed(shape.read(value, name)))
    if allowed is not None and not isinstance(value, bool) and isinstance(value, int) and value in allowed:
        return str(value)
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(name, f"is {shown(value)}", "text that is not empty")
    if allowed is not None and value not in allowed:
        raise InvalidRequestError(name, f"is {shown(value)}", f"one of {', '.join(sorted(map(str, allowed)))}")
    if shape is not None:
        shape.check(value, name)
    return value


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
