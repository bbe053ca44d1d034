"""Say on stderr what a call waits for, how to decide it, and what stays open when it is stopped."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from arx_wrapper.cli.output import warn

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.config import Config


class WaitingNotice:
    """Tells the user of a call which request it waits for.

    Args:
        config: The configuration, which says how reviewers decide.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._waiting: ApprovalRequest | None = None

    def __call__(self, request: ApprovalRequest) -> None:
        """Say that a call waits for a request."""
        from arx_wrapper.approvals.request_text import escape

        self._waiting = request
        left = max(0, int((request.expires_at - datetime.now(UTC)).total_seconds()) // 60)
        warn(f"Waits for a reviewer as {request.id}, until {request.expires_at:%Y-%m-%d %H:%M} UTC ({left} min left).")
        warn(f"  {escape(request.sentence or request.operation)}")
        warn(f"  To decide: {how_to_decide(self._config, request.id)}")

    def stopped(self) -> None:
        """Say what stays open when the user stops a call that waits; nothing when it did not wait."""
        if self._waiting is None:
            return
        request = self._waiting
        warn(
            f"\nThe request {request.id} stays open until {request.expires_at:%Y-%m-%d %H:%M} UTC. Nothing was sent.\n"
            f"  To go on: the same command with --approval {request.id}\n"
            f"  To withdraw it: arx-pagerduty approvals revoke {request.id} --reviewer NAME"
        )


def how_to_decide(config: Config, approval_id: str) -> str:
    """Return how a reviewer decides a request here: at the console, with a key, or by name."""
    from arx_wrapper.approvals.notifications import link_to_id

    if config.proof == "name" and not config.reviewers:
        return f"arx-pagerduty approvals approve|deny {approval_id} --reviewer NAME"
    page = link_to_id(approval_id, config.console_origin) or "arx-pagerduty console"
    if config.reviewers:
        return f"{page}, or arx-pagerduty approvals approve|deny {approval_id} --key FILE"
    return page
