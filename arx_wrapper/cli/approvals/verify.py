"""`approvals verify`: whether decisions hold by their signatures alone."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from arx_wrapper.errors import ApprovalError, ConfigError

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest, Review


def verified(reviewers: Mapping[str, str], request: ApprovalRequest) -> list[dict[str, Any]]:
    """Each decision of a request, with what is wrong with it; None when it holds."""
    from arx_wrapper.approvals import Reviewers

    known = Reviewers(reviewers)
    return [
        {
            "reviewer": review.reviewer,
            "verdict": review.verdict,
            "at": review.at.isoformat(),
            "problem": _problem(known, request, review),
        }
        for review in request.decisions
    ]


def exported(file: Path) -> ApprovalRequest:
    """A request as `approvals show --output json` printed it; `-` reads stdin.

    Raises:
        ConfigError: it cannot be read, or is something else.
    """
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.model import Risk

    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        plain = msgspec.json.decode(content, type=dict[str, Any])
        plain["risk"] = Risk[plain["risk"]]
        plain["effects"] = [
            {"operation": operation, "risk": Risk[risk], "count": count} for operation, risk, count in plain["effects"]
        ]
        return msgspec.convert(plain, ApprovalRequest)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}.") from None
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        raise ConfigError(
            f"{file} is no request as `arx-pagerduty approvals show ID --output json` prints it."
        ) from None


def _problem(reviewers: Any, request: ApprovalRequest, review: Review) -> str | None:
    from arx_wrapper.approvals import verify_decision

    try:
        verify_decision(request, review, reviewers)
    except ApprovalError as error:
        return str(error)
    return None
