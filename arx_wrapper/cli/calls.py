"""`ops` and `call`: list the operations, and run one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from arx_wrapper.cli.approved_times import approved_times
from arx_wrapper.cli.arguments import flag, parse
from arx_wrapper.cli.execution import Options, perform
from arx_wrapper.cli.misplaced_options import goes_before
from arx_wrapper.cli.output import Format, Output, print_json, print_table, say
from arx_wrapper.cli.response_output import Columns, split
from arx_wrapper.cli.session import Session, now_of
from arx_wrapper.core.resolution import minimal_call
from arx_wrapper.errors import UnknownOperationError
from arx_wrapper.model import Decision


def ops(
    context: typer.Context,
    glob: Annotated[str, typer.Argument(metavar="[GLOB]", help="Which operations, e.g. 'incidents:*'.")] = "*",
    output: Format = Output.TABLE,
) -> None:
    """List the operations with their risk and verdict.

    The verdict is for the operation by itself; parameters can make it stricter (see `policy explain`).
    """
    from arx_wrapper.pagerduty.operations import TABLE

    session: Session = context.obj
    rows = [row for row in TABLE.values() if fnmatchcase(row.name, glob)]
    if not rows:
        raise typer.BadParameter(f"{glob!r} matches no operation")

    async def judge(backends: Any) -> list[Decision]:
        who = {"agent_id": session.config.agent_id, "org_id": session.config.org_id}
        return [backends.policies.decide(minimal_call(row, TABLE, **who), backends.clock()) for row in rows]

    decisions = session.with_backends(judge)
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
            **({"extension": True} if row.extension else {}),
        }
        for row, decision in zip(rows, decisions, strict=True)
    ]
    if output is Output.JSON:
        print_json(table)
    else:
        columns = ("operation", "method", "path", "risk", "verdict", "policy")
        print_table(columns, ([row[column] for column in columns] for row in table))


# `call` takes the parameters of every operation as options, so unknown ones are left to it.
CALL_SETTINGS = {"ignore_unknown_options": True, "help_option_names": []}


class CallCommand(TyperCommand):
    """A command whose completions of `--` are the operation's parameters as well as its own options."""

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> list[Any]:  # type: ignore[override]  # typer's own
        found: list[Any] = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            (params,) = (parameter for parameter in self.params if parameter.name == "params")
            found += params.shell_complete(ctx, incomplete)
        return found


def operation_names(incomplete: str) -> list[tuple[str, str]]:
    """Return completions of an operation's name, with what each does."""
    from arx_wrapper.pagerduty.operations import TABLE

    return [(row.name, row.summary) for row in TABLE.values() if row.name.startswith(incomplete)]


def parameter_names(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return completions of an operation's parameters, as options, and of the values that a parameter has."""
    from arx_wrapper.pagerduty.operations import TABLE

    operation, given = context.params.get("operation") or "", context.params.get("params") or ()
    if tuple(given) == (":",):  # bash breaks words at colons, and wants what comes after it
        return [(name.partition(":")[2], text) for name, text in operation_names(f"{operation}:{incomplete}")]
    row = TABLE.get("".join((operation, *given[:2])) if ":" in given[:1] else operation)
    if row is None:
        return []
    model = _model(row.name)
    before = next((word for word in reversed(given) if word.startswith("--")), "")
    name = before.removeprefix("--").replace("-", "_")
    if given and given[-1] == before and name in model.names:
        values = re.findall(r"'([^']+)'", model.accepted(name))
        return [(value, "") for value in values if value.startswith(incomplete)]
    return [(flag(name), model.accepted(name)) for name in model.names if flag(name).startswith(incomplete)]


def call(
    context: typer.Context,
    operation: Annotated[
        str | None,
        typer.Argument(metavar="OPERATION", help="e.g. incidents:acknowledge", autocompletion=operation_names),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[--NAME VALUE | NAME=VALUE]...",
            help="The operation's parameters (`call OPERATION --help`); lists are comma-separated or repeated.",
            autocompletion=parameter_names,
        ),
    ] = None,
    document: Annotated[
        str | None, typer.Option("--json", help="Parameters as a JSON object: {...}, @FILE, or - for stdin.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the decision, the request and whom it would page; do not send it.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Read every page of a list.")] = False,
    most: Annotated[int | None, typer.Option("--max-items", min=0, help="With --all: stop after this many.")] = None,
    approval: Annotated[str | None, typer.Option(help="Use an approval that was given.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.1, help="Seconds that the request may take.")] = None,
    columns: Columns = None,
    output: Format = Output.TABLE,
    help_: Annotated[
        bool, typer.Option("--help", "-h", help="Show this message, or an operation's parameters.")
    ] = False,
) -> None:
    """Run one operation by its full name.

    Exit status: 0 done, 1 PagerDuty or transport error, 2 usage, 3 denied by policy, 4 approval denied, expired or
    pending, 5 audit failure.
    """
    if help_ or operation is None:
        _help(context, operation, asked=help_)
        return
    if place := goes_before(operation, context.command_path):
        raise typer.BadParameter(place)
    if operation.startswith("-"):
        raise typer.BadParameter(f"{operation} goes after the operation: {context.command_path} OPERATION {operation}")
    if (most is not None and not everything) or (everything and (dry_run or approval or timeout)):
        raise typer.BadParameter("--all goes with --max-items, and with none of --dry-run, --approval, --timeout")
    session: Session = context.obj
    named = operation

    async def prepare(connector: Any) -> list[dict[str, Any]]:
        try:
            model, approved = connector.model_of(named), await approved_times(connector, approval)
            return [parse(model, params or (), document, now=now_of(connector), approved=approved)]
        except UnknownOperationError:
            await connector.execute(named)  # refused, on record
            raise

    options = Options(
        output=output,
        fields=split(columns),
        everything=everything,
        most=most,
        dry_run=dry_run,
        approval=approval,
        timeout=timeout,
    )
    perform(session, named, prepare, options)


def _help(context: typer.Context, operation: str | None, *, asked: bool) -> None:
    """Return the command's help, or an operation's parameters."""
    if operation is None:
        if not asked:
            raise typer.BadParameter("name an operation; `arx-pagerduty ops` lists them")
        say(context.get_help())
        return
    from arx_wrapper.pagerduty.operations import TABLE

    row = TABLE.get(operation)
    if row is None:
        raise typer.BadParameter(f"there is no operation {operation!r}; `arx-pagerduty ops` lists them")
    model = _model(operation)
    say(f"{row.name} ({row.method} {row.path}, {row.risk.name}): {row.summary}\n")
    rows: list[Sequence[str]] = [
        (flag(name), "required" if name in model.required else "", model.accepted(name)) for name in model.names
    ]
    print_table(("parameter", "", "takes"), rows)


def _model(operation: str) -> Any:
    from arx_wrapper.core.param_model import param_model
    from arx_wrapper.pagerduty.connector import PagerDutyConnector
    from arx_wrapper.pagerduty.operations import TABLE

    return param_model(operation, getattr(PagerDutyConnector, TABLE[operation].function))
