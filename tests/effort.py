"""Count what code does, where a clock would measure the machine as well: calls made, bytes held."""

from __future__ import annotations

import itertools
import sys
import threading
import tracemalloc
from collections.abc import Callable
from types import FrameType


class Calls:
    """Counts the functions that are called, built-in ones included, in threads that have it as `sys.setprofile`."""

    def __init__(self) -> None:
        self._made = itertools.count()

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        if event in ("call", "c_call"):
            next(self._made)

    @property
    def made(self) -> int:
        """Their number; ask once."""
        return next(self._made)


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions `work` calls, in this thread and in those that it starts."""
    calls, before = Calls(), sys.getprofile()
    threading.setprofile(calls)
    sys.setprofile(calls)
    try:
        work()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)  # type: ignore[arg-type]  # which ends it
    return calls.made


def peak_of(work: Callable[[], object]) -> int:
    """Return how many bytes `work` holds at most, beside what was held before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
