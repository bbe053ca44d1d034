"""`approvals serve`: serve Slack's approve and deny buttons."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from arx_wrapper.cli.http_server import listening, server_for, until_stopped
from arx_wrapper.cli.output import warn
from arx_wrapper.cli.session import Session, extras
from arx_wrapper.config import SlackSettings
from arx_wrapper.errors import ApprovalError, AuditError, ConfigError

if TYPE_CHECKING:
    from arx_wrapper.core.backends import Backends

Ready = Callable[[str], None]


def serve(session: Session, host: str, port: int, ready: Ready) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        session: Whose configuration names Slack's channel, workspace and reviewers.
        host, port: Where to listen; port 0 for any free one.
        ready: Called once with the address.

    Raises:
        ConfigError: Slack is not set up, a secret is missing, or the address cannot be listened on.
    """
    settings = _required(session)

    async def run(backends: Backends) -> None:
        with extras():
            server = server_for(_app(backends, settings))
        with listening(host, port) as opened:
            await until_stopped(server, opened, lambda: ready(_address(opened)))

    session.with_backends(run)


def _required(session: Session) -> SlackSettings:
    config = session.config
    if config.slack is None:
        raise ConfigError("Slack is not set up. Set approvals.slack.channel in arx.toml, or ARX_SLACK_CHANNEL.")
    if not config.slack.users:
        raise ConfigError(
            "No Slack reviewers are configured. Set approvals.slack.users (Slack user id → name), or "
            "ARX_SLACK_USERS=U012AB3CD=alice."
        )
    if config.reviewers or config.proof == "required":
        raise ConfigError(
            "Decisions need the reviewer's own signature here (approvals.proof, approvals.reviewers), and a button in "
            "Slack carries none. Decide on the page (`arx-pagerduty console`), or with `arx-pagerduty approvals "
            "approve` and a key. Slack still tells reviewers of new requests."
        )
    return config.slack


def _app(backends: Backends, settings: SlackSettings) -> Any:
    from arx_wrapper.approvals import slack
    from arx_wrapper.core.backends import secret, slack_channel
    from arx_wrapper.core.review import record_refusal, review

    async def decide(approval_id: str, reviewer: str, approve: bool, note: str) -> None:
        try:
            await review(backends.approvals, backends.audit, approval_id, reviewer=reviewer, approve=approve, note=note)
        except AuditError as error:
            raise ApprovalError(
                f"The decision cannot be recorded, so it does not count: {error}", approval_id=approval_id
            ) from None

    async def refused(problem: str) -> None:
        try:
            await record_refusal(backends.audit, backends.config.org_id, problem)
        except AuditError as error:
            warn(f"A refused press could not be recorded: {error}")

    return slack.app(
        backends.approvals,
        signing_secret=secret("SLACK_SIGNING_SECRET", "the check of Slack's signature"),
        reviewers=settings.users,
        slack=slack_channel(settings, backends.config.proxy),
        team=settings.team,
        decide=decide,
        refused=refused,
    )


def _address(opened: socket.socket) -> str:
    host, port = opened.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/slack/interactions"
