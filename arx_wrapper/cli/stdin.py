"""Read what is given on stdin, up to a limit."""

from __future__ import annotations

import errno
import sys

from arx_wrapper.files import LARGEST, decoded


def read_stdin(limit: int = LARGEST) -> str:
    """Return the text on stdin, to its end.

    Args:
        limit: Bytes that it may hold.

    Raises:
        OSError: it holds more, or is not UTF-8; `strerror` says which.
    """
    content = sys.stdin.buffer.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it holds more than {limit:,} bytes")
    return decoded(content)
