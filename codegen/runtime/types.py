"""Define the values that all modules share: `UNSET`, and a request before it is sent."""

from __future__ import annotations

from typing import Any, Final, final

from attrs import frozen


@final
class Unset:
    """The type of `UNSET`. There is one instance, also after a copy or a pickle."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()
"""Not given: left out of the request."""


@frozen(kw_only=True)
class Request:
    """A request, complete and checked, that was not sent yet.

    Attributes:
        method: The HTTP method.
        path: The path as it will be sent, without a host; its segments are checked.
        query: Names and values in order; a list is repeated.
        headers: Further headers; only `From`, if any.
        json: The body as plain JSON data, `UNSET` when there is none.
        operation_id: The endpoint's name.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    json: Any = UNSET
    operation_id: str
