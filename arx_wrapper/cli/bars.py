"""Draw counts as bars below a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from arx_wrapper.cli.output import say

_LENGTH = 40
_DAYS = 45


def draw(counts: Sequence[tuple[str, int]]) -> None:
    """Print a bar for each count, with its name before and its figure behind it; nothing for fewer than two."""
    highest = max((count for _, count in counts), default=0)
    if len(counts) < 2 or not highest:
        return
    width = max(len(name) for name, _ in counts)
    say()
    for name, count in counts:
        say(f"{name.ljust(width)}  {'█' * max(1 if count else 0, round(_LENGTH * count / highest))} {count}")


def timeline(days: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return counts by day, those without any included; by week where that would be too many lines.

    Args:
        days: ISO dates and their counts.
    """
    if not days:
        return []
    first, last = date.fromisoformat(min(days)), date.fromisoformat(max(days))
    every = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    if len(every) <= _DAYS:
        return [(day.isoformat(), days.get(day.isoformat(), 0)) for day in every]
    weeks: Counter[str] = Counter()
    for day in every:
        weeks["{}-W{:02}".format(*day.isocalendar())] += days.get(day.isoformat(), 0)
    return list(weeks.items())
