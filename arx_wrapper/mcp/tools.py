"""Offer one connector's operations as tools, and run them."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from attrs import frozen
from mcp_types import CallToolResult, Tool

from arx_wrapper.approvals import ApprovalRequest
from arx_wrapper.core.connector import BaseConnector
from arx_wrapper.errors import ApprovalPendingError, ArxError, InvalidParamsError
from arx_wrapper.mcp.arguments import read_arguments
from arx_wrapper.mcp.definitions import (
    APPROVAL_STATUS,
    LONGEST_WAIT,
    MAX_RECORDS,
    definition,
    options_of,
    pages,
    status_tool,
    tool_name,
)
from arx_wrapper.mcp.paged_reads import read
from arx_wrapper.mcp.results import Results
from arx_wrapper.model import Verdict

Progress = Callable[[float, float, str], Awaitable[None]]
"""Reports to the client the seconds waited, the most seconds to wait, and the reason."""

Defer = Callable[[ApprovalRequest], Mapping[str, Any]]
"""Makes the result of a call that waits for a reviewer."""

_POLL, _TELL_EVERY = 0.5, 5.0
_MAX_FIELDS: Final = 50
_APPROVAL_SCHEMA: Final[Mapping[str, Any]] = {
    "properties": {"approval_id": {"type": "string"}, "wait_seconds": {"type": "number"}}
}

_log = logging.getLogger(__name__)


async def _silent(*_: object) -> None:
    """Report no progress."""


@frozen(kw_only=True)
class ToolCall:
    """A tool call's arguments, separated into the operation's own and those of the tool.

    Attributes:
        params: The operation's parameters.
        approval_id: The approval to use; None when the call names none.
        wait: Seconds to wait for a reviewer.
        full: Whether the result keeps every member of the response.
        fields: The members of the response to keep; empty for the row's columns.
        limit: The largest number of records to read; None when the operation does not page.
    """

    params: Mapping[str, Any]
    approval_id: str | None
    wait: float
    full: bool = False
    fields: tuple[str, ...] = ()
    limit: int | None = None


class Tools:
    """A connector's operations as tools.

    Args:
        connector: A connector with the setting `approvals_mode="raise"`, so that a call which waits for a reviewer
            returns at once and can be resumed.
        cap: The largest number of bytes of an API's response that a result carries.
        wait: The seconds that a call waits for a reviewer, unless its `wait_seconds` says otherwise.
        output_schemas: Whether to publish the results' schemas and return structured content instead of text.
    """

    def __init__(
        self, connector: BaseConnector, *, cap: int = 60_000, wait: float = 0.0, output_schemas: bool = False
    ) -> None:
        self._connector, self._wait, self._output_schemas = connector, wait, output_schemas
        self._results = Results(cap=cap, structured=output_schemas)
        self._operations = {tool_name(name): name for name in connector.operations}

    @property
    def connector(self) -> str:
        """Return the connector's name."""
        return self._connector.connector

    @property
    def agent_id(self) -> str:
        """Return the id of the agent that the tools are for."""
        return self._connector.agent_id

    def offered(self) -> list[Tool]:
        """Return a tool for each operation that policy could permit now, in the table's order.

        Raises:
            PolicyError: the policy does not load the first time.
        """
        offered = self.verdicts()
        tools = [
            definition(self._connector, name, verdicts, output_schemas=self._output_schemas)
            for name, verdicts in offered.items()
            if verdicts
        ]
        asks = any(Verdict.ESCALATE in verdicts for verdicts in offered.values())
        return [*tools, status_tool()] if asks else tools

    def verdicts(self) -> dict[str, frozenset[Verdict]]:
        """Return the verdicts that policy can give each operation now; the list of tools follows from them.

        Raises:
            PolicyError: as `offered()`.
        """
        return {name: self._connector.possible_verdicts(name) for name in self._connector.operations}

    def why_none(self) -> str | None:
        """Explain why no tool is offered; None when some are.

        Raises:
            PolicyError: as `offered()`.
        """
        verdicts = self.verdicts()
        if any(verdicts.values()):
            return None
        name = next(name for name, row in self._connector.operations.items() if not row.writes)
        given = dict.fromkeys(self._connector.model_of(name).required, "X")
        return self._connector.explain(name, given).reason

    async def decided(self, approval_id: str) -> None:
        """Wait until one of this agent's requests for approval is no longer pending.

        Raises:
            ApprovalError: as `BaseConnector.approval()`.
        """
        await self._decided(approval_id, float("inf"), _silent)

    async def call(self, tool: str, arguments: Mapping[str, Any], progress: Progress = _silent) -> CallToolResult:
        """Run a tool, as `start()` does; a call that waits for a reviewer returns a pending result."""
        result = await self.start(tool, arguments, progress)
        assert isinstance(result, CallToolResult)  # noqa: S101 - without `defer` there is no other result
        return result

    async def start(
        self, tool: str, arguments: Mapping[str, Any], progress: Progress, *, defer: Defer | None = None
    ) -> CallToolResult | Mapping[str, Any]:
        """Run a tool. Every error becomes a result, except cancellation.

        Args:
            tool: Its name. Policy refuses a tool that is not offered, and the refusal is recorded, like any other call.
            arguments: Its operation's parameters, with `approval_id` and `wait_seconds` for an approval, and `detail`
                and `fields` for more of the response.
            progress: Called while the call waits for a reviewer.
            defer: Makes the result of a call that still waits after that; by default the result is `pending`.
        """
        operation = self._operations.get(tool, tool)
        try:
            if tool == APPROVAL_STATUS:
                return await self._status(arguments, progress)
            return await self._run(operation, arguments, progress, defer)
        except ArxError as error:
            return self._results.failure(operation, error)
        except Exception as error:  # a defect must neither stop the server nor show its internals
            _log.error("%s: unexpected %s", operation, type(error).__name__)
            _log.debug("%s", "".join(traceback.format_tb(error.__traceback__)))
            return self._results.defect(operation, error)

    async def _run(
        self, operation: str, arguments: Mapping[str, Any], progress: Progress, defer: Defer | None
    ) -> CallToolResult | Mapping[str, Any]:
        if operation not in self._connector.operations:
            await self._connector.execute(operation, dict(arguments))  # refuses the call and records it
        try:
            call = self._read(operation, arguments)
        except InvalidParamsError as error:
            await self._record_refusal(operation, error, arguments)
            raise
        row = self._connector.operations[operation]
        try:
            answer = await read(self._connector, row, call.params, limit=call.limit, approval_id=call.approval_id)
        except ApprovalPendingError as waiting:
            if waiting.approval_id is None:
                raise
            request = await self._decided(waiting.approval_id, call.wait, progress)
            if request.state == "pending" and defer and call.approval_id is None:
                return defer(request)
            if request.state == "pending":
                return self._results.pending(operation, request)
            answer = await read(self._connector, row, call.params, limit=call.limit, approval_id=request.id)
        return self._results.answer(row, answer, full=call.full, fields=call.fields)

    def _read(self, operation: str, arguments: Mapping[str, Any]) -> ToolCall:
        """Separate a call's arguments.

        Raises:
            InvalidParamsError: an argument of the tool itself is wrong.
        """
        own = self._connector.model_of(operation).schema()["properties"]
        options = options_of(self._connector, operation)
        schema = {"properties": {**_APPROVAL_SCHEMA["properties"], **options, **own}}
        params = read_arguments(schema, arguments)
        approval_id, wait = self._approval_arguments(operation, params)
        given = {name: params.pop(name, None) for name in options}
        return ToolCall(
            params=params,
            approval_id=approval_id,
            wait=wait,
            full=_detail(operation, given.get("detail")),
            fields=_fields(operation, given.get("fields")),
            limit=_limit(operation, params) if pages(self._connector, operation) else None,
        )

    async def _record_refusal(self, operation: str, error: InvalidParamsError, arguments: Mapping[str, Any]) -> None:
        """Have the pipeline refuse the wrong argument, so that the refusal is recorded like others."""
        with suppress(InvalidParamsError):
            await self._connector.execute(operation, {error.param: arguments.get(error.param)})

    async def _status(self, arguments: Mapping[str, Any], progress: Progress) -> CallToolResult:
        given = read_arguments(_APPROVAL_SCHEMA, arguments)
        waits = "wait_seconds" in given
        approval_id, wait = self._approval_arguments(APPROVAL_STATUS, given)
        if given or approval_id is None:
            at_fault = next(iter(given), "approval_id")
            problem = "is not a parameter" if given else "is missing"
            raise InvalidParamsError(APPROVAL_STATUS, at_fault, problem, "approval_id and wait_seconds")
        return self._results.status(await self._decided(approval_id, wait if waits else 0, progress))

    def _approval_arguments(self, operation: str, params: dict[str, Any]) -> tuple[str | None, float]:
        """Remove the arguments about approval from the parameters, and return them."""
        approval_id, wait = params.pop("approval_id", None), params.pop("wait_seconds", self._wait)
        if approval_id is not None and not isinstance(approval_id, str):
            raise InvalidParamsError(operation, "approval_id", "is not text", "the approval_id that a call was given")
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait <= LONGEST_WAIT:
            accepted = f"a number of seconds from 0 to {LONGEST_WAIT:,.0f}"
            raise InvalidParamsError(operation, "wait_seconds", "is not such a number", accepted)
        return approval_id, wait

    async def _decided(self, approval_id: str, wait: float, progress: Progress) -> ApprovalRequest:
        """Wait for a decision, at most `wait` seconds, and return the request for approval."""
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


def _detail(operation: str, given: object) -> bool:
    if given not in (None, "compact", "full"):
        raise InvalidParamsError(operation, "detail", f"is {given!a}", "full, for every member; or leave it out")
    return given == "full"


def _fields(operation: str, given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > _MAX_FIELDS or not all(_is_path(path) for path in given):
        accepted = f"up to {_MAX_FIELDS} members: id, service.summary"
        raise InvalidParamsError(operation, "fields", "is no such list", accepted)
    return tuple(given)


def _is_path(given: object) -> bool:
    return isinstance(given, str) and bool(given) and given.isprintable()


def _limit(operation: str, params: Mapping[str, Any]) -> int | None:
    """Return the number of records that a call requests; None when it gives none, or no whole number."""
    limit = params.get("limit")
    if not isinstance(limit, int) or isinstance(limit, bool):
        return None
    if not 1 <= limit <= MAX_RECORDS:
        raise InvalidParamsError(operation, "limit", f"is {limit}", f"1 to {MAX_RECORDS:,}")
    return limit
