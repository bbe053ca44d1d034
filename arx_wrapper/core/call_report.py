"""Define the report of one call: the requests that were sent for it, and their responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from attrs import field, frozen

from arx_wrapper.model import JSON

if TYPE_CHECKING:
    from arx_wrapper.transport import Attempt


@frozen(kw_only=True, eq=False)
class CallReport:
    """The requests that were sent for a call, and their responses.

    Attributes:
        attempts: Every attempt of the call itself, retries included.
        responses: The number of requests that got a response, lookups included.
        lookups: The number of attempts that read the state of the call's target.
        digest: SHA-256 over all responses in their order.
        after: The object in a write's response.
        records: The number of records that an iteration yielded; None for any other call.
        account: Fingerprint of the credentials that were used last; None when none were read.
        requester: The user for whom a write was sent; None for reads.
        hidden: The number of values hidden from the caller, by the glob that hides them.
        recovery: The result of looking up a write whose response was lost: `found` when it took effect, `absent` when
            it certainly did not. None when no response was lost, or the result is unknown.
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
