"""Records say which trace and session a call belongs to; DEBUG logs say what happened, without secrets."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pytest
from mcp import Client

from arx_wrapper import PagerDutyConnector, PermissionDeniedError, correlate
from arx_wrapper.mcp.server import ToolServer
from arx_wrapper.mcp.tools import Tools
from tests.support import EVERYTHING, denying, trail

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


async def recorded(pd: PagerDutyConnector) -> list[dict[str, Any]]:
    wanted = ("trace_id", "traceparent", "session")
    return [{name: record.metadata.get(name) for name in wanted} for record in await trail(pd)]


async def test_every_record_of_a_call_names_its_trace_and_session() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING, denying("services:delete")]) as pd:
        with correlate(traceparent=PARENT, session="chat-7"):
            await pd.list_teams()
            with pytest.raises(PermissionDeniedError):
                await pd.delete_service("PABC123")
        await pd.list_teams()
        named = {"trace_id": TRACE, "traceparent": PARENT, "session": "chat-7"}
        assert await recorded(pd) == [named] * 3 + [dict.fromkeys(named)] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"traceparent": "nonsense"},
        {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
        {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
        {"traceparent": f"{PARENT}\n"},
        {"session": "two\nlines"},
        {"session": "x" * 201},
        {"session": ""},
        {"session": 7},
    ],
)
async def test_what_is_no_trace_or_session_is_left_out_and_stops_nothing(wrong: dict[str, Any]) -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        with correlate(**wrong):
            await pd.list_teams()
        assert set((await recorded(pd))[0].values()) == {None}


def test_the_current_span_is_the_trace_where_nothing_else_is_said() -> None:
    script = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from arx_wrapper import PagerDutyConnector
from tests.support import EVERYTHING, trail
trace.set_tracer_provider(TracerProvider())
async def main():
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        with trace.get_tracer("t").start_as_current_span("s") as span:
            await pd.list_teams()
        context = span.get_span_context()
        for record in await trail(pd):
            assert record.metadata["trace_id"] == f"{context.trace_id:032x}"
            assert record.metadata["traceparent"].split("-")[2] == f"{context.span_id:016x}"
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("key", ["session", "sessionId", "gen_ai.conversation.id"])
async def test_an_mcp_clients_meta_names_trace_and_session(key: str) -> None:
    async with (
        PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd,
        Client(ToolServer(Tools(pd))) as client,
    ):
        await client.call_tool("teams_read", {}, meta={"traceparent": PARENT, key: "chat-7"})
        found = await recorded(pd)
        assert {record["trace_id"] for record in found} == {TRACE}
        assert {record["session"] for record in found} == {"chat-7"}


async def test_debug_logs_report_verdicts_attempts_and_retries_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="arx_wrapper")
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        assert pd.sandbox_account
        pd.sandbox_account.faults.server_error(times=1)
        await pd.list_teams()
        token = pd.sandbox_account.token
    text = caplog.text
    verdict = "teams:read: PERMIT at LOW by everything"
    for said in (verdict, "attempt 1: ServerError", "trying again in", "attempt 2: 200", "teams:read: success after"):
        assert said in text
    assert token not in text
