"""Send one request: granted once, paced, retried only where that is safe, its response read within bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

import msgspec
from attrs import define, field

from arx_wrapper._version import __version__
from arx_wrapper.credentials import Credentials, Secret
from arx_wrapper.errors import TransportError
from arx_wrapper.http_client import tls
from arx_wrapper.model import Request
from arx_wrapper.transport.backend import HttpBackend, HttpRequest, HttpResponse
from arx_wrapper.transport.loop_state import current, release
from arx_wrapper.transport.response import Attempt, Response
from arx_wrapper.transport.sending import Sending
from arx_wrapper.urls import Proxy, origin

if TYPE_CHECKING:
    from arx_wrapper.http_client import AsyncTransport
    from arx_wrapper.transport.rate_limiter import RateLimiter

_TOTAL: Final = 120.0
_ATTEMPTS: Final = 5
_MAX_BODY: Final = 64 * 1024 * 1024


def _uniform(low: float, high: float) -> float:
    """Draw a number between two; most calls never need it, and the module takes a while to import."""
    import random

    return random.uniform(low, high)  # noqa: S311 - spreads callers, keeps no secret


@define(eq=False)
class Grant:
    """Permission to send one request, once. The pipeline issues it after every step before sending has passed."""

    _request: Request = field(repr=False)
    _issuer: Transport = field(repr=False)
    _used: bool = False

    def redeem(self, request: Request, transport: Transport) -> None:
        """Use it up.

        Raises:
            RuntimeError: it was used, or is for another request.
        """
        if self._used or self._request is not request or self._issuer is not transport:
            raise RuntimeError("a request is sent only with a grant of its own, once; use execute()")
        self._used = True


class Transport:
    """Sends requests to an API at one address.

    All transports of an event loop share connections, and the rate limit of a key at an address.
    """

    def __init__(
        self,
        *,
        base_url: str,
        accept: str = "application/json",
        key_prefix: str = "Bearer ",
        transport: AsyncTransport | None = None,
        proxy: Proxy | None = None,
        max_body: int = _MAX_BODY,
        attempts: int = _ATTEMPTS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = _uniform,
    ) -> None:
        """Make a transport; nothing is opened before the first call.

        Args:
            base_url: The API's origin.
            accept: The media type that is asked for.
            key_prefix: What stands before an API key in `Authorization`.
            transport: A transport of httpx or httpx2 to send through; its owner closes it.
            proxy: The proxy for hosts beyond this machine.
            max_body: Bytes of body that are accepted, decompressed.
            attempts: How often a request is tried.
            clock: Seconds, monotonic.
            sleep: Waits for so many seconds.
            uniform: Draws a number between two: spreads the retries of many callers.

        Raises:
            ConfigError: the address is not https, unless it is this machine's own, or holds more than an origin.
        """
        self.origin, self._key_prefix = origin(base_url), key_prefix
        parts = urlsplit(self.origin)
        self._tls = parts.scheme == "https"
        self._proxy = proxy if proxy is not None and proxy.serves(parts.hostname or "") else None
        self._max_body, self._attempts = max_body, attempts
        self.clock, self.sleep, self.uniform = clock, sleep, uniform
        self._injected: HttpBackend | None = None
        if transport is not None:
            from arx_wrapper.transport.httpx_backend import HttpxBackend

            self._injected = HttpxBackend(transport)
        self._given = transport
        self._headers = (
            ("Host", self.origin.partition("://")[2]),
            ("Accept", accept),
            ("Accept-Encoding", "gzip"),
            ("Content-Type", "application/json"),
            ("User-Agent", f"arx-pagerduty/{__version__}"),
        )
        self._closed = False

    def grant(self, request: Request) -> Grant:
        """Permit this request to be sent, once."""
        return Grant(request, self)

    async def send(
        self,
        request: Request,
        credentials: Credentials,
        grant: Grant,
        *,
        operation: str,
        writes: bool,
        deprecated: bool = False,
        agent_id: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - the whole call's budget, its retries included
        attempts: list[Attempt] | None = None,
    ) -> Response:
        """Send a request and read its response.

        Reads are tried again after connection errors, time-outs, 429 and 500, 502, 503, 504. Writes only when they
        cannot have been processed: when no connection came about, or after 429. Five times in all; ten times where it
        is the rate limit that turns them away. A 429 whose wait is longer than the budget is raised at once.

        Args:
            request: What to send.
            credentials: Whose key it is sent with.
            grant: The permission for it, used up by this.
            operation: For messages.
            writes: The request changes state.
            deprecated: PagerDuty is taking the endpoint out of service.
            agent_id: In whose turn the request waits for the rate limit.
            timeout: Seconds for all of it.
            attempts: Gets an entry for every try, also when this raises or is cancelled.

        Raises:
            PagerDutyError: in the class for its status, or `TransportError` when no usable response came.
            ConfigError: the certificates that `SSL_CERT_FILE` names cannot be used. Nothing was sent.
        """
        grant.redeem(request, self)
        budget = _TOTAL if timeout is None else timeout
        call = Sending(
            transport=self,
            request=request,
            credentials=credentials,
            operation=operation,
            writes=writes,
            deprecated=deprecated,
            agent_id=agent_id,
            deadline=self.clock() + budget,
            attempts=attempts if attempts is not None else [],
        )
        if self._closed:
            raise TransportError("the connector was closed", outcome="not_sent", operation=operation)
        if self._tls and self._injected is None:
            tls()  # a file of certificates that cannot be used is found before a try is counted
        overdue: TransportError | None = None
        try:
            async with asyncio.timeout(budget):
                return await call.run(self._attempts)
        except TimeoutError:
            # A request that got a 429 was not processed; any other response to a write ends the call.
            sent = any(attempt.sent and attempt.status != 429 for attempt in call.attempts)
            overdue = TransportError(
                f"no response within {budget:g} s",
                outcome="unknown" if sent and writes else "not_sent",
                operation=operation,
            )
        raise overdue

    async def aclose(self) -> None:
        """Close the connections, unless another transport uses them; send nothing from now on."""
        self._closed = True
        if self._injected is not None:
            await self._injected.aclose()
        await release(self)

    async def rate_limiter(self, credentials: Credentials) -> RateLimiter:
        """Return the rate limit that all callers with these credentials share in this event loop."""
        # A transport of one's own is a server of one's own.
        server = self.origin if self._given is None else id(self._given)
        return (await current()).rate_limiter((server, credentials.fingerprint))

    async def exchange(self, request: Request, credentials: Credentials, on_send: Callable[[], None]) -> HttpResponse:
        """Send a request, once, and read its response.

        Args:
            request: What to send.
            credentials: Whose key it is sent with.
            on_send: Called just before the first byte is written.

        Raises:
            ConnectFailed, ResponseLost, ResponseTooLarge
        """
        target = request.path
        if request.query:
            target += "?" + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in request.query)
        sent = HttpRequest(
            method=request.method,
            origin=self.origin,
            target=target,
            headers=(*self._headers, *request.headers),
            authorization=self._authorization(credentials),
            content=msgspec.json.encode(request.json) if request.method in ("POST", "PUT") else b"",
        )
        if self._injected is not None:
            return await self._injected.send(sent, self._max_body, on_send)
        pool = (await current()).pool(self)
        return await pool.send(sent, self._proxy, self._max_body, on_send)

    def _authorization(self, credentials: Credentials) -> Secret:
        scheme = "Bearer " if credentials.scheme == "Bearer" else self._key_prefix
        return Secret(scheme + credentials.api_key.reveal())

    @property
    def max_body(self) -> int:
        """Return the bytes of body that are accepted, decompressed."""
        return self._max_body
