"""Send one request: with a grant, paced, retried only when that is safe, and with a bounded response."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, urlsplit

import msgspec
import orjson
from attrs import define, field, frozen

from arx_wrapper._version import __version__
from arx_wrapper.credentials import Credentials, Secret
from arx_wrapper.errors import ArxError, PagerDutyError, RateLimitError, TransportError
from arx_wrapper.http_client import tls
from arx_wrapper.model import Request
from arx_wrapper.transport.backend import ConnectFailed, HttpBackend, HttpRequest, ResponseLost, ResponseTooLarge
from arx_wrapper.transport.loop_state import Shared, current, release
from arx_wrapper.transport.rate_limiter import RateLimiter
from arx_wrapper.transport.response import failure, short, unreadable
from arx_wrapper.transport.retry import (
    ATTEMPTS,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    PATIENCE,
    may_retry,
    rate_limit_pause,
    uniform,
)
from arx_wrapper.transport.sending import Attempt, Sending, log, log_attempt, overdue_error
from arx_wrapper.urls import Proxy, origin

if TYPE_CHECKING:
    from arx_wrapper.http_client import AsyncTransport
    from arx_wrapper.model import Leases

_TOTAL: Final = 120.0
_MAX_BODY: Final = 64 * 1024 * 1024
_LIMITS: Final = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
# Statuses whose responses have no body, or may have none: accepted, no content, reset content.
_BODILESS: Final = frozenset({202, 204, 205})
# A JSON text with fewer brackets cannot be nested too deep.
_DEEPEST: Final = 254
_SMALL: Final = 65_536
_LONGEST_ID: Final = 100


@frozen(kw_only=True, eq=False)
class Response:
    """A successful response.

    Attributes:
        status: HTTP status, 2xx.
        content: The body, decompressed.
        request_id: PagerDuty's id of the request.
        operation, method, writes: The request's operation and HTTP method, and whether it changes state.
    """

    status: int
    content: bytes = field(repr=False)
    request_id: str | None = None
    operation: str
    method: str
    writes: bool

    def json(self) -> dict[str, Any]:
        """Parse the body; return `{}` when a response may have none (202, 204, 205, and DELETE).

        Raises:
            TransportError: it is not a JSON object, is nested too deep, or is missing where one is required.
        """
        if not self.content.strip():
            if self.status in _BODILESS or self.method == "DELETE":
                return {}
            raise self._unreadable("is empty")
        try:
            body = orjson.loads(self.content)
            if len(self.content) > _SMALL or self.content.count(b"{") + self.content.count(b"[") > _DEEPEST:
                orjson.dumps(body)  # refuses deeper nesting, because functions that walk the body recurse
        except orjson.JSONDecodeError:
            raise self._unreadable("is not a JSON object") from None
        except orjson.JSONEncodeError:
            raise self._unreadable("is nested too deep") from None
        if not isinstance(body, dict):
            raise self._unreadable("is not a JSON object")
        return body

    def _unreadable(self, problem: str) -> TransportError:
        return unreadable(problem, self.status, self.operation, writes=self.writes)


@define(eq=False)
class Grant:
    """Permission to send one request, once. Only `Dispatch` asks for one, after policy and the intent's record."""

    _request: Request = field(repr=False)
    _issuer: Transport = field(repr=False)
    _used: bool = False

    def redeem(self, request: Request, transport: Transport) -> None:
        """Mark the grant as used.

        Raises:
            RuntimeError: it was used before, or is for another request.
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
        leases: Leases | None = None,
        max_body: int = _MAX_BODY,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = uniform,
    ) -> None:
        """Make a transport; nothing is opened before the first call.

        Args:
            base_url: The API's origin.
            accept: The requested media type.
            key_prefix: The text before an API key in `Authorization`.
            transport: A transport of httpx or httpx2 to send through; its owner closes it.
            proxy: The proxy for hosts beyond this machine.
            leases: The leases by which processes share the rate limit; None when they do not.
            max_body: Bytes of body that are accepted, decompressed.
            attempts: The most tries of a request, without those that the rate limit refuses.
            sleep: Waits for a number of seconds.
            uniform: Returns a random number between two, which spreads the retries of many callers over time.

        Raises:
            ConfigError: the address is not https, unless it is this machine's own, or holds more than an origin.
        """
        self.origin, self._key_prefix = origin(base_url), key_prefix
        parts = urlsplit(self.origin)
        self._tls = parts.scheme == "https"
        self._proxy = proxy if proxy is not None and proxy.serves(parts.hostname or "") else None
        self._max_body, self._attempts = max_body, attempts
        self._sleep, self._uniform = sleep, uniform
        self._injected: HttpBackend | None = None
        if transport is not None:
            from arx_wrapper.transport.httpx_backend import HttpxBackend

            self._injected = HttpxBackend(transport)
        # A caller that supplies a transport is taken to control the server as well.
        self._server = self.origin if transport is None else id(transport)
        self._leases = leases if transport is None else None
        self._headers = (
            ("Host", self.origin.partition("://")[2]),
            ("Accept", accept),
            ("Accept-Encoding", "gzip"),
            ("Content-Type", "application/json"),
            ("User-Agent", f"arx-pagerduty/{__version__}"),
        )
        self._shared: Shared | None = None
        self._authorized: tuple[Credentials, Secret] | None = None
        self._closed = False

    def grant(self, request: Request) -> Grant:
        """Return the permission to send this request once."""
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

        Reads are tried again after connection errors, time-outs, 429 and 500, 502, 503, 504. Writes are tried again
        only when they cannot have been processed: when no connection could be made, or after 429. A request is tried
        five times, or ten times when the rate limit refuses it. A 429 whose wait is longer than the budget is raised at
        once.

        Args:
            request: The request.
            credentials: The credentials to send it with.
            grant: The permission for it, which this call uses.
            operation: The operation's name, for messages.
            writes: Whether the request changes state.
            deprecated: Whether PagerDuty is retiring the endpoint.
            agent_id: The agent for whose share of the rate limit the request waits.
            timeout: Seconds for the whole call, retries included.
            attempts: Gets an entry for every try, also when this raises or is cancelled.

        Raises:
            PagerDutyError: in the class for its status, or `TransportError` when no usable response arrived.
            ConfigError: the certificates that `SSL_CERT_FILE` names cannot be used. Nothing was sent.
        """
        grant.redeem(request, self)
        if self._closed:
            raise TransportError("the connector was closed", outcome="not_sent", operation=operation)
        budget, loop, shared = _TOTAL if timeout is None else timeout, asyncio.get_running_loop(), self._shared
        fingerprint = credentials.fingerprint
        if shared is None or shared.loop is not loop or shared.key[1] != fingerprint or shared.state.ended:
            shared = self._shared = await self._share(fingerprint)
        sending = Sending(
            http=self._on_the_wire(request, credentials),
            secret=credentials.api_key,
            operation=operation,
            writes=writes,
            deprecated=deprecated,
            agent_id=agent_id,
            attempts=attempts if attempts is not None else [],
            deadline=loop.time() + budget,
            rate_limiter=shared.rate_limiter,
            pool=shared.pool,
        )
        try:
            return await self._until_final(sending)
        except TimeoutError:
            overdue = overdue_error(sending, budget)
        raise overdue  # without the frames of the time-out

    async def aclose(self) -> None:
        """Close the connections, unless another transport uses them; refuse further requests."""
        self._closed = True
        if self._injected is not None:
            await self._injected.aclose()
        await release(self)

    async def rate_limiter(self, credentials: Credentials) -> RateLimiter:
        """Return the rate limit that all callers with these credentials share in this event loop."""
        return (await current()).rate_limiter((self._server, credentials.fingerprint), self._leases)

    async def _share(self, fingerprint: str) -> Shared:
        """Return the connections and the rate limit that this loop's requests with a key share."""
        if self._tls and self._injected is None:
            tls()  # raises for an unusable file of certificates, before a try is counted
        user = None if self._injected else self
        return (await current()).shared((self._server, fingerprint), self._leases, user=user)

    def _on_the_wire(self, request: Request, credentials: Credentials) -> HttpRequest:
        target = request.path
        if request.query:
            target += "?" + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in request.query)
        authorized = self._authorized  # read once: a thread with another loop may send with other credentials
        if authorized is None or authorized[0] is not credentials:
            scheme = "Bearer " if credentials.scheme == "Bearer" else self._key_prefix
            authorized = self._authorized = credentials, Secret(scheme + credentials.api_key.reveal())
        return HttpRequest(
            method=request.method,
            origin=self.origin,
            target=target,
            headers=(*self._headers, *request.headers),
            authorization=authorized[1],
            content=msgspec.json.encode(request.json) if request.method in ("POST", "PUT") else b"",
        )

    async def _until_final(self, sending: Sending) -> Response:
        """Try until there is a final response, or until the request must not be tried again.

        Raises:
            TimeoutError: the deadline has passed.
        """
        pause, tried, limited = FIRST_PAUSE, 0, 0
        while True:
            tried += 1
            try:
                return await self._try(sending)
            except PagerDutyError as error:
                # The rate limiter waits after a 429, for all callers together.
                turned_away = isinstance(error, RateLimitError)
                limited += turned_away
                enough = tried - limited >= self._attempts or limited >= PATIENCE * self._attempts
                left = sending.deadline - asyncio.get_running_loop().time()
                if enough or self._closed or not may_retry(error, writes=sending.writes, left=left):
                    raise
            if not turned_away:  # full jitter spreads the retries of callers whose requests failed together
                seconds = self._uniform(0, pause)
                log.debug("%s: trying again in %.2f s", sending.operation, seconds)
                async with asyncio.timeout_at(sending.deadline):
                    await self._sleep(seconds)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _try(self, sending: Sending) -> Response:
        """Wait for the rate limiter, send the request once, and describe the result in an attempt."""
        clock, rate_limiter = asyncio.get_running_loop().time, sending.rate_limiter
        window, waited = rate_limiter.window, 0.0
        if not rate_limiter.enter():
            asked = clock()
            window = await self._turn(sending)
            waited = round((clock() - asked) * 1000, 3)
        attempt, began, limits = Attempt(sent=False, waited_ms=waited), clock(), dict[str, str]()
        sending.attempts.append(attempt)
        try:
            attempt.status, limits, result = await self._exchange(sending, attempt)
            attempt.request_id = result.request_id
            if isinstance(result, PagerDutyError):
                raise result
            return result
        except ArxError as error:
            attempt.error = type(error).__name__
            if isinstance(error, TransportError) and error.outcome == "not_sent" and attempt.status is None:
                attempt.sent = False
            if isinstance(error, RateLimitError):
                log.debug("%s: rate limited, all callers of the key wait", sending.operation)
                rate_limiter.block(rate_limit_pause(error))
            raise
        except BaseException as error:  # cancelled, or past the deadline
            attempt.error = type(error).__name__
            raise
        finally:
            attempt.duration_ms = round((clock() - began) * 1000, 3)
            if log.isEnabledFor(logging.DEBUG):
                log_attempt(sending)
            answered = attempt.status is not None and attempt.status < 400
            rate_limiter.release(limits, answered=answered, window=window)

    async def _turn(self, sending: Sending) -> int:
        """Wait until the rate limiter permits the request; return the window of the allowance that it belongs to.

        Raises:
            RateLimitError: the key is blocked, after a 429, for longer than this call may take.
            TimeoutError: the deadline has passed.
        """
        wait = sending.rate_limiter.paused_for()
        if wait and asyncio.get_running_loop().time() + wait > sending.deadline:
            raise RateLimitError(
                f"the API requires a wait of {wait:.0f} s more before this key's next request. Nothing was sent",
                retry_after=wait,
                status=429,
                operation=sending.operation,
            )
        async with asyncio.timeout_at(sending.deadline):
            return await sending.rate_limiter.acquire(sending.agent_id)

    async def _exchange(
        self, sending: Sending, attempt: Attempt
    ) -> tuple[int, dict[str, str], Response | PagerDutyError]:
        """Send the request; return the status, the rate limit's headers, and the result.

        Errors of the backend become `TransportError`, without the backend's frames.
        """
        # A try that is cancelled after a byte was written counts as sent, unless a response shows that it was refused.
        on_send = partial(setattr, attempt, "sent", True)
        outcome: Literal["not_sent", "unknown"] = "unknown"
        try:
            if sending.pool is not None:
                response = await sending.pool.send(sending.http, self._proxy, self._max_body, on_send, sending.deadline)
            else:
                assert self._injected is not None  # noqa: S101 - there is one or the other
                async with asyncio.timeout_at(sending.deadline):
                    response = await self._injected.send(sending.http, self._max_body, on_send)
            status, headers, content = response
            limits: dict[str, str] = {}
            if "ratelimit-limit" in headers:
                given = ((name, headers.get(name, "")) for name in _LIMITS)
                limits = {name: text for name, text in given if text.replace(".", "", 1).isdigit()}
            if 200 <= status < 300:
                return status, limits, self._success(sending, status, headers.get("x-request-id"), content)
            error = failure(status, headers, content, sending.operation, sending.deprecated, sending.secret)
            return status, limits, error
        except ConnectFailed as error:
            problem, outcome = f"no connection to {self.origin} ({error})", "not_sent"
        except ResponseLost as error:
            problem = f"the connection broke before the response was complete ({error})"
        except ResponseTooLarge:
            problem = f"the response is larger than {self._max_body:,} bytes"
        raise TransportError(problem, outcome=outcome, operation=sending.operation)

    def _success(self, sending: Sending, status: int, request_id: str | None, content: bytes) -> Response:
        if request_id is not None:
            plain = len(request_id) <= _LONGEST_ID and request_id.isprintable()
            request_id = sending.secret.masked(request_id) if plain else short(request_id, sending.secret)
        return Response(
            status=status,
            content=content,
            request_id=request_id,
            operation=sending.operation,
            method=sending.http.method,
            writes=sending.writes,
        )
