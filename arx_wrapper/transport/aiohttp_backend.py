"""The connections: aiohttp's pool.

httpx's own pool cannot keep 64 callers busy, and costs twice as much for one; see `tests/bench`. Of aiohttp is used
only what sends and receives: its redirects, cookies, decompression, environment and silent second tries are off.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from functools import cache, partial
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from arx_wrapper.transport.backend import CONNECT_TIMEOUT, READ_TIMEOUT, Body, ConnectFailed, Headers, ResponseLost

CONNECTIONS: Final = 128
KEEP_ALIVE: Final = 30.0
_CHUNK: Final = 256 * 1024
_TIMEOUT: Final = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
_OURS: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")

# Before any byte of the request can have gone out; everything else may have.
_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.ServerFingerprintMismatch,
)


@cache
def tls() -> ssl.SSLContext:
    """Certificates are verified, against `SSL_CERT_FILE` where it is set. Made once: it takes 20 ms."""
    import certifi

    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())


class _Connection(ResponseHandler):
    """A connection that ends when the server speaks unasked: what it says would be taken for the next call's answer."""

    def __init__(self, pool: aiohttp.TCPConnector, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._in_use = pool._acquired

    def data_received(self, data: bytes) -> None:
        if self in self._in_use or not data:  # without data it is the pool that resumes reading
            super().data_received(data)
        elif self.transport is not None:
            self.transport.abort()


class AiohttpBackend:
    """A pool of connections that belongs to one event loop."""

    def __init__(self) -> None:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE, ssl=tls())
        made = partial(_Connection, connector, asyncio.get_running_loop())
        connector._factory = made  # type: ignore[assignment]  # a partial of a subclass
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            raise_for_status=False,
        )
        # aiohttp sends an idempotent request again when a kept connection breaks; a PUT must not go out twice unasked.
        self._session._retry_connection = False

    async def carry(
        self, method: str, url: str, headers: Headers, content: bytes, max_body: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            response = await self._session._request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=content or None,
                allow_redirects=False,
                skip_auto_headers=_OURS,
                timeout=_TIMEOUT,
            )
        except _NOT_SENT as error:
            raise ConnectFailed(type(error).__name__) from None
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise ResponseLost(type(error).__name__) from None
        whole = False
        try:
            body = Body(response.headers.get("Content-Encoding"), max_body)
            while chunk := await response.content.read(_CHUNK):
                body.feed(chunk)
            whole = True
            return response.status, response.headers, body.whole()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise ResponseLost(type(error).__name__) from None
        finally:
            # Back into the pool when the body was read whole; else the connection is of no more use.
            if whole:
                response.release()
            else:
                response.close()

    async def aclose(self) -> None:
        await self._session.close()
