"""An httpx transport that somebody else brings: an ASGI app in the same process, a proxy, a test's server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx

from arx_wrapper.transport.backend import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    Body,
    ConnectFailed,
    Headers,
    ResponseLost,
    ResponseTooLarge,
)

_TIMEOUT: Final = {
    "connect": CONNECT_TIMEOUT,
    "read": READ_TIMEOUT,
    "write": READ_TIMEOUT,
    "pool": READ_TIMEOUT,
}
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class HttpxBackend:
    """Carries requests through a given `httpx.AsyncBaseTransport`."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.transport = transport

    async def carry(
        self, method: str, url: str, headers: Headers, content: bytes, max_body: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        request = httpx.Request(
            method, url, headers=list(headers), content=content, extensions={"timeout": dict(_TIMEOUT)}
        )
        response: httpx.Response | None = None
        try:
            response = await self.transport.handle_async_request(request)
            body = Body(None, max_body)  # httpx decompresses, also what the transport holds ready
            async for chunk in response.aiter_bytes():
                body.feed(chunk)
            return response.status_code, response.headers, body.whole()
        except _NOT_SENT as error:
            raise ConnectFailed(type(error).__name__) from None
        except (ResponseLost, ResponseTooLarge):
            raise
        except Exception as error:  # whatever somebody else's transport raises: what became of the request is not known
            raise ResponseLost(type(error).__name__) from None
        finally:
            if response is not None:
                await asyncio.shield(response.aclose())

    async def aclose(self) -> None:
        """Nothing: whoever made the transport closes it."""
