"""On-call shifts: render rotations, and list the people at a level of an escalation policy.

A schedule has one layer here, without restrictions or overrides: each user in turn, as long as a turn lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from attrs import frozen

from arx_wrapper.sandbox.account import Account, Ref, Resource

__all__ = ["Shift", "on_call", "responders", "shifts"]


@frozen
class Shift:
    """One turn of one user."""

    user: Ref
    start: datetime
    end: datetime


def shifts(schedule: Resource, since: datetime, until: datetime) -> Iterator[Shift]:
    """The turns that overlap `since` to `until`, whole; the one at `since` when they are equal."""
    layer = schedule.hidden["schedule_layers"][0]
    turn = timedelta(seconds=layer["rotation_turn_length_seconds"])
    first: datetime = layer["rotation_virtual_start"]
    users = [entry["user"] for entry in layer["users"]]
    number = max((since - first) // turn, 0)
    while (start := first + number * turn) < until or start <= since:
        yield Shift(users[number % len(users)], start, start + turn)
        number += 1


def on_call(schedule: Resource, at: datetime) -> Ref | None:
    """Return the user whose turn it is; None before the rotation begins."""
    return next((shift.user for shift in shifts(schedule, at, at) if shift.start <= at), None)


def responders(account: Account, policy: Resource, level: int, at: datetime) -> list[Ref]:
    """The users whom a level of an escalation policy notifies, each once."""
    users: dict[Ref, None] = {}
    for target in policy["escalation_rules"][level - 1]["targets"]:
        schedule = account.find("schedule", target.id) if target.kind == "schedule" else None
        user = on_call(schedule, at) if schedule else target
        if user and user.kind == "user":
            users[user] = None
    return list(users)
