"""`demo`: run the documented calls, start to finish, in the sandbox."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import evolve

from arx_wrapper.cli.output import print_table, say
from arx_wrapper.cli.prompts import ask as ask_line
from arx_wrapper.cli.session import extras
from arx_wrapper.config import MEMORY, Config
from arx_wrapper.errors import ApprovalDeniedError, AuditError

if TYPE_CHECKING:
    from arx_wrapper.pagerduty.connector import PagerDutyConnector

_REVIEWER = "demo-reviewer"
Ask = Callable[[str], bool | None]
"""Show a request and return its reviewer's decision; None to decide it on the page."""


def demo(
    yes: Annotated[bool, typer.Option("--yes", help="Approve as the demo's own reviewer.")] = False,
) -> None:
    """Run the documented calls in the sandbox; needs no account.

    Shows policy at work, an approval and a verified audit trail. Without a terminal it approves as the demo's own
    reviewer and says so. A denial is shown with its record.
    """
    with extras():
        asyncio.run(_run(lambda shown: _agrees(shown, yes=yes)))
    say("\nNext: `arx-pagerduty init` writes a configuration and a policy for your own account.")


def _agrees(shown: str, *, yes: bool) -> bool | None:
    """Show a request and return whether its reviewer approves it; None to decide it on the page."""
    say(shown)
    if yes or not sys.stdin.isatty():
        why = "--yes" if yes else "There is no terminal to ask on"
        say(f"   {why}: approved by {_REVIEWER}, the demo's own reviewer.")
        return True
    answer = ask_line("   You are the reviewer. Approve? [y]es, [n]o, or [p] for the reviewers' page", default="n")
    return None if answer.strip().lower().startswith("p") else answer.strip().lower().startswith("y")


async def _run(ask: Ask) -> None:
    from arx_wrapper.pagerduty.connector import PagerDutyConnector

    config = evolve(Config.load({}), audit_url=MEMORY, approvals_url=MEMORY)
    policy = files("arx_wrapper.pagerduty") / "policies" / "pd-full-admin.yaml"
    say("Policy: pd-full-admin (HIGH operations wait for a reviewer). PagerDuty: the embedded sandbox.\n")
    async with PagerDutyConnector.sandbox("agent-001", "org-acme", policies=str(policy), config=config) as pd:
        for title, call in _CALLS:
            await _step(pd, title, call, ask)
        await _trail(pd)


async def _step(pd: PagerDutyConnector, title: str, call: Callable[[Any], Awaitable[Any]], ask: Ask) -> None:
    say(f"-> {title}")
    running = asyncio.ensure_future(call(pd))
    reviewer = asyncio.ensure_future(_review(pd, ask))
    try:
        await asyncio.wait((running, reviewer), return_when=asyncio.FIRST_COMPLETED)
        if reviewer.done():
            reviewer.result()  # what went wrong with the review, before the call waits for it in vain
        shown = _described(await running)
    except ApprovalDeniedError as error:
        shown = f"Not sent. {error}"
    finally:
        reviewer.cancel()
        running.cancel()
    await _show_records(pd)
    say(f"   {shown}\n")


async def _review(pd: PagerDutyConnector, ask: Ask) -> None:
    """Wait for a request for approval, show it to the reviewer, and record the decision."""
    from arx_wrapper.approvals import render
    from arx_wrapper.core.review import review

    backends = pd.backends
    while not (waiting := await backends.approvals.list("pending")):  # noqa: ASYNC110 - requests come from any process
        await asyncio.sleep(0.02)
    request = waiting[0]
    approve = ask("\n".join(f"   | {line}" for line in render(request).splitlines()))
    if approve is None:
        await _on_the_page(backends, request.org_id)
    else:
        await review(backends.approvals, backends.audit, request.id, reviewer=_REVIEWER, approve=approve)


async def _on_the_page(backends: Any, org_id: str) -> None:
    """Serve the console on loopback, and let the demo's reviewer register a passkey and decide there."""
    import webbrowser

    from arx_wrapper.cli.console import make_app
    from arx_wrapper.cli.http_server import listening, server_for
    from arx_wrapper.core.enrolment_records import enrolments_of, invite

    with listening("127.0.0.1", 0) as opened:
        origin = f"http://localhost:{opened.getsockname()[1]}"
        server = server_for(make_app(backends, org_id, origin))
        token = await invite(backends.audit, await enrolments_of(backends.audit, org_id, None), _REVIEWER, by="demo")
        link = f"{origin}/enrol/{token}"
        say(f"   Open {link}, register a passkey, and decide. Ctrl-C ends the demo.")
        webbrowser.open(link)
        await server.serve(sockets=[opened])


async def _show_records(pd: PagerDutyConnector) -> None:
    """Show what the log says of the step's call: its verdict, and its refusal if there is one."""
    log = pd.backends.audit
    await log.flush()
    since_call = []
    async for record in log.records(newest_first=True):
        since_call.append(record)
        if record.action_type == "connector.called":
            break
    called, outcome = since_call[-1], since_call[0]
    say(f"   {called.operation}: {called.policy_verdict} at {str(called.risk).upper()} by {called.policy}")
    if outcome.status == "blocked":
        say(f"   record {outcome.seq}: {outcome.action_type}, {outcome.status}, {outcome.error}")


async def _trail(pd: PagerDutyConnector) -> None:
    log = pd.backends.audit
    records = [record async for record in log.records()]
    say("Audit trail")
    print_table(
        ("seq", "action", "operation", "verdict", "status", "hash"),
        ([r.seq, r.action_type, r.operation, r.policy_verdict, r.status, r.hash[:12]] for r in records),
    )
    found = await log.verify()
    if not found.ok:
        raise AuditError(f"The demo's log does not verify: {found.problem}")
    say(f"\n{found.records} records: the chain holds")


def _described(result: Any) -> str:
    from arx_wrapper.pagerduty.pagination import Page

    if isinstance(result, Page):
        names = ", ".join(_name(item) for item in result[:3])
        return f"{len(result)} found: {names}" + (", ..." if len(result) > 3 else "")
    return _name(result)


def _name(item: Any) -> str:
    for member in ("summary", "content", "title", "name", "id"):
        if isinstance(value := getattr(item, member, None), str) and value:
            return value
    if user := getattr(item, "user", None):
        return _name(user)
    if data := getattr(item, "data", None):
        return f"{data[0].total_incident_count} incidents in {len(data)} periods" if data else "no data"
    return type(item).__name__


# The documented usage, call by call.
_CALLS: tuple[tuple[str, Callable[[Any], Awaitable[Any]]], ...] = (
    (
        'list_incidents(statuses=["triggered", "acknowledged"], urgencies=["high"])',
        lambda pd: pd.list_incidents(statuses=["triggered", "acknowledged"], urgencies=["high"]),
    ),
    (
        'create_incident(title="Critical: Database replication lag > 30s", service_id="PABC123", urgency="high")',
        lambda pd: pd.create_incident(
            title="Critical: Database replication lag > 30s",
            service_id="PABC123",
            urgency="high",
            body="Automated detection by ARX monitoring agent.",
        ),
    ),
    ('acknowledge_incident("P1234AB")', lambda pd: pd.acknowledge_incident("P1234AB")),
    (
        'add_incident_note("P1234AB", "Investigating -- automated triage in progress")',
        lambda pd: pd.add_incident_note("P1234AB", "Investigating -- automated triage in progress"),
    ),
    ("get_oncall_users()", lambda pd: pd.get_oncall_users()),
    (
        'get_incident_analytics(since="2025-01-01T00:00:00Z")',
        lambda pd: pd.get_incident_analytics(since="2025-01-01T00:00:00Z"),
    ),
    (
        'create_maintenance_window(start_time="2025-06-15T02:00:00Z", end_time="2025-06-15T04:00:00Z", ...)',
        lambda pd: pd.create_maintenance_window(
            start_time="2025-06-15T02:00:00Z",
            end_time="2025-06-15T04:00:00Z",
            service_ids=["PABC123"],
            description="Scheduled database maintenance",
        ),
    ),
)
