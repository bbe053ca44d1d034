"""Decide whether a request that failed is sent again, and after which pause."""

from __future__ import annotations

from typing import Final

from arx_wrapper.errors import PagerDutyError, RateLimitError, ServerError, TransportError
from arx_wrapper.transport.rate_limiter import LONGEST

# Tries of a request, without those that the rate limit refuses.
ATTEMPTS: Final = 5
# Factor for the number of tries when the rate limit refuses them: other hosts may use the key, and nothing was
# processed.
PATIENCE: Final = 2
# Seconds to wait before the second try at most, and before any later one.
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 5.0
# Seconds to wait after a 429 that states no time.
_UNCOUNTED_PAUSE: Final = 1.0
_RETRIED: Final = frozenset({500, 502, 503, 504})


def may_retry(error: PagerDutyError, *, writes: bool, left: float) -> bool:
    """Return True when a retry cannot have an effect twice, and its wait fits into the budget.

    Args:
        error: The error of the attempt.
        writes: Whether the request changes state.
        left: Seconds until the call's deadline.
    """
    if isinstance(error, RateLimitError):
        return rate_limit_pause(error) <= min(LONGEST, left)
    if isinstance(error, TransportError):
        return error.status is None and (error.outcome == "not_sent" or not writes)
    return isinstance(error, ServerError) and not writes and error.status in _RETRIED


def rate_limit_pause(error: RateLimitError) -> float:
    """Return the seconds for which a 429 blocks all callers of the key."""
    return _UNCOUNTED_PAUSE if error.retry_after is None else error.retry_after


def uniform(low: float, high: float) -> float:
    """Return a random number between two; `random` is imported late, because most calls do not need it."""
    import random

    return random.uniform(low, high)  # noqa: S311 - spreads retries over time, protects no secret
