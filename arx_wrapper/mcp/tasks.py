"""Implement MCP's Tasks extension (SEP-2663): a call that waits for a reviewer is a task, which the client polls.

Only clients that declare the extension on the request get a task; others get an `approval_id` with which to repeat the
call. The server makes a task's call itself once a reviewer approves. A task exists in this process only, and only its
agent can read it. After a restart the approval is still valid, and the same call with its `approval_id` continues.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from attrs import define, field
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver.server import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, RequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from arx_wrapper.approvals import ApprovalRequest
from arx_wrapper.mcp.tools import Tools

EXTENSION: Final = "io.modelcontextprotocol/tasks"

Status = Literal["working", "completed", "failed", "cancelled"]
Context = ServerRequestContext[Any, Any]

_POLL_HINT_MS: Final = 2_000
# How long a result is kept after its approval expires.
_KEPT: Final = timedelta(minutes=10)


class TaskParams(RequestParams):
    """The parameters of `tasks/get`, `tasks/update` and `tasks/cancel`."""

    task_id: str


@define
class Task:
    """A call that waits for a reviewer.

    Attributes:
        id: Its unguessable id.
        tools: The tools of the agent that called.
        approval_id: The request for approval that it waits for.
        created, updated: The times of its creation and of its last change.
        ttl: How long it is kept from its creation.
        status: Its state, in the extension's words.
        message: Its state as a sentence for people.
        result: The call's result, once it is completed.
        running: The background task that waits and then makes the call.
        sending: Whether the call is being made; then the task can no longer be cancelled.
    """

    id: str
    tools: Tools
    approval_id: str
    created: datetime
    ttl: timedelta
    message: str
    updated: datetime = field()
    status: Status = "working"
    result: dict[str, Any] | None = None
    running: asyncio.Task[None] | None = None
    sending: bool = False

    @updated.default
    def _updated(self) -> datetime:
        return self.created

    def change(self, status: Status, message: str, result: dict[str, Any] | None = None) -> None:
        """Set the task's final state."""
        self.status, self.message, self.result, self.updated = status, message, result, datetime.now(UTC)

    def wire(self) -> dict[str, Any]:
        """Return the task in the protocol's form."""
        return {
            "taskId": self.id,
            "status": self.status,
            "statusMessage": self.message,
            "createdAt": self.created.isoformat(),
            "lastUpdatedAt": self.updated.isoformat(),
            "ttlMs": int(self.ttl.total_seconds() * 1000),
            "pollIntervalMs": _POLL_HINT_MS,
        }


class Tasks:
    """The tasks of one server."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}

    def create(self, tools: Tools, tool: str, arguments: Mapping[str, Any], request: ApprovalRequest) -> dict[str, Any]:
        """Make a task for a call that waits for a reviewer, and return the result that announces it.

        Args:
            tools: The tools of the agent that calls.
            tool, arguments: The call.
            request: The request for approval that it waits for.
        """
        self._forget_old()
        for task in self._tasks.values():  # a repeated call waits for the same approval
            if task.tools is tools and task.approval_id == request.id and task.status == "working":
                return {"resultType": "task", **task.wire()}
        now = datetime.now(UTC)
        task = Task(
            id=secrets.token_urlsafe(24),
            tools=tools,
            approval_id=request.id,
            created=now,
            ttl=max(request.expires_at - now, timedelta()) + _KEPT,
            message=f"{request.operation} waits for a reviewer, as approval {request.id}.",
        )
        self._tasks[task.id] = task
        task.running = asyncio.create_task(self._drive(task, tool, arguments, request.id))
        return {"resultType": "task", **task.wire()}

    async def get(self, tools: Tools, task_id: str) -> dict[str, Any]:
        """Return a task's state, with the call's result once it is completed.

        Raises:
            MCPError: this agent has no such task.
        """
        task = self._task(tools, task_id)
        more: dict[str, Any] = {}
        if task.status == "completed":
            more["result"] = task.result
        elif task.status == "failed":
            more["error"] = {"code": INTERNAL_ERROR, "message": task.message}
        return {"resultType": "complete", **task.wire(), **more}

    async def cancel(self, tools: Tools, task_id: str) -> dict[str, Any]:
        """Stop waiting for a reviewer. A call that is being made continues, and a finished task is left unchanged.

        Raises:
            MCPError: this agent has no such task.
        """
        task = self._task(tools, task_id)
        if task.status == "working" and not task.sending and task.running:
            task.change("cancelled", "The agent stopped waiting. Nothing was sent; the approval can still be decided.")
            task.running.cancel()
        return {"resultType": "complete"}

    async def update(self, tools: Tools, task_id: str) -> dict[str, Any]:
        """Acknowledge input for a task. It is ignored, because no task here requests any.

        Raises:
            MCPError: this agent has no such task.
        """
        self._task(tools, task_id)
        return {"resultType": "complete"}

    async def aclose(self) -> None:
        """Cancel all waiting tasks, when the server stops. Calls that are being made end with a recorded outcome."""
        running = [task.running for task in self._tasks.values() if task.running]
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _drive(self, task: Task, tool: str, arguments: Mapping[str, Any], approval_id: str) -> None:
        try:
            await task.tools.decided(approval_id)
            task.sending = True
            result = await task.tools.call(tool, {**arguments, "approval_id": approval_id, "wait_seconds": 0})
            shown = result.model_dump(by_alias=True, mode="json", exclude_none=True)
            task.change("completed", "The call failed." if result.is_error else "The call was made.", shown)
        except asyncio.CancelledError:
            if task.status == "working":
                task.change("failed", "The server stopped while the call waited or ran.")
            raise
        except Exception as error:  # a defect must show in the task, not vanish in the background
            task.change("failed", f"Unexpected {type(error).__name__}. Tell a person to report this.")

    def _task(self, tools: Tools, task_id: str) -> Task:
        self._forget_old()
        task = self._tasks.get(task_id)
        if task is None or task.tools is not tools:
            raise MCPError(code=INVALID_PARAMS, message="There is no such task of yours.")
        return task

    def _forget_old(self) -> None:
        now = datetime.now(UTC)
        for task in [task for task in self._tasks.values() if now > task.created + task.ttl]:
            if task.running:
                task.running.cancel()
            del self._tasks[task.id]


def takes_tasks(context: Context) -> bool:
    """Return True when a request's client declared the extension, in a protocol that has it."""
    capabilities = context.session.client_capabilities
    declared = capabilities.extensions if capabilities else None
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS and bool(declared and EXTENSION in declared)


def require_tasks(context: Context, method: str, task_id: str) -> None:
    """Refuse a tasks method to a client that did not declare the extension, or whose routing header names another task.

    Raises:
        MCPError: with the protocol's own error code.
    """
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(code=METHOD_NOT_FOUND, message="Method not found", data=method)
    require_client_extension(context, EXTENSION)
    headers = getattr(context.request, "headers", None)  # only requests over HTTP have headers
    if headers is not None and decode_header_value(headers.get(MCP_NAME_HEADER)) != task_id:
        raise MCPError(code=HEADER_MISMATCH, message=f"{MCP_NAME_HEADER} does not match params.taskId")
