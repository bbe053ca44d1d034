"""Find the effect of a write whose response was lost, by reading, never by writing again.

An effect that is certainly not older than the write proves that the write took effect. A missing effect proves nothing,
because the request may still be in transit. A new incident is the exception: its key is unique, and it is looked up
until it would have to exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from arx_wrapper.core.lost_response import InconclusiveError
from arx_wrapper.model import Lookup, Params, Recovery

JSON = dict[str, Any]

OWN_KEY: Final = "arx-"
"""The prefix of an incident key that this package made, so that no other incident has the key."""

_ABOUT: Final = timedelta(minutes=1)


async def created_incident(lookup: Lookup, params: Params, began: datetime) -> JSON | None:
    found = await lookup(
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


async def acknowledged(lookup: Lookup, params: Params, began: datetime) -> JSON | None:
    return await _incident_in(lookup, params, "acknowledged")


async def resolved(lookup: Lookup, params: Params, began: datetime) -> JSON | None:
    return await _incident_in(lookup, params, "resolved")


async def snoozed(lookup: Lookup, params: Params, began: datetime) -> JSON | None:
    response = await lookup("incidents.get_incident", params["incident_id"])
    wakes = began + timedelta(seconds=params["duration"])
    for action in response.get("incident", {}).get("pending_actions") or ():
        # An acknowledgement that times out also has a pending action, at another time.
        moment = _moment(action.get("at")) if action.get("type") == "unacknowledge" else None
        if moment and abs(moment - wakes) <= _ABOUT:
            return dict(response)
    return None


async def noted(lookup: Lookup, params: Params, began: datetime) -> JSON | None:
    response = await lookup("incidents.list_incident_notes", params["incident_id"])
    for note in response.get("notes") or ():
        if note.get("content") == params["content"] and _since(note.get("created_at"), began):
            return {"note": note}
    return None


async def opened_window(lookup: Lookup, params: Params, began: datetime) -> JSON | None:
    response = await lookup(
        "maintenance_windows.list_maintenance_windows", service_ids=params["service_ids"], filter="open", limit=100
    )
    for window in response.get("maintenance_windows") or ():
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
    """Return True when a window begins as requested; PagerDuty replaces a start in the past by the present."""
    begins, requested = _moment(window.get("start_time")), datetime.fromisoformat(params["start_time"])
    return begins == requested or (requested <= began and _since(window.get("start_time"), began))


async def _incident_in(lookup: Lookup, params: Params, status: str) -> JSON | None:
    response = await lookup("incidents.get_incident", params["incident_id"])
    return dict(response) if response.get("incident", {}).get("status") == status else None


def _since(text: str | None, began: datetime) -> bool:
    moment = _moment(text)
    # PagerDuty's times are in whole seconds.
    return moment is not None and moment >= began.replace(microsecond=0)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _with_own_key(params: Params, call_id: str) -> Params:
    """Add an incident key made from the call's id when the caller gave none, so that the incident can be found."""
    return params if "incident_key" in params else {**params, "incident_key": f"{OWN_KEY}{call_id}"}


CREATED_INCIDENT: Final = Recovery(
    find=created_incident,
    prepare=_with_own_key,
    absence="no incident has this call's key: it was not created",
)
ACKNOWLEDGED: Final = Recovery(find=acknowledged)
RESOLVED: Final = Recovery(find=resolved)
SNOOZED: Final = Recovery(find=snoozed)
NOTED: Final = Recovery(find=noted)
OPENED_WINDOW: Final = Recovery(find=opened_window)
