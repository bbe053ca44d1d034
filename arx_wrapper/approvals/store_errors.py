"""Say why an approval store cannot be used, and what to do about it."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_OTHER: Final = "or name another store in ARX_APPROVALS_URL"
_ACCESS: Final = f"Let this user read and write the file and its folder, {_OTHER}."
_DAMAGED: Final = (
    "Keep a copy of the file. Where it holds approvals alone, move it away: a new one is made, and agents ask again. "
    "Where it is the audit log as well, `arx-pagerduty audit verify` says what is left of it; restore it from a backup."
)
_VERSION: Final = (
    "The tables are not those of this version of arx-pagerduty: update the older installation that uses the store, "
    f"{_OTHER}."
)
_SPACE: Final = "Make space on its disk, then repeat the command or call."
_LOCKED: Final = "Another process holds it locked. Find that process (`fuser FILE`), then repeat the command or call."
_DISK: Final = "Look at the disk and at the system's log; no approval is used before it is stored."
_PLACE: Final = f"Look at the file and its folder: it has to be a regular file that this user can write, {_OTHER}."

# By SQLite's primary result code; named here because importing sqlite3 costs each start of the command time.
_SQLITE: Final[Mapping[int, str]] = {
    1: _VERSION,  # SQLITE_ERROR: no such table or column
    3: _ACCESS,  # SQLITE_PERM
    5: _LOCKED,  # SQLITE_BUSY
    6: _LOCKED,  # SQLITE_LOCKED
    8: _ACCESS,  # SQLITE_READONLY
    10: _DISK,  # SQLITE_IOERR
    11: _DAMAGED,  # SQLITE_CORRUPT
    13: _SPACE,  # SQLITE_FULL
    14: _ACCESS,  # SQLITE_CANTOPEN
    24: _DAMAGED,  # SQLITE_FORMAT
    26: _DAMAGED,  # SQLITE_NOTADB
}
_SYSTEM: Final[Mapping[int, str]] = {
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.EROFS: _ACCESS,
    errno.ENOSPC: _SPACE,
}
_ADDRESS: Final = "Check the server, and the address in ARX_APPROVALS_URL"
# By SQLSTATE, or its class.
_POSTGRES: Final[Mapping[str, tuple[str, str]]] = {
    "08": ("the server cannot be reached", f"{_ADDRESS}."),
    "25006": ("the server accepts no writes: it is a standby, or read-only", f"{_ADDRESS}."),
    "28": ("the server refuses the log-in", "Correct the role and its password in ARX_APPROVALS_URL."),
    "3D": ("there is no such database", "Create it, or correct ARX_APPROVALS_URL."),
    "42501": (
        "the role lacks a right, or the organisation is not one of its own",
        "The tables' owner grants it: `arx-pagerduty audit grant ROLE --org ORG`.",
    ),
    "42": ("its tables are not those of this version", "The tables' owner runs `arx-pagerduty audit migrate`."),
    "53100": ("the server's disk is full", "Make space there, then repeat the command or call."),
    "53": ("the server is out of memory or connections", "Repeat the command or call once it has some."),
    "55P03": ("another session holds it locked", "Find that session in pg_locks, then repeat the command or call."),
    "57014": ("the server did not respond in time", "Repeat the command or call; look at the server's load."),
    "57P": ("the server is shutting down or starting", "Repeat the command or call once it runs."),
    "58": ("the server's disk does not work", "Look at the server's log."),
}


def in_sqlite(path: Path | None, error: Exception) -> str:
    """Return the message for a file that cannot be used: what happened, that nothing was sent, what to do."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        remedy = _SQLITE.get(code & 0xFF, _DISK)
    elif isinstance(error, OSError):
        remedy = _SYSTEM.get(error.errno or 0, _PLACE)
    else:
        remedy = _DAMAGED  # Python's own: a text in it is not UTF-8
    cause = getattr(error, "strerror", None) or str(error)
    return f"The approval store {path or 'in memory'} cannot be used: {cause}. Nothing was sent. {remedy}"


def in_postgres(error: Exception) -> str:
    """Return the message for a server that cannot be used; the driver's text is left out, it may hold a password."""
    state = getattr(error, "sqlstate", None) or "08"  # without a state, there is no connection
    known = (_POSTGRES[state[:length]] for length in (5, 3, 2) if state[:length] in _POSTGRES)
    cause, remedy = next(known, (f"{type(error).__name__} {state}", "Look at the server's log."))
    return f"The approval store in PostgreSQL cannot be used: {cause} ({state}). Nothing was sent. {remedy}"
