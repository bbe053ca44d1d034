"""From Python values to the wire: strict, because what is misspelt here widens a filter or hits another resource."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from .errors import InvalidRequestError, shown
from .shapes import is_integer, is_number
from .types import UNSET, Unset

if TYPE_CHECKING:
    from .body import Body

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_ID: Final = "letters, digits, '_' and '-'"
_ZONED: Final = "text, or a datetime with a zone"

Query = list[tuple[str, str]]


def segment(name: str, value: object) -> str:
    """A path segment that can neither leave its place nor be empty.

    Raises:
        InvalidRequestError: naming the parameter.
    """
    if isinstance(value, str) and _SEGMENT.fullmatch(value):
        return value
    raise InvalidRequestError(name, f"is {shown(value)}", _ID)


def header(name: str, value: object) -> str:
    """A header's value: printable ASCII, so that it can neither end the header nor fail to be encoded.

    Raises:
        InvalidRequestError: naming the header.
    """
    if isinstance(value, str) and _HEADER.fullmatch(value):
        return value
    raise InvalidRequestError(name, f"is {shown(value)}", "printable ASCII text on one line")


def payload(body: object, model: type[Body]) -> dict[str, Any]:
    """A body as plain JSON.

    Raises:
        InvalidRequestError: this is no body of the endpoint.
    """
    if isinstance(body, model):
        return body.to_dict()
    raise InvalidRequestError("body", f"is {shown(type(body).__name__)}", f"models.{model.__name__}")


def add_text(query: Query, wire: str, name: str, value: object, allowed: frozenset[str] | None = None) -> None:
    """Add a text parameter, one of `allowed` where the values are enumerated."""
    if value is not UNSET:
        query.append((wire, _text(name, value, allowed)))


def add_time(query: Query, wire: str, name: str, value: object) -> None:
    """Add a time: text as it is, a datetime in ISO 8601 with its offset."""
    if value is UNSET:
        return
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidRequestError(name, "is a datetime without a zone", _ZONED)
        value = value.isoformat()
    query.append((wire, _text(name, value, None)))


def add_integer(query: Query, wire: str, name: str, value: object) -> None:
    """Add a whole number; `True` is not one."""
    if value is UNSET:
        return
    if not is_integer(value):
        raise InvalidRequestError(name, f"is {shown(value)}", "a whole number")
    query.append((wire, str(value)))


def add_number(query: Query, wire: str, name: str, value: object) -> None:
    """Add a finite number."""
    if value is UNSET:
        return
    if not is_number(value):
        raise InvalidRequestError(name, f"is {shown(value)}", "a finite number")
    query.append((wire, str(value)))


def add_boolean(query: Query, wire: str, name: str, value: object) -> None:
    """Add true or false; the texts are neither."""
    if value is UNSET:
        return
    if not isinstance(value, bool):
        raise InvalidRequestError(name, f"is {shown(value)}", "True or False")
    query.append((wire, "true" if value else "false"))


def add_repeated(
    query: Query, wire: str, name: str, values: Iterable[str] | Unset, allowed: frozenset[str] | None = None
) -> None:
    """Add a list, repeated (`statuses[]=a&statuses[]=b`)."""
    if not isinstance(values, Unset):
        query.extend((wire, _text(f"{name}[{i}]", v, allowed)) for i, v in enumerate(_listed(name, values)))


def add_joined(
    query: Query, wire: str, name: str, values: str | Iterable[str] | Unset, allowed: frozenset[str] | None = None
) -> None:
    """Add a list as one text, joined by commas (`sort_by=a,b`); one text may stand for a list of one."""
    if isinstance(values, Unset):
        return
    listed = values.split(",") if isinstance(values, str) else _listed(name, values)
    query.append((wire, ",".join(_text(name, value, allowed) for value in listed)))


def _text(name: str, value: object, allowed: frozenset[str] | None) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(name, f"is {shown(value)}", "text that is not empty")
    if allowed is not None and value not in allowed:
        raise InvalidRequestError(name, f"is {shown(value)}", f"one of {', '.join(sorted(allowed))}")
    return value


def _listed(name: str, values: object) -> Sequence[str]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidRequestError(name, f"is {shown(values)}", "a list of texts")
    listed = list(values)
    if not listed:
        raise InvalidRequestError(name, "is an empty list, which would drop the filter", "a list of at least one text")
    return listed
