"""The account's clock: every time in the sandbox comes from here, so that tests can set and advance it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

from arx_wrapper.sandbox.errors import refuse

__all__ = ["EPOCH", "AccountClock", "parse_time", "system_time"]

# Before every date of the documented examples, so that they run as written; it ticks from there.
EPOCH = datetime(2025, 6, 1, 12, tzinfo=UTC)


def system_time() -> datetime:
    """The machine's time, UTC."""
    return datetime.now(UTC)


class AccountClock:
    """Whole seconds, UTC, as PagerDuty keeps them.

    Args:
        source: Tells the time, aware. None starts at `EPOCH` and ticks.
    """

    def __init__(self, source: Callable[[], datetime] | None = None) -> None:
        self._source = source or _ticking_from(EPOCH)
        self.advanced = timedelta()

    def now(self) -> datetime:
        return (self._source().astimezone(UTC) + self.advanced).replace(microsecond=0)

    def elapsed(self) -> float:
        """Seconds for rate limits: real ones, plus what the clock was advanced by."""
        return monotonic() + self.advanced.total_seconds()

    def advance(self, by: timedelta) -> None:
        if by < timedelta():
            raise ValueError(f"a clock runs forward only, not by {by}")
        self.advanced += by


def parse_time(text: object, name: str) -> datetime:
    """An ISO 8601 date or time as UTC, whole seconds; without a zone it is read as UTC."""
    try:
        moment = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        raise refuse(2001, f"{name} is not a valid ISO 8601 date") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).replace(microsecond=0)


def _ticking_from(start: datetime) -> Callable[[], datetime]:
    began = monotonic()
    return lambda: start + timedelta(seconds=monotonic() - began)
