"""Define the tools: the name, description and schemas from which a model chooses an operation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from mcp_types import Tool, ToolAnnotations

from arx_wrapper.core import param_schema as schema
from arx_wrapper.core.connector import BaseConnector
from arx_wrapper.mcp.schemas import Schema, output_schema, portable
from arx_wrapper.model import Operation, Risk, Verdict

APPROVAL_STATUS: Final = "approval_status"
LONGEST_WAIT: Final = 3_600.0
MAX_RECORDS: Final = 1_000

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+:[a-z_]+)\}")
_APPROVAL: Final[Mapping[str, Schema]] = {
    "approval_id": {"type": "string", "description": "From the pending answer"},
    "wait_seconds": {"type": "number", "description": "Wait for a reviewer, up to 3,600"},
}
_SELECTION: Final[Mapping[str, Schema]] = {
    "detail": {"type": "string", "enum": ["full"]},
    "fields": {"type": "array", "items": {"type": "string"}},
}
_STATUS: Final = Tool(
    name=APPROVAL_STATUS,
    description="State of one of your approval requests, and what to do now.",
    input_schema={
        "type": "object",
        "properties": dict(_APPROVAL),
        "required": ["approval_id"],
        "additionalProperties": False,
    },
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)


def tool_name(operation: str) -> str:
    """Return an operation's tool name: some clients accept no colons, so `teams:read` is `teams_read`."""
    return operation.replace(":", "_")


def status_tool() -> Tool:
    """Return the tool that reads the state of a request for approval."""
    return _STATUS.model_copy(deep=True)


def options_of(connector: BaseConnector, operation: str) -> Mapping[str, Schema]:
    """Return the parameters that select from an operation's response, in addition to the operation's own.

    Where the operation pages, `limit` accepts up to 1,000. A parameter of the operation itself takes precedence.
    """
    row, names = connector.operations[operation], connector.model_of(operation).names
    return {} if row.writes else {name: member for name, member in _SELECTION.items() if name not in names}


def definition(
    connector: BaseConnector, operation: str, verdicts: frozenset[Verdict], *, output_schemas: bool = False
) -> Tool:
    """Return an operation's tool.

    Args:
        connector: The connector whose table has the operation.
        operation: Its name.
        verdicts: The verdicts that policy can still give; ESCALATE adds the parameters of approvals.
        output_schemas: Whether to publish the result's schema as well.
    """
    row = connector.operations[operation]
    omitted = {*connector.tool_omissions, *row.not_for_agents}
    found = portable(connector.model_of(operation).schema(), descriptions=_descriptions(connector), omitted=omitted)
    if pages(connector, operation):
        found["properties"] |= {name: {"type": "integer"} for name in ("limit", "offset") if name not in omitted}
    found["properties"] |= options_of(connector, operation)
    if Verdict.ESCALATE in verdicts:
        found["properties"] |= _APPROVAL
    return Tool(
        name=tool_name(operation),
        description=_description(connector, row, verdicts),
        input_schema=found,
        output_schema=output_schema(row) if output_schemas else None,
        annotations=_annotations(row),
    )


def pages(connector: BaseConnector, operation: str) -> bool:
    """Return True when an operation reads a list in pages, so that agents may request more than one page."""
    names = connector.model_of(operation).names
    return connector.operations[operation].records is not None and "limit" in names and "offset" in names


def _descriptions(connector: BaseConnector) -> dict[str, str] | None:
    """Return the connector's descriptions of parameters, with the names of tools in place of operations.

    None when it has none: the descriptions in its methods' docstrings are used then.
    """
    if not connector.tool_descriptions:
        return None
    return {
        name: _PLACEHOLDER.sub(lambda found: tool_name(found[1]), text)
        for name, text in connector.tool_descriptions.items()
    }


def _description(connector: BaseConnector, row: Operation, verdicts: frozenset[Verdict]) -> str:
    prose = schema.prose(getattr(type(connector), row.function)).partition("\n")[0]
    first, dot, _ = prose.partition(". ")
    text = (first + dot.strip()).replace("`NULL`", "null").replace("`", "")
    if row.risk is not Risk.LOW:
        text += f" Risk: {row.risk.name}."
    if Verdict.ESCALATE in verdicts:
        text += " A reviewer has to approve" + (", depending on the call." if Verdict.PERMIT in verdicts else ".")
    return text


def _annotations(row: Operation) -> ToolAnnotations:
    """Return the hints that differ from the protocol's defaults: writes, destroys, may not be repeated, open world."""
    if not row.writes:
        return ToolAnnotations(read_only_hint=True)
    hints: dict[str, Any] = {}
    if not _destroys(row):
        hints["destructive_hint"] = False
    if row.method in ("PUT", "DELETE"):
        hints["idempotent_hint"] = True
    return ToolAnnotations(**hints)


def _destroys(row: Operation) -> bool:
    """Return True when an operation may undo the work of others instead of adding to it. It is only a hint."""
    return row.writes and (row.risk is Risk.HIGH or (row.method != "POST" and row.risk > Risk.LOW))
