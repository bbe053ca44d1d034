"""Compute analytics from the account's incidents and their log entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, tzinfo
from statistics import fmean, quantiles
from typing import Any

from arx_wrapper.sandbox.account import JSON, Incident, Ref
from arx_wrapper.sandbox.clock import parse_time
from arx_wrapper.sandbox.endpoint import Call, Endpoint, Reply, Shape, ok, zone_named
from arx_wrapper.sandbox.errors import refuse

__all__ = ["ENDPOINTS"]

_LONGEST_SPAN = timedelta(days=366)
_UNITS = ("day", "week", "month")
Key = tuple[datetime | None, Ref | None]


def all_incidents(call: Call) -> Reply:
    return ok(_metrics(call, per_service=False))


def by_service(call: Call) -> Reply:
    return ok(_metrics(call, per_service=True))


def _metrics(call: Call, *, per_service: bool) -> JSON:
    query: JSON = {"time_zone": "Etc/UTC", "order": "desc", "order_by": None, "aggregate_unit": None, "filters": {}}
    query.update({name: call.body[name] for name in query if call.body.get(name) is not None})
    unit, filters = query["aggregate_unit"], query["filters"]
    if not isinstance(filters, dict):
        raise refuse(2001, "filters must be an object")
    if unit not in (None, *_UNITS):
        raise refuse(2001, f"aggregate_unit must be one of {', '.join(_UNITS)}")
    if query["order"] not in ("asc", "desc"):
        raise refuse(2001, "order must be asc or desc")
    zone = zone_named(query["time_zone"])
    groups: dict[Key, list[Incident]] = {}
    for incident in _selected(call, filters):
        start = _range_start(incident["created_at"], unit, zone) if unit else None
        groups.setdefault((start, incident["service"] if per_service else None), []).append(incident)
    keys = sorted(groups, key=lambda key: (key[0] is None or key[0], key[1].id if key[1] else ""))
    data = [_row(call, key, groups[key]) for key in keys]
    return {"data": _ordered(data, query["order_by"], descending=query["order"] == "desc"), **query}


def _ordered(data: list[JSON], column: Any, *, descending: bool) -> list[JSON]:
    """Sort rows by time and service, or by a column."""
    if column is not None:
        if not isinstance(column, str) or (data and column not in data[0]):
            raise refuse(2001, "order_by must be one of the columns")
        data.sort(key=lambda row: (row[column] is not None, row[column] or 0))
    return data[::-1] if descending else data


def _selected(call: Call, filters: JSON) -> list[Incident]:
    start, end = (
        parse_time(filters[name], name) if filters.get(name) else None
        for name in ("created_at_start", "created_at_end")
    )
    if start and end and not timedelta() <= end - start <= _LONGEST_SPAN:
        raise refuse(2001, "created_at_end must be after created_at_start, by a year at most")
    last = call.now - timedelta(seconds=call.options.analytics_lag)
    tests = _tests(filters)
    return [
        incident
        for incident in call.account.incidents()
        if (start is None or incident["created_at"] >= start)
        and (end is None or incident["created_at"] < end)
        and incident["created_at"] <= last
        and all(test(incident) for test in tests)
    ]


def _tests(filters: JSON) -> list[Callable[[Incident], bool]]:
    """Return the tests for further filters. Filters on responders, for which the sandbox has no data, are ignored."""
    candidates: dict[str, Callable[[Incident, Any], bool]] = {
        "urgency": lambda incident, value: incident["urgency"] == value,
        "service_ids": lambda incident, ids: incident["service"].id in ids,
        "team_ids": lambda incident, ids: any(team.id in ids for team in incident["teams"]),
        "escalation_policy_ids": lambda incident, ids: incident["escalation_policy"].id in ids,
        "priority_ids": lambda incident, ids: incident["priority"] is not None and incident["priority"].id in ids,
        "min_ackowledgements": lambda incident, least: _count(incident, "acknowledge") >= least,
    }
    return [
        lambda incident, test=test, value=filters[name]: test(incident, value)  # type: ignore[misc]
        for name, test in candidates.items()
        if filters.get(name)
    ]


def _range_start(at: datetime, unit: str, zone: tzinfo) -> datetime:
    day = at.astimezone(zone).replace(hour=0, minute=0, second=0)
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _row(call: Call, key: Key, incidents: list[Incident]) -> JSON:
    start, service = key
    to_ack = [s for i in incidents if (s := _seconds_until(i, "acknowledge")) is not None]
    to_resolve = [s for i in incidents if (s := _seconds_until(i, "resolve")) is not None]
    engaged = [max(r - a, 0) for i in incidents for a, r in [_engagement(i)] if a is not None and r is not None]
    named = call.account.resolve(service) if service else None
    return {
        "range_start": start.replace(tzinfo=None).isoformat() if start else None,
        **({"service_id": service.id, "service_name": named and named.summary} if service else {}),
        "total_incident_count": len(incidents),
        "total_incidents_acknowledged": len(to_ack),
        "total_incidents_auto_resolved": 0,
        "total_incidents_manual_escalated": sum(_count(i, "escalate") > 0 for i in incidents),
        "total_incidents_timeout_escalated": 0,
        "total_incidents_reassigned": sum(_count(i, "assign") > 1 for i in incidents),
        "total_escalation_count": sum(_count(i, "escalate") for i in incidents),
        "total_notifications": sum(_count(i, "notify") for i in incidents),
        "total_interruptions": sum(_count(i, "notify") for i in incidents if i["urgency"] == "high"),
        "total_engaged_seconds": sum(engaged),
        "total_snoozed_seconds": sum(_snoozed(i) for i in incidents),
        "mean_assignment_count": _mean([_count(i, "assign") for i in incidents]),
        "mean_engaged_seconds": _mean(engaged),
        "mean_seconds_to_first_ack": _mean(to_ack),
        "mean_seconds_to_resolve": _mean(to_resolve),
        **_percentiles("seconds_to_first_ack", to_ack),
        **_percentiles("seconds_to_resolve", to_resolve),
    }


def _engagement(incident: Incident) -> tuple[int | None, int | None]:
    return _seconds_until(incident, "acknowledge"), _seconds_until(incident, "resolve")


def _seconds_until(incident: Incident, kind: str) -> int | None:
    """Return the seconds from creation to the first log entry of a kind; None when there is none."""
    for entry in incident.log:
        if entry["type"] == f"{kind}_log_entry":
            return int((entry["created_at"] - incident["created_at"]).total_seconds())
    return None


def _count(incident: Incident, kind: str) -> int:
    return sum(entry["type"] == f"{kind}_log_entry" for entry in incident.log)


def _snoozed(incident: Incident) -> int:
    return sum(e["channel"]["duration"] for e in incident.log if e["type"] == "snooze_log_entry")


def _mean(values: Iterable[int]) -> int | None:
    known = list(values)
    return round(fmean(known)) if known else None


def _percentiles(name: str, values: list[int]) -> JSON:
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else values * 99
    return {f"p{p}_{name}": round(cuts[p - 1]) if cuts else None for p in (50, 75, 90, 95)}


_BODY: Shape = {
    **dict.fromkeys(("time_zone", "order", "order_by", "aggregate_unit")),
    "filters": dict.fromkeys(
        (
            "created_at_start",
            "created_at_end",
            "urgency",
            "major",
            "min_ackowledgements",
            "min_timeout_escalations",
            "min_manual_escalations",
            "team_ids",
            "service_ids",
            "escalation_policy_ids",
            "priority_ids",
            "priority_names",
            "pd_advance_used",
        )
    ),
}

ENDPOINTS = (
    Endpoint("POST", "/analytics/metrics/incidents/all", all_incidents, body=_BODY),
    Endpoint("POST", "/analytics/metrics/incidents/services", by_service, body=_BODY),
)
