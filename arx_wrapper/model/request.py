"""A request before it is sent."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen


@frozen(kw_only=True)
class Request:
    """A request, complete and checked, that nothing has sent yet.

    Attributes:
        method: The HTTP method.
        path: The path as it goes on the wire, without a host; its segments are checked.
        query: Names and values in order; a list is repeated.
        headers: Further headers.
        json: The body as plain JSON data; None when there is none.
        operation_id: The endpoint's name.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    json: Any = field(default=None, repr=False)
    operation_id: str
