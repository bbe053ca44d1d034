"""Send requests through a transport of httpx or httpx2 that the caller supplies, such as an in-process ASGI app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from arx_wrapper.http_client import library
from arx_wrapper.transport.backend import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    Body,
    ConnectFailed,
    HttpRequest,
    HttpResponse,
    ResponseLost,
    ResponseTooLarge,
)

if TYPE_CHECKING:
    from arx_wrapper.http_client import AsyncTransport

_TIMEOUT: Final = {
    "connect": CONNECT_TIMEOUT,
    "read": READ_TIMEOUT,
    "write": READ_TIMEOUT,
    "pool": READ_TIMEOUT,
}


class HttpxBackend:
    """Sends requests through a given `AsyncBaseTransport` of httpx or httpx2."""

    def __init__(self, transport: AsyncTransport) -> None:
        self.transport = transport
        self._httpx: Any = library(transport)
        # These are raised before any byte of the request can have been sent.
        self._not_sent = (
            self._httpx.ConnectError,
            self._httpx.ConnectTimeout,
            self._httpx.PoolTimeout,
            self._httpx.UnsupportedProtocol,
            self._httpx.LocalProtocolError,
            self._httpx.ProxyError,
        )

    async def send(self, request: HttpRequest, max_body: int, on_send: Callable[[], None]) -> HttpResponse:
        failure: BaseException
        begun = False

        def begin() -> None:
            nonlocal begun
            begun = True
            on_send()

        try:
            return await self._send(request, max_body, begin)
        except (ResponseLost, ResponseTooLarge) as error:
            failure = error
        except self._not_sent as error:
            failure = ConnectFailed(type(error).__name__)
        except Exception as error:  # the caller's transport may raise anything; the request's effect is then unknown
            failure = (ResponseLost if begun else ConnectFailed)(type(error).__name__)
        except BaseException as error:  # cancelled
            failure = error
        # The frames of the caller's transport hold the key in clear text, so the error is raised without them.
        failure.__context__ = failure.__cause__ = None
        raise failure.with_traceback(None)

    async def _send(self, request: HttpRequest, max_body: int, on_send: Callable[[], None]) -> HttpResponse:
        sent = self._httpx.Request(
            request.method,
            request.origin + request.target,
            headers=[*request.headers, ("Authorization", request.authorization.reveal())],
            content=request.content,
            extensions={"timeout": dict(_TIMEOUT)},
        )
        on_send()
        response = await self.transport.handle_async_request(sent)
        try:
            body = Body(None, max_body)  # httpx has decompressed the content already
            async for chunk in response.aiter_bytes():
                body.feed(chunk)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpResponse(response.status_code, headers, body.whole())
        finally:
            await asyncio.shield(response.aclose())

    async def aclose(self) -> None:
        """Do nothing: the transport's owner closes it."""
