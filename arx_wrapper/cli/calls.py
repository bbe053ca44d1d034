"""`ops` and `call`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer

from arx_wrapper.cli.arguments import bare_call, parse
from arx_wrapper.cli.output import Format, Output, print_json, print_table, say, warn
from arx_wrapper.cli.session import Session
from arx_wrapper.model import Decision


def ops(
    context: typer.Context,
    glob: Annotated[str, typer.Argument(help="Which operations, e.g. 'incidents:*'.")] = "*",
    output: Format = Output.TABLE,
) -> None:
    """List the operations: method, path, risk, and what your policies say of them.

    The verdict is for the operation by itself; parameters can make it stricter (see `policy explain`).
    """
    from arx_wrapper.operations import OPERATIONS

    session: Session = context.obj
    rows = [row for row in OPERATIONS.values() if fnmatchcase(row.name, glob)]
    if not rows:
        raise typer.BadParameter(f"{glob!r} matches no operation")

    async def judge(rooms: Any) -> list[Decision]:
        return [rooms.policies.decide(bare_call(row, session.config), rooms.clock()) for row in rows]

    decisions = session.with_rooms(judge)
    table = [
        {
            "operation": row.name,
            "method": row.method,
            "path": row.path,
            "risk": row.risk.name,
            "verdict": decision.verdict.value,
            "policy": decision.policy,
            "function": row.function,
            "description": row.summary,
        }
        for row, decision in zip(rows, decisions, strict=True)
    ]
    if output is Output.JSON:
        print_json(table)
    else:
        columns = ("operation", "method", "path", "risk", "verdict", "policy")
        print_table(columns, ([row[column] for column in columns] for row in table))


def call(
    context: typer.Context,
    operation: Annotated[str, typer.Argument(help="e.g. incidents:acknowledge")],
    params: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Lists are comma-separated.")
    ] = None,
    document: Annotated[str | None, typer.Option("--json", help="Parameters as a JSON object.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Show the decision and the request; send nothing.")] = False,
    approval: Annotated[str | None, typer.Option(help="Use an approval that was given.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.1, help="Seconds for the call on the wire.")] = None,
    output: Format = Output.JSON,
) -> None:
    """Run one operation, governed.

    Example: arx-pagerduty call incidents:read statuses=triggered,acknowledged limit=5
    """
    session: Session = context.obj

    async def run(connector: Any) -> Any:
        try:
            wanted = parse(connector.model_of(operation), params or (), document)
        except Exception as error:
            if type(error).__name__ == "UnknownOperationError":
                return await connector.execute(operation)  # refused on record
            raise
        if dry_run:
            return _plan(connector, operation, wanted)
        return await connector.execute(operation, wanted, approval_id=approval, timeout=timeout)

    result = session.with_connector(run)
    if output is Output.JSON:
        print_json(result)
    else:
        _show(operation, result)


def _plan(connector: Any, operation: str, params: dict[str, Any]) -> dict[str, Any]:
    """What would happen: nothing is sent, nothing is recorded."""
    decision = connector.explain(operation, params)
    frozen, request = connector._resolve(operation, params)
    warn("Dry run: nothing was sent.")
    return {
        "verdict": decision.verdict.value,
        "risk": decision.risk.name,
        "policy": decision.policy,
        "source": decision.source,
        "reason": decision.reason,
        "effects": [[effect.operation, effect.risk.name, effect.count] for effect in frozen.effects],
        "request": {
            "method": request.method,
            "path": request.path,
            "query": [list(pair) for pair in request.query],
            "body": None if request.method in ("GET", "DELETE") else request.json,
        },
    }


def _show(operation: str, result: dict[str, Any]) -> None:
    from arx_wrapper.operations import OPERATIONS

    row = OPERATIONS.get(operation)
    found: Any = result.get(row.answer) if row and row.answer else result
    records: list[dict[str, Any]] = [item for item in (found if isinstance(found, list) else [found]) if item]
    if not records:
        say("Done." if not isinstance(found, list) else "Nothing found.")
        return
    names = [name for name in _FIRST if any(record.get(name) is not None for record in records)]
    names = names or [name for name in records[0] if not isinstance(records[0][name], dict | list)][:6]
    if len(records) == 1 and not isinstance(found, list):
        plain = {name: value for name, value in records[0].items() if not isinstance(value, dict | list)}
        print_table(("member", "value"), plain.items())
    else:
        print_table(names, ([record.get(name) for name in names] for record in records))
    if isinstance(result.get("more"), bool) and result["more"]:
        warn("There is more: ask with a higher limit or offset.")


_FIRST = ("id", "incident_number", "name", "title", "summary", "status", "urgency", "email", "type", "created_at")
