"""Calls are told to OpenTelemetry."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from mcp import Client
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from arx_wrapper import (
    AuditError,
    NotFoundError,
    PagerDutyConnector,
    PermissionDeniedError,
    PolicyError,
    UnknownOperationError,
)
from arx_wrapper.core.telemetry import _instruments
from arx_wrapper.mcp.server import ToolServer
from arx_wrapper.mcp.tools import Tools
from tests.support import CANARY, EVERYTHING, trail
from tests.test_governed_answers import CANARIES, planted, seen_by

SPANS, READER = InMemorySpanExporter(), InMemoryMetricReader()
NO_DELETES = {**EVERYTHING, "deny": ["services:delete"]}


@pytest.fixture(scope="module", autouse=True)
def providers() -> Iterator[None]:
    """Trace and measure, and trace no more afterwards: in a traced process every call has a trace of its own."""
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(SPANS))
    metrics.set_meter_provider(MeterProvider([READER]))
    with pytest.MonkeyPatch.context() as patch:  # OpenTelemetry's own function sets a provider for good
        patch.setattr("opentelemetry.trace._TRACER_PROVIDER", tracing)
        yield
    _instruments.cache_clear()  # they hold a tracer of that provider


@pytest.fixture(autouse=True)
def empty() -> None:
    SPANS.clear()


def counted() -> dict[tuple[str, str], int]:
    data: Any = READER.get_metrics_data()
    found = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert found["arx.call.duration"].unit == "s"
    points = found["arx.calls"].data.data_points
    return {(point.attributes["arx.operation"], point.attributes["arx.status"]): point.value for point in points}


async def test_a_tool_call_is_a_span_by_the_conventions_with_the_governed_call_below_it() -> None:
    async with (
        PagerDutyConnector.sandbox("agent-7", policies=[EVERYTHING]) as pd,
        Client(ToolServer(Tools(pd))) as client,
    ):
        await client.call_tool("teams_read", {}, meta={"session": "chat-7"})
    spans = {span.name: span for span in SPANS.get_finished_spans()}
    tool, governed = spans["tools/call teams_read"], spans["arx teams:read"]
    attributes = dict(tool.attributes or {})
    assert (
        attributes.items()
        >= {
            "mcp.method.name": "tools/call",
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "teams_read",
            "gen_ai.agent.id": "agent-7",
            "mcp.session.id": "chat-7",
        }.items()
    )
    assert governed.parent is not None
    assert governed.parent.span_id == tool.context.span_id


async def test_each_call_is_one_span_of_its_caller_that_says_how_it_ended() -> None:
    async with PagerDutyConnector.sandbox(policies=[NO_DELETES]) as pd:
        with trace.get_tracer("service").start_as_current_span("handling") as parent:
            await pd.acknowledge_incident("P1234AB")
        with pytest.raises(PermissionDeniedError):
            await pd.delete_service("PABC123")
        with pytest.raises(NotFoundError):
            await pd.get_user("PNOBODY")
        with pytest.raises(UnknownOperationError):
            await pd.execute(CANARY)
        records = await trail(pd)
    acknowledged, _, deleted, looked, unknown = SPANS.get_finished_spans()
    assert acknowledged.parent
    assert acknowledged.parent.span_id == parent.get_span_context().span_id
    assert records[0].metadata["trace_id"] == f"{parent.get_span_context().trace_id:032x}"
    assert acknowledged.name == "arx incidents:acknowledge"
    assert acknowledged.attributes["arx.status"] == "success"
    assert acknowledged.attributes["arx.intent_id"] == records[0].id
    assert acknowledged.attributes["arx.attempts"] == 1
    assert (deleted.attributes["arx.verdict"], deleted.attributes["arx.status"]) == ("DENY", "blocked")
    assert looked.attributes["error.type"] == "NotFoundError 404/2100"
    assert unknown.name == "arx unknown"
    assert all(span.end_time for span in SPANS.get_finished_spans())


async def test_calls_are_counted_and_no_parameter_or_secret_leaks() -> None:
    async with PagerDutyConnector.sandbox(agent_id="a", policies=[EVERYTHING]) as pd:
        before = counted().get(("incidents:add_note", "success"), 0)
        for _ in range(3):
            await pd.add_incident_note("P1234AB", CANARY)
        account = pd.sandbox_account
        assert account
        assert counted()["incidents:add_note", "success"] == before + 3
        spans = "".join(span.to_json() for span in SPANS.get_finished_spans())
    metrics_data = READER.get_metrics_data()
    assert metrics_data
    for secret in (CANARY, account.token):
        assert secret not in spans + metrics_data.to_json()


def test_without_opentelemetry_calls_go_on() -> None:
    program = """
import asyncio, sys
sys.modules["opentelemetry"] = None
from arx_wrapper import PagerDutyConnector
everything = [{"name": "e", "connector": "pagerduty", "operations": ["*"], "risk_max": "high", "approval": "none"}]
async def main():
    async with PagerDutyConnector.sandbox(policies=everything) as pd:
        print(len(await pd.list_users()) > 0)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.stdout == "True\n", done.stderr


async def test_a_call_that_the_log_did_not_take_is_a_span_too(tmp_path: Any) -> None:
    (tmp_path / "audit.db").mkdir()
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=f"sqlite:///{tmp_path}/audit.db") as pd:
        with pytest.raises(AuditError):
            await pd.list_users()
    (span,) = SPANS.get_finished_spans()
    assert span.attributes["error.type"] == "AuditError"


async def test_a_call_whose_policy_does_not_load_is_a_span_too(tmp_path: Any) -> None:
    (tmp_path / "policy.yaml").write_text("- {name: p, operations: 7}\n")
    async with PagerDutyConnector.sandbox(policies=tmp_path / "policy.yaml") as pd:
        with pytest.raises(PolicyError):
            await pd.list_users()
    (span,) = SPANS.get_finished_spans()
    assert span.attributes["error.type"] == "PolicyError"


async def test_a_telemetry_library_that_fails_keeps_no_record_from_being_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(SimpleSpanProcessor):
        """The host's own."""

        fails = True

        def on_end(self, span: Any) -> None:
            if self.fails:
                raise OSError("the collector is gone")

    processor, provider = Failing(InMemorySpanExporter()), trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(processor)
    try:
        async with PagerDutyConnector.sandbox(policies=[NO_DELETES]) as pd:
            await pd.acknowledge_incident("P1234AB")
            with pytest.raises(PermissionDeniedError):
                await pd.delete_service("PABC123")
            found = [record.action_type for record in await trail(pd)]
    finally:
        processor.fails = False
    assert found == ["connector.called", "connector.completed", "connector.refused"]
    assert "did not accept the call's span" in caplog.text


async def test_spans_and_metrics_hold_nothing_that_answers_hold() -> None:
    async with planted([EVERYTHING]) as pd:  # which shows every canary to its caller
        await seen_by(pd)
    told = "".join(span.to_json() for span in SPANS.get_finished_spans()) + str(counted())
    assert told
    assert not [canary for canary in CANARIES if canary in told]
