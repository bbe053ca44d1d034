"""Ask questions on a terminal. Ctrl-C ends each at once, inside a running event loop as well."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import typer


def confirm(question: str, *, abort: bool = False) -> bool:
    """Ask a yes-or-no question on stderr and return the answer; no is the default.

    Raises:
        typer.Abort: at Ctrl-D, or at "no" when `abort` is set.
        KeyboardInterrupt: at Ctrl-C.
    """
    with _interruptible():
        return typer.confirm(question, abort=abort, err=True)


def ask(question: str, *, default: str | None = None, hidden: bool = False, suffix: str = ": ") -> str:
    """Ask for a line of text on stderr.

    Raises:
        typer.Abort: at Ctrl-D.
        KeyboardInterrupt: at Ctrl-C.
    """
    with _interruptible():
        return str(typer.prompt(question, default=default, hide_input=hidden, prompt_suffix=suffix, err=True))


@contextmanager
def _interruptible() -> Iterator[None]:
    """Give Ctrl-C its usual effect: asyncio's handler would only cancel a task that runs after the answer."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
