"""Show the pages that change nothing: waiting requests, one request, history, agents, log, policy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from arx_wrapper.approvals.request import STATES, ApprovalRequest
from arx_wrapper.approvals.signatures import Reviewers, verify_decision
from arx_wrapper.console import template_values
from arx_wrapper.console.state import Console, Problem, signed_in
from arx_wrapper.console.templating import page
from arx_wrapper.core.resolution import minimal_call
from arx_wrapper.errors import ApprovalError, ConfigError, PolicyError
from arx_wrapper.model import Verdict

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


_PER_PAGE: Final = 40
_LAST_CALLS: Final = 6
_SEARCHED: Final = 500
_RECORDS: Final = 2_000
_AGENTS: Final = 6
_VERDICTS: Final = {
    frozenset[Verdict](): "deny",
    frozenset({Verdict.PERMIT}): "permit",
    frozenset({Verdict.ESCALATE}): "ask",
}


async def waiting(console: Console, request: Request) -> Response:
    """Show the waiting requests, the newest first."""
    session = await signed_in(console, request)
    number = _number(request.query_params.get("page"))
    approvals = console.backends.approvals
    found = await approvals.list("pending", org_id=console.org_id, limit=_PER_PAGE, offset=number * _PER_PAGE)
    total = await approvals.count("pending", org_id=console.org_id)
    more = total > (number + 1) * _PER_PAGE
    return page(
        console, "waiting.html", session, title="Waiting", requests=found, total=total, number=number, more=more
    )


async def one_request(console: Console, request: Request) -> Response:
    """Show one request: its effects, the reason for approval, and the agent's last calls."""
    session = await signed_in(console, request)
    asked = await request_asked(console, request.path_params["id"])
    records = console.backends.audit.records(
        agent_id=asked.agent_id,
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
        title=asked.sentence or asked.operation,
        asked=asked,
        rows=template_values.changes(asked),
        affected=_affected(console, asked),
        reason_not=template_values.why_not(asked, session.reviewer),
        calls=calls[:_LAST_CALLS],
        proofs=[_proof(asked, number, reviewers) for number in range(len(asked.decisions))],
        can_revoke=asked.state in ("pending", "approved"),
    )


async def history(console: Console, request: Request) -> Response:
    """Show decided requests, by agent, operation, target, reviewer, verdict and time."""
    session = await signed_in(console, request)
    wanted = {name: request.query_params.get(name, "").strip()[:200] for name in _FILTERS}
    state = wanted["verdict"] if wanted["verdict"] in STATES else None
    found = await console.backends.approvals.list(
        state,  # type: ignore[arg-type]  # checked above
        org_id=console.org_id,
        agent_id=wanted["agent"] or None,
        limit=_SEARCHED,
    )
    chosen = [asked for asked in found if asked.state != "pending" and _matches(asked, wanted)]
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
        searched=len(found) if len(found) == _SEARCHED else 0,
    )


async def agents(console: Console, request: Request) -> Response:
    """Show the agents of the newest records, each with the button that suspends it, and a form for any other."""
    session = await signed_in(console, request)
    found, searched = await _agents(console)
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


async def policy(console: Console, request: Request) -> Response:
    """Show the possible verdicts for each operation and agent, and the explanation of one of them."""
    session = await signed_in(console, request)
    agent, operation = (request.query_params.get(name, "") for name in ("agent", "operation"))
    known = await _known(console)
    if agent and agent not in known:
        known = [agent, *known[: _AGENTS - 1]]
    cell = _explained(console, agent, operation) if agent and operation in console.operations else None
    return page(
        console,
        "policy.html",
        session,
        title="Policy",
        agents=known,
        matrix=_matrix(console, known),
        cell=cell,
        proposed=None,
        text="",
    )


async def proposed_policy(console: Console, request: Request, text: str) -> Response:
    """Show which calls of the last 30 days a proposed policy file would have decided differently."""
    from arx_wrapper.core.simulation import simulate

    session = await signed_in(console, request)
    known = await _known(console)
    problem, found = None, None
    try:
        rules = _parsed(console, text)
        since = console.clock() - timedelta(days=30)
        log, org_id = console.backends.audit, console.org_id
        found = await simulate(log, rules, console.operations, console.is_alias, since=since, org_id=org_id)
    except (PolicyError, ConfigError) as error:
        problem = template_values.visible(error)
    return page(
        console,
        "policy.html",
        session,
        title="Policy",
        agents=known,
        matrix=_matrix(console, known),
        cell=None,
        proposed={"problem": problem, "found": found},
        text=text,
    )


_FILTERS: Final = ("agent", "operation", "target", "reviewer", "verdict", "since", "until")


async def request_asked(console: Console, approval_id: str) -> ApprovalRequest:
    try:
        asked = await console.backends.approvals.get(approval_id)
    except ApprovalError as error:
        raise Problem(404, "No such request", str(error)) from None
    if asked.org_id != console.org_id:
        raise Problem(404, "No such request", "There is no such request in this organisation.")
    return asked


def _affected(console: Console, asked: ApprovalRequest) -> list[tuple[str, str]]:
    row = console.operations.get(asked.operation)  # None when a later version made the request
    return template_values.affected(row, asked) if row else []


def _proof(asked: ApprovalRequest, number: int, reviewers: Reviewers) -> dict[str, str]:
    review = asked.decisions[number]
    if review.signature is None:
        return {"kind": "none: by name alone", "state": "not signed"}
    kind = "passkey" if review.signature.startswith("{") else "Ed25519 key"
    try:
        verify_decision(asked, review, reviewers)
    except (ApprovalError, ConfigError) as error:
        return {"kind": kind, "state": template_values.visible(error), "text": review.signature}
    return {"kind": kind, "state": "verified", "text": review.signature}


def _matches(asked: ApprovalRequest, wanted: Mapping[str, str]) -> bool:
    def within(name: str, moment: datetime, *, after: bool) -> bool:
        try:
            bound = datetime.fromisoformat(wanted[name])
        except ValueError:
            return True
        bound = bound if bound.tzinfo else bound.replace(tzinfo=UTC)
        return moment >= bound if after else moment - timedelta(days=1) < bound

    people = {review.reviewer for review in asked.decisions}
    return (
        wanted["operation"] in asked.operation
        and (not wanted["target"] or wanted["target"] in asked.params or wanted["target"] in asked.sentence)
        and (not wanted["reviewer"] or wanted["reviewer"] in people)
        and within("since", asked.created_at, after=True)
        and within("until", asked.created_at, after=False)
    )


async def _known(console: Console) -> list[str]:
    """Return the agents whose verdicts are shown: those that called last."""
    found, _ = await _agents(console)
    return [each["agent"] for each in found][:_AGENTS] or ["any-agent"]


async def _agents(console: Console) -> tuple[list[dict[str, Any]], int]:
    """Return the suspended agents and those of the newest records, up to 30 days old and a fixed number.

    Returns:
        The agents, and the number of records when there are more in these 30 days; else 0.
    """
    found: dict[str, dict[str, Any]] = {}
    for agent, reason in (await console.backends.audit.suspensions()).items():
        found[agent] = {"agent": agent, "calls": 0, "refused": 0, "last": None, "suspended": reason}
    since = console.clock() - timedelta(days=30)
    count, log = 0, console.backends.audit
    async for each in log.records(org_id=console.org_id, since=since, newest_first=True, limit=_RECORDS):
        count += 1
        if each.action_type not in ("connector.called", "connector.refused"):
            continue
        unseen = {"agent": each.agent_id, "calls": 0, "refused": 0, "last": None, "suspended": None}
        seen = found.setdefault(each.agent_id, unseen)
        seen["calls" if each.action_type == "connector.called" else "refused"] += 1
        seen["last"] = seen["last"] or each.created_at
    ordered = sorted(found.values(), key=lambda agent: str(agent["last"] or ""), reverse=True)
    return ordered, count if count == _RECORDS else 0


def _matrix(console: Console, known: list[str]) -> list[tuple[str, list[str]]]:
    policies, now = console.backends.policies, console.clock()
    rows = []
    for name, row in console.operations.items():
        cells = []
        for agent in known:
            call = minimal_call(row, console.operations, agent_id=agent, org_id=console.org_id)
            cells.append(_VERDICTS.get(policies.possible_verdicts(call, now), "depends"))
        rows.append((name, cells))
    return rows


def _explained(console: Console, agent: str, operation: str) -> dict[str, Any]:
    row = console.operations[operation]
    call = minimal_call(row, console.operations, agent_id=agent, org_id=console.org_id)
    decision = console.backends.policies.decide(call, console.clock())
    return {"agent": agent, "operation": row, "decision": decision}


def _parsed(console: Console, text: str) -> Any:
    import tempfile
    from pathlib import Path

    from arx_wrapper import policy as policies

    with tempfile.TemporaryDirectory(prefix="arx-proposed-") as folder:
        file = Path(folder) / "proposed.yaml"
        file.write_text(text, "utf-8")
        return policies.load(file, registry=console.operations, connector=console.backends.connector)


def _number(text: str | None) -> int:
    return min(int(text), 10_000) if text and text.isascii() and text.isdigit() else 0
