"""Define a call as its handler sees it, and the parameters that an endpoint declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import field, frozen

from arx_wrapper.sandbox.account import JSON, Account, Resource
from arx_wrapper.sandbox.clock import parse_time
from arx_wrapper.sandbox.errors import refuse
from arx_wrapper.sandbox.faults import Options

__all__ = ["PAGE", "REFERENCE", "Call", "Endpoint", "Reply", "Shape", "created", "no_content", "ok"]

Shape = Mapping[str, "Shape | None"]
"""The members that a request body may have; None where any value is accepted. A list has the shape of its items."""

PAGE = frozenset({"limit", "offset", "total"})
REFERENCE: Shape = dict.fromkeys(("id", "type", "summary", "self", "html_url"))


@frozen
class Reply:
    """Status and JSON body; None for no body."""

    status: int
    body: Any


def ok(body: Any) -> Reply:
    return Reply(200, body)


def created(body: Any) -> Reply:
    return Reply(201, body)


def no_content() -> Reply:
    return Reply(204, None)


@frozen(kw_only=True)
class Call:
    """One authenticated call.

    Attributes:
        account: The account.
        options: Options for behaviour that PagerDuty does not document.
        now: The account's time of the call.
        path: The ids in the path.
        query: The query's names and values, in order.
        body: The JSON body; empty when there is none.
        requester: The user in the `From` header, or the owner of a user's token.
    """

    account: Account
    options: Options
    now: datetime
    path: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    body: JSON
    requester: Resource | None

    @property
    def user(self) -> Resource:
        """Return the requester, on endpoints that require one."""
        if self.requester is None:
            raise refuse(2016)
        return self.requester

    def one(self, name: str) -> str | None:
        """Return a query parameter's value; the last one when it is repeated."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def many(self, name: str, accepted: Sequence[str] = ()) -> list[str]:
        """Return the values of `name[]`; refuse a value that is not accepted."""
        values = [value for key, value in self.query if key == f"{name}[]"]
        if accepted:
            for value in values:
                if value not in accepted:
                    raise refuse(2001, f"{name}[] must be one of {', '.join(accepted)}")
        return values

    def choice(self, name: str, accepted: Sequence[str]) -> str | None:
        value = self.one(name)
        if value is not None and value not in accepted:
            raise refuse(2001, f"{name} must be one of {', '.join(accepted)}")
        return value

    def flag(self, name: str) -> bool:
        return self.one(name) == "true"

    def time(self, name: str) -> datetime | None:
        value = self.one(name)
        return None if value is None else parse_time(value, name)

    def zone(self) -> tzinfo | None:
        """Return the zone to show times in; None for UTC."""
        name = self.one("time_zone")
        return None if name is None else zone_named(name)

    def wrapped(self, name: str) -> JSON:
        """Return the body's one member, an object; refuse any other body."""
        value = self.body.get(name)
        if not isinstance(value, dict):
            raise refuse(2001, f"{name} is required and must be an object")
        return value


def zone_named(name: object) -> ZoneInfo:
    """Return the zone with this name; refuse an unknown one."""
    try:
        return ZoneInfo(name if isinstance(name, str) else "")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise refuse(2001, "time_zone is not a known time zone") from None


@frozen
class Endpoint:
    """One method and path, and the parameters that it accepts.

    Attributes:
        method: HTTP method.
        path: Path template, `/incidents/{id}`.
        handler: The function that handles its calls.
        query: Known query parameters; others are ignored, and recorded as unknown.
        body: Known body members; others are ignored, and recorded as unknown.
        requester: Whether the `From` header is used, or required.
    """

    method: str
    path: str
    handler: Callable[[Call], Reply]
    query: frozenset[str] = frozenset()
    body: Shape | None = field(default=None, kw_only=True)
    requester: Literal["ignored", "optional", "required"] = field(default="ignored", kw_only=True)

    def unknown(self, query: Sequence[tuple[str, str]], body: Any) -> Iterator[str]:
        """List the names in a request that the endpoint does not know: `query:staus[]`, `body:incident.titel`."""
        for name in sorted({name for name, _ in query} - self.query):
            yield f"query:{name}"
        if body is not None:
            yield from (f"body:{path}" for path in _unknown_members(body, self.body or {}))


def _unknown_members(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_members(item, shape, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, member in value.items():
            where = f"{path}.{name}" if path else name
            if name not in shape:
                yield where
            elif (inner := shape[name]) is not None:
                yield from _unknown_members(member, inner, where)
