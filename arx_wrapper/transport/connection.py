"""Send requests over one HTTP/1.1 connection: an asyncio protocol around llhttp (package `httptools`)."""

from __future__ import annotations

import asyncio
from typing import Final

import httptools

from arx_wrapper.credentials import Secret
from arx_wrapper.transport.backend import Body, HttpResponse, ResponseLost, ResponseTooLarge

_MAX_HEAD: Final = 64 * 1024
# Bytes that are read at once.
_BUFFER: Final = 64 * 1024
# Bytes beyond the body's limit: framing and trailers, and compressed bytes that decompress to nothing.
_MAX_FRAMING: Final = 1024 * 1024


class Connection(asyncio.BufferedProtocol):
    """Sends one request at a time and reads its response.

    The connection is closed when a response is malformed, or when the server sends bytes without a request, which would
    be taken for the next response.

    Attributes:
        reusable: Whether the connection can carry another request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[HttpResponse] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._buffer = memoryview(bytearray(_BUFFER))
        self.reusable = False

    def send(
        self,
        head: bytes,
        authorization: Secret,
        content: bytes,
        *,
        max_body: int,
        read_timeout: float,
        deadline: float = float("inf"),
    ) -> asyncio.Future[HttpResponse]:
        """Write a request, and return the future of its response.

        The future fails with `ResponseLost`, `ResponseTooLarge`, or `TimeoutError` at the deadline; cancelling it ends
        the connection.

        Args:
            head: The request line and the headers except `Authorization`, each with its line end.
            authorization: The value of `Authorization`.
            content: The body.
            max_body: The largest accepted body in bytes, decompressed.
            read_timeout: Seconds without a byte after which the response counts as lost.
            deadline: The time by which the response must be complete, by the loop's clock.
        """
        self._parser = httptools.HttpResponseParser(self)
        self._max_body, self._read_timeout, self._deadline = max_body, read_timeout, deadline
        self._wire_left = max_body + _MAX_FRAMING
        self._headers: dict[str, str] = {}
        self._head_left = _MAX_HEAD
        self._content = bytearray()  # not a list of chunks: a hostile server could send single bytes
        self._zipped: Body | None = None
        # Of the final response: its head was read, its head states the body's length, all of it was read.
        self._begun = self._framed = self._complete = self.reusable = False
        waiter = self._waiter = self._loop.create_future()
        self._active = self._loop.time()
        self._watch_until(min(self._active + read_timeout, deadline))
        try:
            self._open().write(  # the only place with the clear text, which is in no variable
                b"".join((head, b"Authorization: ", authorization.reveal().encode(), b"\r\n\r\n", content))
            )
        except Exception as error:
            self._fail(ResponseLost(type(error).__name__))
        return waiter

    def _open(self) -> asyncio.Transport:
        if self._transport is None or self._transport.is_closing():
            raise ResponseLost("closed")
        return self._transport

    def abort(self) -> None:
        """Close the connection at once; a request that waits for its response fails with `ResponseLost`."""
        self._fail(ResponseLost("closed here"))

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a stream
        self.reusable = True

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._waiter is None:
            self.abort()
            return
        self._active = self._loop.time()
        if not self._begun:
            self._head_left -= nbytes
        self._wire_left -= nbytes
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except httptools.HttpParserUpgrade:
            self._complete, self.reusable = True, False
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, ResponseLost | ResponseTooLarge) else ResponseLost("not HTTP"))
            return
        except httptools.HttpParserError:
            self._fail(ResponseLost("not HTTP"))
            return
        if self._complete:
            self._succeed()
        elif self._wire_left < 0:
            self._fail(ResponseTooLarge())
        elif not self._begun and self._head_left < 0:
            self._fail(ResponseLost("a head that is too long"))

    def eof_received(self) -> bool | None:
        self.reusable = False
        return None  # the transport closes itself

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable = False
        self._transport = None
        self._unwatch()
        if self._waiter is None:
            return
        if error is None and self._begun and not self._framed:
            self._succeed()  # a body that ends with its connection
        else:
            self._fail(ResponseLost("closed" if error is None else type(error).__name__))

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        if self._complete:
            raise ResponseLost("more than one response")

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if 100 <= self._parser.get_status_code() < 200:
            return
        self._framed = "content-length" in self._headers or "transfer-encoding" in self._headers
        if "content-encoding" in self._headers:
            self._zipped = Body(self._headers["content-encoding"], self._max_body)
        self._begun = True

    def on_body(self, data: bytes) -> None:
        if self._zipped is not None:
            self._zipped.feed(data)
            return
        self._content += data
        if len(self._content) > self._max_body:
            raise ResponseTooLarge

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._headers, self._head_left = {}, _MAX_HEAD
            return
        self._complete = True
        self.reusable = self._parser.should_keep_alive()

    # the end

    def _succeed(self) -> None:
        try:
            content = bytes(self._content) if self._zipped is None else self._zipped.whole()
        except ResponseLost as error:
            self._fail(error)
            return
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(HttpResponse(self._parser.get_status_code(), self._headers, content))

    def _fail(self, error: Exception) -> None:
        self.reusable = False
        self._unwatch()
        if self._transport is not None:
            self._transport.abort()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    # One timer serves several requests: a timer for each would cost more than checking from time to time.

    def _watch_until(self, due: float) -> None:
        if self._watch is not None:
            if self._watch.when() <= due:
                return
            self._watch.cancel()
        self._watch = self._loop.call_at(due, self._check)

    def _check(self) -> None:
        self._watch = None
        if self._waiter is None:
            return
        now, due = self._loop.time(), self._active + self._read_timeout
        if now >= self._deadline:
            self._fail(TimeoutError())
        elif now >= due:
            self._fail(ResponseLost("no response in time"))
        else:
            self._watch_until(min(due, self._deadline))

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
