"""Determine the provenance of a call for its records: the process, and the trace and session of the agent.

Trace and session come from the caller's context: `correlate()`, or else the current OpenTelemetry span. The MCP server
uses those in a client's `_meta`.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from arx_wrapper._version import __version__
from arx_wrapper.config.sources import os_user

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_LONGEST: Final = 200
context: ContextVar[dict[str, str]] = ContextVar("arx_correlation", default={})  # noqa: B039 - never changed in place
"""The trace and session that `correlate()` has set."""


@contextmanager
def correlate(*, traceparent: str | None = None, session: str | None = None) -> Iterator[None]:
    """Record the calls made within this context as part of a trace and of a session.

    A malformed value is ignored, because a mistake here must not stop a call.

    Args:
        traceparent: The trace context in W3C's form, `00-<trace id>-<span id>-<flags>`.
        session: The agent's session or conversation: printable text of up to 200 characters.
    """
    found = dict(context.get())
    if isinstance(traceparent, str) and _TRACEPARENT.fullmatch(traceparent) and not traceparent.startswith("ff"):
        found |= {"trace_id": traceparent[3:35], "traceparent": traceparent}
    if isinstance(session, str) and session and session.isprintable() and len(session) <= _LONGEST:
        found["session"] = session
    token = context.set(found)
    try:
        yield
    finally:
        context.reset(token)


def correlation(trace_id: str | None = None) -> dict[str, str]:
    """Return the known ones of `trace_id`, `traceparent` and `session` in the caller's context.

    Args:
        trace_id: The trace of the call's own span, used when the context names none.
    """
    found, own = context.get(), {"trace_id": trace_id} if trace_id else {}
    return own | found if "trace_id" in found else own | _from_span() | found


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


def process_facts() -> Mapping[str, str | int]:
    """Return host, OS user, process id and version, named as in the records' metadata."""
    return _facts(os.getpid())


@lru_cache(maxsize=1)  # by process id, because a fork is another process
def _facts(process: int) -> Mapping[str, str | int]:
    return MappingProxyType(
        {"host": socket.gethostname(), "os_user": os_user(), "process": process, "version": __version__}
    )
