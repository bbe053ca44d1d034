"""Turn requests, records and policies into the values that templates show. All text is treated as untrusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from arx_wrapper.approvals.request import ApprovalRequest, has_decided, is_requester
from arx_wrapper.approvals.request_text import escape
from arx_wrapper.model import Operation, Paged

_CELL: Final = 200
# Parameters, and the path of the present value in the target's state.
_NOW: Final[Mapping[str, tuple[str, ...]]] = {
    "assignee_ids": ("assignees",),
    "escalation_policy_id": ("escalation_policy",),
    "rules": ("rules",),
    "service_id": ("service",),
    "service_ids": ("services",),
    "policy_id": ("escalation_policy",),
    "source_incident_ids": ("sources",),
    "incidents": ("incidents",),
    "incident_id": ("incident",),
    "name": ("service", "escalation_policy"),
}
_BECOMES: Final[Mapping[str, tuple[str, ...]]] = {
    "assignee_ids": ("to_users",),
    "escalation_policy_id": ("to_policy",),
    "service_id": ("to_service",),
}


def visible(value: object) -> str:
    """Return text on one line, with every character that is not plainly visible shown as an escape."""
    return escape(str(value))


def left(until: datetime, now: datetime) -> str:
    """Return the time left until a time, for people."""
    seconds = int((until - now).total_seconds())
    if seconds <= 0:
        return "expired"
    return f"{span(seconds)} left"


def ago(moment: datetime, now: datetime) -> str:
    """Return the time since a time, for people."""
    seconds = int((now - moment).total_seconds())
    return "just now" if seconds < 5 else f"{span(seconds)} ago"


def span(seconds: int) -> str:
    """Return a length of time in its largest unit."""
    for unit, size in (("day", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'s' if unit == 'day' and number != 1 else ''}"
    return f"{seconds} s"


def clock(moment: datetime | str) -> str:
    """Return a time as `2026-01-31 23:59 UTC`."""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def changes(request: ApprovalRequest) -> list[tuple[str, str, str]]:
    """Return the rows of the table of changes: member, value now, value after."""
    params: Mapping[str, Any] = msgspec.json.decode(request.params)
    target = request.target or {}
    deletes = request.operation.endswith(":delete")
    rows, shown = [], {"of", "to_users", "to_policy", "listed"}
    for name, value in params.items():
        if name == "requester_email":
            continue
        if name == "fields" and isinstance(value, Mapping):
            rows += [(_label(member), "", short(given)) for member, given in value.items()]
            continue
        found = next((key for key in _NOW.get(name, (name,)) if key in target), None)
        if found:
            shown.add(found)
        becomes = next((key for key in _BECOMES.get(name, ()) if key in target), None)
        after = target[becomes] if becomes else value
        now = short(target[found]) if found else ""
        subject = name.endswith("_id") and becomes is None
        rows.append((_label(name), now, "deleted" if deletes and subject else "" if subject and now else short(after)))
    rows += [(_label(name), short(value), "") for name, value in target.items() if name not in shown]
    return rows


def _label(name: str) -> str:
    return name.removesuffix("_id").removesuffix("_ids").replace("_", " ")


def affected(row: Operation, request: ApprovalRequest) -> list[tuple[str, str]]:
    """Return the people that the call pages and the services that it silences, with the end time; empty for others."""
    params: Mapping[str, Any] = msgspec.json.decode(request.params)
    target = request.target or {}
    found = [("Pages", _paged(paged, target)) for paged in (row.pages(params) if row.pages else ())]
    services = [each.get("service") for each in target.get("services") or () if isinstance(each, Mapping)]
    if "end_time" in params and "service_ids" in params:
        names = short(services) if services else short(params["service_ids"])
        found.append(("Silent", f"{names}, until {_until(params['end_time'])}"))
    elif params.get("status") in ("disabled", "maintenance") and "service_id" in params:
        named = short(target.get("service") or params["service_id"])
        found.append(("Silent", f"{named}, until it is enabled again"))
    return list(dict.fromkeys(found))


def _paged(paged: Paged, target: Mapping[str, Any]) -> str:
    if paged.users:
        known = {str(each.get("id")): each for each in target.get("to_users") or () if isinstance(each, Mapping)}
        return short([known.get(user) or user for user in paged.users])
    if paged.escalation_policy:
        return f"who is on call for {short(target.get('to_policy') or paged.escalation_policy)}"
    if paged.service:
        policy = target.get("escalation_policy")
        return f"who is on call for {short(policy)}" if policy else "who is on call for the service"
    return "who is on call for the incident" + (f" at level {paged.level}" if paged.level else "")


def _until(text: object) -> str:
    try:
        return clock(str(text))
    except (ValueError, OverflowError):
        return visible(text)


def short(value: object) -> str:
    """Return a JSON value as text for a table's cell: names instead of objects, cut where it is long."""
    text = visible(", ".join(_said(value)) or "none")
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def _said(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        name = value.get("name") or value.get("title") or value.get("summary")
        inner = value.get("service") if isinstance(value.get("service"), Mapping) else None
        if name is None and inner:
            yield from _said(inner)
        elif name is not None:
            yield str(name)
        else:
            yield ", ".join(f"{key} {' '.join(_said(item)) or 'none'}" for key, item in value.items())
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _said(item)
    elif value is None:
        yield "none"
    elif value is True or value is False:
        yield "yes" if value else "no"
    else:
        yield str(value)


def pretty(text: str) -> str:
    """Return canonical JSON with each member on a line of its own, and escapes for characters that are not visible."""
    lines = msgspec.json.format(text.encode(), indent=2).decode().split("\n")
    return "\n".join(line[: len(line) - len(line.lstrip())] + visible(line.strip()) for line in lines)


def why_not(request: ApprovalRequest, reviewer: str) -> str | None:
    """Explain why a reviewer cannot decide a request; None when they can."""
    if request.state != "pending":
        by = ", ".join(f"{visible(review.reviewer)}" for review in request.decisions)
        return {
            "approved": f"Approved by {by}. It can be withdrawn until it is used.",
            "denied": f"Denied by {by}.",
            "expired": "No reviewer decided in time. The agent has to request approval again.",
            "consumed": f"Approved by {by}, and used.",
            "stale": "Its target has changed since. The agent has to request approval again.",
            "revoked": "It was withdrawn.",
        }[request.state]
    if is_requester(request, reviewer):
        return "You requested this yourself: another reviewer has to decide."
    if has_decided(request, reviewer):
        return "You have decided; another reviewer has to agree as well."
    return None


def query(given: Mapping[str, str], **changed: object) -> str:
    """Return a query string of filters that are set, with some changed."""
    merged = {**given, **{name: str(value) for name, value in changed.items() if value is not None}}
    return urlencode({name: value for name, value in merged.items() if value})
