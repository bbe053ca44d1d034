"""Give each writer of a log in SQLite a file lock that it holds while its process runs.

A process id has no meaning in another container, and is reused. The kernel releases a lock when the process that holds
it ends, whatever its id, host name or PID namespace.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"[0-9a-f]{16}")


class WriterLock:
    """The lock of one writer.

    Attributes:
        writer: Its name, which the intents that it writes hold.
    """

    def __init__(self, path: str) -> None:
        self.writer = secrets.token_hex(8)
        self._file = None if path == ":memory:" else _file(path, self.writer)
        self._descriptor: int | None = None
        if self._file is None:
            return
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        """Release the lock; the process continues without it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        """Remove the lock file of a writer without open intents."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def has_ended(path: str, writer: str) -> bool:
    """Return True when no process holds a writer's lock."""
    if path == ":memory:" or not _NAME.fullmatch(writer):
        return True
    try:
        descriptor = os.open(_file(path, writer), os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def forget(path: str, writer: str) -> None:
    """Remove the lock file of a writer whose process has ended."""
    if path != ":memory:" and _NAME.fullmatch(writer):
        _file(path, writer).unlink(missing_ok=True)


def _file(path: str, writer: str) -> Path:
    return Path(f"{path}-writer-{writer}")
