"""Take a decision on the command line: show the request, sign where decisions are signed, and record it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import typer

from arx_wrapper.cli.output import Output, print_json, say, warn
from arx_wrapper.cli.prompts import confirm
from arx_wrapper.cli.session import Session
from arx_wrapper.errors import ConfigError


class Decision(NamedTuple):
    """Read a reviewer's answer from the terminal."""

    reviewer: str | None
    approve: bool
    note: str
    key: Path | None
    yes: bool


def decide(session: Session, approval_id: str, decision: Decision, output: Output) -> None:
    """Take a decision and print how the request stands.

    Raises:
        ApprovalError, AuditError, ConfigError: it does not count; the message says why.
    """

    async def run(backends: Any) -> Any:
        return await decided(session, backends, approval_id, decision)

    request = session.with_backends(run)
    if output is Output.JSON:
        print_json(plain(request))
    else:
        say(f"{request.id}: {request.state}")


async def decided(session: Session, backends: Any, approval_id: str, decision: Decision) -> Any:
    """Take a decision, signed where reviewers have keys, and return the request."""
    from arx_wrapper.core.review import review

    reviewer = decision.reviewer
    signed: dict[str, Any] = {}
    registered = session.config.reviewers or {}
    if registered or (reviewer is None and decision.key):  # a key that nobody registered is refused as such
        shown = await backends.approvals.get(approval_id)
        reviewer, signed = _signed(registered, shown, decision)
    if reviewer is None:
        raise typer.BadParameter("say who decides: --reviewer NAME")
    async with session.connector_over(backends) as connector:
        return await review(
            backends.approvals,
            backends.audit,
            approval_id,
            reviewer=reviewer,
            approve=decision.approve,
            note=decision.note,
            ask_on_call=connector.who_is_on_call,
            **signed,
        )


def _signed(reviewers: Mapping[str, str], shown: Any, decision: Decision) -> tuple[str, dict[str, Any]]:
    """Return the reviewer's name and their signature over the request that was just shown."""
    from arx_wrapper.approvals import render
    from arx_wrapper.approvals.service import utc_now
    from arx_wrapper.cli.approvals import signing

    file = decision.key or signing.default_file()
    key = signing.load_key(file)
    reviewer = signing.owner_of(key, reviewers, decision.reviewer, file)
    if not decision.yes:
        warn(render(shown))
        if not sys.stdin.isatty():
            raise ConfigError("There is no terminal to confirm on. Nothing was decided. --yes signs without asking.")
        confirm(f"{'Approve' if decision.approve else 'Deny'} this as {reviewer}?", abort=True)
    at = utc_now()
    return reviewer, {
        "signature": signing.sign(key, shown, approve=decision.approve, note=decision.note, at=at),
        "at": at,
    }


def plain(request: Any) -> dict[str, Any]:
    """Return a request as JSON: what `approvals verify --file` reads."""
    return {
        "id": request.id,
        "state": request.state,
        "connector": request.connector,
        "account": request.account,
        "operation": request.operation,
        "sentence": request.sentence,
        "requester": request.requester,
        "effects": [[effect.operation, effect.risk.name, effect.count] for effect in request.effects],
        "risk": request.risk.name,
        "params": request.params,
        "target": request.target,
        "agent_id": request.agent_id,
        "org_id": request.org_id,
        "policy": request.policy,
        "policy_source": request.policy_source,
        "reason": request.reason,
        "channel": request.channel,
        "reviewers": list(request.reviewers),
        "digest": request.digest,
        "call_digest": request.call_digest,
        "created_at": request.created_at.isoformat(),
        "expires_at": request.expires_at.isoformat(),
        "min_approvals": request.min_approvals,
        "decisions": [
            {
                "reviewer": d.reviewer,
                "approve": d.approve,
                "note": d.note,
                "at": d.at.isoformat(),
                "signature": d.signature,
            }
            for d in request.decisions
        ],
    }
