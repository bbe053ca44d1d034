"""Open a log's SQLite file: for writing, with checks that it is still the file at its path, or read-only."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from arx_wrapper.errors import AuditError

PATIENCE: Final = 4.0
"""Seconds for which a locked database is waited for, by default."""
_SIDES: Final = ("", "-wal", "-shm")


@contextlib.contextmanager
def explained(done: str) -> Iterator[None]:
    """Turn SQLite's errors, and errors from values that no log holds, into an `AuditError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise unusable(done, error) from None
    except (TypeError, ValueError) as error:
        raise damaged(error) from error


def unusable(done: str, error: sqlite3.Error) -> AuditError:
    """Return the `AuditError` for an error of SQLite."""
    return AuditError(
        f"The audit log cannot be {done}: {error}. Nothing was sent. Look for a full disk, a read-only file or another "
        "process that holds it locked."
    )


def damaged(error: TypeError | ValueError) -> AuditError:
    """Return the error for a file that SQLite can read, but whose values have a wrong type or form."""
    return AuditError(
        f"The audit log's file is damaged: it holds a value that no log has ({error}). Nothing was sent. Keep a copy "
        "as evidence, and continue with a backup or a new log."
    )


def connected(path: str, *, uri: bool = False, patience: float = PATIENCE) -> sqlite3.Connection:
    """Open a database for use from one thread at a time; statements wait `patience` seconds for a locked one."""
    return sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False, uri=uri)


def require_plain_file(path: str) -> None:
    """Refuse to write a log through a symbolic link, because writers find each other's locks beside the file itself.

    Raises:
        AuditError: the path is a link.
        OSError: it is a device, a pipe or a folder.
    """
    if os.path.islink(path):
        raise AuditError(
            f"The audit log {path} is a symbolic link. Nothing was sent. Name the file itself in ARX_AUDIT_URL: "
            f"{os.path.realpath(path)}. Its key lies beside it."
        )
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{path} is not a regular file")


def use_wal(database: sqlite3.Connection, until: float) -> None:
    """Switch to WAL, with retries: SQLite does not always wait here, and several processes may open the log.

    Args:
        database: The connection.
        until: The time until which it is retried, by `time.monotonic()`.
    """
    while True:
        wait_for_locks(database, until - time.monotonic())
        try:
            database.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def wait_for_locks(database: sqlite3.Connection, seconds: float) -> None:
    """Make statements of a connection wait this long for a lock of another one."""
    database.execute(f"PRAGMA busy_timeout={max(int(seconds * 1000), 1)}")


def require_locks(path: str) -> None:
    """Refuse a connection that holds no lock of its own, which can happen in the child of a fork.

    SQLite keeps a list of a process's locks for each file. A child inherits the list but not the locks. While one of
    the parent's connections to the file exists in the child, a new connection takes no lock. When the parent then
    closes the log, its side files are removed although the child uses them.

    Raises:
        AuditError: this process was forked, and its connection holds no lock on the file.
    """
    if not _FORKED:
        return
    try:
        held = Path("/proc/locks").read_text("ascii")
    except OSError:  # not on Linux
        return
    inode = os.stat(path).st_ino
    locks = (line.split() for line in held.splitlines())
    if any(lock[-4] == str(os.getpid()) and lock[-3].endswith(f":{inode}") for lock in locks if len(lock) > 7):
        return
    raise AuditError(
        f"This process was forked while {path} was open in its parent for another purpose than writing the log, such "
        "as approvals, and SQLite's locks do not survive a fork. Nothing was sent. Fork before the file is opened, or "
        "start a new process (`spawn` instead of `fork`)."
    )


def _forked() -> None:
    _FORKED.append(True)


_FORKED: list[bool] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class OpenFile:
    """The identity of an open log's files, which must still be the files at the log's path.

    Removing, renaming or replacing a file changes the time of its folder, so comparing that time is usually enough. A
    very recent time is not relied on, because another change could have the same one.
    """

    def __init__(self, path: str) -> None:
        self._path, self._folder = path, os.path.dirname(path) or "."
        self._known, self._at = _identity(path), (0, 0, 0)

    def check(self) -> None:
        """Compare the open files with the path.

        Raises:
            AuditError: the log was removed, renamed or replaced while this process had it open.
        """
        try:
            state = os.stat(self._folder)
            folder = (state.st_dev, state.st_ino, state.st_mtime_ns)
            if folder == self._at:
                return
            same = _identity(self._path) == self._known
        except FileNotFoundError:
            same = False
        if not same:
            raise AuditError(
                f"The audit log {self._path} was removed, renamed or replaced while this process had it open: its "
                "records would be lost. Nothing was sent. Restore the file, with its -wal and -shm, or restart this "
                "process."
            )
        self._at = folder if time.time_ns() - folder[2] > _SETTLED else (0, 0, 0)


_SETTLED: Final = 100_000_000  # nanoseconds, longer than the resolution of file systems' times


def _identity(path: str) -> tuple[tuple[int, int], ...]:
    states = [os.stat(path + side) for side in _SIDES]
    return tuple((state.st_dev, state.st_ino) for state in states)


def opened_to_read(path: str, *, patience: float = PATIENCE) -> sqlite3.Connection:
    """Open a log for reading one state of it; no record, key or table is created or written.

    On read-only media or a full disk, SQLite cannot create its shared-memory file. Then no other process can write the
    log either, so it is read without locks. Records that a dead process left in the -wal file are read from a copy.

    Raises:
        AuditError: it cannot be read.
    """
    path = os.path.realpath(path)  # a log's other files lie beside the file itself, as SQLite finds them
    with explained("read"):
        if not _cramped(path):
            try:
                return _begun(connected(path, patience=patience), path)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _UNWRITABLE:
                    raise
        if _size(path + "-wal") == 0:
            return _begun(connected(f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1", uri=True))
        return _copied(path)


def _cramped(path: str) -> bool:
    """Return True when SQLite could not create its shared-memory file, or not completely."""
    if os.path.exists(path + "-shm"):
        return False
    folder = os.path.dirname(path) or "."
    room = os.statvfs(folder)
    return bool(room.f_flag & os.ST_RDONLY) or room.f_bavail * room.f_frsize < _ROOM or not os.access(folder, os.W_OK)


_ROOM: Final = 1 << 20
_UNWRITABLE: Final = frozenset(
    {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
)


def _begun(database: sqlite3.Connection, path: str | None = None) -> sqlite3.Connection:
    try:
        database.execute("PRAGMA query_only=ON")
        database.execute("BEGIN")  # reads one state of the log, whatever is written or sealed meanwhile
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if path is not None:
            require_locks(path)
    except BaseException:
        database.close()
        raise
    return database


def _copied(path: str) -> sqlite3.Connection:
    """Read a log and its -wal file from a copy, which closing removes."""
    try:
        folder = tempfile.mkdtemp(prefix="arx-audit-")
    except OSError as error:
        raise AuditError(
            f"The audit log lies on media that cannot be written, with records in {path}-wal, and there is no room "
            f"for a copy to read: {error.strerror}. Set TMPDIR to a folder with room for it."
        ) from None
    try:
        for side in ("", "-wal"):
            shutil.copyfile(path + side, os.path.join(folder, "audit.db" + side))
        database = sqlite3.connect(
            os.path.join(folder, "audit.db"), isolation_level=None, check_same_thread=False, factory=_Copy
        )
        _begun(database)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise AuditError(f"The audit log cannot be copied to be read: {error.strerror}. Set TMPDIR.") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    database.folder = folder
    return database


class _Copy(sqlite3.Connection):
    """A connection to a copy; closing it removes the copy."""

    folder = ""

    def close(self) -> None:
        super().close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
