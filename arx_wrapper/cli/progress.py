"""Show on a terminal that something takes longer than a second."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_AFTER = 1.0
_EVERY = 0.5


@contextmanager
def progress(what: str | None) -> Iterator[None]:
    """Show in one line of stderr what is waited for and how long by now; the line is gone at the end.

    Args:
        what: What is waited for; None, or a stderr that is no terminal, shows nothing.
    """
    if what is None or not sys.stderr.isatty():
        yield
        return
    showing = asyncio.ensure_future(_show(what))
    try:
        yield
    finally:
        showing.cancel()


async def _show(what: str) -> None:
    began = time.monotonic()
    await asyncio.sleep(_AFTER)
    try:
        while True:
            sys.stderr.write(f"\r{what} ({time.monotonic() - began:.0f} s; Ctrl-C stops)")
            sys.stderr.flush()
            await asyncio.sleep(_EVERY)
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
