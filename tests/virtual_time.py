"""An event loop whose clock jumps to the next timer: minutes pass at once, and figures are the same each time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]  # the platform's best one
    """Waits for nothing: a time-out that would be waited for passes at once."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer is left, and another thread or a socket has to say something
            return super().select(None)
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready:
            self.passed += max(timeout, 0.0)
        return ready


class VirtualTime(asyncio.SelectorEventLoop):
    """An event loop for coroutines that wait for timers and for each other alone."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.passed


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine in virtual time and return what it returns."""
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(main)
