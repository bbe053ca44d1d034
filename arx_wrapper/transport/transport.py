"""One request on the wire: granted once, paced, sent, retried only where that is safe, read within bounds."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote
from weakref import WeakKeyDictionary

import msgspec
from attrs import define, field

from arx_wrapper._version import __version__
from arx_wrapper.credentials import Credentials
from arx_wrapper.errors import (
    ArxError,
    PagerDutyError,
    RateLimitError,
    ServerError,
    TransportError,
)
from arx_wrapper.model import Request
from arx_wrapper.transport.backend import ConnectFailed, HttpBackend, ResponseLost, ResponseTooLarge
from arx_wrapper.transport.rate_limiter import RateLimiter
from arx_wrapper.transport.response import Attempt, Response, read
from arx_wrapper.urls import origin

if TYPE_CHECKING:
    import httpx

    from arx_wrapper.transport.httpx_backend import HttpxBackend

_TOTAL: Final = 120.0
_ATTEMPTS: Final = 5
# Times as many of those that the rate limit turned away: other hosts may use the key, and nothing was processed.
_PATIENCE: Final = 2
_RETRIED: Final = frozenset({500, 502, 503, 504})
_MAX_BODY: Final = 64 * 1024 * 1024
_UNCOUNTED_PAUSE: Final = 1.0


@define(eq=False)
class Grant:
    """Leave to send one request, once. Issued by the pipeline after everything before sending has passed."""

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
    """PagerDuty at one address.

    Connections are shared by all wires of an event loop; so is the rate limit of a key.
    """

    def __init__(
        self,
        *,
        base_url: str,
        accept: str = "application/json",
        key_prefix: str = "Bearer ",
        transport: httpx.AsyncBaseTransport | None = None,
        max_body: int = _MAX_BODY,
        attempts: int = _ATTEMPTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a transport; nothing is opened before the first call.

        Raises:
            ConfigError: the address is not https, unless it is this machine's own, or holds more than an origin.
        """
        self._origin, self._key_prefix = origin(base_url), key_prefix
        self._max_body, self._attempts, self._clock = max_body, attempts, clock
        self._injected: HttpxBackend | None = None
        if transport is not None:
            from arx_wrapper.transport.httpx_backend import HttpxBackend

            self._injected = HttpxBackend(transport)
        self._headers = (
            ("Host", self._origin.partition("://")[2]),
            ("Accept", accept),
            ("Accept-Encoding", "gzip"),
            ("Content-Type", "application/json"),
            ("User-Agent", f"arx-pagerduty/{__version__}"),
        )
        self._pool: _SharedBackend | None = None

    def grant(self, request: Request) -> Grant:
        """Leave to send this request, once."""
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
        """Send a request and read its answer.

        Reads are tried again after connection errors, time-outs, 429 and 500, 502, 503, 504. Writes only when they
        cannot have been processed: when no connection came about, or after 429. Five times in all; ten times where it
        is the rate limit that turns them away.

        Args:
            operation: For messages.
            writes: Whether it changes state.
            deprecated: Whether PagerDuty is taking the endpoint out of service.
            agent_id: In whose turn it waits for the rate limit.
            timeout: Seconds for all of it.
            attempts: Gets an entry for every try, also when this raises or is cancelled.

        Raises:
            PagerDutyError: in the class for its status, or `TransportError` when no usable answer came.
        """
        grant.redeem(request, self)
        call = _Sending(self, request, credentials, operation, writes, deprecated, agent_id)
        call.attempts = attempts if attempts is not None else []
        budget = _TOTAL if timeout is None else timeout
        try:
            async with asyncio.timeout(budget):
                return await call.run(self._attempts)
        except TimeoutError:
            # What was answered with 429 was not processed; any other answer to a write ends the call.
            sent = any(attempt.sent and attempt.status != 429 for attempt in call.attempts)
            raise TransportError(
                f"no answer within {budget:g} s",
                outcome="unknown" if sent and writes else "not_sent",
                operation=operation,
            ) from None

    async def aclose(self) -> None:
        """Close the connections, once no other transport of the event loop uses them."""
        if self._injected is not None:
            await self._injected.aclose()
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.release()

    def rate_limiter(self, credentials: Credentials) -> RateLimiter:
        """The rate limit that these credentials share with everybody in this event loop."""
        rate_limiters = _RATE_LIMITERS.setdefault(asyncio.get_running_loop(), {})
        # A transport of one's own is a server of one's own.
        key = (self._origin if self._injected is None else id(self._injected.transport), credentials.fingerprint)
        found = rate_limiters.get(key)
        if found is None:
            found = rate_limiters[key] = RateLimiter()
        return found

    def backend(self) -> HttpBackend:
        """What carries the requests."""
        if self._injected is not None:
            return self._injected
        if self._pool is None or self._pool.loop is not asyncio.get_running_loop():
            self._pool = _SharedBackend.join()
        return self._pool.backend

    async def exchange(
        self, request: Request, credentials: Credentials, operation: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request and read what comes back: status, headers, body.

        Raises:
            TransportError: nothing that could be read came back.
        """
        target = request.path
        if request.query:
            target += "?" + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in request.query)
        scheme = "Bearer " if credentials.scheme == "Bearer" else self._key_prefix
        headers = [*self._headers, ("Authorization", scheme + credentials.api_key), *request.headers]
        content = b""
        outcome: Literal["not_sent", "unknown"] = "unknown"
        if request.method in ("POST", "PUT"):
            content = b"" if request.json is None else msgspec.json.encode(request.json)
            headers.append(("Content-Length", str(len(content))))
        try:
            return await self.backend().carry(request.method, self._origin + target, headers, content, self._max_body)
        except ConnectFailed as error:
            problem, outcome = f"no connection to {self._origin} ({error})", "not_sent"
        except ResponseLost as error:
            problem = f"the connection broke before the answer was complete ({error})"
        except ResponseTooLarge:
            problem = f"the answer is larger than {self._max_body:,} bytes"
        raise TransportError(problem, outcome=outcome, operation=operation)


@define(eq=False)
class _Sending:
    """One call's way: tries, and what they left behind."""

    transport: Transport
    request: Request
    credentials: Credentials = field(repr=False)
    operation: str
    writes: bool
    deprecated: bool
    agent_id: str
    attempts: list[Attempt] = field(factory=list)  # of others at the same time, too: the pages of one list
    tried: int = 0
    limited: int = 0

    async def run(self, tries: int) -> Response:
        try:
            return await self._try()
        except PagerDutyError as error:
            if tries <= 1 or not self._again(error):
                raise
        import tenacity  # only now: most calls never need it

        full_jitter = tenacity.wait_random_exponential(multiplier=0.2, max=5.0)

        def enough(state: tenacity.RetryCallState) -> bool:
            return self.tried - self.limited >= tries or self.limited >= _PATIENCE * tries

        def pause(state: tenacity.RetryCallState) -> float:
            # A rate limit is not waited out here but by the rate limiter, before each try, for all callers at once.
            limited = state.outcome and isinstance(state.outcome.exception(), RateLimitError)
            return 0.0 if limited else full_jitter(state)

        await asyncio.sleep(random.uniform(0, 0.2))  # noqa: S311 - spreads callers, keeps no secret
        again = tenacity.retry_if_exception(self._again)
        return await tenacity.AsyncRetrying(retry=again, stop=enough, wait=pause, reraise=True)(self._try)

    def _again(self, error: BaseException) -> bool:
        """Whether trying again cannot do anything twice."""
        if isinstance(error, RateLimitError):
            return True
        if isinstance(error, TransportError):
            return (error.outcome == "not_sent" and error.status is None) or (not self.writes and error.status is None)
        return isinstance(error, ServerError) and not self.writes and error.status in _RETRIED

    async def _try(self) -> Response:
        rate_limiter = self.transport.rate_limiter(self.credentials)
        asked = self.transport._clock()
        await rate_limiter.acquire(self.agent_id)
        waiting = round((self.transport._clock() - asked) * 1000, 3)
        index, began = len(self.attempts), self.transport._clock()
        # Until an answer says otherwise, a cancelled try has to be taken for sent.
        self.attempts.append(Attempt(sent=True, waited_ms=waiting))
        self.tried += 1
        headers: Mapping[str, str] = {}
        sent, status, failure = True, None, None
        try:
            status, headers, content = await self.transport.exchange(self.request, self.credentials, self.operation)
            return read(
                status, headers, content, operation=self.operation, writes=self.writes, deprecated=self.deprecated
            )
        except ArxError as error:
            failure = type(error).__name__
            sent = not (isinstance(error, TransportError) and error.outcome == "not_sent" and error.status is None)
            if isinstance(error, RateLimitError):
                self.limited += 1
                rate_limiter.block(_UNCOUNTED_PAUSE if error.retry_after is None else error.retry_after)
            raise
        except asyncio.CancelledError:
            failure = "CancelledError"
            raise
        finally:
            took = round((self.transport._clock() - began) * 1000, 3)
            self.attempts[index] = Attempt(sent=sent, status=status, error=failure, duration_ms=took, waited_ms=waiting)
            rate_limiter.release(headers, answered=status is not None and status < 400)


class _SharedBackend:
    """The connections of one event loop, counted by the wires that use them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        from arx_wrapper.transport.aiohttp_backend import AiohttpBackend

        self.loop, self.backend, self._users = loop, AiohttpBackend(), 0

    @classmethod
    def join(cls) -> _SharedBackend:
        loop = asyncio.get_running_loop()
        pool = _SHARED_BACKENDS.get(loop)
        if pool is None:
            pool = _SHARED_BACKENDS[loop] = cls(loop)
        pool._users += 1
        return pool

    async def release(self) -> None:
        self._users -= 1
        if self._users == 0 and _SHARED_BACKENDS.get(self.loop) is self:
            del _SHARED_BACKENDS[self.loop]
            if self.loop is asyncio.get_running_loop():
                await self.backend.aclose()


_SHARED_BACKENDS: WeakKeyDictionary[asyncio.AbstractEventLoop, _SharedBackend] = WeakKeyDictionary()
_RATE_LIMITERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, RateLimiter]] = WeakKeyDictionary()
