"""Find out what became of a write whose response was lost or a 5xx: by reading, never by writing again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from arx_wrapper.errors import ArxError, PagerDutyError, ServerError, TransportError
from arx_wrapper.model import Lookup, Params, Recovery

# Seconds before each lookup of a write's effect: by the last one the effect would have to be there.
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
    """Look for the effect of a write, a few times.

    Args:
        recovery: The operation's own way to find it.
        lost: The error that the write ended with.
        lookup: Reads one response.
        params: The parameters that were sent.
        began: When the write began, aware.
        sleep: Waits so many seconds.

    Returns:
        The body that the lost response would have had; None when there is no effect, and that is certain.

    Raises:
        PagerDutyError: `lost`, when it is still not known what became of the write.
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
