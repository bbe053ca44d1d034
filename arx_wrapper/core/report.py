"""The report of a dispatch: what was sent for a call, and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from attrs import field, frozen

from arx_wrapper.model import JSON

if TYPE_CHECKING:
    from arx_wrapper.transport import Attempt


@frozen(kw_only=True)
class Report:
    """Everything that was sent for a call, and everything that came back.

    Attributes:
        attempts: Every attempt of the call itself, retries included.
        responses: How many requests got a response, lookups included.
        lookups: How many attempts read the state of what the call changes.
        digest: SHA-256 over all responses in their order.
        after: The object in a write's response.
        records: How many records an iteration handed out; None for a call that is none.
        account: Fingerprint of the credentials that were used last; None when none were read.
        requester: The user that a write was sent for; None for reads.
        hidden: How many values were hidden from the caller, by the glob that hides them.
        recovery: What was found out of a write whose response was lost: its effect (`found`), or that it has none
            (`absent`); None when nothing was lost, or nothing is known.
    """

    attempts: tuple[Attempt, ...] = ()
    responses: int = 0
    lookups: int = 0
    digest: bytes = b""
    after: JSON | None = None
    records: int | None = None
    account: str | None = None
    requester: str | None = None
    hidden: Mapping[str, int] = field(factory=dict)
    recovery: Literal["found", "absent"] | None = None

    @property
    def sent(self) -> bool:
        """True when anything may have reached the API."""
        return any(attempt.sent for attempt in self.attempts)
