"""Look settings up in the environment, then in `arx.toml`. Errors name the variable or the file's key."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from arx_wrapper.config import values as parse
from arx_wrapper.credentials import Variables
from arx_wrapper.errors import ConfigError
from arx_wrapper.files import read_text

_T = TypeVar("_T")
_D = TypeVar("_D")


CONFIG = "ARX_CONFIG"


def os_user() -> str:
    """Return the operating system's name of the user; any caller could set the environment's."""
    try:
        import pwd
    except ImportError:  # not on Windows
        import getpass

        return getpass.getuser()
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # common in containers
        return str(os.geteuid())


def user_folder(environ: Mapping[str, str] | Variables, variable: str, below_home: str) -> Path:
    """Return a folder of the user's by the XDG base directory specification: `XDG_CONFIG_HOME`, else below `HOME`.

    A relative path is ignored, as the specification says: it would name a folder below the working directory.

    Raises:
        ConfigError: the user has no home, as in a container under an arbitrary user id.
    """
    environ = Variables(environ)  # so that no traceback shows its values
    if (folder := environ.get(variable)) and Path(folder).is_absolute():
        return Path(folder)
    try:
        home = environ.get("HOME")
        return (Path(home) if home and Path(home).is_absolute() else Path.home()) / below_home
    except RuntimeError:
        raise ConfigError(
            f"The user {os.getuid()} has no home folder. Set HOME or {variable}. Nothing was sent."
        ) from None


# The file's keys. Tables whose keys are the user's own names are not checked further.
_SQLITE = "sqlite:///"
_TABLES = frozenset({"approvals.reviewers", "approvals.groups", "approvals.slack.users"})
KEYS = _TABLES | {
    "policy",
    "audit.url",
    "audit.capture",
    "audit.signing_key",
    "audit.checkpoints",
    "audit.witnesses",
    "audit.checkpoint_every",
    "audit.checkpoint_records",
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
    "pagerduty.proxy",
    "pagerduty.no_proxy",
    "sandbox",
}
_SECRETS = {
    "approvals.slack.token": "SLACK_BOT_TOKEN",
    "approvals.slack.bot_token": "SLACK_BOT_TOKEN",
    "approvals.slack.signing_secret": "SLACK_SIGNING_SECRET",
    "approvals.webhook.secret": "ARX_WEBHOOK_SECRET",
    "approvals.notify": "ARX_NOTIFY_URLS",
    "pagerduty.api_key": "PAGERDUTY_API_KEY",
    "audit.key": "ARX_AUDIT_KEY",
    "vault.key": "ARX_VAULT_KEY",
}


class Settings:
    """Looks a setting up in the environment, then in the file."""

    def __init__(self, environ: Variables, file: Path | None, table: Mapping[str, Any]) -> None:
        self._environ, self._file, self._table = environ, file, table

    def get(self, variable: str, key: str, read: Callable[[object], _T], default: _D) -> _T | _D:
        """Return a setting, from the variable, else from the file's key. ConfigError when it is malformed."""
        if value := self._environ.get(variable):
            source: object = variable
        elif key in self._table:
            value, source = self._table[key], f"{self._file}: {key}"
        else:
            return default
        try:
            return read(value)
        except ValueError as error:
            problem = str(error)
        del value  # it may be a secret, which a traceback would show
        raise ConfigError(f"{source}: {problem}. Nothing was sent.")

    def path(self, variable: str, key: str) -> str | None:
        """Return a path; one that the file gives is relative to the file."""
        found = self.get(variable, key, parse.text, None)
        if found is None or self._environ.get(variable) or self._file is None:
            return found
        return str(self._file.parent / found)

    def stores(self, variable: str, key: str) -> tuple[str, ...]:
        """Return folders and other addresses; folders that the file gives are relative to the file."""
        found: tuple[str, ...] = self.get(variable, key, parse.words, ())
        if self._environ.get(variable) or self._file is None:
            return found
        return tuple(one if "://" in one or one == "-" else str(self._file.parent / one) for one in found)

    def switch_or_path(self, variable: str, key: str) -> bool | str:
        """Return a switch, or a path; one that the file gives is relative to the file."""
        found = self.get(variable, key, parse.switch_or_path, False)
        if isinstance(found, bool) or self._environ.get(variable) or self._file is None:
            return found
        return str(self._file.parent / found)

    def database(self, variable: str, key: str) -> str | None:
        """Return a database's address; the path of a SQLite address that the file gives is relative to the file."""
        found = self.get(variable, key, parse.text, None)
        if found is None or self._environ.get(variable) or self._file is None:
            return found
        path = found.removeprefix(_SQLITE)
        if path == found or path.startswith(("/", ":memory:")):
            return found
        return f"{_SQLITE}{self._file.parent / path}"

    def from_file(self, variable: str, key: str) -> bool:
        """Return True when the setting comes from the file and not from the variable."""
        return key in self._table and not self._environ.get(variable)

    def secret_in_file(self, key: str, variable: str) -> ConfigError:
        """Return the error to raise when the file holds a secret."""
        return _secret(self._file, key, variable)

    def missing(self, variable: str, key: str, because: str) -> ConfigError:
        """Return the error to raise when another setting requires this one."""
        return ConfigError(
            f"{self._file or 'environment'}: {key} ({variable}) is missing: {because}. Nothing was sent."
        )

    def has(self, prefix: str) -> bool:
        """Return True when the file has any setting below a key."""
        return any(key.startswith(prefix) for key in self._table)


def read_toml(
    environ: Variables, folder: Path | None, file: Path | None = None
) -> tuple[Path | None, Mapping[str, Any]]:
    """Return the file that was found, and its settings by dotted key.

    Args:
        environ: The environment; `ARX_CONFIG` names the file where `file` does not.
        folder: The folder to look in before the user's; None for the user's alone.
        file: The file to read, and no other.

    Raises:
        ConfigError: it cannot be read, has an unknown key, or was named and does not exist.
    """
    named = file or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    if named is not None and not _is_file(named):
        raise ConfigError(f"There is no configuration file {str(named)!a}. Nothing was sent.")
    for file in [named.absolute()] if named is not None else _candidates(environ, folder):
        if not _is_file(file):
            continue
        import tomllib  # only when there is a file to read

        try:
            flat = _flatten(tomllib.loads(read_text(file)))
        except (OSError, tomllib.TOMLDecodeError, RecursionError) as error:
            cause = getattr(error, "strerror", None) or error
            raise ConfigError(f"{file}: cannot be read: {cause}. Nothing was sent.") from None
        for key in flat:
            _require_known(file, key)
        return file, flat
    return None, {}


def _is_file(path: Path) -> bool:
    """Return False where there is nothing, or a folder.

    Raises:
        ConfigError: that cannot be found out; a file that cannot be read must not pass for one that is not there.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise ConfigError(f"{str(path)[:200]!a}: cannot be read: {cause}. Nothing was sent.") from None


def _candidates(environ: Variables, folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder / "arx.toml"
    with suppress(ConfigError):  # a user without a home has no file there
        yield user_folder(environ, "XDG_CONFIG_HOME", ".config") / "arx" / "arx.toml"


def _require_known(file: Path, key: str) -> None:
    if key in KEYS:
        return
    if any(name.startswith(f"{key}.") for name in KEYS):
        raise ConfigError(f"{file}: [{key}] is a section without settings; add some or remove it. Nothing was sent.")
    if variable := _SECRETS.get(key):
        raise _secret(file, key, variable)
    nearest = difflib.get_close_matches(key, KEYS, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(sorted(KEYS))}."
    raise ConfigError(f"{file}: {key!r} is not a setting; {hint} Nothing was sent.")


def _secret(file: Path | None, key: str, variable: str) -> ConfigError:
    return ConfigError(
        f"{file}: {key!r} is a secret, and secrets are not read from files. Remove it, consider it known to others, "
        f"and set {variable} instead. Nothing was sent."
    )


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and value and prefix + key not in _TABLES:
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
