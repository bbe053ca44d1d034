"""Define the protocol of transport backends, and their errors."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from attrs import field, frozen

from arx_wrapper.credentials import Secret

CONNECT_TIMEOUT: Final = 10.0
READ_TIMEOUT: Final = 30.0
# The most gzip members in one body; each costs a copy of the rest of its chunk.
_MEMBERS: Final = 1000


class ConnectFailed(Exception):  # noqa: N818 - what happened, not that it is an error
    """No connection could be made: nothing was sent."""


class ResponseLost(Exception):  # noqa: N818
    """The connection broke, or no response arrived in time: the request may have been processed."""


class ResponseTooLarge(Exception):  # noqa: N818
    """The response is larger than the limit."""


@frozen(kw_only=True, eq=False)
class HttpRequest:
    """A request in its final form.

    Attributes:
        method, origin, target: `GET`, `https://host:port`, and the path with its query, percent-encoded.
        headers: Names and values, `Host` first; without `Authorization` and `Content-Length`.
        authorization: The value of `Authorization`.
        content: The body; empty for none.
    """

    method: str
    origin: str
    target: str
    headers: Sequence[tuple[str, str]]
    authorization: Secret
    content: bytes = field(default=b"", repr=False)


class HttpResponse(NamedTuple):
    """A response: status, headers by lower-case name, the decompressed body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class HttpBackend(Protocol):
    """Sends one request and reads its response.

    Redirects are not followed, the environment is not read, and nothing is sent twice.
    """

    async def send(self, request: HttpRequest, max_body: int, on_send: Callable[[], None]) -> HttpResponse:
        """Send a request, once.

        Args:
            request: The request.
            max_body: The largest accepted body in bytes, decompressed.
            on_send: Called just before the first byte is written; until then nothing has been sent.

        Raises:
            ConnectFailed, ResponseLost, ResponseTooLarge
        """
        ...

    async def aclose(self) -> None: ...


class Body:
    """Collects and decompresses a body in chunks, so that a decompression bomb is refused before it uses memory."""

    def __init__(self, encoding: str | None, max_body: int) -> None:
        encoding = (encoding or "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise ResponseLost("an encoding that was not requested")
        self._max_body = max_body
        self._content = bytearray()  # not a list of chunks: a hostile server could send single bytes
        self._zipped = encoding != "identity"
        self._member: Any = None  # zlib's decompressor; a gzip body has one member or several
        self._members = 0

    def feed(self, chunk: bytes) -> None:
        """Add the next chunk.

        Raises:
            ResponseTooLarge, ResponseLost
        """
        while chunk:
            plain, chunk = self._unzipped(chunk) if self._zipped else (chunk, b"")
            self._content += plain
            if len(self._content) > self._max_body or self._members > _MEMBERS:
                raise ResponseTooLarge

    def whole(self) -> bytes:
        """Return the whole body. `ResponseLost` when it is incomplete."""
        if self._member is not None and not self._member.eof:
            raise ResponseLost("a body that was cut off")
        return bytes(self._content)

    def _unzipped(self, chunk: bytes) -> tuple[bytes, bytes]:
        """Return a chunk's decompressed bytes, and its rest that belongs to the next member."""
        if self._member is None or self._member.eof:
            self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            self._members += 1
        try:
            return self._member.decompress(chunk, self._max_body - len(self._content) + 1), self._member.unused_data
        except zlib.error:
            raise ResponseLost("a body that is not gzip") from None
