"""Record the account's audit trail: each change of its configuration, with actor, method and address.

PagerDuty records users, teams, schedules, escalation policies and services; this account records maintenance windows as
well. A request that changes nothing leaves no record, and incidents have their log entries instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from attrs import field, frozen
from attrs.validators import in_

from arx_wrapper.sandbox.account import JSON, Account, Ref, Resource
from arx_wrapper.sandbox.endpoint import Call, Endpoint
from arx_wrapper.sandbox.recorded_request import Recorded

__all__ = ["ACTIONS", "KINDS", "METHODS", "Origin", "Watched", "add_record", "watch"]

KINDS: Final = ("user", "team", "schedule", "escalation_policy", "service", "maintenance_window")
METHODS: Final = ("browser", "oauth", "api_token", "identity_provider", "other")
ACTIONS: Final = ("create", "update", "delete")
_ROOTS: Final = {
    "services": "service",
    "escalation_policies": "escalation_policy",
    "maintenance_windows": "maintenance_window",
}
_ACCOUNTS_KEY: Final[JSON] = {
    "id": "PAPIKEY",
    "type": "api_key_reference",
    "summary": "Key of the account",
    "self": None,
    "html_url": None,
}


@frozen(kw_only=True)
class Origin:
    """The origin of a change: its actor, method and address.

    Attributes:
        by: The user who made it; None for an account's key.
        method: PagerDuty's name of the method, `api_token` for one.
        token: The last four characters of the key; None when none was used.
        address: The address of the request's sender; None when it is unknown.
        request_id: The request's id; None when it is unknown.
    """

    by: Resource | None = None
    method: str = field(default="browser", validator=in_(METHODS))
    token: str | None = None
    address: str | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, request: Recorded, call: Call, key: str, request_id: str) -> Origin:
        """Return the origin of a request to the API."""
        method = "api_token" if request.scheme == "token" else "oauth"
        return cls(by=call.requester, method=method, token=key[-4:], address=request.address, request_id=request_id)


@frozen
class Watched:
    """An object that a request may change, as it was before.

    Attributes:
        account: The account it belongs to.
        kind: Its kind.
        root: The object; None for a request that creates one.
        before: Its members before the request.
    """

    account: Account
    kind: str
    root: Resource | None
    before: JSON

    def record(self, body: Any, origin: Origin, at: datetime) -> None:
        """Record the request's changes, given the body of its response."""
        if self.root is None:
            made = body[self.kind]
            _add(self.account, at, origin, "create", made.ref, _details(made.ref, {}, made))
        elif self.account.find(self.kind, self.root["id"]) is None:
            _add(self.account, at, origin, "delete", self.root.ref, _details(self.root.ref, self.before, {}))
        elif isinstance(body, dict) and isinstance(part := body.get("integration"), Resource):
            _add(self.account, at, origin, "update", self.root.ref, _details(part.ref, {}, part))
        elif self.before != self.root:
            details = _details(self.root.ref, self.before, self.root)
            _add(self.account, at, origin, "update", self.root.ref, details)


def watch(account: Account, endpoint: Endpoint, ids: dict[str, str]) -> Watched | None:
    """Return the object that a request may change; None when its changes are not recorded."""
    kind = _ROOTS.get(endpoint.path.split("/")[1])
    if endpoint.method == "GET" or kind is None:
        return None
    root = account.find(kind, ids.get("id"))
    return Watched(account, kind, root, dict(root) if root else {})


def add_record(
    account: Account, action: str, kind: str, id_: str, *, by: str | None = None, at: datetime | None = None, **way: Any
) -> None:
    """Add the record of a change that was made elsewhere.

    Raises:
        ValueError: there is no such action, kind, method or user.
    """
    if action not in ACTIONS or kind not in KINDS:
        raise ValueError(f"an audit record is of {', '.join(ACTIONS)} of {', '.join(KINDS)}, not of {action} {kind}")
    user = account.user_by_email(by) if by else None
    if by and user is None:
        raise ValueError(f"the account has no user {by}")
    ref = Ref(kind, id_)
    _add(account, at or account.clock.now(), Origin(by=user, **way), action, ref, {"resource": ref})


def _add(account: Account, at: datetime, origin: Origin, action: str, root: Ref, details: JSON) -> None:
    account.counted["audit records"] += 1
    actor = origin.by.ref if origin.by else _ACCOUNTS_KEY if origin.method == "api_token" else None
    account.add(
        "audit_record",
        "/audit/records",
        {
            "id": f"PDRECORD{account.counted['audit records']:08}",
            "self": None,
            "execution_time": at,
            "execution_context": {"request_id": origin.request_id, "remote_address": origin.address},
            "actors": None if actor is None else [actor],
            "method": {"type": origin.method, "truncated_token": origin.token, "description": None},
            "root_resource": root,
            "action": action,
            "details": details,
        },
    )


def _details(resource: Ref, before: JSON, after: JSON) -> JSON:
    names = [name for name in {**before, **after} if name not in ("id", "type") and before.get(name) != after.get(name)]
    found = [_changed(name, before.get(name), after.get(name)) for name in names]
    return {
        "resource": resource,
        "fields": [each for each in found if "added" not in each] or None,
        "references": [each for each in found if "added" in each] or None,
    }


def _changed(name: str, before: Any, after: Any) -> JSON:
    old, new = list(_refs(before)), list(_refs(after))
    if old or new:
        added, removed = [ref for ref in new if ref not in old], [ref for ref in old if ref not in new]
        return {"name": name, "added": added, "removed": removed}
    return {"name": name, "description": None, "value": _text(after), "before_value": _text(before)}


def _refs(value: Any) -> Iterator[Ref]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, Ref):
            yield item


def _text(value: Any) -> str | None:
    """Return a value as text. Nested values with references are omitted, which PagerDuty's format allows."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    try:
        return json.dumps(value)
    except TypeError:
        return None
