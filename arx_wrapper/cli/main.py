"""Assemble the command: its groups, its global options, and the exit status of each error."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main

from arx_wrapper._version import __version__
from arx_wrapper.cli import agents, calls, console, demo, init, mcp, policy, sandbox, vault
from arx_wrapper.cli.approvals import commands as approvals
from arx_wrapper.cli.approvals import reviewers
from arx_wrapper.cli.audit import commands as audit
from arx_wrapper.cli.doctor.command import doctor
from arx_wrapper.cli.encoding import Stdout, give_up, open_closed, use_utf8, utf8
from arx_wrapper.cli.examples import add_examples
from arx_wrapper.cli.exit_status import message_of, next_step, status_of
from arx_wrapper.cli.misplaced_options import hint
from arx_wrapper.cli.output import warn
from arx_wrapper.cli.report import command as report
from arx_wrapper.cli.session import Session
from arx_wrapper.cli.verbs import analytics, incidents, inventory, oncall, windows
from arx_wrapper.errors import ArxError

# typer carries its own click, and makes no more of it public than this.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="arx-pagerduty",
    help="Governed PagerDuty operations: policy, approval and audit before every call.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(init.init)
app.command()(doctor)
app.command()(calls.ops)
app.command(cls=calls.CallCommand, context_settings=calls.CALL_SETTINGS)(calls.call)
app.add_typer(incidents.app, name="incidents")
app.command()(oncall.oncall)
app.add_typer(inventory.services, name="services")
app.add_typer(inventory.schedules, name="schedules")
app.add_typer(inventory.users, name="users")
app.add_typer(inventory.teams, name="teams")
app.add_typer(windows.app, name="windows")
app.command()(analytics.analytics)
app.command()(mcp.mcp)
app.command()(console.console)
app.add_typer(policy.app, name="policy")
app.add_typer(approvals.app, name="approvals")
app.add_typer(reviewers.app, name="reviewers")
audit.app.command()(report.report)
app.add_typer(audit.app, name="audit")
app.add_typer(agents.app, name="agents")
app.add_typer(vault.app, name="vault")
app.command()(sandbox.sandbox)
add_examples(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    agent: Annotated[str | None, typer.Option(help="Who calls; default ARX_AGENT_ID, else cli:<user>.")] = None,
    org: Annotated[str | None, typer.Option(help="For which organisation; default ARX_ORG_ID.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="The configuration file; default ARX_CONFIG, else arx.toml.")
    ] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", hidden=True)] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if output is not None:
        raise UsageError(f"-o goes after the command: arx-pagerduty {context.invoked_subcommand} ... -o {output}")
    context.obj = Session(agent, org, config)


def main() -> None:
    """Run the command and exit: 0 done, 1 PagerDuty or transport, 2 usage, 3 denied, 4 approval, 5 audit."""
    open_closed()
    stdout = sys.stdout = Stdout(sys.stdout.encoding)
    use_utf8()
    try:
        arguments = [utf8(argument) for argument in sys.argv[1:]]
    except UnicodeDecodeError:
        warn("The command line holds bytes that are not UTF-8. Nothing was sent.")
        sys.exit(2)
    status = run(arguments)
    with suppress(OSError):  # it is kept, as the error of every write
        stdout.flush()
    if stdout.failed is not None:
        give_up(1)
        status = _unwritten(stdout.failed) if status in (0, 1) else status
    try:
        sys.stderr.flush()
    except OSError:  # the status still tells
        give_up(2)
    sys.exit(status)


def _unwritten(error: OSError) -> int:
    """Return the status of a command whose result cannot be written: quietly when a pipe's reader wants no more."""
    if isinstance(error, BrokenPipeError):
        return 0
    warn(
        f"The result cannot be written to stdout: {error.strerror}. Calls that were made are on record: "
        "`arx-pagerduty audit tail` shows them. Look there before you repeat a change."
    )
    return 1


@cache
def command() -> Any:
    """Return the command that Typer makes of the application, made once."""
    return typer.main.get_command(app)


def run(arguments: list[str]) -> int:
    """Run the command; every way that it can end has a status, and none has a traceback."""
    try:
        return int(command()(arguments, prog_name="arx-pagerduty", standalone_mode=False) or 0)
    except UsageError as error:
        if place := hint(error):
            error = UsageError(place, ctx=error.ctx)  # type: ignore[call-arg, attr-defined]  # as click's own
        with suppress(OSError):  # nobody can read it; the status still tells
            error.show()  # type: ignore[attr-defined]  # as click's own
        return 2
    except (typer.Abort, KeyboardInterrupt):
        warn("Stopped.")
        return 130
    except ArxError as error:
        warn(message_of(error))
        if step := next_step(error):
            warn(step)
        return status_of(error)
    except SystemExit as end:  # Typer's and Rich's way out of a closed pipe
        return int(end.code or 0)
    except Exception as error:
        # main() says why stdout takes nothing
        return 1 if error is getattr(sys.stdout, "failed", None) else _unexpected(error)


def _unexpected(error: Exception) -> int:
    """Return the status of a fault of the command itself, which is told in one line, without a traceback."""
    warn(f"Unexpected {type(error).__name__}. Please report it; ARX_DEBUG=1 shows where it happened.")
    if os.environ.get("ARX_DEBUG") == "1":
        warn("".join(traceback.format_tb(error.__traceback__)))
    return 1
