"""Render a request as a Slack message, in plain text only: no mention, link or markup can be injected."""

from __future__ import annotations

from typing import Any

import msgspec

from arx_wrapper.approvals.request import ApprovalRequest, stamp
from arx_wrapper.approvals.request_text import effects_text, escape

APPROVE, DENY = "arx_approve", "arx_deny"

Block = dict[str, Any]

_TEXT_LIMIT = 2900  # Slack accepts 3000 for each section
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def summary(request: ApprovalRequest) -> str:
    """Return one line for notifications: the risk and the sentence."""
    return f"{request.risk.name}: {plain(request.sentence or f'{request.connector} {request.operation}', 280)}"


def card(request: ApprovalRequest, *, link: str | None = None, buttons: bool = True) -> list[Block]:
    """Return the message's blocks: the call and its agent, and two buttons while it is undecided."""
    target = "-" if request.target is None else msgspec.json.encode(request.target, order="sorted").decode()
    sections = {
        "Asks to": request.sentence or "-",
        "Operation": f"{request.connector} {request.operation} ({request.risk.name})",
        "Asked by": f"{request.agent_id} of {request.org_id}",
        "Effects": effects_text(request),
        "Parameters": request.params,
        "Target now": target,
        "Why": f"{request.reason} ({request.policy or '-'}, {request.policy_source or '-'})",
    }
    blocks: list[Block] = [{"type": "header", "text": _plain(plain(f"Approval {request.id}", 150))}]
    blocks += [_section(name, value, request.digest) for name, value in sections.items()]
    facts = f"digest {request.digest} | account {request.account[:16]} | expires {stamp(request.expires_at)}"
    blocks.append({"type": "context", "elements": [_plain(plain(facts))]})
    if request.state == "pending" and not buttons:
        where = link or f"arx-pagerduty approvals show {request.id}"
        blocks.append(_section("Decide at", where, request.digest))
    if request.state == "pending" and buttons:
        blocks.append({"type": "actions", "elements": [_button(request, APPROVE), _button(request, DENY)]})
    blocks.append({"type": "context", "elements": [_plain(plain(_standing(request)))]})
    return blocks


def plain(text: str, limit: int = _TEXT_LIMIT, *, digest: str = "") -> str:
    """Return text that Slack shows literally; when cut, it states how much is missing."""
    shown = escape(text)
    whole = [_ENTITIES.get(character, character) for character in shown]
    if sum(map(len, whole)) <= limit:
        return "".join(whole)
    notice = f"… [TRUNCATED: {{}} of {len(shown)} characters not shown; digest {digest}]"
    room, kept = limit - len(notice) - len(str(len(shown))), 0
    while room >= len(whole[kept]):
        room -= len(whole[kept])
        kept += 1
    return "".join(whole[:kept]) + notice.format(len(shown) - kept)


def button_value(request: ApprovalRequest) -> str:
    """Return the value of a button: the request's id, and the digest of the call that the card shows."""
    return f"{request.id} {request.digest}"


def _standing(request: ApprovalRequest) -> str:
    given = ", ".join(f"{review.verdict} by {review.reviewer}" for review in request.decisions)
    agreed = sum(review.approve for review in request.decisions)
    return f"{request.state}, {agreed} of {request.min_approvals} approvals" + (f": {given}" if given else "")


def _section(name: str, value: str, digest: str) -> Block:
    return {"type": "section", "text": _plain(f"{name}\n{plain(value, digest=digest)}")}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _button(request: ApprovalRequest, action: str) -> Block:
    approve = action == APPROVE
    return {
        "type": "button",
        "action_id": action,
        "value": button_value(request),
        "style": "primary" if approve else "danger",
        "text": _plain("Approve" if approve else "Deny"),
        "confirm": {
            "title": _plain("Approve this call?" if approve else "Deny this call?"),
            "text": _plain(plain(summary(request), 300)),
            "confirm": _plain("Approve" if approve else "Deny"),
            "deny": _plain("Go back"),
        },
    }
