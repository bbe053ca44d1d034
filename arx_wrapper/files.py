"""Files that nobody but their owner may read."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def private_file(path: Path) -> None:
    """Make a file that is not there, and let nobody but its owner read it; SQLite's side files take its mode.

    A file that is there is never opened: closing a descriptor of it would drop the locks that this process's
    connections hold on it, for POSIX locks belong to the process and the file. Another process would then take the log
    for unused, and throw away what is not in it yet.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        import tempfile

        with tempfile.NamedTemporaryFile(dir=path.parent) as empty, contextlib.suppress(FileExistsError):
            os.link(empty.name, path)  # mode 0600; suppressed when another process was faster
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
