"""Telling reviewers of requests in the background: one message at a time, a reminder, nothing after the decision."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Protocol

from arx_wrapper.approvals.request import ApprovalRequest

log = logging.getLogger("arx_wrapper.approvals")

_ANNOUNCES_WITHIN = 30.0
_REMINDS_BEFORE = 300.0

StillWaits = Callable[[str], Awaitable[bool]]
"""Tell whether a request is undecided still."""


class Channel(Protocol):
    """A way to reach reviewers. One with a method `remind` is reminded by it, any other is told again."""

    async def announce(self, request: ApprovalRequest) -> None:
        """Show a request to reviewers. Any exception means that it has to be tried again."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class Announcer:
    """Tells reviewers of each request, one message at a time, in the background.

    The first channel is told at once. The next one is told when that fails, or when nobody has decided after a while.
    Shortly before a request expires, the channel that was told first is reminded. Once it is decided nobody is told
    any more. A failed announcement changes nothing about its request, which goes on waiting.

    Args:
        channels: The channels, the preferred one first.
        attempts, wait: How often a channel is tried, and the first pause between two tries in seconds.
        stagger: Seconds without a decision after which the next channel is told.
        clock, sleep: The time, aware, and what waits.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        attempts: int = 6,
        wait: float = 0.5,
        stagger: float = 120.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._channels, self._attempts, self._wait = channels, attempts, wait
        self._stagger, self._clock, self._sleep = stagger, clock, sleep
        self._running: set[asyncio.Task[None]] = set()
        self._pausing: set[asyncio.Future[object]] = set()
        self._closing = False

    def announce(self, request: ApprovalRequest, still_waits: StillWaits) -> None:
        """Start telling reviewers of a request; returns at once.

        Args:
            request: The request.
            still_waits: Tells whether it is undecided still.
        """
        task = asyncio.create_task(self._tell(request, still_waits))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def aclose(self, *, within: float = 10.0) -> None:
        """Let messages under way finish, for as many seconds at most, and close the channels. Reminders are dropped."""
        self._closing = True
        for pause in self._pausing:
            pause.cancel()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        async with AsyncExitStack() as closing:  # each of them, whatever becomes of the others
            for channel in self._channels:
                closing.push_async_callback(channel.aclose)

    async def _tell(self, request: ApprovalRequest, still_waits: StillWaits) -> None:
        told: Channel | None = None
        for channel in self._channels:
            if told is not None and not await self._waits(self._stagger, request, still_waits):
                return
            if await self._deliver(channel, request) and told is None:
                told = channel
        left = (request.expires_at - self._clock()).total_seconds()
        lead = min(_REMINDS_BEFORE, (request.expires_at - request.created_at).total_seconds() / 5)
        if told is not None and left > lead and await self._waits(left - lead, request, still_waits):
            await self._deliver(told, request, reminder=True)

    async def _waits(self, seconds: float, request: ApprovalRequest, still_waits: StillWaits) -> bool:
        """Let time pass; False when the request was decided meanwhile, or when the process ends."""
        if self._closing:
            return False
        pause: asyncio.Future[object] = asyncio.ensure_future(self._sleep(seconds))
        self._pausing.add(pause)
        try:
            await asyncio.wait({pause})
        finally:
            self._pausing.discard(pause)
            pause.cancel()
        return not self._closing and await still_waits(request.id)

    async def _deliver(self, channel: Channel, request: ApprovalRequest, *, reminder: bool = False) -> bool:
        import tenacity

        name = type(channel).__name__
        send = (getattr(channel, "remind", None) if reminder else None) or channel.announce

        async def once() -> None:
            async with asyncio.timeout(_ANNOUNCES_WITHIN):
                await send(request)

        try:
            retrying = tenacity.AsyncRetrying(
                stop=tenacity.stop_after_attempt(self._attempts),
                wait=tenacity.wait_random_exponential(multiplier=self._wait, max=60.0),
                reraise=True,
            )
            await retrying(once)
        except BaseException as error:
            # The error's text stays out: it may quote an address that holds a secret.
            log.error(
                "Approval request %s was not announced on %s (%s). It waits all the same: "
                "`arx-pagerduty approvals list` shows it.",
                request.id,
                name,
                type(error).__name__,
            )
            if not isinstance(error, Exception):
                raise
            return False
        return True
