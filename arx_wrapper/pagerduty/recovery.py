"""What became of a write whose answer was lost: settled by looking, never by writing again.

Finding the write's effect, and none that may be older than the write, settles it: what was asked for is so. Not
finding it proves nothing, because the request may still be on its way, except for a new incident: its key is unique,
and it is looked up until it would have to be there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from arx_wrapper.model import Params

JSON = dict[str, Any]
Read = Callable[..., Awaitable[Mapping[str, Any]]]
"""Reads one answer: the endpoint's module, its arguments."""

Settle = Callable[[Read, Params, datetime], Awaitable[JSON | None]]
"""The body that the lost answer would have had, if the write's effect is found; else None."""


OWN_KEY: Final = "arx-"
"""How an incident key begins that no caller chose: no other incident has it."""

_ABOUT: Final = timedelta(minutes=1)


class InconclusiveError(Exception):
    """What was found may be older than the write."""


async def created_incident(read: Read, params: Params, began: datetime) -> JSON | None:
    found = await read(
        "incidents.list_incidents",
        incident_key=params["incident_key"],
        service_ids=[params["service_id"]],
        date_range="all",
    )
    incidents = found.get("incidents") or []
    if not incidents:
        return None
    for incident in incidents:
        if params["incident_key"].startswith(OWN_KEY) or _since(incident.get("created_at"), began):
            return {"incident": incident}
    raise InconclusiveError


async def acknowledged(read: Read, params: Params, began: datetime) -> JSON | None:
    return await _incident_in(read, params, "acknowledged")


async def resolved(read: Read, params: Params, began: datetime) -> JSON | None:
    return await _incident_in(read, params, "resolved")


async def snoozed(read: Read, params: Params, began: datetime) -> JSON | None:
    answer = await read("incidents.get_incident", params["incident_id"])
    wakes = began + timedelta(seconds=params["duration"])
    for action in answer.get("incident", {}).get("pending_actions") or ():
        # An acknowledgement that runs out by itself is pending too, at another time.
        moment = _moment(action.get("at")) if action.get("type") == "unacknowledge" else None
        if moment and abs(moment - wakes) <= _ABOUT:
            return dict(answer)
    return None


async def noted(read: Read, params: Params, began: datetime) -> JSON | None:
    answer = await read("incidents.list_incident_notes", params["incident_id"])
    for note in answer.get("notes") or ():
        if note.get("content") == params["content"] and _since(note.get("created_at"), began):
            return {"note": note}
    return None


async def opened_window(read: Read, params: Params, began: datetime) -> JSON | None:
    answer = await read(
        "maintenance_windows.list_maintenance_windows", service_ids=params["service_ids"], filter="open", limit=100
    )
    for window in answer.get("maintenance_windows") or ():
        services = sorted(str(service.get("id")) for service in window.get("services") or ())
        if (
            services == sorted(set(params["service_ids"]))
            and _begins(window, params, began)
            and _moment(window.get("end_time")) == _moment(params["end_time"])
            and window.get("description") == params.get("description")
        ):
            return {"maintenance_window": window}
    return None


def _begins(window: Mapping[str, Any], params: Params, began: datetime) -> bool:
    """Whether a window begins as asked: PagerDuty lets one begin now that should have begun before."""
    begins, asked = _moment(window.get("start_time")), datetime.fromisoformat(params["start_time"])
    return begins == asked or (asked <= began and _since(window.get("start_time"), began))


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
