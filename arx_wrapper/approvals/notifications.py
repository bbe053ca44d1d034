"""Telling reviewers that they are asked. A channel carries the question; only `Approvals.decide()` takes an answer.

The command line needs no channel: `arx-pagerduty approvals list` reads the database.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from arx_wrapper.approvals.render import render
from arx_wrapper.approvals.request import ApprovalRequest, stamp
from arx_wrapper.errors import ApprovalError, ConfigError
from arx_wrapper.http_client import client as http_client
from arx_wrapper.urls import Proxy, address

if TYPE_CHECKING:
    from arx_wrapper.http_client import AsyncClient

log = logging.getLogger("arx_wrapper.approvals")

_ANNOUNCES_WITHIN = 30.0


class Channel(Protocol):
    """A way to reach reviewers."""

    async def announce(self, request: ApprovalRequest) -> None:
        """Show a request to reviewers. Any exception means that it has to be tried again."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class Announcer:
    """Announces requests in the background: again while a channel fails, and reported once it has failed for good.

    A failed announcement changes nothing about its request, which goes on waiting until it is decided or expires.
    """

    def __init__(self, channels: Sequence[Channel], *, attempts: int = 6, wait: float = 0.5) -> None:
        self._channels, self._attempts, self._wait = channels, attempts, wait
        self._running: set[asyncio.Task[None]] = set()

    def announce(self, request: ApprovalRequest) -> None:
        """Start announcing a request on every channel; returns at once."""
        for channel in self._channels:
            task = asyncio.create_task(self._deliver(channel, request))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def aclose(self, *, within: float = 10.0) -> None:
        """Let announcements finish, for as many seconds at most, and close the channels."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        async with AsyncExitStack() as closing:  # each of them, whatever becomes of the others
            for channel in self._channels:
                closing.push_async_callback(channel.aclose)

    async def _deliver(self, channel: Channel, request: ApprovalRequest) -> None:
        import tenacity

        name = type(channel).__name__

        async def once() -> None:
            async with asyncio.timeout(_ANNOUNCES_WITHIN):
                await channel.announce(request)

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


class Webhook:
    """Posts each request as JSON to an address of yours, signed so that the receiver knows where it came from.

    The receiver computes HMAC-SHA256 over the header `X-Arx-Timestamp`, a full stop and the raw body, compares it
    with the hexadecimal `v1=…` of `X-Arx-Signature` in constant time, and refuses timestamps far from its own clock.

    Args:
        url: Where to post: https, or loopback.
        secret: Shared with the receiver, at least 32 characters.
        clock: The time, aware.
        client: The client of httpx or httpx2 to use; by default one that follows no redirect.
        proxy: The proxy for hosts beyond this machine.

    Raises:
        ConfigError: the address is not https, or the secret is short.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        clock: Callable[[], datetime],
        client: AsyncClient | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        require_private("The webhook", url)
        if len(secret) < 32:
            raise ConfigError("The webhook's secret needs 32 characters at least. Nothing was sent.")
        self._url, self._secret, self._clock, self._client = url, secret.encode(), clock, client
        self._proxy = proxy

    async def announce(self, request: ApprovalRequest) -> None:
        """Post a request. ApprovalError when the receiver does not answer with a 2xx."""
        body, timestamp = webhook_body(request), str(int(self._clock().timestamp()))
        signature = hmac.new(self._secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Arx-Timestamp": timestamp,
            "X-Arx-Signature": f"v1={signature}",
        }
        # What it says besides its status is nobody's concern, however long it is.
        async with self._http().stream("POST", self._url, content=body, headers=headers) as answer:
            if not answer.is_success:
                raise ApprovalError(f"The webhook answered {answer.status_code}.", approval_id=request.id)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _http(self) -> AsyncClient:
        if self._client is None:
            self._client = http_client(self._url, timeout=10.0, proxy=self._proxy)
        return self._client


def webhook_body(request: ApprovalRequest) -> bytes:
    """What a webhook posts: what a program needs to file the request, and the text that a person should see."""
    facts = {
        "id": request.id,
        "digest": request.digest,
        "state": request.state,
        "org_id": request.org_id,
        "agent_id": request.agent_id,
        "connector": request.connector,
        "operation": request.operation,
        "sentence": request.sentence,
        "risk": request.risk.name.lower(),
        "channel": request.channel,
        "min_approvals": request.min_approvals,
        "created_at": stamp(request.created_at),
        "expires_at": stamp(request.expires_at),
        "text": render(request),
    }
    return msgspec.json.encode(facts)


def require_private(what: str, url: str) -> None:
    """Refuse an address over which others could read along. ConfigError, without the address: it may hold a secret."""
    try:
        address(url)
    except ValueError as error:
        raise ConfigError(f"{what}'s address {error}. Nothing was sent.") from None
