"""Open a connection through a proxy: `CONNECT`, then TLS end to end (RFC 9110, 9.3.6)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, TypeVar

import httptools

from arx_wrapper.http_client import tls
from arx_wrapper.transport.backend import ConnectFailed
from arx_wrapper.transport.dialing import dial
from arx_wrapper.urls import Proxy, bracketed

_MAX_HEAD: Final = 16 * 1024
_P = TypeVar("_P", bound=asyncio.BaseProtocol)


class _Reply(asyncio.Protocol):
    """Reads only the head of the proxy's response to `CONNECT`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.status: asyncio.Future[int] = loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._left = _MAX_HEAD

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._end("its response is too long")
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # the tunnel begins; `on_headers_complete` has read the status
            return
        except httptools.HttpParserError:
            self._end("its response is not HTTP")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self.status.done():
            self.status.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        self._end("it closed the connection")

    def _end(self, problem: str) -> None:
        if not self.status.done():
            self.status.set_exception(ConnectFailed(f"proxy: {problem}"))


async def open_tunnel(
    proxy: Proxy, host: str, port: int, context: ssl.SSLContext | None, factory: Callable[[], _P]
) -> _P:
    """Connect to a host through a proxy.

    Args:
        proxy: The proxy.
        host, port: The host behind it.
        context: The host's TLS; None for none.
        factory: Makes the connection's protocol.

    Raises:
        ConnectFailed: the proxy refused, or gave no response; nothing was sent.
        OSError: the proxy cannot be reached, or the host's certificate is not trusted.
    """
    loop = asyncio.get_running_loop()
    transport, reply = await dial(
        lambda: _Reply(loop), proxy.host, proxy.port, tls() if proxy.scheme == "https" else None
    )
    try:
        _ask(transport, proxy, f"{bracketed(host)}:{port}")
        status = await reply.status
        if not 200 <= status < 300:
            hint = "; check user and password in PAGERDUTY_PROXY" if status == 407 else ""
            raise ConnectFailed(f"the proxy {proxy.address} answered {status}{hint}")
        connection = factory()
        transport.set_protocol(connection)
        if context is None:
            connection.connection_made(transport)
            return connection
        secured = await loop.start_tls(transport, connection, context, server_hostname=host)
        if secured is None:
            raise ConnectFailed("proxy: the connection closed before TLS")
        connection.connection_made(secured)
        return connection
    except BaseException:
        reply.status.cancel()
        transport.abort()
        raise


def _ask(transport: asyncio.Transport, proxy: Proxy, authority: str) -> None:
    authorization = proxy.authorization()
    head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
    if authorization is None:
        transport.write(f"{head}\r\n".encode("ascii"))
    else:
        transport.write(f"{head}Proxy-Authorization: {authorization.reveal()}\r\n\r\n".encode("ascii"))
