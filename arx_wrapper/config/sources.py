"""How a setting is looked up: in the environment, then in `arx.toml`; what is wrong is named with its place."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from arx_wrapper.config import values as parse
from arx_wrapper.errors import ConfigError

_T = TypeVar("_T")
_D = TypeVar("_D")


def user_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    """A folder of the user's by the XDG base directory specification: `XDG_CONFIG_HOME`, else below `HOME`.

    Raises:
        ConfigError: the user has no home, as in a container under an arbitrary user id.
    """
    if folder := environ.get(variable):
        return Path(folder)
    try:
        return Path(environ.get("HOME") or Path.home()) / below_home
    except RuntimeError:
        raise ConfigError(
            f"The user {os.getuid()} has no home folder. Set HOME or {variable}. Nothing was sent."
        ) from None


# The file's keys; those that hold a table of the user's own names are taken as they are.
_TABLES = frozenset({"approvals.reviewers", "approvals.slack.users"})
KEYS = _TABLES | {
    "policy",
    "audit.url",
    "audit.capture",
    "approvals.url",
    "approvals.mode",
    "approvals.ttl",
    "approvals.pending_cap",
    "approvals.proof",
    "console.origin",
    "approvals.slack.channel",
    "approvals.slack.team",
    "approvals.webhook.url",
    "agent_id",
    "org_id",
    "vault.url",
    "pagerduty.base_url",
    "sandbox",
}
_SECRETS = {
    "approvals.slack.token": "SLACK_BOT_TOKEN",
    "approvals.slack.bot_token": "SLACK_BOT_TOKEN",
    "approvals.slack.signing_secret": "SLACK_SIGNING_SECRET",
    "approvals.webhook.secret": "ARX_WEBHOOK_SECRET",
    "pagerduty.api_key": "PAGERDUTY_API_KEY",
    "audit.key": "ARX_AUDIT_KEY",
    "vault.key": "ARX_VAULT_KEY",
}


class Settings:
    """Looks a setting up in the environment, then in the file."""

    def __init__(self, environ: Mapping[str, str], file: Path | None, table: Mapping[str, Any]) -> None:
        self._environ, self._file, self._table = environ, file, table

    def get(self, variable: str, key: str, read: Callable[[object], _T], default: _D) -> _T | _D:
        """A setting, read from the variable, else from the file's key. ConfigError when it is not what it should be."""
        if value := self._environ.get(variable):
            source: object = variable
        elif key in self._table:
            value, source = self._table[key], f"{self._file}: {key}"
        else:
            return default
        try:
            return read(value)
        except ValueError as error:
            raise ConfigError(f"{source}: {error}. Nothing was sent.") from None

    def path(self, variable: str, key: str) -> str | None:
        """A path; one that the file gives is relative to the file."""
        found = self.get(variable, key, parse.text, None)
        if found is None or self._environ.get(variable) or self._file is None:
            return found
        return str(self._file.parent / found)

    def missing(self, variable: str, key: str, because: str) -> ConfigError:
        """What to raise when a setting is needed on account of another."""
        return ConfigError(
            f"{self._file or 'environment'}: {key} ({variable}) is missing: {because}. Nothing was sent."
        )

    def has(self, prefix: str) -> bool:
        """Whether the file says anything below a key."""
        return any(key.startswith(prefix) for key in self._table)


def read_toml(environ: Mapping[str, str], folder: Path) -> tuple[Path | None, Mapping[str, Any]]:
    """The file in force, and its keys made flat. ConfigError when it cannot be read or has a key that is unknown."""
    for file in _places(environ, folder):
        if not file.is_file():
            continue
        import tomllib  # only when there is a file to read

        try:
            flat = _flatten(tomllib.loads(file.read_text("utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{file}: cannot be read: {error}. Nothing was sent.") from None
        for key in flat:
            _require_known(file, key)
        return file, flat
    return None, {}


def _places(environ: Mapping[str, str], folder: Path) -> Iterator[Path]:
    yield folder / "arx.toml"
    with suppress(ConfigError):  # who has no home has no file there
        yield user_folder(environ, "XDG_CONFIG_HOME", ".config") / "arx" / "arx.toml"


def _require_known(file: Path, key: str) -> None:
    if key in KEYS:
        return
    if any(name.startswith(f"{key}.") for name in KEYS):
        raise ConfigError(
            f"{file}: [{key}] is no section with settings; give it some or take it out. Nothing was sent."
        )
    if variable := _SECRETS.get(key):
        raise ConfigError(
            f"{file}: {key!r} is a secret, which no file here may hold. Take it out, consider it known, and set "
            f"{variable} instead. Nothing was sent."
        )
    nearest = difflib.get_close_matches(key, KEYS, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(sorted(KEYS))}."
    raise ConfigError(f"{file}: {key!r} is not a setting; {hint} Nothing was sent.")


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and value and prefix + key not in _TABLES:
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
