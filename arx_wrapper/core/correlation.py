"""Correlation: which trace and which session of an agent a call belongs to, as its records say.

The caller's context tells: `correlate()`, or else the current OpenTelemetry span. The MCP server passes on what a
client's `_meta` says.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_LONGEST: Final = 200
_current: ContextVar[dict[str, str]] = ContextVar("arx_correlation", default={})  # noqa: B039 - never changed in place


@contextmanager
def correlate(*, traceparent: str | None = None, session: str | None = None) -> Iterator[None]:
    """Record calls within as part of a trace and of a session.

    What cannot be one is left out: a caller's mistake here must not stop a call.

    Args:
        traceparent: The trace context in W3C's form, `00-<trace id>-<span id>-<flags>`.
        session: The agent's session or conversation: printable text of up to 200 characters.
    """
    found = dict(_current.get())
    if isinstance(traceparent, str) and _TRACEPARENT.fullmatch(traceparent) and not traceparent.startswith("ff"):
        found |= {"trace_id": traceparent[3:35], "traceparent": traceparent}
    if isinstance(session, str) and session and session.isprintable() and len(session) <= _LONGEST:
        found["session"] = session
    token = _current.set(found)
    try:
        yield
    finally:
        _current.reset(token)


def correlation() -> dict[str, str]:
    """Return `trace_id`, `traceparent` and `session` of the caller's context, as far as they are known."""
    found = _current.get()
    return dict(found) if "trace_id" in found else {**_from_span(), **found}


def _from_span() -> dict[str, str]:
    """Return the trace of the current OpenTelemetry span, in a process that has loaded OpenTelemetry."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    trace_id = f"{context.trace_id:032x}"
    return {"trace_id": trace_id, "traceparent": f"00-{trace_id}-{context.span_id:016x}-{context.trace_flags:02x}"}
