"""Define and load the configuration: constructor argument, then environment, then `arx.toml`, then the default.

`arx.toml` is read from the working directory, or else from the user's configuration folder
(`$XDG_CONFIG_HOME/arx/arx.toml`); `ARX_CONFIG` names another. The MCP server and the console, which are started in
folders that an agent may write to, do not look in the working directory. A secret is never read from a file: channels
read theirs from the environment, and keys come from a vault.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from attrs import field, frozen

from arx_wrapper.config import values as parse
from arx_wrapper.config.sources import Settings, os_user, read_toml, user_folder
from arx_wrapper.credentials import Variables
from arx_wrapper.errors import ConfigError
from arx_wrapper.http_client import CERTIFICATES
from arx_wrapper.urls import Proxy, address, without_password

__all__ = ["MEMORY", "CheckpointSettings", "Config", "SlackSettings"]

PROXY = "PAGERDUTY_PROXY"
MEMORY = "sqlite:///:memory:"
"""An audit log that ends with its connector: for the sandbox only."""


def _shown(url: str) -> str:
    return repr(without_password(url))


@frozen(kw_only=True)
class SlackSettings:
    """Slack's settings, without its secrets: `SLACK_BOT_TOKEN`, and `SLACK_SIGNING_SECRET` for the buttons.

    Attributes:
        channel: The channel for requests whose policy entry names no `hitl_channel`.
        team: The workspace's id; a button press from any other workspace is refused.
        users: The users whose button presses count: Slack user id → reviewer's name.
        base_url: Slack's address; only the environment changes it.
    """

    channel: str
    team: str | None = None
    users: Mapping[str, str] = {}
    base_url: str = "https://slack.com/api/"


@frozen(kw_only=True)
class CheckpointSettings:
    """Settings for checkpoints that a process signs and stores by itself; see `audit.transparency.checkpointer.Plan`.

    Attributes:
        signing_key: The file that holds the signing key.
        stores: Folders or fsspec addresses that checkpoints are written to.
        witnesses: `KEY@URL` of each witness that has to cosign.
        every: Seconds after which a checkpoint is due.
        records: The number of new records after which one is due.
    """

    signing_key: str
    stores: tuple[str, ...]
    witnesses: tuple[str, ...] = ()
    every: float = 3_600.0
    records: int = 10_000


@frozen(kw_only=True)
class Config:
    """Settings of a connector beyond its constructor's arguments.

    Attributes:
        policy: A policy file or a folder of `*.yaml`; None denies everything.
        audit_url: `sqlite:///path` or `postgresql://…`.
        approvals_url: The same; by default the audit log's database.
        approvals_mode: `wait` for a reviewer, or `raise` ApprovalPendingError.
        approvals_ttl: Seconds until a request for approval expires.
        pending_cap: How many requests of one agent may wait at a time.
        approvals_proof: `required`: an approval counts only with its reviewer's signature. `name`: a name is enough.
            None: `name` in the sandbox, else `required`; see `proof`.
        reviewers: Reviewers with keys: name → Ed25519 public key as base64. Others are enrolled in the audit log.
        reviewer_groups: Groups of reviewers that policies may name as `group:NAME`.
        console_origin: The origin at which reviewers reach the console, `https://approvals.example.com`; None: this
            machine only.
        slack: Slack's settings, when requests are announced there; None when not.
        webhook_url: Your address to which requests are posted, signed with `ARX_WEBHOOK_SECRET`; None for no webhook.
        notify_urls: Apprise addresses, which hold secrets; read from `ARX_NOTIFY_URLS` only, separated by spaces.
        agent_id, org_id: The agent and organisation for which the command line calls.
        vault_url: `env:`, `file:///path`, `hashicorp://mount/path`.
        base_url: PagerDuty's address; EU accounts: `https://api.eu.pagerduty.com`.
        proxy: The proxy for requests to other machines; None for none.
        file: The `arx.toml` that was read; None when there was none.
        sandbox: Whether every call goes to the embedded sandbox.
        sandbox_seed: Decides the sandbox's ids and history.
        sandbox_state: The file that keeps the sandbox's account between processes; None to forget it.
        capture_params: Whether the audit log also keeps redacted parameters.
        checkpoints: Settings for checkpoints that a process signs and stores by itself; None for none.
    """

    policy: str | None = None
    audit_url: str = field(repr=_shown)
    approvals_url: str = field(repr=_shown)
    approvals_mode: Literal["wait", "raise"] = "wait"
    approvals_ttl: float = 3600.0
    pending_cap: int = 20
    approvals_proof: Literal["required", "name"] | None = None
    reviewer_groups: Mapping[str, tuple[str, ...]] = {}
    console_origin: str | None = None
    reviewers: Mapping[str, str] | None = None
    slack: SlackSettings | None = None
    webhook_url: str | None = field(default=None, repr=False)  # its path may be its secret
    notify_urls: tuple[str, ...] = field(default=(), repr=False)
    agent_id: str
    org_id: str = "default"
    vault_url: str = "env:"
    base_url: str = field(default="https://api.pagerduty.com", repr=_shown)
    proxy: Proxy | None = None
    file: Path | None = None
    sandbox: bool = False
    sandbox_seed: int | None = None
    sandbox_state: str | None = None
    capture_params: bool = False
    checkpoints: CheckpointSettings | None = None

    @property
    def proof(self) -> Literal["required", "name"]:
        """Return the proof that a reviewer's decision needs: `required` is a signature."""
        return self.approvals_proof or ("name" if self.sandbox else "required")

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | Variables | None = None,
        folder: Path | None = None,
        *,
        file: Path | None = None,
        working_folder: bool = True,
        audit_default: str | None = None,
    ) -> Config:
        """Read the configuration from the environment and `arx.toml`.

        Args:
            environ: The environment; by default the process's own.
            folder: The folder to look for `arx.toml` in first; by default the working directory.
            file: The file to read instead of any `arx.toml`.
            working_folder: Whether to use the working directory. When False, `arx.toml` is not read from it, and no
                variable may name a file by a relative path.
            audit_default: The audit log's address when none is configured.

        Raises:
            ConfigError: a setting is wrong. The message names the file or variable, the problem and what is accepted.
        """
        environ = Variables(environ)  # so that no traceback shows its values
        if not working_folder:
            _require_absolute(environ)
        elif folder is None:
            folder = _working_folder()
        found, table = read_toml(environ, folder, file)
        settings = Settings(environ, found, table)
        sandbox = settings.switch_or_path("ARX_SANDBOX", "sandbox")
        audit_url = settings.database("ARX_AUDIT_URL", "audit.url") or audit_default
        audit_url = audit_url or _default_log(environ, sandbox=bool(sandbox))
        return cls(
            policy=settings.path("ARX_POLICY", "policy"),
            audit_url=audit_url,
            approvals_url=settings.database("ARX_APPROVALS_URL", "approvals.url") or audit_url,
            approvals_mode=settings.get("ARX_APPROVALS_MODE", "approvals.mode", parse.mode, "wait"),
            approvals_ttl=settings.get("ARX_APPROVALS_TTL", "approvals.ttl", parse.seconds, 3600.0),
            pending_cap=settings.get("ARX_APPROVALS_PENDING_CAP", "approvals.pending_cap", parse.count, 20),
            approvals_proof=settings.get("ARX_APPROVALS_PROOF", "approvals.proof", parse.proof, None),
            reviewer_groups=settings.get("ARX_REVIEWER_GROUPS", "approvals.groups", parse.groups, {}),
            console_origin=settings.get("ARX_CONSOLE_ORIGIN", "console.origin", parse.text, None),
            reviewers=settings.get("ARX_REVIEWERS", "approvals.reviewers", parse.reviewers, None),
            slack=_slack(settings),
            webhook_url=settings.get("ARX_WEBHOOK_URL", "approvals.webhook.url", address, None),
            notify_urls=tuple(settings.get("ARX_NOTIFY_URLS", "", parse.text, "").split()),
            agent_id=settings.get("ARX_AGENT_ID", "agent_id", parse.text, f"cli:{_user(environ)}"),
            org_id=settings.get("ARX_ORG_ID", "org_id", parse.text, "default"),
            vault_url=settings.get("ARX_VAULT_URL", "vault.url", parse.text, "env:"),
            base_url=environ.get("PAGERDUTY_BASE_URL")
            or settings.get("", "pagerduty.base_url", parse.pagerduty, "https://api.pagerduty.com"),
            proxy=_proxy(settings),
            file=found,
            sandbox=bool(sandbox),
            sandbox_state=sandbox if isinstance(sandbox, str) else None,
            capture_params=settings.get("ARX_AUDIT_CAPTURE", "audit.capture", parse.capture, False),
            checkpoints=_checkpoints(settings),
        )


def _slack(settings: Settings) -> SlackSettings | None:
    channel = settings.get("ARX_SLACK_CHANNEL", "approvals.slack.channel", parse.text, None)
    if channel is None:
        if settings.has("approvals.slack."):
            raise settings.missing("ARX_SLACK_CHANNEL", "approvals.slack.channel", "Slack is set up without a channel")
        return None
    return SlackSettings(
        channel=channel,
        team=settings.get("ARX_SLACK_TEAM", "approvals.slack.team", parse.text, None),
        users=settings.get("ARX_SLACK_USERS", "approvals.slack.users", parse.names, {}),
        # Not from the file: a process that can write to the working directory could have the bot's token sent to it.
        base_url=settings.get("ARX_SLACK_URL", "", address, "https://slack.com/api/"),
    )


def _checkpoints(settings: Settings) -> CheckpointSettings | None:
    """Return the settings of automatic checkpoints; None unless both a key and a store are named."""
    key = settings.path("ARX_AUDIT_SIGNING_KEY", "audit.signing_key")
    stores = settings.stores("ARX_AUDIT_CHECKPOINTS", "audit.checkpoints")
    if key is None or not stores:
        return None
    return CheckpointSettings(
        signing_key=key,
        stores=tuple(store for store in stores if store != "-"),  # "-" is for `audit checkpoint`, which prints one
        witnesses=settings.get("ARX_AUDIT_WITNESSES", "audit.witnesses", parse.words, ()),
        every=settings.get("ARX_AUDIT_CHECKPOINT_EVERY", "audit.checkpoint_every", parse.seconds, 3_600.0),
        records=settings.get("ARX_AUDIT_CHECKPOINT_RECORDS", "audit.checkpoint_records", parse.count, 10_000),
    )


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigError(
            f"The working directory cannot be read: {error.strerror}. Change to one that exists. Nothing was sent."
        ) from None


def _proxy(settings: Settings) -> Proxy | None:
    bypass = settings.get("PAGERDUTY_NO_PROXY", "pagerduty.no_proxy", parse.hosts, ())
    proxy = settings.get(PROXY, "pagerduty.proxy", lambda url: Proxy.parse(url, bypass), None)
    if proxy is not None and proxy.user is not None and settings.from_file(PROXY, "pagerduty.proxy"):
        raise settings.secret_in_file("pagerduty.proxy", PROXY)
    return proxy


def _require_absolute(environ: Variables) -> None:
    """Refuse variables whose meaning the working directory would decide."""
    for name in ("ARX_CONFIG", "ARX_POLICY", "ARX_AUDIT_URL", "ARX_APPROVALS_URL", CERTIFICATES):
        value = environ.get(name) or "/"
        path = value.removeprefix("sqlite:///")
        if path != ":memory:" and "://" not in path and not path.startswith("/"):
            raise ConfigError(
                f"{name} is a relative path, {value!a}: the working directory, which an agent may write to, would "
                "decide what it means. Give the whole path. Nothing was sent."
            )


def _default_log(environ: Variables, *, sandbox: bool) -> str:
    name = "sandbox.db" if sandbox else "audit.db"
    return f"sqlite:///{user_folder(environ, 'XDG_STATE_HOME', '.local/state') / 'arx' / name}"


def _user(environ: Variables) -> str:
    """Return the user's name: the environment's, else the system's, as services and containers set no variable."""
    return environ.get("USER") or environ.get("LOGNAME") or os_user()
