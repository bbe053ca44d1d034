"""Hold the state of one request while it is sent: its final form, its deadline and its attempts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from attrs import define

from arx_wrapper.credentials import Secret
from arx_wrapper.errors import TransportError
from arx_wrapper.transport.backend import HttpRequest
from arx_wrapper.transport.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from arx_wrapper.transport.connection_pool import ConnectionPool

log: Final = logging.getLogger("arx_wrapper.transport")


@define(kw_only=True)
class Attempt:
    """One try of a request, updated while it runs.

    Attributes:
        sent: Whether bytes may have reached the server.
        status: The response's HTTP status; None when there was none.
        error: The error's class, when it failed.
        duration_ms: Milliseconds from sending to the end of the response.
        waited_ms: Milliseconds of waiting for the rate limit before it.
        request_id: PagerDuty's id of the request; None when no response named one.
    """

    sent: bool
    status: int | None = None
    error: str | None = None
    duration_ms: float = 0.0
    waited_ms: float = 0.0
    request_id: str | None = None


@define(eq=False, kw_only=True)
class Sending:
    """One request that is being sent.

    Attributes:
        http: The request in its final form.
        secret: The key that it is sent with.
        operation, writes, deprecated, agent_id, attempts: The arguments of `Transport.send()`.
        deadline: The time by which it must have a response, by the loop's clock.
        rate_limiter: Paces the key's requests.
        pool: The connections; None when the caller supplied a transport.
    """

    http: HttpRequest
    secret: Secret
    operation: str
    writes: bool
    deprecated: bool
    agent_id: str
    attempts: list[Attempt]
    deadline: float
    rate_limiter: RateLimiter
    pool: ConnectionPool | None


def overdue_error(sending: Sending, budget: float) -> TransportError:
    """Return the error of a call whose budget of seconds is used up."""
    # A request that got a 429 was not processed; any other response to a write ends the call.
    sent = any(attempt.sent and attempt.status != 429 for attempt in sending.attempts)
    return TransportError(
        f"no response within {budget:g} s",
        outcome="unknown" if sent and sending.writes else "not_sent",
        operation=sending.operation,
    )


def log_attempt(sending: Sending) -> None:
    """Log the last attempt, at level DEBUG."""
    number, attempt = len(sending.attempts), sending.attempts[-1]
    result = f"{attempt.error}, status {attempt.status}" if attempt.error else f"{attempt.status}"
    took, waited = attempt.duration_ms, attempt.waited_ms
    log.debug("%s: attempt %d: %s, %.0f ms, waited %.0f ms", sending.operation, number, result, took, waited)
