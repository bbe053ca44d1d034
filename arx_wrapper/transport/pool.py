"""The connections: aiohttp's pool under httpx's transport interface.

httpx's own pool cannot keep 64 callers busy; see `tests/bench`. Of aiohttp is used only what sends and receives: its
redirects, cookies, decompression, environment and silent second tries are off.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from functools import cache

import aiohttp
import httpx
from yarl import URL

CONNECTIONS = 128
KEEP_ALIVE = 30.0
_CHUNK = 64 * 1024

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


class PoolTransport(httpx.AsyncBaseTransport):
    """A pool of connections that belongs to one event loop."""

    def __init__(self) -> None:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE, ssl=tls())
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            raise_for_status=False,
        )
        # aiohttp sends an idempotent request again when a kept connection breaks; a PUT must not go out twice unasked.
        self._session._retry_connection = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        limits = request.extensions.get("timeout", {})
        try:
            response = await self._session._request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=list(request.headers.items()),
                data=request.content or None,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                timeout=aiohttp.ClientTimeout(sock_connect=limits.get("connect"), sock_read=limits.get("read")),
            )
        except _NOT_SENT as error:
            raise httpx.ConnectError(type(error).__name__) from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise _lost(error) from None
        return httpx.Response(
            response.status, headers=list(response.raw_headers), stream=_Body(response), request=request
        )

    async def aclose(self) -> None:
        await self._session.close()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_chunked(_CHUNK):
                yield chunk
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise _lost(error) from None

    async def aclose(self) -> None:
        # Back into the pool when the body was read whole; else the connection is of no more use.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _lost(error: BaseException) -> httpx.TransportError:
    if isinstance(error, asyncio.TimeoutError):
        return httpx.ReadTimeout(type(error).__name__)
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return httpx.RemoteProtocolError(type(error).__name__)
    return httpx.ReadError(type(error).__name__)
