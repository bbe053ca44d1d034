"""The backends a connector works with, opened when first used and closed when they were opened here."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from arx_wrapper.config import Config, SlackSettings
from arx_wrapper.errors import ConfigError
from arx_wrapper.model import Risk

if TYPE_CHECKING:
    from arx_wrapper.approvals import Approvals, Channel
    from arx_wrapper.approvals.slack import Slack
    from arx_wrapper.audit import AuditLog
    from arx_wrapper.http_client import AsyncTransport
    from arx_wrapper.policy import Policies
    from arx_wrapper.transport import Transport
    from arx_wrapper.vault import Vault


_R = TypeVar("_R")


def utc_now() -> datetime:
    return datetime.now(UTC)


async def pause(seconds: float) -> None:
    """Wait so many seconds."""
    import asyncio  # only now: it takes longer to import than everything else here

    await asyncio.sleep(seconds)


class Backends:
    """Policies, audit log, vault, approvals and wire of one connector.

    Each may be given ready made, in which case its owner closes it, or as its address, in which case it is opened
    here; what is left out comes from the configuration. Nothing is opened before it is needed, so that a connector
    costs nothing until it is used.
    """

    def __init__(
        self,
        *,
        connector: str,
        registry: Mapping[str, Risk],
        config: Config,
        policies: object = None,
        audit: object = None,
        vault: object = None,
        approvals: object = None,
        base_url: str | None = None,
        transport: AsyncTransport | None = None,
        requester_header: str | None = None,
        accept: str = "application/json",
        key_prefix: str = "Bearer ",
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[object]] = pause,
    ) -> None:
        self.config, self.clock, self.sleep = config, clock, sleep
        self.connector, self._registry = connector, registry
        self._given = {"policies": policies, "audit": audit, "vault": vault, "approvals": approvals}
        self._base_url, self._transport = base_url or config.base_url, transport
        self.requester_header, self._accept, self._key_prefix = requester_header, accept, key_prefix
        self._open: dict[str, Any] = {}

    @property
    def policies(self) -> Policies:
        return self._room("policies", self._open_policies)

    @property
    def audit(self) -> AuditLog:
        return self._room("audit", self._open_audit)

    @property
    def vault(self) -> Vault:
        return self._room("vault", self._open_vault)

    @property
    def approvals(self) -> Approvals:
        return self._room("approvals", self._open_approvals)

    @property
    def transport(self) -> Transport:
        return self._room("transport", self._open_transport)

    async def aclose(self) -> None:
        """Close what was opened here: the audit log last, so that it holds whatever the others still report."""
        async with AsyncExitStack() as closing:  # each of them, whatever becomes of the others
            closing.callback(self._open.clear)
            for name in ("audit", "vault", "approvals", "transport"):
                if name in self._open and self._open[name] is not self._given.get(name):
                    closing.push_async_callback(self._open[name].aclose)

    def _room(self, name: str, opener: Callable[[], _R]) -> _R:
        try:
            found: _R = self._open[name]
        except KeyError:
            found = self._open[name] = opener()
        return found

    def _open_policies(self) -> Policies:
        from arx_wrapper import policy

        given = self._given["policies"]
        if isinstance(given, policy.Policies):
            return given
        source = self.config.policy if given is None else given
        return policy.Policies(
            source,  # type: ignore[arg-type]  # what is none of its kinds it refuses itself
            registry=self._registry,
            connector=self.connector,
        )

    def _open_audit(self) -> AuditLog:
        from arx_wrapper import audit

        given = self._given["audit"]
        if given is not None and not isinstance(given, str):
            return given  # type: ignore[return-value]  # anything with an audit log's methods
        return audit.open(given or self.config.audit_url, allow_memory=self.config.sandbox, clock=self.clock)

    def _open_vault(self) -> Vault:
        from arx_wrapper import vault

        given = self._given["vault"]
        if given is not None and not isinstance(given, str):
            return given  # type: ignore[return-value]  # anything with a vault's methods
        return vault.open(given or self.config.vault_url)

    def _open_approvals(self) -> Approvals:
        from arx_wrapper import approvals

        given = self._given["approvals"]
        if given is not None and not isinstance(given, str):
            return given  # type: ignore[return-value]  # anything with an approval store's methods
        log, config = self._given["audit"], self.config
        # Beside the log that is in use, unless they are configured to be elsewhere.
        beside = log if isinstance(log, str) and config.approvals_url == config.audit_url else config.approvals_url
        return approvals.open(
            given or beside,
            ttl=self.config.approvals_ttl,
            clock=self.clock,
            allow_memory=self.config.sandbox,
            reviewers=approvals.Reviewers(self.config.reviewers) if self.config.reviewers else None,
            channels=channels(self.config, clock=self.clock),
            pending_cap=self.config.pending_cap,
        )

    def _open_transport(self) -> Transport:
        from arx_wrapper.transport import Transport

        return Transport(
            base_url=self._base_url, accept=self._accept, key_prefix=self._key_prefix, transport=self._transport
        )


def channels(config: Config, *, clock: Callable[[], datetime] = utc_now) -> list[Channel]:
    """Where requests for approval are announced, as configured; their secrets come from the environment.

    Raises:
        ConfigError: a channel is configured without its secret, or its extra is not installed.
    """
    found: list[Channel] = []
    if config.slack:
        found.append(slack_channel(config.slack))
    if config.webhook_url:
        from arx_wrapper.approvals import Webhook

        found.append(Webhook(config.webhook_url, secret("ARX_WEBHOOK_SECRET", "the webhook"), clock=clock))
    return found


def slack_channel(settings: SlackSettings) -> Slack:
    """Slack as configured. ConfigError as `channels()`."""
    from arx_wrapper.approvals.slack import Slack

    return Slack(token=secret("SLACK_BOT_TOKEN", "Slack"), channel=settings.channel, base_url=settings.base_url)


def secret(variable: str, whose: str) -> str:
    """A channel's secret, from the environment. ConfigError when it is not there."""
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(f"{variable} is not set, which {whose} needs for approvals. Nothing was sent.")
    return value
