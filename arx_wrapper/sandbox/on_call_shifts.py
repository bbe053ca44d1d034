"""Compute on-call shifts from rotations, and list the people at a level of an escalation policy.

A schedule here has one layer, without restrictions or overrides: its users take shifts of equal length in turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from attrs import frozen

from arx_wrapper.sandbox.account import Account, Ref, Resource

__all__ = ["Shift", "on_call", "responders", "shifts"]


@frozen
class Shift:
    """One shift of one user."""

    user: Ref
    start: datetime
    end: datetime


def shifts(schedule: Resource, since: datetime, until: datetime) -> Iterator[Shift]:
    """Yield the whole shifts that overlap `since` to `until`; when both are equal, the shift at that time."""
    layer = schedule.hidden["schedule_layers"][0]
    turn = timedelta(seconds=layer["rotation_turn_length_seconds"])
    first: datetime = layer["rotation_virtual_start"]
    users = [entry["user"] for entry in layer["users"]]
    number = max((since - first) // turn, 0)
    while (start := first + number * turn) < until or start <= since:
        yield Shift(users[number % len(users)], start, start + turn)
        number += 1


def on_call(schedule: Resource, at: datetime) -> Ref | None:
    """Return the user who is on call; None before the rotation begins."""
    return next((shift.user for shift in shifts(schedule, at, at) if shift.start <= at), None)


def responders(account: Account, policy: Resource, level: int, at: datetime) -> list[Ref]:
    """Return the users whom a level of an escalation policy notifies, each once."""
    users: dict[Ref, None] = {}
    for target in policy["escalation_rules"][level - 1]["targets"]:
        schedule = account.find("schedule", target.id) if target.kind == "schedule" else None
        user = on_call(schedule, at) if schedule else target
        if user and user.kind == "user":
            users[user] = None
    return list(users)
