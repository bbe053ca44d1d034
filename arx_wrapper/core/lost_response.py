"""Look up the effect of a write whose response was lost or is a 5xx, by reading, never by writing again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from arx_wrapper.errors import ArxError, PagerDutyError, ServerError, TransportError
from arx_wrapper.model import Lookup, Params, Recovery

# Seconds before each lookup of a write's effect. By the last lookup the effect would have to exist.
PAUSES: Final = (0.0, 0.25, 1.0, 3.0)


class InconclusiveError(Exception):
    """The effect that was found may be older than the write."""


# A lookup that failed or was inconclusive, or whose response has an unexpected form.
_NO_EVIDENCE: Final = (ArxError, InconclusiveError, AttributeError, LookupError, TypeError, ValueError)


async def recover(
    recovery: Recovery,
    lost: PagerDutyError,
    *,
    lookup: Lookup,
    params: Params,
    began: datetime,
    sleep: Callable[[float], Awaitable[object]],
) -> dict[str, Any] | None:
    """Look up the effect of a write, a few times.

    Args:
        recovery: The operation's rule for finding it.
        lost: The error that ended the write.
        lookup: Reads one response.
        params: The parameters that were sent.
        began: The time at which the write began, aware.
        sleep: Waits for a number of seconds.

    Returns:
        The body that the lost response would have had; None when the write certainly had no effect.

    Raises:
        PagerDutyError: `lost`, when the effect is still unknown.
    """
    if recovery.find is None:
        raise lost
    for pause in PAUSES:
        await sleep(pause)
        try:
            found = await recovery.find(lookup, params, began)
        except _NO_EVIDENCE:
            raise lost from None
        if found is not None:
            return found
    if recovery.absence is None:
        raise lost
    return None


def not_done(lost: PagerDutyError, absence: str, operation: str) -> PagerDutyError:
    """Return the error of a write that certainly had no effect."""
    if isinstance(lost, ServerError):
        return ServerError(
            f"{lost.message}; {absence}",
            status=lost.status,
            code=lost.code,
            errors=lost.errors,
            request_id=lost.request_id,
            operation=operation,
        )
    return TransportError(f"the response was lost, and {absence}", outcome="not_sent", operation=operation)
