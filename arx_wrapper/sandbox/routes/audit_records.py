"""Serve audit records, newest first, in pages linked by a cursor."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from arx_wrapper.sandbox.account import JSON, Ref, Resource
from arx_wrapper.sandbox.audit_trail import ACTIONS, METHODS
from arx_wrapper.sandbox.endpoint import Call, Endpoint, Reply, ok
from arx_wrapper.sandbox.errors import refuse
from arx_wrapper.sandbox.paging import MAX_LIMIT, whole

__all__ = ["ENDPOINTS"]

_DEFAULT_LIMIT: Final = 10
_DEFAULT_SPAN: Final = timedelta(hours=24)
_WIDEST: Final = timedelta(days=31)
_TYPES: Final = {
    "users": "user",
    "teams": "team",
    "schedules": "schedule",
    "escalation_policies": "escalation_policy",
    "services": "service",
    "ip_allow_lists": "ip_allow_list",
}
_ACTORS: Final = ("user_reference", "api_key_reference", "app_reference")


def list_audit_records(call: Call) -> Reply:
    """List audit records of at most 31 days; refused unless the key may read them."""
    if call.options.audit_records == 402:
        raise refuse(2014, status=402)
    if call.options.audit_records == 403:
        raise refuse(2010)
    until = call.time("until") or call.now
    since = call.time("since") or until - _DEFAULT_SPAN
    if not timedelta() <= until - since <= _WIDEST:
        raise refuse(2001, f"until must be after since, by {_WIDEST.days} days at most")
    seen_until = min(until, call.now - timedelta(seconds=call.options.audit_lag))
    wanted = _Filter(call)
    records = [
        record
        for record in reversed(list(call.account.all("audit_record")))
        if since <= record["execution_time"] <= seen_until and wanted.takes(record)
    ]
    records.sort(key=lambda record: record["execution_time"], reverse=True)
    return _page(call, records)


class _Filter:
    def __init__(self, call: Call) -> None:
        self._kinds = [_TYPES[name] for name in call.many("root_resource_types", tuple(_TYPES))]
        self._actions = call.many("actions", ACTIONS)
        self._method, self._token = call.choice("method_type", METHODS), call.one("method_truncated_token")
        self._actor_type, self._actor = call.choice("actor_type", _ACTORS), call.one("actor_id")
        if (self._actor and not self._actor_type) or (self._token and not self._method):
            raise refuse(2001, "actor_id needs actor_type, and method_truncated_token needs method_type")

    def takes(self, record: Resource) -> bool:
        method, actors = record["method"], [_actor(actor) for actor in record["actors"] or ()]
        return (
            (not self._kinds or record["root_resource"].kind in self._kinds)
            and (not self._actions or record["action"] in self._actions)
            and self._method in (None, method["type"])
            and self._token in (None, method["truncated_token"])
            and (not self._actor_type or any(kind == self._actor_type for kind, _ in actors))
            and (not self._actor or any(id_ == self._actor for _, id_ in actors))
        )


def _actor(actor: Any) -> tuple[str, str]:
    return (f"{actor.kind}_reference", actor.id) if isinstance(actor, Ref) else (actor["type"], actor["id"])


def _page(call: Call, records: Sequence[Resource]) -> Reply:
    limit = min(whole(call, "limit", _DEFAULT_LIMIT, least=1), MAX_LIMIT)
    start, cursor = 0, call.one("cursor")
    if cursor:
        ids = [record["id"] for record in records]
        if (last := _decoded(cursor)) not in ids:
            raise refuse(2001, "cursor is not valid")
        start = ids.index(last) + 1
    found = records[start : start + limit]
    more = start + limit < len(records)
    return ok(
        {
            "records": [_plain(record) for record in found],
            "next_cursor": base64.urlsafe_b64encode(found[-1]["id"].encode()).decode() if more else None,
            "limit": limit,
            "response_metadata": None,
        }
    )


def _plain(record: Resource) -> JSON:
    """Return a record's own members: it has no type and no page."""
    return {name: value for name, value in record.items() if name != "type"}


def _decoded(cursor: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(cursor).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


_QUERY = {
    "limit",
    "cursor",
    "since",
    "until",
    "root_resource_types[]",
    "actor_type",
    "actor_id",
    "method_type",
    "method_truncated_token",
    "actions[]",
}

ENDPOINTS = (Endpoint("GET", "/audit/records", list_audit_records, frozenset(_QUERY)),)
