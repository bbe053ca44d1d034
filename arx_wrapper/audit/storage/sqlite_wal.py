"""Extend the -wal file in advance: a commit that extends a file also waits for the file system's own journal.

SQLite extends the file with each commit, until it starts it again after 1,000 pages. Zeros after its content have no
effect, because SQLite accepts a page only by salt and checksum.
"""

from __future__ import annotations

import os
from typing import Final

_FIRST: Final = 1 << 16
_MOST: Final = 1 << 20
_SPARE: Final = 1 << 26  # bytes that must stay free: on a nearly full disk, the space is needed for records


class WalReserve:
    """Keeps the -wal file of an open log longer than its content."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(f"{path}-wal", os.O_WRONLY | os.O_CLOEXEC)
        self._size, self._step = -1, _FIRST

    def keep(self) -> None:
        """Extend the file when its spare space is used. The caller must hold the writers' lock."""
        size = os.fstat(self._descriptor).st_size
        if size != self._size:  # SQLite has extended it, or a checkpoint has truncated it
            self._size = size
            self._add()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _add(self) -> None:
        try:
            disk = os.fstatvfs(self._descriptor)
            if disk.f_bavail * disk.f_frsize > _SPARE:
                self._size += os.pwrite(self._descriptor, bytes(self._step), self._size)
                self._step = min(2 * self._step, _MOST)
        except OSError:  # a quota, for example; SQLite reports it when it needs the space
            return
