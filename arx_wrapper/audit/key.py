"""Read or make a log's key: from the environment, or in the file beside the log."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from arx_wrapper.audit.record import hasher
from arx_wrapper.errors import AuditError

MARK: Final = b"arx-pagerduty audit key"
"""The text whose keyed hash the log stores, so that a wrong key is recognised."""
NOT_THE_KEY: Final = (
    "This is not the log's key: the log was begun with another one. Give this process the same ARX_AUDIT_KEY, or the "
    "same key file beside the log, as the process that began the log."
)
ANOTHER_KEY: Final = "this is not the log's key"
_SHORTEST: Final = 32
# Seconds within which a log's first process makes its key and its file.
_BESIDE: Final = 60.0
_log = logging.getLogger("arx_wrapper.audit")


def configured_key() -> bytes | None:
    """Return `ARX_AUDIT_KEY`; None when it is not set. AuditError when it is too short, or not hexadecimal."""
    configured = os.environ.get("ARX_AUDIT_KEY")
    return parsed_key(configured, "ARX_AUDIT_KEY") if configured else None


def parsed_key(text: str, where: str) -> bytes:
    """Return the bytes of a key.

    Raises:
        AuditError: it is so short that an attacker could find it by trying all keys.
    """
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) < _SHORTEST:
        raise AuditError(f"{where} must be at least {2 * _SHORTEST} hexadecimal digits. Nothing was sent.")
    return key


def late_hasher(find_key: Callable[[], bytes | None], missing: str) -> Callable[[bytes], str]:
    """Return HMAC-SHA256 with a key that is looked for when the first hash is computed, not to read records.

    Args:
        find_key: Returns the key; None when there is none.
        missing: The message of the `AuditError` that a hash without a key raises.
    """
    found: list[Callable[[bytes], str]] = []

    def digest(data: bytes) -> str:
        if not found:
            key = find_key()
            if key is None:
                raise AuditError(missing)
            found.append(hasher(key))
        return found[0](data)

    return digest


def key_file(path: str) -> Path:
    """Return the path of the key file of a log in SQLite."""
    return Path(path + ".key")


def stored_key(path: str) -> bytes | None:
    """Return the key in the file beside a log; None when there is no such file.

    Raises:
        AuditError: others can read the file, another user owns it, or it holds no key.
    """
    file = key_file(path)
    try:
        state = file.stat()
        text = file.read_text("ascii", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise AuditError(f"The log's key {file} cannot be read: {error.strerror}. Nothing was sent.") from None
    if state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise AuditError(
            f"The log's key {file} is open to other users (mode {stat.S_IMODE(state.st_mode):o}). Nothing was sent. "
            "Run `chmod 600` on it; if others may have read it, begin a new log."
        )
    if state.st_uid not in _trusted(path):
        raise AuditError(
            f"The log's key {file} belongs to another user (uid {state.st_uid}). Nothing was sent. Find out who put it "
            "there; it must belong to the owner of the log."
        )
    return parsed_key(text, str(file))


def made_key(path: str, *, has_records: Callable[[], bool]) -> bytes:
    """Return the key beside a log, making it for a log that has no records yet.

    Raises:
        AuditError: the log has records, so its key was lost; or the file cannot be used.
    """
    if path == ":memory:":
        return secrets.token_bytes(_SHORTEST)
    found = stored_key(path)
    if found is not None:
        _warn_of_a_new_log(path)
        return found
    if has_records():
        raise AuditError(
            f"The audit log {path} has records, and its key is not here: ARX_AUDIT_KEY is not set and "
            f"{key_file(path)} is missing. Nothing was sent. Restore the key; with another one the log would no longer "
            "verify."
        )
    file = key_file(path)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(secrets.token_hex(32))
            handle.flush()
            os.fsync(handle.fileno())
        with contextlib.suppress(FileExistsError):  # another process made it first; its key is the log's
            os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    found = stored_key(path)
    if found is None:
        raise AuditError(f"The log's key {file} was removed while it was being created. Nothing was sent.")
    return found


def _warn_of_a_new_log(path: str) -> None:
    """Warn when a log begins with a key that has been there for a while: the log before it may have been removed.

    The key may also have been put there beforehand, so the log begins nevertheless.
    """
    if Path(path).exists():
        return
    with contextlib.suppress(OSError):  # the key was read a moment ago; another process may be replacing it
        age = time.time() - key_file(path).stat().st_mtime
        if age > _BESIDE:
            _log.warning(
                "The audit log %s begins now, and its key %s is %.0f minutes old. If there was a log before, it was "
                "removed: restore it, and find out who did this.",
                path,
                key_file(path),
                age / 60,
            )


def _trusted(path: str) -> set[int]:
    """Return the users that a log's key may belong to."""
    users = {0, os.getuid()}
    with contextlib.suppress(FileNotFoundError):
        users.add(Path(path).stat().st_uid)
    return users
