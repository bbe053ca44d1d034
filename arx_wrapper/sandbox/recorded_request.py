"""Define the record of a request that arrived at a sandbox."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from attrs import define

from arx_wrapper.sandbox.asgi import Headers

__all__ = ["Recorded"]


@define(kw_only=True)
class Recorded:
    """A request that arrived, faults and refusals included.

    Attributes:
        method: HTTP method.
        path: The path exactly as it was sent, not decoded.
        query: The query string exactly as it was sent.
        headers: Names in lower case; credentials are left out.
        body: The JSON body; text when it is not JSON; None when there is none.
        scheme: How it authenticated: "token", "bearer" or None.
        unknown: Names in the request that the endpoint does not know: `query:staus[]`, `body:incident.titel`.
        address: The client's address; None when it is unknown.
        status: The response's status; None when the connection was dropped.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: Any
    scheme: str | None
    unknown: tuple[str, ...] = ()
    address: str | None = None
    status: int | None = None

    @property
    def params(self) -> list[tuple[str, str]]:
        """Return the query's names and values, decoded, in order."""
        return parse_qsl(self.query, keep_blank_values=True)
