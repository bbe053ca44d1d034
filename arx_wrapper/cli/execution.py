"""Execute operations for the command line: one call, or one for each id, planned, watched or sent; print the result."""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer
from attrs import frozen

from arx_wrapper.cli.approvals.waiting_notice import WaitingNotice
from arx_wrapper.cli.completion import remember
from arx_wrapper.cli.exit_status import message_of, next_step, status_of, suggest_explain
from arx_wrapper.cli.output import Output, print_json, say, warn
from arx_wrapper.cli.response_output import chosen, counted, rows, show
from arx_wrapper.cli.session import Session
from arx_wrapper.core.column_selection import records_of
from arx_wrapper.errors import (
    ApprovalError,
    ArxError,
    InvalidParamsError,
    PagerDutyError,
    PermissionDeniedError,
    TransportError,
)
from arx_wrapper.model import Verdict

if TYPE_CHECKING:
    from arx_wrapper.pagerduty.connector import PagerDutyConnector

Params = Mapping[str, Any]
Prepare = Callable[["PagerDutyConnector"], Awaitable[Sequence[Params]]]
"""Returns the parameters of each call, after it looked up the names that they stand for."""


@frozen(kw_only=True)
class Options:
    """Settings of a run: of its calls, and of what is shown of their responses.

    Attributes:
        output: The form of the result.
        fields: Dotted paths to show instead of the row's columns.
        everything: Read every page of a list.
        most: With `everything`: stop after this many records.
        dry_run: Show the decision and the request, and send nothing.
        approval: An approval to use.
        timeout: Seconds that a request may take.
        web: Open the object's page in the browser.
        watch: Seconds between repetitions, until Ctrl-C; None for a single run.
        after: Prints more below a table: strips and bars.
    """

    output: Output
    fields: Sequence[str] = ()
    everything: bool = False
    most: int | None = None
    dry_run: bool = False
    approval: str | None = None
    timeout: float | None = None
    web: bool = False
    watch: float | None = None
    after: Callable[[Mapping[str, Any]], None] | None = None


def perform(session: Session, operation: str, prepare: Prepare, options: Options) -> None:
    """Run an operation once for each set of parameters, and print the responses.

    A call that PagerDuty, policy or a reviewer refuses is reported, and the others are still made; the exit status is
    that of the first.
    """

    notice = WaitingNotice(session.config)

    async def run(connector: PagerDutyConnector) -> list[Mapping[str, Any] | ArxError]:
        connector.backends.on_waiting = notice
        prepared = await prepare(connector)
        if options.dry_run:
            from arx_wrapper.cli.dry_run import plan

            return [await plan(connector, operation, dict(params)) for params in prepared]
        if options.watch is not None:
            await _watch(connector, operation, prepared[0], options)
        if len(prepared) == 1:
            with _suggesting(session, operation, prepared[0]):
                return [await _one(connector, operation, prepared[0], options)]
        return [await _tried(session, connector, operation, params, options) for params in prepared]

    quiet = options.everything or options.watch is not None  # they show their own progress
    try:
        results = session.with_connector(run, waiting=None if quiet else f"Waiting for {operation}")
    except KeyboardInterrupt:
        notice.stopped()
        raise
    if options.dry_run:
        _show_plans([result for result in results if not isinstance(result, ArxError)], options.output)
        return
    _show(operation, results, options)


async def _one(connector: PagerDutyConnector, operation: str, params: Params, options: Options) -> Mapping[str, Any]:
    _announce_wait(connector, operation, params, options)
    if not options.everything:
        return await connector.execute(operation, params, approval_id=options.approval, timeout=options.timeout)
    records = await counted(operation, connector.iterate(operation, params, max_items=options.most))
    listed = connector.operations[operation].records
    return {listed.envelope if listed else "records": records}


def _announce_wait(connector: PagerDutyConnector, operation: str, params: Params, options: Options) -> None:
    """Announce that a call will wait for a reviewer, at most until the request expires."""
    config = connector.backends.config
    if options.approval is not None or config.approvals_mode != "wait":
        return
    with suppress(ArxError):  # the call itself fails with this error, and records it
        if connector.explain(operation, params).verdict is Verdict.ESCALATE:
            within = f"within {config.approvals_ttl:.0f} s"
            warn(f"A reviewer has to approve this {within}: `arx-pagerduty approvals list --state pending`.")


@contextmanager
def _suggesting(session: Session, operation: str, params: Params) -> Iterator[None]:
    """Add to a denial the command that explains it."""
    try:
        yield
    except PermissionDeniedError as error:
        suggest_explain(error, operation, params, session.given)
        raise


async def _tried(
    session: Session, connector: PagerDutyConnector, operation: str, params: Params, options: Options
) -> Mapping[str, Any] | ArxError:
    """Return the response, or the error of this call alone; an error that every call would meet is raised."""
    try:
        with _suggesting(session, operation, params):
            return await _one(connector, operation, params, options)
    except TransportError:
        raise
    except (PagerDutyError, PermissionDeniedError, ApprovalError, InvalidParamsError) as error:
        named = next(iter(params.values()), operation)
        warn(f"{named}: {message_of(error)}")
        return error


async def _watch(connector: PagerDutyConnector, operation: str, params: Params, options: Options) -> None:
    """Print the response again and again, each a governed call on record, until Ctrl-C."""
    while True:
        body = await _one(connector, operation, params, options)
        if sys.stdout.isatty() and options.output is Output.TABLE:
            sys.stdout.write("\x1b[H\x1b[2J")
        _print(operation, body, options)
        await asyncio.sleep(options.watch or 0)


def _print(operation: str, body: Mapping[str, Any], options: Options) -> None:
    from arx_wrapper.pagerduty.operations import TABLE

    row = TABLE[operation]
    show(row, body, options.output, options.fields, complete=options.everything)
    records, is_list = records_of(row, body)
    if is_list and not row.path_names and row.envelope:
        remember(row.envelope, records)
    if options.after and options.output is Output.TABLE:
        options.after(body)


def _show(operation: str, results: Sequence[Mapping[str, Any] | ArxError], options: Options) -> None:
    bodies = [result for result in results if not isinstance(result, ArxError)]
    errors = [result for result in results if isinstance(result, ArxError)]
    if len(results) == 1:
        _print(operation, bodies[0], options)
    else:
        _print_many(operation, bodies, options)
    if options.web:
        for body in bodies:
            open_pages(operation, body)
    if errors:
        warn(f"{len(errors)} of {len(results)} were not done.")
        if step := next_step(errors[0]):
            warn(step)
        raise typer.Exit(status_of(errors[0]))


def _print_many(operation: str, bodies: Sequence[Mapping[str, Any]], options: Options) -> None:
    """Print the records of several calls as one list."""
    from arx_wrapper.pagerduty.operations import TABLE

    if options.output is Output.JSON and not options.fields:
        print_json(bodies)
        return
    row = TABLE[operation]
    records = [record for body in bodies for record in records_of(row, body)[0]]
    picked = chosen(row, records, options.fields)
    if options.output is Output.JSON:
        print_json(picked)
    elif picked:
        rows(picked, keep=options.output is Output.TSV)
    elif bodies:
        say("Done.")


def open_pages(operation: str, body: Mapping[str, Any]) -> None:
    """Open the page of each record in the browser; an address that is not of the web is named instead."""
    from arx_wrapper.pagerduty.operations import TABLE

    for record in records_of(TABLE[operation], body)[0]:
        url = str(record.get("html_url") or "")
        if not url.startswith(("https://", "http://")) or not webbrowser.open(url):
            warn(f"{url or 'no address'}: cannot be opened in a browser here.")


def _show_plans(plans: Sequence[Mapping[str, Any]], output: Output) -> None:
    from arx_wrapper.cli.dry_run import show_plan

    if output is Output.JSON and len(plans) > 1:
        print_json(plans)
    else:
        for item in plans:
            show_plan(item, output)
    raise typer.Exit(3 if any(item["verdict"] == Verdict.DENY for item in plans) else 0)
