"""Use UTF-8 for the command's input and output in any locale, so that nothing is lost and every result prints."""

from __future__ import annotations

import io
import os
import sys


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
