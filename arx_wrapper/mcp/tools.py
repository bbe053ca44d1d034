"""The tools: which there are, what each says of itself, and what a call of one does."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from mcp_types import CallToolResult, Tool, ToolAnnotations

from arx_wrapper.approvals import ApprovalRequest
from arx_wrapper.core.connector import BaseConnector
from arx_wrapper.errors import ApprovalPendingError, ArxError, InvalidParamsError
from arx_wrapper.mcp import results as answers
from arx_wrapper.model import Operation, Risk, Verdict
from arx_wrapper.params import NULL
from arx_wrapper.params import json_schema as schema

Progress = Callable[[float, float, str], Awaitable[None]]
"""Tells the client how long has been waited, of how long at most, and for what."""

APPROVAL_STATUS: Final = "approval_status"
LONGEST_WAIT: Final = 3_600.0
_POLL, _TELL_EVERY = 0.5, 5.0

_log = logging.getLogger(__name__)

_APPROVAL_ID: Final = {"type": "string", "maxLength": 100, "description": "The approval_id that a call was given."}
_WAIT: Final = {
    "type": "number",
    "minimum": 0,
    "maximum": LONGEST_WAIT,
    "description": "Seconds to wait for a reviewer before answering that the call is pending.",
}
_STATUS: Final = Tool(
    name=APPROVAL_STATUS,
    title="How a request for approval stands",
    description="How one of your requests for approval stands: pending, approved, denied, expired, consumed, "
    "stale or revoked, and what to do now. Reads only.",
    input_schema={
        "$schema": schema.DIALECT,
        "type": "object",
        "properties": {"approval_id": _APPROVAL_ID, "wait_seconds": _WAIT},
        "required": ["approval_id"],
        "additionalProperties": False,
    },
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)


class Tools:
    """A connector's operations as tools.

    Args:
        connector: Whose configuration says `approvals_mode="raise"`, so that a call which waits for a reviewer is
            answered and can be resumed.
        cap: The most bytes of an API's answer that are handed on.
        wait: How many seconds a call waits for a reviewer, unless it says so itself.
    """

    def __init__(self, connector: BaseConnector, *, cap: int = 100_000, wait: float = 0.0) -> None:
        self._connector, self._cap, self._wait = connector, cap, wait
        self._operations = {tool_name(name): name for name in connector.operations}

    @property
    def connector(self) -> str:
        """The connector's name."""
        return self._connector.connector

    def offered(self) -> list[Tool]:
        """A tool for each operation that policy could permit now, in the table's order.

        Raises:
            PolicyError: the policy does not load the first time.
        """
        offered = self.verdicts()
        tools = [self._tool(name, verdicts) for name, verdicts in offered.items() if verdicts]
        asks = any(Verdict.ESCALATE in verdicts for verdicts in offered.values())
        return [*tools, _STATUS] if asks else tools

    def verdicts(self) -> dict[str, frozenset[Verdict]]:
        """What policy may say of each operation now; the list of tools follows from it. PolicyError as above."""
        return {name: self._connector.possible_verdicts(name) for name in self._connector.operations}

    async def call(self, tool: str, arguments: Mapping[str, Any], progress: Progress) -> CallToolResult:
        """Run a tool. Whatever happens is an answer; only being cancelled is not.

        Args:
            tool: Its name. One that is not offered is refused by policy, on record, like any other call.
            arguments: Its operation's parameters, with `approval_id` and `wait_seconds` for an approval.
            progress: Called while a reviewer is waited for.
        """
        operation = self._operations.get(tool, tool)
        try:
            if tool == APPROVAL_STATUS:
                return await self._status(arguments, progress)
            return await self._run(operation, arguments, progress)
        except ArxError as error:
            return answers.failure(operation, error)
        except Exception as error:  # the last resort: a defect here must not end the server, nor show its innards
            _log.error("%s: unexpected %s", operation, type(error).__name__)
            _log.debug("%s", "".join(traceback.format_tb(error.__traceback__)))
            return answers.defect(operation, error)

    async def _run(self, operation: str, arguments: Mapping[str, Any], progress: Progress) -> CallToolResult:
        params = {name: _with_nulls(value) for name, value in arguments.items()}
        approval_id, wait = self._approval_arguments(operation, params)
        try:
            body = await self._connector.execute(operation, params, approval_id=approval_id)
        except ApprovalPendingError as waiting:
            if waiting.approval_id is None:
                raise
            request = await self._decided(waiting.approval_id, wait, progress)
            if request.state == "pending":
                return answers.pending(operation, request)
            body = await self._connector.execute(operation, params, approval_id=request.id)
        return answers.answer(self._connector.operations[operation], body, self._cap)

    async def _status(self, arguments: Mapping[str, Any], progress: Progress) -> CallToolResult:
        given = dict(arguments)
        approval_id, wait = self._approval_arguments(APPROVAL_STATUS, given)
        if given or approval_id is None:
            at_fault = next(iter(given), "approval_id")
            problem = "is not a parameter" if given else "is missing"
            raise InvalidParamsError(APPROVAL_STATUS, at_fault, problem, "approval_id and wait_seconds")
        return answers.status(await self._decided(approval_id, wait if "wait_seconds" in arguments else 0, progress))

    def _approval_arguments(self, operation: str, params: dict[str, Any]) -> tuple[str | None, float]:
        """Takes what is about approval out of the parameters."""
        approval_id, wait = params.pop("approval_id", None), params.pop("wait_seconds", self._wait)
        if approval_id is not None and not isinstance(approval_id, str):
            raise InvalidParamsError(operation, "approval_id", "is not text", "the approval_id that a call was given")
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait <= LONGEST_WAIT:
            accepted = f"a number of seconds from 0 to {LONGEST_WAIT:,.0f}"
            raise InvalidParamsError(operation, "wait_seconds", "is not such a number", accepted)
        return approval_id, wait

    async def _decided(self, approval_id: str, wait: float, progress: Progress) -> ApprovalRequest:
        """A request for approval once it is decided, or as it stands after the wait."""
        began, told = time.monotonic(), float("-inf")
        while True:
            request = await self._connector.approval(approval_id)
            waited = time.monotonic() - began
            if request.state != "pending" or waited >= wait:
                return request
            if waited - told >= _TELL_EVERY:
                told = waited
                await progress(waited, wait, f"{request.operation} waits for a reviewer as {request.id}")
            await asyncio.sleep(min(_POLL, wait - waited))

    def _tool(self, operation: str, verdicts: frozenset[Verdict]) -> Tool:
        row, model = self._connector.operations[operation], self._connector.model_of(operation)
        parameters = model.schema()
        if Verdict.ESCALATE in verdicts:
            parameters["properties"] |= {"approval_id": _APPROVAL_ID, "wait_seconds": _WAIT}
        return Tool(
            name=tool_name(operation),
            title=row.summary,
            description=self._description(row, verdicts),
            input_schema=parameters,
            annotations=ToolAnnotations(
                title=row.summary,
                read_only_hint=not row.writes,
                destructive_hint=_destroys(row),
                idempotent_hint=not row.writes or row.method in ("PUT", "DELETE"),
                open_world_hint=True,
            ),
        )

    def _description(self, row: Operation, verdicts: frozenset[Verdict]) -> str:
        effect = "Changes what is there." if row.writes else "Reads only; changes nothing."
        asks = ""
        if Verdict.ESCALATE in verdicts:
            asks = " A reviewer has to agree first" + (
                ", depending on the call." if Verdict.PERMIT in verdicts else "."
            )
        prose = schema.prose(getattr(type(self._connector), row.function)).replace("`NULL`", "null")
        return f"{prose}\n{effect} Risk: {row.risk.name}.{asks} (`{row.name}`, `{row.method} {row.path}`)"


def tool_name(operation: str) -> str:
    """`incidents:read_detail` as `incidents_read_detail`: some clients take no colons."""
    return operation.replace(":", "_")


def _destroys(row: Operation) -> bool:
    """Whether it may undo what others did, rather than add to it: a hint for clients, and only that."""
    return row.writes and (row.risk is Risk.HIGH or (row.method != "POST" and row.risk > Risk.LOW))


def _with_nulls(value: Any) -> Any:
    """JSON as the parameter models take it, where None is "not given" and `NULL` is null."""
    if value is None:
        return NULL
    if isinstance(value, Mapping):
        return {name: _with_nulls(item) for name, item in value.items()}
    return [_with_nulls(item) for item in value] if isinstance(value, list) else value
