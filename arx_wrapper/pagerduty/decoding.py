"""Read the members of a response. A successful response without them is an error, not an empty result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self, TypeVar

from arx_wrapper.errors import PagerDutyError


class Model(Protocol):
    """A generated response model."""

    @classmethod
    def from_dict(cls, src: Mapping[str, Any], /) -> Self: ...


_M = TypeVar("_M", bound=Model)


def member(body: Mapping[str, Any], key: str, operation: str, kind: type) -> Any:
    """Return a member of a response.

    Raises:
        PagerDutyError: the response does not hold it.
    """
    found = body.get(key)
    if isinstance(found, kind):
        return found
    raise PagerDutyError(
        f"the call succeeded, but its response holds no {key!r}; execute() returns the response unchanged",
        status=200,
        operation=operation,
    )


def objects(body: Mapping[str, Any], key: str, operation: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list in a response; each has an id.

    Raises:
        PagerDutyError: the response does not hold such a list.
    """
    found: list[Any] = member(body, key, operation, list)
    if all(isinstance(each, Mapping) and isinstance(each.get("id"), str) for each in found):
        return found
    raise PagerDutyError(
        f"the call succeeded, but its response's {key!r} holds something else than objects with an id; "
        "execute() returns the response unchanged",
        status=200,
        operation=operation,
    )


def typed(model: type[_M], value: Any, operation: str) -> _M:
    """Return an object of a response as its model.

    Raises:
        PagerDutyError: the value is not an object.
    """
    if isinstance(value, Mapping):
        return model.from_dict(value)
    raise PagerDutyError(
        f"the call succeeded, but its response holds a {type(value).__name__} instead of an object; "
        "execute() returns the response unchanged",
        status=200,
        operation=operation,
    )
