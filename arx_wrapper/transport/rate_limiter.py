"""Pace the calls of one key to its rate limit, for all callers of an event loop.

The limiter starts with a few calls in flight, and lets more go with every response. It learns the allowance from the
`ratelimit-*` headers and hands it out agent by agent, so that none starves the others. When the allowance shrinks
faster than it is spent here, another process uses the key, and what that took is not handed out again. When calls are
refused all the same, every new window begins with a few calls, so that hosts which share a key do not all spend it at
once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping

from arx_wrapper.model import Allowance

_FIRST = 8
_MOST = 256
_SETTLE = 0.02
# A window of PagerDuty's lasts a minute. Longer waits are not held: see `block()`.
LONGEST = 90.0
_PROBE = 1.0


class RateLimiter:
    """Hands out the allowance of one key at one address, in one event loop.

    Attributes:
        window: The number of the API's window that turns belong to now; always 0 where nobody counts them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: OrderedDict[str, deque[asyncio.Future[int]]] = OrderedDict()
        self._in_flight, self._wide = 0, _FIRST
        self._left: int | None = None
        self._shared = False
        self._limit = 0
        self._window = 0.0
        self._renews = 0.0
        self._paused = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.window = 0

    def enter(self) -> bool:
        """Begin a turn where nobody has to wait; return False where somebody has to, and `acquire()` waits."""
        if self._waiting or not self._open(self._clock()):
            return False
        self._take()
        return True

    async def acquire(self, agent_id: str) -> int:
        """Wait for a turn of this agent's.

        Returns:
            The window of the allowance that the turn belongs to.
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
                self.release({}, window=turn.result())  # its turn had come; the next one takes it
            raise

    def release(self, headers: Mapping[str, str], *, answered: bool = False, window: int = 0) -> None:
        """End a turn, and take up what the response says of the allowance.

        Args:
            headers: The response's; empty when there was none.
            answered: The response was no error.
            window: The window that the turn belonged to.
        """
        self._in_flight -= 1
        if answered:
            self._wide = min(self._wide + 1, _MOST)
        if headers and (allowance := _told(headers)):
            self._learn(allowance, window)
        if self._waiting or self._timer:
            self._hand_out()

    def close(self) -> None:
        """Let go of what is shared with other processes; nothing here is."""

    def block(self, seconds: float) -> None:
        """Hold all callers back after a 429, for so many seconds.

        A wait longer than the API's window is not held: from the next second on one call at a time goes, so that a
        server that has recovered early is noticed.
        """
        self._paused = max(self._paused, self._clock() + (seconds if seconds <= LONGEST else _PROBE))
        self._wide = max(self._wide // 2, 1) if seconds <= LONGEST else 1
        self._shared = self._shared or self._left is not None
        self._left = 0 if self._left is not None and seconds <= LONGEST else None

    def paused_for(self) -> float:
        """Return for how many seconds more no call goes, after a 429."""
        return max(self._paused - self._clock(), 0.0)

    def _learn(self, allowance: Allowance, window: int) -> None:
        limit, left, reset = allowance
        now = self._clock()
        self._limit, self._window = max(limit, 1), max(self._window, reset)
        renews = now + reset
        # Calls in flight may not have been counted yet. Responses overtake each other, so the lowest number counts.
        left = max(left - self._in_flight, 0)
        same_window = self._left is not None and now < self._renews
        self._left = min(left, self._left) if same_window and self._left is not None else left
        self._renews = min(renews, self._renews) if same_window else renews

    def _open(self, now: float) -> bool:
        if now < self._paused:
            return False
        if self._left is not None and now >= self._renews:
            # What other processes take is not known before the first response: start with a few calls again.
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
                self._waiting[agent_id] = turns  # to the end of the line
            if not turn.done():
                self._take()
                turn.set_result(self.window)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._waiting and (wait := self._wait(now)) is not None:
            self._timer = asyncio.get_running_loop().call_later(max(wait, 0.0) + _SETTLE, self._hand_out)

    def _wait(self, now: float) -> float | None:
        """Return the seconds until more calls may go; None when a response will tell."""
        wait = max(self._paused, self._renews if self._left is not None else 0.0) - now
        return wait if wait > 0 or not self._in_flight else None


def _told(headers: Mapping[str, str]) -> Allowance | None:
    """Return what headers say of the allowance; None when they say nothing, or nothing of use."""
    try:
        limit, left = int(headers["ratelimit-limit"]), int(headers["ratelimit-remaining"])
        reset = float(headers["ratelimit-reset"])
    except (KeyError, ValueError):
        return None
    if not 0 <= reset <= LONGEST:  # a time of day, or nonsense: waiting for it would take for ever
        return None
    return Allowance(max(limit, 1), max(left, 0), reset)
