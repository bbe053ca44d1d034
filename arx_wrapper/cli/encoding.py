"""Prepare the standard streams: open all three, in UTF-8 in any locale, and notice when stdout takes nothing more."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def open_closed() -> None:
    """Open the null device for a standard stream that is closed.

    A file that the command opens, such as the log, must not get its number: messages would be written into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - open to the end


class Stdout(io.TextIOWrapper):
    """The standard output, which keeps the error of a write that failed: other errors of files look the same."""

    def __init__(self, encoding: str) -> None:
        self._raw = _Raw(1, "w", closefd=False)
        super().__init__(io.BufferedWriter(self._raw), encoding=encoding, line_buffering=self._raw.isatty())

    @property
    def failed(self) -> OSError | None:
        return self._raw.failed


class _Raw(io.FileIO):
    failed: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failed = error
            raise


def give_up(stream: int) -> None:
    """Lead a standard stream nowhere, so that the interpreter's end does not fail to write the rest."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    os.close(nowhere)


def use_utf8() -> None:
    """Make the standard streams able to carry every character.

    Files and pipes get UTF-8, whatever the locale. A terminal keeps its encoding, with escapes for what it lacks,
    unless that is ASCII: terminals of the C locale are UTF-8 in practice.
    """
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        own = stream.isatty() and not _is_ascii(stream.encoding)
        stream.reconfigure(encoding=None if own else "utf-8", errors="backslashreplace")


def utf8(argument: str) -> str:
    """Return a command-line argument, read as UTF-8 where the locale's encoding could not read it.

    Raises:
        UnicodeDecodeError: it is in neither encoding.
    """
    unreadable = any("\udc80" <= character <= "\udcff" for character in argument)  # surrogateescape's marks
    return os.fsencode(argument).decode("utf-8") if unreadable else argument


def _is_ascii(encoding: str) -> bool:
    return encoding.lower().replace("_", "-") in ("ascii", "us-ascii", "ansi-x3.4-1968", "646")
