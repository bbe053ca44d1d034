"""Serve the endpoint to which Slack sends button presses, as an ASGI application.

A press counts when Slack signed it within the last minutes, when it was not received before, and when the Slack user is
on the list of reviewers. The rules of `Approvals.decide()` apply as well.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec
from attrs import field, frozen

from arx_wrapper.approvals.service import Approvals, utc_now
from arx_wrapper.approvals.slack.card import APPROVE, DENY
from arx_wrapper.approvals.slack.channel import Slack
from arx_wrapper.credentials import Secret
from arx_wrapper.errors import ApprovalError, ConfigError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger("arx_wrapper.approvals.slack")

_SKEW = 300
_REFUSALS = 20  # refused presses that are recorded in a minute
_BODY_LIMIT = 256 * 1024


Decide = Callable[[str, str, bool, str], Awaitable[object]]
Refused = Callable[[str], Awaitable[object]]


@frozen(kw_only=True)
class ButtonPress:
    """A reviewer pressed a button under a card."""

    user: str
    team: str
    approve: bool
    request_id: str
    digest: str
    channel: str
    ts: str


def app(
    approvals: Approvals,
    *,
    signing_secret: Secret | str,
    reviewers: Mapping[str, str],
    slack: Slack,
    team: str | None = None,
    decide: Decide | None = None,
    refused: Refused | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Starlette:
    """Return the application to serve at the Slack app's interactivity address (`POST /slack/interactions`).

    Args:
        approvals: The store of the requests.
        signing_secret: The Slack app's signing secret.
        reviewers: The users who may decide: Slack user id → reviewer's name.
        slack: The channel that posted the cards; updates them.
        team: The workspace's id; presses from any other workspace are refused.
        decide: Stores a decision: request, reviewer, approve, note. By default `approvals.decide`, which writes no
            audit record.
        refused: Records that a press was refused, and the reason; called at most 20 times a minute.
        clock: Returns the time, aware.

    Raises:
        ConfigError: the secret is empty, or starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.routing import Route
    except ImportError:
        raise ConfigError(
            "Slack's buttons need starlette: pip install 'arx-pagerduty[slack]'. Nothing was sent."
        ) from None
    signing_secret = Secret(signing_secret)
    if not signing_secret.reveal().strip():
        raise ConfigError("Slack's signing secret is empty. Nothing was sent.")
    handler = _InteractionHandler(
        approvals=approvals,
        secret=signing_secret.reveal().encode(),
        reviewers=dict(reviewers),
        slack=slack,
        team=team,
        decide=decide,
        refused=refused,
        clock=clock,
    )
    return Starlette(routes=[Route("/slack/interactions", handler.receive, methods=["POST"])])


@frozen(kw_only=True)
class _InteractionHandler:
    approvals: Approvals
    secret: bytes = field(repr=False)
    reviewers: Mapping[str, str]
    slack: Slack
    team: str | None
    clock: Callable[[], datetime]
    decide: Decide | None = None
    refused: Refused | None = None
    _refusals: deque[datetime] = field(factory=deque, init=False, repr=False)

    async def receive(self, request: Request) -> Response:
        """Check a press and store its decision. Slack gets a response at once; the card is updated afterwards."""
        from starlette.background import BackgroundTask
        from starlette.responses import Response

        body = await _body(request)
        if body is None:
            return Response(status_code=413)
        signature = request.headers.get("x-slack-signature", "")
        if not self._genuine(body, request.headers.get("x-slack-request-timestamp", ""), signature):
            await self._refuse("It is not signed by Slack, or its time is too far from now.")
            return Response(status_code=401)
        press = _press(body)
        if press is None or (self.team is not None and press.team != self.team):
            await self._refuse("It is not a press of a card's button in this workspace.")
            return Response(status_code=400)
        # Remembered for as long as a repetition's timestamp would be accepted, before and after now.
        if not await self.approvals.first_time(f"slack {signature}", keep=2 * _SKEW):
            await self._refuse("It was received before.")
            return Response(status_code=409)
        problem = await self._decide(press)
        return Response(status_code=200, background=BackgroundTask(self._report, press, problem))

    async def _refuse(self, problem: str) -> None:
        """Record a refusal; those beyond 20 a minute are dropped, so that outside callers cannot fill the log."""
        now = self.clock()
        while self._refusals and now - self._refusals[0] >= timedelta(minutes=1):
            self._refusals.popleft()
        if self.refused is None or len(self._refusals) >= _REFUSALS:
            return
        self._refusals.append(now)
        await self.refused(f"A press of a button in Slack was refused. {problem}")

    def _genuine(self, body: bytes, timestamp: str, signature: str) -> bool:
        """Return True when Slack signed the raw body (v0). slack-sdk's check decodes the body first and may raise."""
        if not re.fullmatch(r"[0-9]{1,12}", timestamp):
            return False
        if abs(self.clock().timestamp() - int(timestamp)) > _SKEW:
            return False
        expected = hmac.new(self.secret, b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(f"v0={expected}".encode(), signature.encode())

    async def _decide(self, press: ButtonPress) -> str | None:
        """Store the press's decision; return the message for the user when it does not count."""
        reviewer = self.reviewers.get(press.user)
        if reviewer is None:
            await self._refuse("The user who pressed it is not on the list of reviewers.")
            log.warning("Slack user %s is not on the list of reviewers and pressed a button.", ascii(press.user))
            return "You are not on the list of reviewers. Nothing was decided."
        try:
            shown = await self.approvals.get(press.request_id)
            if not hmac.compare_digest(shown.digest, press.digest):
                return "This card shows a call that differs from the waiting request. Nothing was decided."
            decide = self.decide or self.approvals.decide
            await decide(press.request_id, reviewer, press.approve, f"Slack user {press.user}")
        except ApprovalError as error:
            return str(error)
        return None

    async def _report(self, press: ButtonPress, problem: str | None) -> None:
        try:
            if problem:
                await self.slack.tell(problem, channel=press.channel, user=press.user)
            else:
                now = await self.approvals.get(press.request_id)
                await self.slack.refresh(now, channel=press.channel, ts=press.ts)
        except Exception as error:
            # The card shows the decision only; failing to update it does not change the decision.
            log.error("The Slack card of %s was not updated (%s).", press.request_id, type(error).__name__)


async def _body(request: Request) -> bytes | None:
    """Return the raw body; None when it is longer than any press."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_LIMIT:
            return None
    return bytes(body)


def _press(body: bytes) -> ButtonPress | None:
    """Parse a button press from a body; None when the body is anything else."""
    try:
        [payload] = parse_qs(body.decode("ascii"), strict_parsing=True)["payload"]
        told: dict[str, Any] = msgspec.json.decode(payload, type=dict[str, Any])
        [action] = told["actions"]
        request_id, digest = action["value"].split(" ")
        if told["type"] != "block_actions" or action["action_id"] not in (APPROVE, DENY):
            return None
        press = {
            "user": told["user"]["id"],
            "team": (told.get("team") or {}).get("id", ""),
            "approve": action["action_id"] == APPROVE,
            "request_id": request_id,
            "digest": digest,
            "channel": told["container"]["channel_id"],
            "ts": told["container"]["message_ts"],
        }
        return msgspec.convert(press, ButtonPress)
    except (ValueError, KeyError, TypeError, AttributeError, msgspec.MsgspecError):
        return None
