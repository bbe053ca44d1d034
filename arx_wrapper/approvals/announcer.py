"""Notify reviewers of requests in the background: one message at a time, one reminder, none after the decision."""

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
"""Return True while a request is undecided."""


class Channel(Protocol):
    """Sends messages to reviewers. A channel without a method `remind` announces the request again as a reminder."""

    async def announce(self, request: ApprovalRequest) -> None:
        """Show a request to reviewers. After any exception the announcer tries again."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class Announcer:
    """Notifies reviewers of each request, one message at a time, in the background.

    The first channel announces a request at once. The next one does when that fails, or after `stagger` seconds without
    a decision. Shortly before the request expires, the channel that announced it first sends a reminder. No message is
    sent after the decision. When an announcement fails, the request still waits.

    Args:
        channels: The channels, the preferred one first.
        attempts, wait: How often a channel is tried, and the first pause between two tries in seconds.
        stagger: Seconds without a decision after which the next channel announces the request.
        clock, sleep: Returns the time, aware; waits for a number of seconds.
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
        """Start notifying reviewers of a request; returns at once.

        Args:
            request: The request.
            still_waits: Returns True while the request is undecided.
        """
        task = asyncio.create_task(self._tell(request, still_waits))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def aclose(self, *, within: float = 10.0) -> None:
        """Drop reminders, wait at most `within` seconds for messages being sent, and close the channels."""
        self._closing = True
        for pause in self._pausing:
            pause.cancel()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        async with AsyncExitStack() as closing:  # closes every channel, even when closing another one fails
            for channel in self._channels:
                closing.push_async_callback(channel.aclose)

    async def _tell(self, request: ApprovalRequest, still_waits: StillWaits) -> None:
        announced: Channel | None = None
        for channel in self._channels:
            if announced is not None and not await self._waits(self._stagger, request, still_waits):
                return
            if await self._deliver(channel, request) and announced is None:
                announced = channel
        left = (request.expires_at - self._clock()).total_seconds()
        lead = min(_REMINDS_BEFORE, (request.expires_at - request.created_at).total_seconds() / 5)
        if announced is not None and left > lead and await self._waits(left - lead, request, still_waits):
            await self._deliver(announced, request, reminder=True)

    async def _waits(self, seconds: float, request: ApprovalRequest, still_waits: StillWaits) -> bool:
        """Wait some seconds; return False when the request was decided meanwhile, or when the process ends."""
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
            # Without the error's text, which may quote an address that holds a secret.
            log.error(
                "Approval request %s was not announced on %s (%s). It still waits for a reviewer: "
                "`arx-pagerduty approvals list` shows it.",
                request.id,
                name,
                type(error).__name__,
            )
            if not isinstance(error, Exception):
                raise
            return False
        return True
