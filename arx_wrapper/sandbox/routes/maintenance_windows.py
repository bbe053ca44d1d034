"""Serve maintenance windows; while one is active, the status of its services is `maintenance`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from arx_wrapper.sandbox.account import Ref, Resource
from arx_wrapper.sandbox.clock import parse_time
from arx_wrapper.sandbox.endpoint import PAGE, REFERENCE, Call, Endpoint, Reply, Shape, created, no_content, ok
from arx_wrapper.sandbox.errors import ApiError, refuse
from arx_wrapper.sandbox.paging import matching, page, shown

__all__ = ["ENDPOINTS"]

_INCLUDE = ("teams", "services", "users")
_FILTERS: dict[str, Callable[[Resource, datetime], bool]] = {
    "past": lambda window, now: window["end_time"] <= now,
    "future": lambda window, now: window["start_time"] > now,
    "ongoing": lambda window, now: window["start_time"] <= now < window["end_time"],
    "open": lambda window, now: window["end_time"] > now,
    "all": lambda window, now: True,
}


def list_windows(call: Call) -> Reply:
    test = _FILTERS[call.choice("filter", tuple(_FILTERS)) or "all"]
    services = {Ref("service", id_) for id_ in call.many("service_ids")}
    windows = [
        window
        for window in matching(call, call.account.all("maintenance_window"), name="description")
        if test(window, call.now) and (not services or not services.isdisjoint(window["services"]))
    ]
    return page(call, "maintenance_windows", windows, _INCLUDE)


def get_window(call: Call) -> Reply:
    return ok({"maintenance_window": shown(call, _window(call), _INCLUDE)})


def create_window(call: Call) -> Reply:
    """Create a window. A start in the past becomes the present; the end must be after both."""
    given, account = call.wrapped("maintenance_window"), call.account
    if given.get("type") != "maintenance_window":
        raise refuse(2001, "type must be maintenance_window")
    start = max(parse_time(given.get("start_time"), "start_time"), call.now)
    end = parse_time(given.get("end_time"), "end_time")
    if end <= call.now:
        raise refuse(5003, "end_time must be in the future")
    if end <= start:
        raise refuse(2001, "end_time must be after start_time")
    services = account.references(given.get("services"), "service", lambda: refuse(2001, "Service not found"))
    if not services:
        raise refuse(2001, "At least one service is required")
    teams = {team: None for ref in services for team in account.get("service", ref.id)["teams"]}
    members = {
        "sequence_number": 1 + max((w["sequence_number"] for w in account.all("maintenance_window")), default=0),
        "start_time": start,
        "end_time": end,
        "description": given.get("description"),
        "services": services,
        "teams": list(teams),
        "created_by": call.user.ref,
    }
    return created({"maintenance_window": account.add("maintenance_window", "/maintenance_windows", members)})


def delete_window(call: Call) -> Reply:
    """Delete a future window, end an active one, and refuse to delete one that has ended."""
    window = _window(call)
    if _FILTERS["past"](window, call.now):
        message = "A maintenance window that has ended cannot be deleted"
        raise ApiError(405, {"error": {"message": message, "code": 2001}})
    if _FILTERS["future"](window, call.now):
        call.account.delete(window)
    else:
        window["end_time"] = call.now
    return no_content()


def _window(call: Call) -> Resource:
    return call.account.get("maintenance_window", call.path["id"])


_BODY: Shape = {
    "maintenance_window": {
        **REFERENCE,
        **dict.fromkeys(("start_time", "end_time", "description")),
        "services": REFERENCE,
    }
}
_LIST_QUERY = PAGE | {"query", "team_ids[]", "service_ids[]", "include[]", "filter"}

ENDPOINTS = (
    Endpoint("GET", "/maintenance_windows", list_windows, _LIST_QUERY),
    Endpoint("POST", "/maintenance_windows", create_window, body=_BODY, requester="required"),
    Endpoint("GET", "/maintenance_windows/{id}", get_window, frozenset({"include[]"})),
    Endpoint("DELETE", "/maintenance_windows/{id}", delete_window),
)
