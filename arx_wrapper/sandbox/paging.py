"""Page, filter and sort lists as PagerDuty does: 25 items by default, 100 at most, none beyond 10,000."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from arx_wrapper.sandbox.account import Ref, Resource
from arx_wrapper.sandbox.endpoint import Call, Reply, ok
from arx_wrapper.sandbox.errors import refuse
from arx_wrapper.sandbox.responses import expanded

__all__ = ["MAX_LIMIT", "matching", "page", "shown", "sorted_by", "whole"]

DEFAULT_LIMIT, MAX_LIMIT, MAX_REACH = 25, 100, 10_000
_R = TypeVar("_R", bound=Resource)


def page(call: Call, key: str, items: Sequence[Any], include: Sequence[str] = ()) -> Reply:
    """Return one page of `items` under `key`. A limit above 100 means 100; `total` is null unless requested."""
    limit = min(whole(call, "limit", DEFAULT_LIMIT, least=1), MAX_LIMIT)
    offset = whole(call, "offset", 0, least=0)
    if offset + limit > MAX_REACH:
        raise refuse(2002, f"Offset+limit exceeds maximum allowed value of {MAX_REACH}")
    end = offset + limit
    return ok(
        {
            key: shown(call, list(items[offset:end]), include),
            "limit": limit,
            "offset": offset,
            "more": end < len(items),
            "total": len(items) if call.flag("total") else None,
        }
    )


def shown(call: Call, value: Any, include: Sequence[str] = ()) -> Any:
    """Return a value in the form that the call requests: with included resources, and times in its zone."""
    return expanded(call.account, value, call.many("include", include), call.zone())


def matching(call: Call, items: Iterable[_R], *, name: str = "name") -> list[_R]:
    """Return the items that match the call's `query` and `team_ids[]`."""
    wanted = (call.one("query") or "").casefold()
    teams = {Ref("team", id_) for id_ in call.many("team_ids")}
    return [
        item
        for item in items
        if (not wanted or wanted in str(item.get(name) or "").casefold())
        and (not teams or not teams.isdisjoint(item.get("teams", ())))
    ]


def sorted_by(items: Sequence[_R], sort_by: str | None, fields: Sequence[str], default: str) -> list[_R]:
    """Return the items sorted by one or two comma-separated `field:direction`."""
    keys = (sort_by or default).split(",")
    if len(keys) > 2:
        raise refuse(2001, "sort_by takes at most two fields")
    result = list(items)
    for key in reversed(keys):  # the sort is stable: the last key first
        name, _, direction = key.partition(":")
        if name not in fields or direction not in ("", "asc", "desc"):
            raise refuse(2001, f"sort_by must be one of {', '.join(fields)}, each with :asc or :desc")
        result.sort(key=_by(name), reverse=direction == "desc")
    return result


def _by(name: str) -> Callable[[Resource], tuple[bool, Any]]:
    return lambda item: _orderable(item.get(name))


def _orderable(value: Any) -> tuple[bool, Any]:
    """Return a sort key: nulls first, and text regardless of case."""
    if isinstance(value, str):
        return True, value.casefold()
    return value is not None, value if isinstance(value, int | datetime) else 0


def whole(call: Call, name: str, default: int, *, least: int) -> int:
    """Return a query parameter that is a whole number of at least `least`."""
    text = call.one(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise refuse(2001, f"{name} must be a whole number of at least {least}")
    return int(text)
