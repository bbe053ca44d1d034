"""The MCP server over streamable HTTP: a bearer token for whoever calls, and only for the hosts it is meant for."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from typing import Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arx_wrapper.errors import ConfigError
from arx_wrapper.mcp.server import ToolServer

PATH: Final = "/mcp"
TOKEN: Final = "ARX_MCP_TOKEN"  # noqa: S105 - the name of a variable
_SHORTEST: Final = 16


class HttpServer:
    """The server as an ASGI application, at `/mcp`. Its lifespan is the server's.

    Args:
        server: What to serve.
        token: What callers show as `Authorization: Bearer`; compared in constant time.
        hosts: The `Host` headers that are answered, with their ports: a page in somebody's browser that has its own
            name resolve to this machine is not.
        origins: The `Origin` headers that are answered; none are sent by clients other than browsers.

    Raises:
        ConfigError: the token is too short to be a secret.
    """

    def __init__(self, server: ToolServer, *, token: str, hosts: Sequence[str], origins: Sequence[str] = ()) -> None:
        if len(token) < _SHORTEST:
            raise ConfigError(
                f"{TOKEN} is {'too short' if token else 'not set'}, which callers over HTTP have to show: at least "
                f"{_SHORTEST} characters. Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        security = TransportSecuritySettings(allowed_hosts=list(hosts), allowed_origins=list(origins))
        self._server, self._token, self._closing = server, token.encode(), asyncio.Event()
        self._inner: ASGIApp = server.streamable_http_app(streamable_http_path=PATH, transport_security=security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
        elif not self._is_shown(scope):
            headers = {"WWW-Authenticate": 'Bearer realm="arx-pagerduty"'}
            refusal = PlainTextResponse("A bearer token is needed.\n", status_code=401, headers=headers)
            await refusal(scope, receive, send)
        else:
            stands = scope["method"] == "GET"  # a stream of what the server has to say, which has no end of its own
            await self._inner(scope, self._until_closed(receive) if stands else receive, send)

    def close(self) -> None:
        """End the streams on which clients only listen, so that a server which stops need not wait for them."""
        self._closing.set()
        self._server.stop_subscriptions()

    def _is_shown(self, scope: Scope) -> bool:
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = shown[0].partition(b" ") if len(shown) == 1 else (b"", b"", b"")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)

    def _until_closed(self, receive: Receive) -> Receive:
        async def receive_or_end() -> Message:
            message, closing = asyncio.ensure_future(receive()), asyncio.ensure_future(self._closing.wait())
            try:
                await asyncio.wait((message, closing), return_when=asyncio.FIRST_COMPLETED)
                return message.result() if message.done() else {"type": "http.disconnect"}
            finally:
                message.cancel()
                closing.cancel()

        return receive_or_end
