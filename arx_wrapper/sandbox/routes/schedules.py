"""Serve schedules, computed from their rotations, and on-call entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from arx_wrapper.sandbox.account import JSON, Ref, Resource
from arx_wrapper.sandbox.endpoint import PAGE, Call, Endpoint, Reply, ok
from arx_wrapper.sandbox.errors import refuse
from arx_wrapper.sandbox.on_call_shifts import Shift, shifts
from arx_wrapper.sandbox.paging import matching, page, shown

__all__ = ["ENDPOINTS"]

_RENDERED = timedelta(days=14)
_LONGEST_RENDERED = timedelta(days=90)
_FURTHEST_AHEAD = timedelta(days=90)
_PARTS = ("schedule_layers", "overrides_subschedule", "final_schedule")
_ONCALL_INCLUDE = ("escalation_policies", "users", "schedules")


def list_schedules(call: Call) -> Reply:
    """List schedules, without their layers unless they are included."""
    wanted = call.many("include", _PARTS)
    schedules = matching(call, call.account.all("schedule"))
    return page(call, "schedules", [_rendered(call, schedule, wanted) for schedule in schedules], _PARTS)


def get_schedule(call: Call) -> Reply:
    schedule = call.account.get("schedule", call.path["id"])
    return ok({"schedule": shown(call, _rendered(call, schedule, _PARTS))})


def _rendered(call: Call, schedule: Resource, parts: Sequence[str]) -> Resource:
    """Return the schedule with its shifts from `since` to `until`, by default for two weeks from now."""
    since = call.time("since") or call.now
    until = call.time("until") or since + _RENDERED
    if not timedelta() <= until - since <= _LONGEST_RENDERED:
        raise refuse(2001, "until must be after since, by three months at most")
    turns = shifts(schedule, since, until)
    if not call.flag("overflow"):
        turns = (_within(turn, since, until) for turn in turns)
    entries = [{"user": turn.user, "start": turn.start, "end": turn.end} for turn in turns]
    coverage = {"rendered_schedule_entries": entries, "rendered_coverage_percentage": 100.0}
    nothing = {"rendered_schedule_entries": [], "rendered_coverage_percentage": 0.0}
    written: JSON = {
        "schedule_layers": [{**layer, **coverage} for layer in schedule.hidden["schedule_layers"]],
        "overrides_subschedule": {"name": "Overrides", **nothing},
        "final_schedule": {"name": "Final Schedule", **coverage},
    }
    members = {**schedule, **{part: written[part] for part in parts}}
    if user := call.one(_NEXT):
        members["next_oncall_for_user"] = _next_turn(schedule, user, call.now)
    return Resource(schedule.kind, schedule.home, members)


def _next_turn(schedule: Resource, user: str, now: datetime) -> JSON | None:
    for turn in shifts(schedule, now, now + _FURTHEST_AHEAD):
        if turn.user.id == user and turn.start >= now:
            return {"user": turn.user, "start": turn.start, "end": turn.end}
    return None


def _within(turn: Shift, since: datetime, until: datetime) -> Shift:
    return Shift(turn.user, max(turn.start, since), min(turn.end, until))


def list_oncalls(call: Call) -> Reply:
    since, until = call.time("since") or call.now, call.time("until")
    until = until or since
    if until < since:
        raise refuse(2001, "until must not be before since")
    if until > call.now + _FURTHEST_AHEAD:
        raise refuse(2001, f"until must be within {_FURTHEST_AHEAD.days} days from now")
    found = [entry for entry in _oncalls(call, since, until) if _wanted(call, entry)]
    if call.flag("earliest"):
        found = _earliest(found)
    return page(call, "oncalls", found, _ONCALL_INCLUDE)


def _oncalls(call: Call, since: datetime, until: datetime) -> Iterator[JSON]:
    for policy in call.account.all("escalation_policy"):
        for level, rule in enumerate(policy["escalation_rules"], start=1):
            for target in rule["targets"]:
                entry: JSON = {"escalation_policy": policy.ref, "escalation_level": level}
                if target.kind == "user":  # always on call: neither start nor end
                    yield {**entry, "user": target, "schedule": None, "start": None, "end": None}
                    continue
                for turn in shifts(call.account.get("schedule", target.id), since, until):
                    times = {"start": turn.start, "end": turn.end}
                    yield {**entry, "user": turn.user, "schedule": target, **times}


def _wanted(call: Call, entry: JSON) -> bool:
    def among(name: str, ref: Ref | None) -> bool:
        ids = call.many(name)
        return not ids or (ref is not None and ref.id in ids)

    return (
        among("user_ids", entry["user"])
        and among("escalation_policy_ids", entry["escalation_policy"])
        and among("schedule_ids", entry["schedule"])
    )


def _earliest(entries: list[JSON]) -> list[JSON]:
    """Return the first entry of each policy, level and user."""
    first: dict[tuple[Ref, int, Ref], JSON] = {}
    for entry in sorted(entries, key=lambda e: (e["start"] is not None, e["start"] or 0)):
        first.setdefault((entry["escalation_policy"], entry["escalation_level"], entry["user"]), entry)
    return [entry for entry in entries if entry in first.values()]


_TIMES = frozenset({"time_zone", "since", "until"})
_NEXT = "include_next_oncall_for_user"
_ONCALL_QUERY = {"user_ids[]", "escalation_policy_ids[]", "schedule_ids[]", "earliest", "include[]"}

ENDPOINTS = (
    Endpoint("GET", "/schedules", list_schedules, PAGE | _TIMES | {"query", "team_ids[]", "include[]", _NEXT}),
    Endpoint("GET", "/schedules/{id}", get_schedule, _TIMES | {"overflow", _NEXT}),
    Endpoint("GET", "/oncalls", list_oncalls, PAGE | _TIMES | _ONCALL_QUERY),
)
