"""Define the request for, and the lease of, a part of a rate limit that many processes share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Allowance(NamedTuple):
    """The rate limit in a response's headers.

    Attributes:
        limit: Calls in a window; 0 when responses state no limit.
        left: Remaining calls in this window.
        seconds: Seconds until the window ends.
    """

    limit: int
    left: int
    seconds: float


class LeaseRequest(NamedTuple):
    """A request for a part of the allowance.

    Attributes:
        subject: The address and the account that the limit is for.
        holder: A number that identifies the requesting process and event loop.
        wants: The number of calls that it wants to send; 0 to report only.
        keeps: The calls of its last lease that it has not sent yet, and still intends to send.
        spent: The calls that it has sent since its last request.
        window: The window of these calls, from `Lease.window`; 0 at first.
        seen: The allowance in responses to calls of that window; None when there was no response.
        ends: The seconds until that window ends, by these responses.
        seconds: The duration of the requested lease.
    """

    subject: str
    holder: str
    wants: int
    keeps: int
    spent: int
    window: int
    seen: Allowance | None
    ends: float
    seconds: float


class Lease(NamedTuple):
    """The part of the allowance that a request was granted.

    Attributes:
        window: The window in which it is valid.
        calls: The number of calls that may be sent.
        limit: Calls in a window; 0 when there is no limit, None when it is unknown.
        lasts: Seconds for which the calls may be sent.
        retry: Seconds after which another request may be granted more.
    """

    window: int
    calls: int
    limit: int | None
    lasts: float
    retry: float


class Leases(Protocol):
    """Grants leases of a rate limit that processes share."""

    def ask(self, request: LeaseRequest, answer: Callable[[Lease | None], None]) -> None:
        """Request a part of the allowance, without waiting.

        Args:
            request: The request.
            answer: Called on any thread with the lease, or with None when none could be granted.
        """
        ...
