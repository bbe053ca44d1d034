"""Pace the calls of one key that many processes use: each process sends only calls that it has leased.

A lease is a number of calls in the API's present window. It ends with the window, or after a few seconds, so that other
processes get the calls of one that died. A process paces its calls alone, without leases, while the database that
grants them does not respond, and while the API states no limit.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from arx_wrapper.model import Allowance, Lease, LeaseRequest, Leases
from arx_wrapper.transport.rate_limiter import RateLimiter

# Seconds that a requested lease lasts.
_LEASE = 5.0
# Seconds after which the database counts as unresponsive, and seconds until it is asked again.
_PATIENCE, _AGAIN = 4.0, 5.0
# Seconds for which the database's response is accepted even when its lease is shorter.
_PROMPT = 1.0
# Seconds after which an API without a limit is checked for one again.
_UNLIMITED = 60.0
# The fewest and the most calls in one lease.
_LEAST, _MOST = 8, 64
_log = logging.getLogger("arx_wrapper.transport")


class _ObservedWindow:
    """The API's present window, as its responses state it.

    Attributes:
        allowance: The lowest number of remaining calls that a response stated; None before the first response.
        unreported: True until it is reported to other processes.
    """

    def __init__(self) -> None:
        self.allowance: Allowance | None = None
        self.unreported = False
        self._ends = 0.0

    def add(self, stated: Allowance, now: float) -> bool:
        """Keep the lowest number of remaining calls, and the earliest end; return True for the first one stated."""
        known, ends = self.allowance, now + stated.seconds
        if known is None or (stated.limit and not known.limit):
            self.allowance, self._ends, self.unreported = stated, ends, True
            return True
        left, seconds = min(known.left, stated.left), max(known.seconds, stated.seconds)
        self.allowance, self._ends = Allowance(stated.limit, left, seconds), min(self._ends, ends)
        return False

    def report_again(self) -> None:
        """Report it to other processes once more, if it is known."""
        self.unreported = self.allowance is not None

    def restart(self) -> None:
        """Begin a new window, of which nothing is known yet."""
        self.allowance, self.unreported = None, False

    def seconds_left(self, now: float) -> float:
        return max(self._ends - now, 0.0)


class SharedRateLimiter(RateLimiter):
    """Distributes the calls that this process has leased, in one event loop.

    At most one request for a lease is pending. Its response decides how calls are paced until the next one: by the
    lease, or alone when the API has no limit. Without a response in time they are paced alone, too.
    """

    def __init__(self, leases: Leases, subject: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._leases, self._subject, self._holder = leases, subject, secrets.token_hex(8)
        self._calls, self._lasts = 0, 0.0  # the leased calls that are left, and the time until which they may be sent
        self._spent = 0  # leased calls that were sent and not yet reported to the database
        self._observed = _ObservedWindow()
        self._requested = False  # a request for a lease is pending
        self._overdue: asyncio.TimerHandle | None = None  # ends the wait for its response
        self._not_before = 0.0  # the time before which no further calls are requested
        self._plenty = False  # the last lease held as many calls as were requested, so more are requested ahead
        self._alone = False  # calls are paced without leases
        self._unreachable = False  # the database did not respond in time

    def release(self, headers: Mapping[str, str], *, answered: bool = False, window: int = 0) -> None:
        if answered and self._observed.allowance is None and window == self.window and "ratelimit-limit" not in headers:
            self._observe(Allowance(0, 0, 0.0))
        super().release(headers, answered=answered, window=window)
        self._request_lease()

    def block(self, seconds: float) -> None:
        super().block(seconds)
        self._observed.report_again()

    def close(self) -> None:
        """Return the leased calls that were not sent."""
        if self._calls:
            self._calls = 0
            self._leases.ask(self._request(0, None), lambda lease: None)

    def _learn(self, allowance: Allowance, window: int) -> None:
        super()._learn(allowance, window)
        if window == self.window:
            self._observe(allowance)

    def _observe(self, allowance: Allowance) -> None:
        if self._observed.add(allowance, self._clock()) and allowance.limit and not self._unreachable:
            self._not_before = 0.0

    def _open(self, now: float) -> bool:
        if self._alone:
            return super()._open(now)
        return now >= self._paused and self._calls > 0 and now < self._lasts

    def _take(self) -> None:
        super()._take()
        if not self._alone:
            self._calls -= 1
            self._spent += 1

    def _hand_out(self) -> None:
        self._request_lease()
        super()._hand_out()

    def _wait(self, now: float) -> float | None:
        if self._alone:
            return super()._wait(now)
        return None if self._requested else max(self._paused, self._not_before) - now

    def _request_lease(self) -> None:
        """Request a lease for the waiting calls when there are too few, and report use to other processes."""
        now = self._clock()
        if now >= self._lasts:
            self._calls = 0
        wants = self._wanted(now)
        if self._requested or not (wants or self._observed.unreported):
            return
        self._requested, self._observed.unreported = True, False
        loop, spent, window = asyncio.get_running_loop(), self._spent, self.window

        def answer(lease: Lease | None) -> None:
            with suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(self._answered, lease, wants, now, spent, window)

        self._overdue = loop.call_later(_PATIENCE, self._go_alone)
        self._leases.ask(self._request(wants, self._observed.allowance), answer)

    def _wanted(self, now: float) -> int:
        """Return the number of calls to request now: for the waiting callers, or for some that will come."""
        if now < self._not_before or now < self._paused:
            return 0
        missing = sum(len(turns) for turns in self._waiting.values()) - self._calls
        if not (self._plenty or self._alone):
            return max(0, min(missing, _MOST))
        few_left = self._alone or (self._spent and self._calls < _LEAST // 4)  # so that the next callers need not wait
        return min(max(missing, _LEAST), _MOST) if missing > 0 or few_left else 0

    def _request(self, wants: int, seen: Allowance | None) -> LeaseRequest:
        return LeaseRequest(
            subject=self._subject,
            holder=self._holder,
            wants=wants,
            keeps=self._calls,
            spent=self._spent,
            window=self.window,
            seen=seen,
            ends=self._observed.seconds_left(self._clock()),
            seconds=_LEASE,
        )

    def _answered(self, lease: Lease | None, wants: int, asked: float, spent: int, window: int) -> None:
        """Take over a lease, and pace the calls by it; without one, or one in time, pace them alone.

        Args:
            lease: The lease; None when the database refused the request or did not respond.
            wants, asked, spent, window: The calls requested, the time of the request, and the leased calls and the
                window that it reported.
        """
        self._requested, now = False, self._clock()
        if self._overdue is not None:
            self._overdue.cancel()
        if lease is None or (lease.calls and asked + max(lease.lasts, _PROMPT) < now):  # none, or one of the past
            self._not_before = now + _AGAIN
            self._go_alone()
            return
        if self._unreachable:
            _log.info("This process shares the rate limit with other processes again.")
        self._unreachable, self._alone = False, lease.limit == 0
        if lease.window == window:
            self._spent -= spent
        else:
            self._calls = self._spent = 0
            self._observed.restart()
        self.window = lease.window
        self._calls += lease.calls
        self._lasts = asked + lease.lasts  # counted from the request, so that it never exceeds the database's time
        self._plenty = lease.calls >= wants > 0 or (self._plenty and not wants)
        if self._alone:
            self._not_before = now + _UNLIMITED
        elif wants and not lease.calls:
            self._not_before = now + lease.retry
        self._hand_out()

    def _go_alone(self) -> None:
        """Pace the calls without leases, as if no other process used the key, until the database responds."""
        if not self._unreachable:
            _log.warning(
                "The rate limit is not shared with other processes for now, because the audit log's database does not "
                "respond in time. This process paces its calls alone, and tries those that get a 429 again."
            )
        self._alone = self._unreachable = True
        self._hand_out()
