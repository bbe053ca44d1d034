"""`approvals verify`: verify decisions by their signatures alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from arx_wrapper.cli.stdin import read_stdin
from arx_wrapper.errors import ApprovalError, ConfigError
from arx_wrapper.files import read_bytes

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest, Review, Reviewers


def verified(reviewers: Reviewers, request: ApprovalRequest) -> list[dict[str, Any]]:
    """Return each decision of a request, with what is wrong with it; None when it holds."""
    return [
        {
            "reviewer": review.reviewer,
            "verdict": review.verdict,
            "at": review.at.isoformat(),
            "problem": _problem(reviewers, request, review),
        }
        for review in request.decisions
    ]


def listed(file: Path) -> Reviewers:
    """Return the reviewers that `reviewers list --output json` printed.

    Raises:
        ConfigError: it cannot be read, or is something else.
    """
    from arx_wrapper.cli.approvals.reviewers import read

    try:
        return read(msgspec.json.decode(read_bytes(file), type=list[dict[str, Any]]))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}.") from None
    except msgspec.MsgspecError:
        raise ConfigError(f"{file} is no list as `arx-pagerduty reviewers list --output json` prints it.") from None


def exported(file: Path) -> ApprovalRequest:
    """Return a request that `approvals show --output json` printed; `-` reads stdin.

    Raises:
        ConfigError: it cannot be read, or is something else.
    """
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.model import Risk

    try:
        content = read_stdin() if str(file) == "-" else read_bytes(file)
        plain = msgspec.json.decode(content, type=dict[str, Any])
        plain["risk"] = Risk[plain["risk"]]
        plain["effects"] = [
            {"operation": operation, "risk": Risk[risk], "count": count} for operation, risk, count in plain["effects"]
        ]
        return msgspec.convert(plain, ApprovalRequest)
    except OSError as error:
        source = "stdin" if str(file) == "-" else file
        raise ConfigError(f"{source}: cannot be read: {error.strerror}.") from None
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
