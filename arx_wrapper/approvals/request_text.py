"""Render requests as text that cannot deceive the reviewer.

A model wrote much of a request, perhaps on an attacker's instructions. So control, bidirectional and invisible
characters and line breaks are shown as escapes, and text that was cut is marked as cut.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from itertools import chain
from typing import Any

import msgspec

from arx_wrapper.approvals.request import ApprovalRequest, stamp

# Characters that show as nothing although their category is a letter, mark or symbol
# (Unicode's Default_Ignorable_Code_Point, and the braille blank).
_INVISIBLE = frozenset(
    chain(
        (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        range(0x180B, 0x1810),
        range(0xFE00, 0xFE10),
        range(0xE0000, 0xE1000),
    )
)


def escape(text: str) -> str:
    r"""Return text on one line, with every character that is not plainly visible shown as `\uXXXX`.

    The form is JSON's, so canonical JSON stays valid and keeps its meaning. Only the first of several spaces is kept:
    a long run would move the text after it to a line of its own, where it would look like another field.
    """
    shown, before = [], ""
    for character in text:
        plain = before != " " if character == " " else _visible(character)
        shown.append(character if plain else _escaped(character))
        before = character
    return "".join(shown)


def shorten(text: str, limit: int | None, *, digest: str) -> str:
    """Return escaped text of at most `limit` characters; when cut, it states how much is missing, and the digest."""
    shown = escape(text)
    if limit is None or len(shown) <= limit:
        return shown
    return f"{shown[:limit]}… [TRUNCATED: {len(shown) - limit} of {len(shown)} characters not shown; digest {digest}]"


def render(request: ApprovalRequest, *, limit: int | None = 4000) -> str:
    """Return a request as lines of text, safe for a terminal.

    Args:
        request: The request.
        limit: Characters per field; a longer field is cut and marked as cut. None shows everything.
    """
    rows = [
        ("asks to", request.sentence or "-"),
        ("request", request.id),
        ("state", request.state),
        ("digest", request.digest),
        ("organisation", request.org_id),
        ("agent", request.agent_id),
        ("account", request.account),
        ("requester", request.requester or "-"),
        ("operation", f"{request.connector} {request.operation}"),
        ("risk", request.risk.name),
        ("effects", effects_text(request)),
        ("parameters", request.params),
        ("target now", _target(request)),
        ("policy", f"{request.policy or '-'} ({request.policy_source or '-'})"),
        ("reason", request.reason),
        ("reviewers", reviewers_text(request)),
        ("channel", request.channel or "-"),
        ("asked", stamp(request.created_at)),
        ("expires", stamp(request.expires_at)),
        ("approvals", f"{sum(review.approve for review in request.decisions)} of {request.min_approvals}"),
    ]
    rows += [("decision", _decision(request, number)) for number in range(len(request.decisions))]
    return "\n".join(f"{name:<13} {shorten(value, limit, digest=request.digest)}" for name, value in rows)


def effects_text(request: ApprovalRequest) -> str:
    """Return what a request performs, with the risk of each and how often: `incidents:resolve (MEDIUM, 3 times)`."""
    found = ((effect, f", {effect.count} times" if effect.count > 1 else "") for effect in request.effects)
    return ", ".join(f"{effect.operation} ({effect.risk.name}{times})" for effect, times in found)


def reviewers_text(request: ApprovalRequest) -> str:
    """Describe the reviewers whose approvals count: names, groups and on-call rules, by policy entry."""
    return "; ".join(_rule(rule) for rule in request.reviewers) or "any reviewer"


def _rule(rule: Mapping[str, Any]) -> str:
    parts = [*rule.get("people", ()), *(f"group {group}" for group in rule.get("groups", ()))]
    for on_call in rule.get("on_call", ()):
        levels = ", ".join(map(str, on_call.get("levels") or ())) or "any"
        text = f"on call for {on_call.get('escalation_policy')} at level {levels}"
        if after := on_call.get("escalate_after"):
            text += f", the next level after {after // 60} min" if after >= 60 else f", the next level after {after} s"
        parts.append(text)
    number = rule.get("min_approvals", 1)
    return f"{f'{number} of ' if number > 1 else ''}{' or '.join(parts)} ({rule.get('policy')})"


def _target(request: ApprovalRequest) -> str:
    return "-" if request.target is None else msgspec.json.encode(request.target, order="sorted").decode()


def _decision(request: ApprovalRequest, number: int) -> str:
    review = request.decisions[number]
    signed = ", signed" if review.signature else ""
    note = f": {review.note}" if review.note else ""
    return f"{review.verdict} by {review.reviewer} at {stamp(review.at)}{signed}{note}"


def _visible(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ" and ord(character) not in _INVISIBLE


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
