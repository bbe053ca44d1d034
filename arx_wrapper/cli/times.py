"""Read durations and times as people type them: `1h`, `30d`, `2h ago`, `in 10m`, `now`, or ISO 8601."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from operator import add

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(?:[0-9]{1,9}[smhdw])+")
_EXAMPLES = "a duration is like 30m, 1h30m or 2d"


def duration(text: str) -> timedelta:
    """Return a duration of whole seconds: `90s`, `1h30m`, `2d`, `1w`.

    Raises:
        ValueError: it is not one, with what is accepted.
    """
    if not _DURATION.fullmatch(text.strip().lower()):
        raise ValueError(f"{text!a} is no duration; {_EXAMPLES}")
    parts = re.findall(r"([0-9]+)([smhdw])", text.strip().lower())
    try:
        return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError:
        raise ValueError(f"{text!a} is too long a duration") from None


def moment(text: str, now: datetime, *, ahead: bool = False) -> datetime:
    """Return a time, aware.

    Args:
        text: `now`, a duration before now (`30d`, `2h ago`) or after it (`in 2h`, `+2h`), or an ISO 8601 date or time;
            one without an offset is in UTC.
        now: The present, aware.
        ahead: Whether a bare duration counts from now on, rather than back.

    Raises:
        ValueError: it is none of these, with what is accepted.
    """
    words = text.strip().lower()
    if words == "now":
        return now
    for pattern, sign in ((r"(.+?)\s+ago", -1), (r"in\s+(.+)", 1), (r"\+\s*(.+)", 1), (r"(.+)", 1 if ahead else -1)):
        found = re.fullmatch(pattern, words)
        if found and _DURATION.fullmatch(found[1].replace(" ", "")):
            by = sign * duration(found[1].replace(" ", ""))
            return _within(text, partial(add, now, by))
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!a} is no time; write 2h ago, in 30m, 7d, or 2025-06-01T09:00Z") from None
    return _within(text, lambda: parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC))


def is_relative(text: str) -> bool:
    """Return whether a time is said relative to now, and so has to be computed before it is sent."""
    try:
        moment(text, datetime(2000, 1, 1, tzinfo=UTC))
    except ValueError:
        return False
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return True
    return False


def iso(time: datetime) -> str:
    """Return a time as PagerDuty takes it: UTC, whole seconds."""
    return time.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _within(text: str, computed: Callable[[], datetime]) -> datetime:
    """Return a time with at least a year on both sides of it, so that commands can compute with it."""
    with contextlib.suppress(OverflowError):
        if datetime.min.year < (time := computed()).year < datetime.max.year:
            return time
    raise ValueError(f"{text!a} lies outside the calendar")
