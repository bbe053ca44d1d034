"""What became of a write whose answer was lost: settled by looking, never by writing again.

Finding the write's effect is proof that it happened. Not finding it proves nothing, because the request may still be on
its way, except for a new incident: its key is unique, and it is looked up until it would have to be there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from arx_wrapper.model import Params

JSON = dict[str, Any]
Read = Callable[..., Awaitable[Mapping[str, Any]]]
"""Reads one answer: the endpoint's module, its arguments."""

Settle = Callable[[Read, Params, datetime], Awaitable[JSON | None]]
"""The body that the lost answer would have had, if the write's effect is found; else None."""


async def created_incident(read: Read, params: Params, began: datetime) -> JSON | None:
    found = await read(
        "incidents.list_incidents",
        incident_key=params["incident_key"],
        service_ids=[params["service_id"]],
        date_range="all",
    )
    incidents = found.get("incidents") or []
    return {"incident": incidents[0]} if incidents else None


async def acknowledged(read: Read, params: Params, began: datetime) -> JSON | None:
    return await _incident_in(read, params, "acknowledged")


async def resolved(read: Read, params: Params, began: datetime) -> JSON | None:
    return await _incident_in(read, params, "resolved")


async def snoozed(read: Read, params: Params, began: datetime) -> JSON | None:
    answer = await read("incidents.get_incident", params["incident_id"])
    pending = answer.get("incident", {}).get("pending_actions") or []
    return dict(answer) if any(action.get("type") == "unacknowledge" for action in pending) else None


async def noted(read: Read, params: Params, began: datetime) -> JSON | None:
    answer = await read("incidents.list_incident_notes", params["incident_id"])
    for note in answer.get("notes") or ():
        if note.get("content") == params["content"] and _since(note.get("created_at"), began):
            return {"note": note}
    return None


async def opened_window(read: Read, params: Params, began: datetime) -> JSON | None:
    answer = await read(
        "maintenance_windows.list_maintenance_windows", service_ids=params["service_ids"], filter="open"
    )
    for window in answer.get("maintenance_windows") or ():
        services = sorted(str(service.get("id")) for service in window.get("services") or ())
        if (
            services == sorted(params["service_ids"])
            and _moment(window.get("end_time")) == _moment(params["end_time"])
            and window.get("description") == params.get("description")
        ):
            return {"maintenance_window": window}
    return None


async def _incident_in(read: Read, params: Params, status: str) -> JSON | None:
    answer = await read("incidents.get_incident", params["incident_id"])
    return dict(answer) if answer.get("incident", {}).get("status") == status else None


def _since(text: str | None, began: datetime) -> bool:
    moment = _moment(text)
    # PagerDuty tells whole seconds.
    return moment is not None and moment >= began.replace(microsecond=0)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


SETTLE: Final[Mapping[str, Settle]] = {
    "incidents:create": created_incident,
    "incidents:acknowledge": acknowledged,
    "incidents:resolve": resolved,
    "incidents:snooze": snoozed,
    "incidents:add_note": noted,
    "maintenance:create": opened_window,
}
