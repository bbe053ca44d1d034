"""What carries a request to the server and its answer back, and what can go wrong on the way."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

Headers = Sequence[tuple[str, str]]

CONNECT_TIMEOUT: Final = 10.0
READ_TIMEOUT: Final = 30.0


class ConnectFailed(Exception):  # noqa: N818 - what happened, not that it is an error
    """No connection came about: nothing was sent."""


class ResponseLost(Exception):  # noqa: N818
    """The connection broke, or nothing came in time: what became of the request is not known."""


class ResponseTooLarge(Exception):  # noqa: N818
    """The body is larger than is accepted."""


class HttpBackend(Protocol):
    """Sends one request and reads its answer.

    Redirects are not followed, the environment is not read, and nothing is sent twice.
    """

    async def carry(
        self, method: str, url: str, headers: Headers, content: bytes, max_body: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers (looked up whatever their case) and the body, decompressed.

        Raises:
            ConnectFailed, ResponseLost, ResponseTooLarge
        """
        ...

    async def aclose(self) -> None: ...


class Body:
    """A body as it comes: decompressed piece by piece, so that a bomb is noticed before it costs memory."""

    def __init__(self, encoding: str | None, max_body: int) -> None:
        encoding = (encoding or "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise ResponseLost("an encoding that was not asked for")
        self._max_body, self._size = max_body, 0
        self._chunks: list[bytes] = []
        self._zipped = encoding != "identity"
        self._member: zlib._Decompress | None = None  # gzip bodies have one, or several after each other

    def feed(self, chunk: bytes) -> None:
        """Take the next piece.

        Raises:
            ResponseTooLarge, ResponseLost
        """
        while chunk:
            plain, chunk = self._unzipped(chunk) if self._zipped else (chunk, b"")
            self._size += len(plain)
            if self._size > self._max_body:
                raise ResponseTooLarge
            self._chunks.append(plain)

    def whole(self) -> bytes:
        """All of it. `ResponseLost` when it ends before its end."""
        if self._member is not None and not self._member.eof:
            raise ResponseLost("a body that was cut off")
        return b"".join(self._chunks)

    def _unzipped(self, chunk: bytes) -> tuple[bytes, bytes]:
        """What comes out of a piece, and what of it belongs to the next member."""
        if self._member is None or self._member.eof:
            self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            return self._member.decompress(chunk, self._max_body - self._size + 1), self._member.unused_data
        except zlib.error:
            raise ResponseLost("a body that is not gzip") from None
