"""Room in the -wal file: a commit that makes a file longer waits for the file system's own journal as well.

SQLite makes the file longer with each commit until it begins it anew, after 1,000 pages. Zeros behind what is in it
are as good as its end: SQLite takes a page of it by salt and checksum alone.
"""

from __future__ import annotations

import os
from typing import Final

_FIRST: Final = 1 << 16
_MOST: Final = 1 << 20
_SPARE: Final = 1 << 26  # bytes that must be free besides: on a disk that is nearly full, the room is for records


class Room:
    """Keeps the -wal file of an open log longer than what is in it."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(f"{path}-wal", os.O_WRONLY | os.O_CLOEXEC)
        self._size, self._step = -1, _FIRST

    def keep(self) -> None:
        """Add room when there is none left. Only for who holds the writers' lock: nobody else writes the file then."""
        size = os.fstat(self._descriptor).st_size
        if size != self._size:  # SQLite has made it longer, or a checkpoint shorter
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
        except OSError:  # a quota, for example; SQLite says so itself when it needs the room
            return
