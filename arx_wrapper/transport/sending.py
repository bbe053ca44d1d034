"""Try a request until a response settles it, or it must not be tried again."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, Protocol

from attrs import define, field

from arx_wrapper.credentials import Credentials
from arx_wrapper.errors import ArxError, PagerDutyError, RateLimitError, ServerError, TransportError
from arx_wrapper.model import Request
from arx_wrapper.transport.backend import ConnectFailed, HttpResponse, ResponseLost, ResponseTooLarge
from arx_wrapper.transport.rate_limiter import LONGEST, RateLimiter
from arx_wrapper.transport.response import Attempt, Response, read

# Times as many of those tries that the rate limit turned away: other hosts may use the key, nothing was processed.
_PATIENCE: Final = 2
_RETRIED: Final = frozenset({500, 502, 503, 504})
_UNCOUNTED_PAUSE: Final = 1.0
LIMITS: Final = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_log = logging.getLogger("arx_wrapper.transport")


class Exchanger(Protocol):
    """Sends a request once; `Transport` is one."""

    origin: str
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    uniform: Callable[[float, float], float]

    @property
    def max_body(self) -> int: ...

    async def rate_limiter(self, credentials: Credentials) -> RateLimiter: ...

    async def exchange(
        self, request: Request, credentials: Credentials, on_send: Callable[[], None]
    ) -> HttpResponse: ...


@define(eq=False, kw_only=True)
class Sending:
    """The tries of one request.

    Attributes:
        transport: What carries them.
        request, credentials, operation, writes, deprecated, agent_id: As `Transport.send()` takes them.
        deadline: On the transport's clock; what would have to wait longer is not waited for.
        attempts: What became of each try; other requests of the call add to the same list.
        tried: How many tries were made.
        limited: How many of them the rate limit turned away.
    """

    transport: Exchanger
    request: Request
    credentials: Credentials
    operation: str
    writes: bool
    deprecated: bool
    agent_id: str
    deadline: float
    attempts: list[Attempt] = field(factory=list)
    tried: int = 0
    limited: int = 0

    async def run(self, tries: int) -> Response:
        """Try until a response settles it, and at most so often."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._try()
            except PagerDutyError as error:
                enough = self.tried - self.limited >= tries or self.limited >= _PATIENCE * tries
                if enough or not self._again(error):
                    raise
                # A rate limit is not waited out here but by the rate limiter, for all callers at once.
                limited = isinstance(error, RateLimitError)
            if not limited:  # full jitter: many callers whose requests failed together do not return together
                seconds = self.transport.uniform(0, pause)
                _log.debug("%s: trying again in %.2f s", self.operation, seconds)
                await self.transport.sleep(seconds)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _again(self, error: PagerDutyError) -> bool:
        """Return True when trying again cannot do anything twice, and the wait fits into the budget."""
        if isinstance(error, RateLimitError):
            wait = _UNCOUNTED_PAUSE if error.retry_after is None else error.retry_after
            return wait <= LONGEST and self.transport.clock() + wait <= self.deadline
        if isinstance(error, TransportError):
            return (error.outcome == "not_sent" and error.status is None) or (not self.writes and error.status is None)
        return isinstance(error, ServerError) and not self.writes and error.status in _RETRIED

    async def _try(self) -> Response:
        clock = self.transport.clock
        rate_limiter = await self.transport.rate_limiter(self.credentials)
        self._require_time(rate_limiter)
        asked = clock()
        await rate_limiter.acquire(self.agent_id)
        began = clock()
        waited = round((began - asked) * 1000, 3)
        index, sent, limits = len(self.attempts), False, dict[str, str]()
        status: int | None = None
        failure: str | None = None
        self.attempts.append(Attempt(sent=False, waited_ms=waited))
        self.tried += 1

        def on_send() -> None:
            nonlocal sent
            sent = True
            # A try that is cancelled from here on counts as sent, unless a response says otherwise.
            self.attempts[index] = Attempt(sent=True, waited_ms=waited)

        try:
            status, limits, result = await self._exchange(on_send)
            if isinstance(result, PagerDutyError):
                raise result
            return result
        except ArxError as error:
            failure = type(error).__name__
            sent = sent and not (isinstance(error, TransportError) and error.outcome == "not_sent" and status is None)
            if isinstance(error, RateLimitError):
                self.limited += 1
                _log.debug("%s: rate limited, all callers of the key wait", self.operation)
                rate_limiter.block(_UNCOUNTED_PAUSE if error.retry_after is None else error.retry_after)
            raise
        except BaseException as error:  # cancelled
            failure = type(error).__name__
            raise
        finally:
            took = round((clock() - began) * 1000, 3)
            self.attempts[index] = Attempt(sent=sent, status=status, error=failure, duration_ms=took, waited_ms=waited)
            outcome = status if failure is None else f"{failure}, status {status}"
            _log.debug("%s: attempt %d: %s, %.0f ms, waited %.0f ms", self.operation, self.tried, outcome, took, waited)
            rate_limiter.release(limits, answered=status is not None and status < 400)

    async def _exchange(self, on_send: Callable[[], None]) -> tuple[int, dict[str, str], Response | PagerDutyError]:
        """Send the request; return the status, what the response says of the rate limit, and its result.

        Errors of the backend become `TransportError`, without the backend's frames.
        """
        transport = self.transport
        outcome: Literal["not_sent", "unknown"] = "unknown"
        try:
            status, headers, content = await transport.exchange(self.request, self.credentials, on_send)
            limits = {name: headers[name] for name in LIMITS if headers.get(name, "").replace(".", "", 1).isdigit()}
            return status, limits, self._read(status, headers, content)
        except ConnectFailed as error:
            problem, outcome = f"no connection to {transport.origin} ({error})", "not_sent"
        except ResponseLost as error:
            problem = f"the connection broke before the response was complete ({error})"
        except ResponseTooLarge:
            problem = f"the response is larger than {transport.max_body:,} bytes"
        raise TransportError(problem, outcome=outcome, operation=self.operation)

    def _read(self, status: int, headers: Mapping[str, str], content: bytes) -> Response | PagerDutyError:
        return read(
            status,
            headers,
            content,
            operation=self.operation,
            method=self.request.method,
            writes=self.writes,
            deprecated=self.deprecated,
            secret=self.credentials.api_key,
        )

    def _require_time(self, rate_limiter: RateLimiter) -> None:
        """Raise at once when the key is paused, after a 429, for longer than this call may take."""
        wait = rate_limiter.paused_for()
        if wait and self.transport.clock() + wait > self.deadline:
            raise RateLimitError(
                f"the API asked to wait {wait:.0f} s more before this key's next request. Nothing was sent",
                retry_after=wait,
                status=429,
                operation=self.operation,
            )
