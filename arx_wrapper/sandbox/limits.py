"""Limit the rate of calls, in fixed windows for each account, as the `ratelimit-*` headers describe them."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import ceil

from attrs import field, frozen
from attrs.validators import gt

from arx_wrapper.sandbox.errors import ApiError, refuse

__all__ = ["Limiter", "RateLimit"]

_UNITS = {"s": 1, "sec": 1, "second": 1, "min": 60, "m": 60, "minute": 60}


@frozen
class RateLimit:
    """At most `count` calls in any window of `seconds`."""

    count: int = field(validator=gt(0))
    seconds: int = field(validator=gt(0))

    @classmethod
    def parse(cls, text: str) -> RateLimit:
        """Parse `960/min` or `16/s`."""
        match = re.fullmatch(r"(\d+)/([a-z]+)", text)
        if not match or match[2] not in _UNITS:
            raise ValueError(f"a rate limit is written 960/min or 16/s, not {text!r}")
        return cls(int(match[1]), _UNITS[match[2]])


class Limiter:
    """Counts the calls of one key in windows that begin with its first call.

    Args:
        limit: The limit; None for none.
        elapsed: Seconds, monotonic.
    """

    def __init__(self, limit: RateLimit | None, elapsed: Callable[[], float]) -> None:
        self.limit, self._elapsed = limit, elapsed
        self._began, self._used = float("-inf"), 0

    def take(self) -> dict[str, str]:
        """Count a call and return its headers; refuse with 429 beyond the limit."""
        if self.limit is None:
            return {}
        now = self._elapsed()
        if now >= self._began + self.limit.seconds:
            self._began, self._used = now, 0
        allowed = self._used < self.limit.count
        self._used += allowed
        headers = {
            "ratelimit-limit": str(self.limit.count),
            "ratelimit-remaining": str(self.limit.count - self._used),
            "ratelimit-reset": str(ceil(self._began + self.limit.seconds - now)),
        }
        if not allowed:
            raise ApiError(429, refuse(2020).body, headers)
        return headers
