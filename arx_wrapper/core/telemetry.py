"""Emit an OpenTelemetry span and two metrics for every governed call, in a process that uses OpenTelemetry.

Spans are named by operation. They hold the caller, the verdict and the outcome, never parameters. The host program
configures the exporter; without an SDK nothing is exported, at almost no cost.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

from arx_wrapper._version import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.trace import Span, Tracer

    from arx_wrapper.audit import Entry

_SCOPE: Final = "arx_wrapper"
_MEASURED: Final = ("arx.verdict", "arx.status")


class Telemetry:
    """The instruments of this process."""

    def __init__(self, tracer: Tracer, calls: Counter, duration: Histogram) -> None:
        self._tracer, self._calls, self._duration = tracer, calls, duration

    def start(self, operation: str, agent_id: str, org_id: str) -> Observed:
        """Start the span of a call, as a child of the caller's span."""
        from opentelemetry.trace import SpanKind

        attributes = {"arx.operation": operation, "arx.agent_id": agent_id, "arx.org_id": org_id}
        span = self._tracer.start_span(f"arx {operation}", kind=SpanKind.CLIENT, attributes=attributes)
        return Observed(self, span, operation)

    def count(self, labels: Mapping[str, str], seconds: float) -> None:
        self._calls.add(1, labels)
        self._duration.record(seconds, labels)


class Observed:
    """The span of one call."""

    def __init__(self, telemetry: Telemetry, span: Span, operation: str) -> None:
        self._telemetry, self._span, self._operation = telemetry, span, operation

    @property
    def trace_id(self) -> str | None:
        """Return the id of the trace that the call's span belongs to, as hex; None when nothing is traced."""
        context = self._span.get_span_context()
        return f"{context.trace_id:032x}" if context.is_valid else None

    def end(self, entry: Entry, attempts: int = 0) -> None:
        """End the span of a call with the attributes of its last audit entry."""
        from opentelemetry.trace import Status, StatusCode

        attributes: dict[str, str | int | None] = {
            "arx.risk": entry.risk,
            "arx.verdict": entry.policy_verdict,
            "arx.policy": entry.policy,
            "arx.approval_id": entry.approval_id,
            "arx.status": entry.status,
            "arx.intent_id": entry.intent_id,
            "arx.attempts": attempts,
        }
        given = {name: value for name, value in attributes.items() if value is not None}
        self._span.set_attributes(given)
        if entry.error:
            self._span.set_attribute("error.type", entry.error)
            self._span.set_status(Status(StatusCode.ERROR, entry.error))
        self._span.end()
        labels = {"arx.operation": self._operation}
        labels |= {str(name): str(given[name]) for name in _MEASURED if name in given}
        self._telemetry.count(labels, (entry.duration_ms or 0.0) / 1000)


def observe(operations: Container[str], operation: object, agent_id: str, org_id: str) -> Observed:
    """Start the span of a call, in a process that has loaded OpenTelemetry."""
    shown = operation if isinstance(operation, str) and operation in operations else "unknown"
    return _instruments().start(shown, agent_id, org_id)


@cache
def _instruments() -> Telemetry:
    from opentelemetry import metrics, trace

    meter = metrics.get_meter(_SCOPE, __version__)
    return Telemetry(
        trace.get_tracer(_SCOPE, __version__),
        meter.create_counter("arx.calls", unit="{call}", description="Governed calls."),
        meter.create_histogram("arx.call.duration", unit="s", description="From the call to its outcome."),
    )
