"""Announce requests in Slack: post a card to the policy's `hitl_channel` and update it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attrs import field, frozen

from arx_wrapper.approvals.notifications import link_to, require_private
from arx_wrapper.approvals.request import ApprovalRequest
from arx_wrapper.approvals.slack.card import Block, card, plain, summary
from arx_wrapper.credentials import Secret
from arx_wrapper.errors import ApprovalError, ConfigError
from arx_wrapper.http_client import tls
from arx_wrapper.urls import Proxy

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient


_TOKEN = re.compile(r"[!-~]+")


@frozen(kw_only=True)
class Slack:
    """Posts to Slack with a bot's token (scope `chat:write`).

    Attributes:
        token: The bot's token.
        channel: The channel for requests whose policy names no `hitl_channel`.
        base_url: Slack's address.
        proxy: The proxy for other machines.
        origin: The console's origin, for the link.
        buttons: Whether cards have buttons; False when each decision needs its reviewer's signature.
    """

    token: Secret = field(converter=Secret)
    channel: str | None = None
    base_url: str = "https://slack.com/api/"
    proxy: Proxy | None = None
    origin: str | None = None
    buttons: bool = True
    _client: AsyncWebClient = field(init=False, repr=False, eq=False)

    @_client.default
    def _make_client(self) -> AsyncWebClient:
        require_private("Slack", self.base_url)
        if fault := self.token.fault(_TOKEN):
            raise ConfigError(f"Slack's token {fault}. Nothing was sent.")
        try:
            from slack_sdk.web.async_client import AsyncWebClient
        except ImportError:
            raise ConfigError("Slack needs slack-sdk: pip install 'arx-pagerduty[slack]'. Nothing was sent.") from None
        client = AsyncWebClient(
            token=self.token.reveal(), base_url=self.base_url, timeout=10, trust_env_in_session=False, ssl=tls()
        )
        # The client took it from the environment; only the configured proxy may carry the token.
        client.proxy = None
        if self.proxy is not None and self.proxy.serves(urlsplit(self.base_url).hostname or ""):
            client.proxy = self.proxy.with_password().reveal()
        return client

    async def announce(self, request: ApprovalRequest) -> None:
        """Post a card (`POST chat.postMessage`). Raises when Slack does not accept it."""
        await self._post(request, summary(request), self._card(request))

    async def remind(self, request: ApprovalRequest) -> None:
        """Post a line that the request is about to expire. Raises when Slack does not accept it."""
        text = f"Reminder: {summary(request)} It expires at {request.expires_at:%H:%M} UTC."
        link = link_to(request, self.origin)
        await self._post(request, f"{text} {plain(link)}" if link else text, None)

    def _card(self, request: ApprovalRequest) -> list[Block]:
        return card(request, link=link_to(request, self.origin), buttons=self.buttons)

    async def _post(self, request: ApprovalRequest, text: str, blocks: list[Block] | None) -> None:
        channel = request.channel or self.channel
        if channel is None:
            raise ApprovalError(
                f"{request.id}: neither its policy entry nor the configuration names a Slack channel.",
                approval_id=request.id,
            )
        await self._client.chat_postMessage(
            channel=channel, text=text, blocks=blocks, unfurl_links=False, unfurl_media=False
        )

    async def refresh(self, request: ApprovalRequest, *, channel: str, ts: str) -> None:
        """Update a posted card (`POST chat.update`)."""
        await self._client.chat_update(channel=channel, ts=ts, text=summary(request), blocks=self._card(request))

    async def tell(self, text: str, *, channel: str, user: str) -> None:
        """Send a message that one user alone sees (`POST chat.postEphemeral`)."""
        await self._client.chat_postEphemeral(channel=channel, user=user, text=plain(text))

    async def aclose(self) -> None:
        """Do nothing: each message has its own connection."""
