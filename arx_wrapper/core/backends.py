"""Open a connector's backends when they are first used, and close those that were opened here."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from attrs import frozen

from arx_wrapper.config import MEMORY, CheckpointSettings, Config, SlackSettings
from arx_wrapper.core.provenance import process_facts
from arx_wrapper.credentials import Secret
from arx_wrapper.errors import ConfigError
from arx_wrapper.urls import is_postgres, without_password

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest, Approvals, Channel
    from arx_wrapper.approvals.slack import Slack
    from arx_wrapper.audit import AuditLog
    from arx_wrapper.audit.transparency.checkpointer import Plan
    from arx_wrapper.http_client import AsyncTransport
    from arx_wrapper.model import Leases, Operation
    from arx_wrapper.policy import Policies, PolicySource
    from arx_wrapper.transport import Transport
    from arx_wrapper.urls import Proxy
    from arx_wrapper.vault import Vault


utc_now: Callable[[], datetime] = partial(datetime.now, UTC)
"""Return the time, aware."""


async def pause(seconds: float) -> None:
    """Wait for a number of seconds."""
    import asyncio  # imported late: it takes longer than everything else here

    await asyncio.sleep(seconds)


@frozen(kw_only=True, eq=False, repr=False)
class Given:
    """The arguments of a connector: ready-made backends, addresses, or None to use the configuration.

    Raises:
        ConfigError: an argument is of the wrong kind.
    """

    policies: PolicySource | Policies | None = None
    audit: AuditLog | str | PathLike[str] | None = None
    vault: Vault | str | None = None
    approvals: Approvals | str | PathLike[str] | None = None
    base_url: str | None = None
    transport: AsyncTransport | None = None
    config: Config

    def __attrs_post_init__(self) -> None:
        path = (str, PathLike)
        _require("policies", self.policies, (*path, Sequence), ("decide",), "a path, a list of entries, or Policies")
        _require("audit", self.audit, path, ("append", "append_soon"), "an AuditLog, its address, or a path")
        _require("vault", self.vault, (str,), ("locate", "read"), "a Vault or its address")
        _require("approvals", self.approvals, path, ("request", "consume"), "Approvals, its address, or a path")
        _require("base_url", self.base_url, (str,), (), "an address")
        _require("transport", self.transport, (), ("handle_async_request",), "an AsyncBaseTransport of httpx or httpx2")
        _require("config", self.config, (Config,), (), "a Config")


class Backends:
    """Policies, audit log, vault, approvals and transport of one connector.

    Each may be given ready made; then its owner closes it. Or it may be given by its address; then it is opened and
    closed here. The configuration supplies those that are left out. Each is opened when it is first needed.
    """

    def __init__(
        self,
        given: Given,
        *,
        connector: str,
        registry: Mapping[str, Operation],
        requester_header: str | None = None,
        accept: str = "application/json",
        key_prefix: str = "Bearer ",
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[object]] = pause,
    ) -> None:
        self.given, self.config, self.clock, self.sleep = given, given.config, clock, sleep
        self.connector, self.requester_header = connector, requester_header
        self._registry, self._accept, self._key_prefix = registry, accept, key_prefix
        self.log_opened = False
        self.on_waiting: Callable[[ApprovalRequest], None] | None = None

    @cached_property
    def policies(self) -> Policies:
        """Return the policy in force. PolicyError when it does not load."""
        from arx_wrapper import policy

        source = self.given.policies
        if isinstance(source, policy.Policies):
            return source
        source = self.config.policy if source is None else source
        return policy.Policies(source, registry=self._registry, connector=self.connector)

    @cached_property
    def audit(self) -> AuditLog:
        """Return the audit log."""
        given = self.given.audit
        if given is not None and not isinstance(given, str | PathLike):
            return given
        from arx_wrapper import audit

        address = _address(given) or self.config.audit_url
        log = audit.open(address, allow_memory=self.config.sandbox, clock=self.clock)
        if self.config.checkpoints and address != MEMORY:
            _take_checkpoints(log, self.config.checkpoints, self.config.proxy)
        return log

    @cached_property
    def vault(self) -> Vault:
        """Return the vault."""
        given = self.given.vault
        if given is not None and not isinstance(given, str):
            return given
        from arx_wrapper import vault

        return vault.open(given or self.config.vault_url, proxy=self.config.proxy)

    @cached_property
    def approvals(self) -> Approvals:
        """Return the approval store: in the audit log's database, unless another one is configured."""
        given, log, config = self.given.approvals, self.given.audit, self.config
        if given is not None and not isinstance(given, str | PathLike):
            return given
        from arx_wrapper import approvals

        beside = _address(log) if isinstance(log, str | PathLike) and config.approvals_url == config.audit_url else None
        opened = approvals.open(
            _address(given) or beside or config.approvals_url,
            ttl=config.approvals_ttl,
            clock=self.clock,
            allow_memory=config.sandbox,
            reviewers=approvals.Reviewers(config.reviewers) if config.reviewers else None,
            proof=config.proof,
            groups=config.reviewer_groups,
            channels=channels(config, clock=self.clock),
            pending_cap=config.pending_cap,
        )
        opened.on_waiting = self.on_waiting
        return opened

    @cached_property
    def transport(self) -> Transport:
        """Return the transport to the API's address. ConfigError when a key must not be sent there."""
        from arx_wrapper.transport import Transport

        return Transport(
            base_url=self.given.base_url or self.config.base_url,
            accept=self._accept,
            key_prefix=self._key_prefix,
            transport=self.given.transport,
            proxy=self.config.proxy,
            leases=self._leases(),
            sleep=self.sleep,
        )

    def _leases(self) -> Leases | None:
        """Return the leases by which processes share the key's rate limit, with a log in PostgreSQL; else None."""
        given = self.given.audit
        if given is None or isinstance(given, str | PathLike):
            address = _address(given) or self.config.audit_url
            return self.audit.leases if is_postgres(address) else None
        return getattr(given, "leases", None)  # a caller's own log class may have no such member

    @cached_property
    def origin(self) -> Mapping[str, str | int]:
        """Return the calling process and the API's address, as records show them.

        A connector that was used before a fork is refused in the child, so these are never the parent's.
        """
        destination = without_password(self.given.base_url or self.config.base_url)
        return MappingProxyType({**process_facts(), "destination": destination})

    async def aclose(self) -> None:
        """Close the backends that were opened here; the audit log last, so that it records what the others report.

        A log that the caller opened stays open; what was submitted to it is written.
        """
        async with AsyncExitStack() as closing:  # closes every backend, even when closing another one fails
            for name in ("audit", "vault", "approvals", "transport"):
                opened = self.__dict__.pop(name, None)
                if opened is not None and opened is not getattr(self.given, name):
                    closing.push_async_callback(opened.aclose)
                elif name == "audit" and (flush := getattr(opened, "flush", None)):
                    closing.push_async_callback(flush)
            self.__dict__.pop("policies", None)


def _require(name: str, given: object, kinds: tuple[type, ...], methods: Sequence[str], wanted: str) -> None:
    """Refuse an argument that is neither of these types nor has these methods. None is accepted."""
    if given is None or (isinstance(given, kinds) and not isinstance(given, bytes | bytearray)):
        return
    if methods and all(callable(getattr(given, method, None)) for method in methods):
        return
    raise ConfigError(f"{name} must be {wanted}, not {type(given).__name__}. Nothing was opened or sent.")


def _address(given: str | PathLike[str] | None) -> str | None:
    """Return a given address, or the SQLite address of a given path."""
    if given is None or isinstance(given, str):
        return given
    return f"sqlite:///{Path(given).absolute()}"


def _take_checkpoints(log: AuditLog, settings: CheckpointSettings, proxy: Proxy | None) -> None:
    """Start signing checkpoints of a log automatically, until it is closed. ConfigError as `checkpoint_plan()`."""
    from arx_wrapper.audit.transparency.checkpointer import Checkpointer

    taking = Checkpointer(log, checkpoint_plan(settings, proxy))
    taking.start()
    log.before_close(taking.stop)


def checkpoint_plan(settings: CheckpointSettings, proxy: Proxy | None = None) -> Plan:
    """Return which key signs checkpoints, and where they are kept.

    Raises:
        ConfigError: a witness or a store is malformed, or an extra is not installed.
    """
    from arx_wrapper.audit.transparency.checkpoint_stores import checkpoint_store
    from arx_wrapper.audit.transparency.checkpointer import Plan
    from arx_wrapper.audit.transparency.witness import Witness

    return Plan(
        signing_key=Path(settings.signing_key),
        stores=[checkpoint_store(url) for url in settings.stores],
        witnesses=[Witness.parse(text, proxy=proxy) for text in settings.witnesses],
        every=settings.every,
        records=settings.records,
    )


def channels(config: Config, *, clock: Callable[[], datetime] = utc_now) -> list[Channel]:
    """Return the channels that announce requests for approval; their secrets come from the environment.

    Raises:
        ConfigError: a channel is configured without its secret, or its extra is not installed.
    """
    found: list[Channel] = []
    if config.slack:
        by_name = config.proof == "name" and not config.reviewers
        found.append(slack_channel(config.slack, config.proxy, origin=config.console_origin, buttons=by_name))
    if config.webhook_url:
        from arx_wrapper.approvals import Webhook

        shared = secret("ARX_WEBHOOK_SECRET", "the webhook")
        webhook = Webhook(config.webhook_url, shared, clock=clock, proxy=config.proxy, origin=config.console_origin)
        found.append(webhook)
    if config.notify_urls:
        from arx_wrapper.approvals.notifications import Notify

        found.append(Notify(config.notify_urls, clock=clock, proxy=config.proxy, origin=config.console_origin))
    return found


def slack_channel(
    settings: SlackSettings, proxy: Proxy | None = None, *, origin: str | None = None, buttons: bool = True
) -> Slack:
    """Return the configured Slack channel. Raises ConfigError as `channels()` does."""
    from arx_wrapper.approvals.slack import Slack

    token = secret("SLACK_BOT_TOKEN", "Slack")
    return Slack(
        token=token,
        channel=settings.channel,
        base_url=settings.base_url,
        proxy=proxy,
        origin=origin,
        buttons=buttons,
    )


def secret(variable: str, whose: str) -> Secret:
    """Return a channel's secret from the environment. ConfigError when it is not set."""
    found = Secret(os.environ.get(variable, "").strip())
    if not found:
        raise ConfigError(f"{variable} is not set; {whose} needs it for approvals. Nothing was sent.")
    return found
