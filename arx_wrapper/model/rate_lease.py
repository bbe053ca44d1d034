"""A process's part of a rate limit that many processes keep to: what it asks for, and what it gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Allowance(NamedTuple):
    """The rate limit as a response told it.

    Attributes:
        limit: Calls in a window; 0 when responses tell of no limit.
        left: Calls that are left in this window.
        seconds: Until the window ends.
    """

    limit: int
    left: int
    seconds: float


class LeaseRequest(NamedTuple):
    """A request for a part of the allowance.

    Attributes:
        subject: The address and the account that the limit is for.
        holder: Who asks: a number of its own for each process and event loop.
        wants: Calls that it would like to send; 0 to report alone.
        keeps: Calls of its last lease that it has not sent yet, and still means to send.
        spent: Calls that it has sent since it last asked.
        window: The window that these are of, as `Lease.window` named it; 0 at first.
        seen: What responses to calls of that window told; None when none has come.
        seconds: How long it keeps what it gets.
    """

    subject: str
    holder: str
    wants: int
    keeps: int
    spent: int
    window: int
    seen: Allowance | None
    seconds: float


class Lease(NamedTuple):
    """The part that a request got.

    Attributes:
        window: The window that it is valid in.
        calls: Calls that may be sent.
        limit: Calls in a window; 0 when there is no limit, None when it is not known yet.
        lasts: Seconds for which they may be sent.
        retry: Seconds after which asking again may give more.
    """

    window: int
    calls: int
    limit: int | None
    lasts: float
    retry: float


class Leases(Protocol):
    """The place where processes share a rate limit."""

    def ask(self, request: LeaseRequest, answer: Callable[[Lease | None], None]) -> None:
        """Ask for a part of the allowance. Does not wait.

        Args:
            request: What is asked for.
            answer: Called on any thread, with None when there is no answer to be had.
        """
        ...
