"""Keep the account's clock, the only source of time in the sandbox, which tests can set and advance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

from arx_wrapper.sandbox.errors import refuse

__all__ = ["EPOCH", "AccountClock", "parse_time", "system_time"]

# Earlier than every date in the documented examples, so that they work as written.
EPOCH = datetime(2025, 6, 1, 12, tzinfo=UTC)


def system_time() -> datetime:
    """Return the machine's time, in UTC."""
    return datetime.now(UTC)


class AccountClock:
    """The account's time, in whole seconds and UTC, as PagerDuty stores times.

    Args:
        source: Returns the time, aware. None starts at `EPOCH` and runs.
    """

    def __init__(self, source: Callable[[], datetime] | None = None) -> None:
        self._source = source or _ticking_from(EPOCH)
        self.advanced = timedelta()

    def now(self) -> datetime:
        return (self._source().astimezone(UTC) + self.advanced).replace(microsecond=0)

    def elapsed(self) -> float:
        """Return seconds for rate limits: those that really passed, plus those that the clock was advanced by."""
        return monotonic() + self.advanced.total_seconds()

    def advance(self, by: timedelta) -> None:
        if by < timedelta():
            raise ValueError(f"a clock runs forward only, not by {by}")
        self.advanced += by


def parse_time(text: object, name: str) -> datetime:
    """Parse an ISO 8601 date or time, as UTC in whole seconds; a time without a zone is read as UTC."""
    try:
        moment = datetime.fromisoformat(text if isinstance(text, str) else "")
        found = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
        if not datetime.min.year < found.year < datetime.max.year:  # leaves room to compute with it
            raise ValueError
    except (ValueError, OverflowError):
        raise refuse(2001, f"{name} is not a valid ISO 8601 date") from None
    return found


def _ticking_from(start: datetime) -> Callable[[], datetime]:
    began = monotonic()
    return lambda: start + timedelta(seconds=monotonic() - began)
