"""Configuration: constructor argument, then environment, then `arx.toml`, then the default.

`arx.toml` is read from the working directory, or else from the user's configuration folder
(`$XDG_CONFIG_HOME/arx/arx.toml`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from attrs import frozen

from arx_wrapper.errors import ConfigError

__all__ = ["MEMORY", "Config"]

_T = TypeVar("_T")
_D = TypeVar("_D")
MEMORY = "sqlite:///:memory:"
"""An audit log that is gone with its connector: for the sandbox only."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


@frozen(kw_only=True)
class Config:
    """What a connector needs to know beyond its constructor's arguments.

    Attributes:
        policy: A policy file or a folder of `*.yaml`; None denies everything.
        audit_url: `sqlite:///path` or `postgresql://…`.
        approvals_url: The same; by default the audit log's database.
        approvals_mode: `wait` for a reviewer, or `raise` ApprovalPendingError.
        approvals_ttl: Seconds until a request for approval expires.
        agent_id, org_id: Who calls, on the command line.
        vault_url: `env:`, `file:///path`, `hashicorp://mount/path`.
        base_url: PagerDuty's address; EU accounts: `https://api.eu.pagerduty.com`.
        sandbox: Whether every call goes to the embedded sandbox.
        sandbox_seed: Decides the sandbox's ids and history.
        capture_params: Whether the audit log also keeps redacted parameters.
    """

    policy: str | None = None
    audit_url: str
    approvals_url: str
    approvals_mode: Literal["wait", "raise"] = "wait"
    approvals_ttl: float = 3600.0
    agent_id: str
    org_id: str = "default"
    vault_url: str = "env:"
    base_url: str = "https://api.pagerduty.com"
    sandbox: bool = False
    sandbox_seed: int | None = None
    capture_params: bool = False

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
        *,
        audit_default: str | None = None,
    ) -> Config:
        """The configuration in force here.

        Args:
            environ: The environment; by default the process's own.
            folder: Where to look for `arx.toml` first; by default the working directory.
            audit_default: The audit log's address when none is configured.

        Raises:
            ConfigError: naming the file or variable, what is wrong with it and what is accepted.
        """
        environ = os.environ if environ is None else environ
        settings = _Settings(environ, *_read_toml(environ, folder or Path.cwd()))
        sandbox = settings.get("ARX_SANDBOX", "sandbox", _boolean, False)
        default_log = audit_default or _default_log(environ, sandbox=sandbox)
        audit_url = settings.get("ARX_AUDIT_URL", "audit.url", _text, default_log)
        return cls(
            policy=settings.get("ARX_POLICY", "policy", _text, None),
            audit_url=audit_url,
            approvals_url=settings.get("ARX_APPROVALS_URL", "approvals.url", _text, audit_url),
            approvals_mode=settings.get("ARX_APPROVALS_MODE", "approvals.mode", _mode, "wait"),
            approvals_ttl=settings.get("ARX_APPROVALS_TTL", "approvals.ttl", _seconds, 3600.0),
            agent_id=settings.get("ARX_AGENT_ID", "agent_id", _text, f"cli:{_user(environ)}"),
            org_id=settings.get("ARX_ORG_ID", "org_id", _text, "default"),
            vault_url=settings.get("ARX_VAULT_URL", "vault.url", _text, "env:"),
            base_url=settings.get("PAGERDUTY_BASE_URL", "pagerduty.base_url", _text, "https://api.pagerduty.com"),
            sandbox=sandbox,
            capture_params=settings.get("ARX_AUDIT_CAPTURE", "audit.capture", _capture, False),
        )


_KEYS = frozenset(
    {
        "policy",
        "audit.url",
        "audit.capture",
        "approvals.url",
        "approvals.mode",
        "approvals.ttl",
        "agent_id",
        "org_id",
        "vault.url",
        "pagerduty.base_url",
        "sandbox",
    }
)


class _Settings:
    """Looks a setting up in the environment, then in the file."""

    def __init__(self, environ: Mapping[str, str], file: Path | None, table: Mapping[str, Any]) -> None:
        self._environ, self._file, self._table = environ, file, table

    def get(self, variable: str, key: str, parse: Callable[[object], _T], default: _D) -> _T | _D:
        if value := self._environ.get(variable):
            source: object = variable
        elif key in self._table:
            value, source = self._table[key], f"{self._file}: {key}"
        else:
            return default
        try:
            return parse(value)
        except ValueError as error:
            raise ConfigError(f"{source}: {error}. Nothing was sent.") from None


def _read_toml(environ: Mapping[str, str], folder: Path) -> tuple[Path | None, Mapping[str, Any]]:
    for file in (folder / "arx.toml", _user_folder(environ, "XDG_CONFIG_HOME", ".config") / "arx" / "arx.toml"):
        if not file.is_file():
            continue
        import tomllib  # only when there is a file to read

        try:
            flat = _flatten(tomllib.loads(file.read_text("utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{file}: cannot be read: {error}. Nothing was sent.") from None
        for key in flat:
            if key not in _KEYS:
                nearest = difflib.get_close_matches(key, _KEYS, n=1)
                hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(sorted(_KEYS))}."
                raise ConfigError(f"{file}: {key!r} is not a setting; {hint} Nothing was sent.")
        return file, flat
    return None, {}


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _default_log(environ: Mapping[str, str], *, sandbox: bool) -> str:
    name = "sandbox.db" if sandbox else "audit.db"
    return f"sqlite:///{_user_folder(environ, 'XDG_STATE_HOME', '.local/state') / 'arx' / name}"


def _user_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    if folder := environ.get(variable):
        return Path(folder)
    return Path(environ.get("HOME") or Path.home()) / below_home


def _user(environ: Mapping[str, str]) -> str:
    return environ.get("USER") or environ.get("LOGNAME") or str(os.getuid())


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be text")
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    lowered = str(value).lower()
    if lowered in _TRUE or lowered in _FALSE:
        return lowered in _TRUE
    raise ValueError("must be 1 or 0")


def _mode(value: object) -> Literal["wait", "raise"]:
    if value == "wait":
        return "wait"
    if value == "raise":
        return "raise"
    raise ValueError("must be 'wait' or 'raise'")


def _capture(value: object) -> bool:
    if value in ("params", "none"):
        return value == "params"
    raise ValueError("must be 'params' or 'none'")


def _seconds(value: object) -> float:
    seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    if not 1 <= seconds <= 30 * 86400:
        raise ValueError("must be seconds between 1 and 2,592,000")
    return seconds
