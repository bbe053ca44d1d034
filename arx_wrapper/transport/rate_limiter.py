"""Pace the calls of one key to its rate limit, for all callers in an event loop.

The limiter starts with a few calls in flight, and permits more with every response. It learns the allowance from the
`ratelimit-*` headers and distributes it to the agents in turn, so that none starves the others. When the allowance
shrinks faster than it is used here, another process uses the key; its share is not distributed again. When calls are
refused all the same, every new window begins with a few calls, so that hosts that share a key do not use the whole
allowance at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping

from arx_wrapper.model import Allowance

# Calls in flight: permitted at the start, and at most.
_FIRST = 8
_MOST = 256
# Seconds added to a wait, so that the window has surely ended.
_MARGIN = 0.02
# PagerDuty's window lasts a minute. Longer waits are shortened: see `block()`.
LONGEST = 90.0
# Seconds after which one call is permitted during such a longer wait.
_PROBE = 1.0


class RateLimiter:
    """Distributes the allowance of one key at one address, in one event loop.

    Attributes:
        window: The number of the API's present window; always 0 when windows are not counted.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: OrderedDict[str, deque[asyncio.Future[int]]] = OrderedDict()
        self._in_flight, self._wide = 0, _FIRST  # calls in flight, and the most that are permitted now
        self._left: int | None = None  # calls left in this window; None when unknown
        self._shared = False  # a call was refused although the allowance was known, so another process uses the key
        self._limit, self._window = 0, 0.0  # calls in a window, and its seconds
        self._renews = 0.0  # the time at which the window ends
        self._paused = 0.0  # the time until which calls are blocked after a 429
        self._timer: asyncio.TimerHandle | None = None
        self.window = 0

    def enter(self) -> bool:
        """Start a call when no caller has to wait; otherwise return False, and the caller must `acquire()`."""
        if self._waiting or not self._open(self._clock()):
            return False
        self._take()
        return True

    async def acquire(self, agent_id: str) -> int:
        """Wait until this agent may start a call.

        Returns:
            The window of the allowance that the call belongs to.
        """
        if self.enter():
            return self.window
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(agent_id, deque()).append(turn)
        self._hand_out()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release({}, window=turn.result())  # the call was permitted already; the next caller gets it
            raise

    def release(self, headers: Mapping[str, str], *, answered: bool = False, window: int = 0) -> None:
        """End a call, and learn the allowance from its response.

        Args:
            headers: The response's headers; empty when there was no response.
            answered: Whether the response was a success.
            window: The window that the call belonged to.
        """
        self._in_flight -= 1
        if answered:
            self._wide = min(self._wide + 1, _MOST)
        if headers and (allowance := _allowance(headers)):
            self._learn(allowance, window)
        if self._waiting or self._timer:
            self._hand_out()

    def close(self) -> None:
        """Return shared allowance to other processes; here there is none."""

    def block(self, seconds: float) -> None:
        """Block all callers after a 429, for a number of seconds.

        When the wait is longer than the API's window, one call at a time is permitted from the next second on, to
        notice a server that recovers early.
        """
        self._paused = max(self._paused, self._clock() + (seconds if seconds <= LONGEST else _PROBE))
        self._wide = max(self._wide // 2, 1) if seconds <= LONGEST else 1
        self._shared = self._shared or self._left is not None
        self._left = 0 if self._left is not None and seconds <= LONGEST else None

    def paused_for(self) -> float:
        """Return the remaining seconds for which calls are blocked after a 429."""
        return max(self._paused - self._clock(), 0.0)

    def _learn(self, allowance: Allowance, window: int) -> None:
        limit, left, reset = allowance
        now = self._clock()
        self._limit, self._window = max(limit, 1), max(self._window, reset)
        renews = now + reset
        # Calls in flight may not have been counted yet. Responses arrive out of order, so the lowest number counts.
        left = max(left - self._in_flight, 0)
        same_window = self._left is not None and now < self._renews
        self._left = min(left, self._left) if same_window and self._left is not None else left
        self._renews = min(renews, self._renews) if same_window else renews

    def _open(self, now: float) -> bool:
        if now < self._paused:
            return False
        if self._left is not None and now >= self._renews:
            # Before the first response the use by other processes is unknown, so start with a few calls again.
            self._left = None if self._shared else self._limit - self._in_flight
            self._renews = now + self._window
        if self._left is None or self._shared:
            return self._in_flight < self._wide and self._left != 0
        return self._left > 0

    def _take(self) -> None:
        self._in_flight += 1
        if self._left:
            self._left -= 1

    def _hand_out(self) -> None:
        now = self._clock()
        while self._waiting and self._open(now):
            agent_id, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[agent_id] = turns  # move the agent to the end of the queue
            if not turn.done():
                self._take()
                turn.set_result(self.window)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._waiting and (wait := self._wait(now)) is not None:
            self._timer = asyncio.get_running_loop().call_later(max(wait, 0.0) + _MARGIN, self._hand_out)

    def _wait(self, now: float) -> float | None:
        """Return the seconds until more calls may start; None when a response decides that."""
        wait = max(self._paused, self._renews if self._left is not None else 0.0) - now
        return wait if wait > 0 or not self._in_flight else None


def _allowance(headers: Mapping[str, str]) -> Allowance | None:
    """Read the allowance from headers; None when they state none, or none that is valid."""
    try:
        limit, left = int(headers["ratelimit-limit"]), int(headers["ratelimit-remaining"])
        reset = float(headers["ratelimit-reset"])
    except (KeyError, ValueError):
        return None
    if not 0 <= reset <= LONGEST:  # a point in time, or a wrong value, which would block calls for ever
        return None
    return Allowance(max(limit, 1), max(left, 0), reset)
