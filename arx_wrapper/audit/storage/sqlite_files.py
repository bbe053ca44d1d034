"""Opening a log's SQLite file: to write, with checks that it is the file of its path, or to read without writing."""

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
_SIDES: Final = ("", "-wal", "-shm")


@contextlib.contextmanager
def explained(done: str) -> Iterator[None]:
    """Turn SQLite's errors into an `AuditError`, and those of values that no log of ours holds."""
    try:
        yield
    except sqlite3.Error as error:
        raise unusable(done, error) from None
    except (TypeError, ValueError) as error:
        raise damaged(error) from error


def unusable(done: str, error: sqlite3.Error) -> AuditError:
    """Return an error of SQLite for people."""
    return AuditError(
        f"The audit log cannot be {done}: {error}. Nothing was sent. Look for a full disk, a read-only file or another "
        "process that holds it locked."
    )


def damaged(error: TypeError | ValueError) -> AuditError:
    """Return an error for a file that SQLite reads, but whose values have another type or form than ours."""
    return AuditError(
        f"The audit log's file is damaged: it holds a value that no log has ({error}). Nothing was sent. Keep a copy "
        "as evidence, and go on with a backup or a new log."
    )


def connected(path: str, *, uri: bool = False) -> sqlite3.Connection:
    """Open a database for use from one thread at a time."""
    return sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False, uri=uri)


def require_locks(path: str) -> None:
    """Refuse a connection that holds no lock of its own, as can be in the child of a fork.

    SQLite keeps the locks of a process by file. A child inherits that book and not the locks, so that as long as any
    of its parent's connections to the file is left in it, another one takes none: when the parent closes the log,
    its side files are removed under the child.

    Raises:
        AuditError: this process was forked, and its connection holds no lock on the file.
    """
    if not _FORKED:
        return
    try:
        held = Path("/proc/locks").read_text("ascii")
    except OSError:  # no Linux
        return
    inode = os.stat(path).st_ino
    locks = (line.split() for line in held.splitlines())
    if any(lock[-4] == str(os.getpid()) and lock[-3].endswith(f":{inode}") for lock in locks if len(lock) > 7):
        return
    raise AuditError(
        f"This process was forked while {path} was open in its parent for something else than writing the log, such as "
        "approvals, and SQLite's locks do not outlive a fork. Nothing was sent. Fork before the file is opened, or "
        "start the process anew (`spawn` in place of `fork`)."
    )


def _forked() -> None:
    _FORKED.append(True)


_FORKED: list[bool] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class OpenFile:
    """The identity of an open log's files: what is written must be what the log's path leads to.

    A file that is removed, renamed or replaced changes the time of its folder, so one look at that is enough as a rule.
    A time so recent that another change could have the same one is not relied on.
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
                f"The audit log {self._path} was removed, renamed or replaced while this process had it open: what it "
                "writes would be lost. Nothing was sent. Put the file back, with its -wal and -shm, or restart this "
                "process."
            )
        self._at = folder if time.time_ns() - folder[2] > _SETTLED else (0, 0, 0)


_SETTLED: Final = 100_000_000  # nanoseconds, more than any clock tick of a file system that keeps times at all


def _identity(path: str) -> tuple[tuple[int, int], ...]:
    states = [os.stat(path + side) for side in _SIDES]
    return tuple((state.st_dev, state.st_ino) for state in states)


def opened_to_read(path: str) -> sqlite3.Connection:
    """Open a log for reading one state of it; no record, key or table is written, and none is made.

    On media that cannot be written, or on a full disk, SQLite cannot make the files by which processes agree. Then
    nobody else can write the log either, and it is read as it is; what a process that died left in the -wal file is
    read in a copy.

    Raises:
        AuditError: it cannot be read.
    """
    with explained("read"):
        if not _cramped(path):
            try:
                return _begun(connected(path), path)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _UNWRITABLE:
                    raise
        if _size(path + "-wal") == 0:
            return _begun(connected(f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1", uri=True))
        return _copied(path)


def _cramped(path: str) -> bool:
    """Return whether SQLite could not make the file by which processes agree, or only a part of it."""
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
        database.execute("BEGIN")  # one state of the log, whatever is written or sealed meanwhile
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if path is not None:
            require_locks(path)
    except BaseException:
        database.close()
        raise
    return database


def _copied(path: str) -> sqlite3.Connection:
    """Read a log and its -wal file in a copy, which is gone when it is closed."""
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
    """A connection to a copy, which is removed with it."""

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
