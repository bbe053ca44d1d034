"""Show the pages that change nothing: waiting requests, one request, history, agents, log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from arx_wrapper.approvals.request import STATES, ApprovalRequest
from arx_wrapper.approvals.signatures import Reviewers, verify_decision
from arx_wrapper.console import template_values
from arx_wrapper.console.agent_activity import recent_agents
from arx_wrapper.console.context import Console
from arx_wrapper.console.request_checks import Problem, signed_in
from arx_wrapper.console.templating import page
from arx_wrapper.errors import ApprovalError, ConfigError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


_PER_PAGE: Final = 40
_LAST_CALLS: Final = 6
_MAX_REQUESTS_SEARCHED: Final = 500
_FILTERS: Final = ("agent", "operation", "target", "reviewer", "state", "since", "until")


async def pending_requests(console: Console, request: Request) -> Response:
    """Show the waiting requests, the newest first."""
    session = await signed_in(console, request)
    number = _number(request.query_params.get("page"))
    approvals = console.backends.approvals
    found = await approvals.list("pending", org_id=console.org_id, limit=_PER_PAGE, offset=number * _PER_PAGE)
    total = await approvals.count("pending", org_id=console.org_id)
    more = total > (number + 1) * _PER_PAGE
    return page(
        console,
        "pending_requests.html",
        session,
        title="Waiting",
        requests=found,
        total=total,
        number=number,
        more=more,
    )


async def one_request(console: Console, request: Request) -> Response:
    """Show one request: its effects, the reason for approval, and the agent's last calls."""
    session = await signed_in(console, request)
    approval_request = await approval_request_of(console, request.path_params["id"])
    records = console.backends.audit.records(
        agent_id=approval_request.agent_id,
        org_id=console.org_id,
        action_type="connector.called",
        newest_first=True,
        limit=_LAST_CALLS + 1,
    )
    calls = [record async for record in records]
    reviewers = (await console.enrolments()).reviewers
    return page(
        console,
        "request.html",
        session,
        title=approval_request.sentence or approval_request.operation,
        approval_request=approval_request,
        rows=template_values.changes(approval_request),
        affected=_affected(console, approval_request),
        reason_not=template_values.why_not(approval_request, session.reviewer),
        calls=calls[:_LAST_CALLS],
        proofs=[_proof(approval_request, number, reviewers) for number in range(len(approval_request.decisions))],
        can_revoke=approval_request.state in ("pending", "approved"),
    )


async def history(console: Console, request: Request) -> Response:
    """Show decided requests, by agent, operation, target, reviewer, state and time."""
    session = await signed_in(console, request)
    wanted = {name: request.query_params.get(name, "").strip()[:200] for name in _FILTERS}
    state = wanted["state"] if wanted["state"] in STATES else None
    found = await console.backends.approvals.list(
        state,  # type: ignore[arg-type]  # checked above
        org_id=console.org_id,
        agent_id=wanted["agent"] or None,
        limit=_MAX_REQUESTS_SEARCHED,
    )
    chosen = [each for each in found if each.state != "pending" and _matches(each, wanted)]
    number = _number(request.query_params.get("page"))
    shown = chosen[number * _PER_PAGE : (number + 1) * _PER_PAGE]
    return page(
        console,
        "history.html",
        session,
        title="History",
        requests=shown,
        wanted=wanted,
        states=[state for state in STATES if state != "pending"],
        number=number,
        more=len(chosen) > (number + 1) * _PER_PAGE,
        searched=len(found) if len(found) == _MAX_REQUESTS_SEARCHED else 0,
    )


async def agents(console: Console, request: Request) -> Response:
    """Show the agents of the newest records, each with the button that suspends it, and a form for any other."""
    session = await signed_in(console, request)
    found, searched = await recent_agents(console)
    return page(console, "agents.html", session, title="Agents", agents=found, searched=searched)


async def log(console: Console, request: Request) -> Response:
    """Show the log's state and its newest records."""
    session = await signed_in(console, request)
    wanted = {name: request.query_params.get(name, "").strip()[:200] for name in ("agent", "operation", "target")}
    records = console.backends.audit.records(
        org_id=console.org_id,
        agent_id=wanted["agent"] or None,
        operation=wanted["operation"] or None,
        target=wanted["target"] or None,
        newest_first=True,
        limit=_PER_PAGE,
    )
    return page(
        console,
        "log.html",
        session,
        title="Log",
        records=[record async for record in records],
        wanted=wanted,
        verified=console.verified,
        verified_at=console.verified_at,
        checkpoint=await console.checkpoint_age(),
    )


async def record(console: Console, request: Request) -> Response:
    """Show one record with the other records of its call."""
    session = await signed_in(console, request)
    wanted = str(request.path_params["id"])
    found = [each async for each in console.backends.audit.records(id=wanted, org_id=console.org_id)]
    if not found:
        raise Problem(404, "No such record", "The log has no record with this id. Nothing was changed.")
    intent = str(found[0].metadata.get("intent") or found[0].id)
    call = [each async for each in console.backends.audit.records(call=intent, org_id=console.org_id)]
    return page(console, "record.html", session, title=f"Record {found[0].seq}", record=found[0], call=call)


async def approval_request_of(console: Console, approval_id: str) -> ApprovalRequest:
    try:
        approval_request = await console.backends.approvals.get(approval_id)
    except ApprovalError as error:
        raise Problem(404, "No such request", str(error)) from None
    if approval_request.org_id != console.org_id:
        raise Problem(404, "No such request", "There is no such request in this organisation.")
    return approval_request


def _affected(console: Console, approval_request: ApprovalRequest) -> list[tuple[str, str]]:
    row = console.operations.get(approval_request.operation)  # None when a later version made the request
    return template_values.affected(row, approval_request) if row else []


def _proof(approval_request: ApprovalRequest, number: int, reviewers: Reviewers) -> dict[str, str]:
    review = approval_request.decisions[number]
    if review.signature is None:
        return {"kind": "none: by name alone", "state": "not signed"}
    kind = "passkey" if review.signature.startswith("{") else "Ed25519 key"
    try:
        verify_decision(approval_request, review, reviewers)
    except (ApprovalError, ConfigError) as error:
        return {"kind": kind, "state": template_values.visible(error), "text": review.signature}
    return {"kind": kind, "state": "verified", "text": review.signature}


def _matches(approval_request: ApprovalRequest, wanted: Mapping[str, str]) -> bool:
    def within(name: str, moment: datetime, *, after: bool) -> bool:
        try:
            bound = datetime.fromisoformat(wanted[name])
        except ValueError:
            return True
        bound = bound if bound.tzinfo else bound.replace(tzinfo=UTC)
        return moment >= bound if after else moment - timedelta(days=1) < bound

    people = {review.reviewer for review in approval_request.decisions}
    target, texts = wanted["target"], (approval_request.params, approval_request.sentence)
    return (
        wanted["operation"] in approval_request.operation
        and any(target in text for text in texts)
        and (not wanted["reviewer"] or wanted["reviewer"] in people)
        and within("since", approval_request.created_at, after=True)
        and within("until", approval_request.created_at, after=False)
    )


def _number(text: str | None) -> int:
    return min(int(text), 10_000) if text and text.isascii() and text.isdigit() else 0
