"""Serve MCP over streamable HTTP: every caller needs a bearer token, and only configured hosts and origins are served.

The token is one shared secret for one agent, or an access token of an authorization server that names the agent.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from collections.abc import Sequence
from typing import Final, Self

from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arx_wrapper.errors import ConfigError
from arx_wrapper.mcp.identity import Issuer, TokenVerifier
from arx_wrapper.mcp.message_repair import mend
from arx_wrapper.mcp.server import ToolServer

PATH: Final = "/mcp"
TOKEN: Final = "ARX_MCP_TOKEN"  # noqa: S105 - the name of a variable
_SHORTEST: Final = 16
_LARGEST_BODY: Final = 4 * 1024 * 1024


class HttpServer:
    """The server as an ASGI application, at `/mcp`. Its lifespan is the server's.

    Args:
        server: The server to expose.
        token: The secret that callers send as `Authorization: Bearer`; compared in constant time. Not used with an
            issuer.
        issuer: The authorization server whose access tokens are accepted, in place of the one secret.
        hosts: The accepted `Host` headers, with their ports. Others are refused, because a web page can make its own
            host name resolve to this machine (DNS rebinding).
        origins: The accepted `Origin` headers; clients other than browsers send none.
        address: The URL shown to users.

    Raises:
        ConfigError: the token is too short to be a secret.
    """

    def __init__(
        self,
        server: ToolServer,
        *,
        token: str = "",
        issuer: Issuer | None = None,
        hosts: Sequence[str],
        origins: Sequence[str] = (),
        address: str = PATH,
    ) -> None:
        if issuer is None and len(token) < _SHORTEST:
            raise ConfigError(
                f"{TOKEN} is {'too short' if token else 'not set'}; callers over HTTP have to send it. It needs at "
                f"least {_SHORTEST} characters. Make one: "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        security = TransportSecuritySettings(allowed_hosts=list(hosts), allowed_origins=list(origins))
        self.address = address
        self._server, self._token, self._closing = server, token.encode(), asyncio.Event()
        self._verifies_tokens = issuer is not None
        self._inner: ASGIApp = server.streamable_http_app(
            streamable_http_path=PATH,
            transport_security=security,
            auth=issuer.settings() if issuer else None,
            token_verifier=TokenVerifier(issuer) if issuer else None,
        )

    @classmethod
    def on(
        cls,
        opened: socket.socket,
        server: ToolServer,
        *,
        token: str = "",
        issuer: Issuer | None = None,
        hosts: Sequence[str],
        origins: Sequence[str],
    ) -> Self:
        """Make the application for a listening socket; it accepts the socket's own names besides `hosts` and `origins`.

        Raises:
            ConfigError: the token is too short, or the socket listens on every address and no host is named.
        """
        names = _own_names(opened)
        if not names and not hosts:
            raise ConfigError(
                "The server would listen on every address of this machine and accept no host name. Name the host that "
                "clients use: --allow-host mcp.example.com, or listen on one address: --host 127.0.0.1."
            )
        return cls(
            server,
            token=token,
            issuer=issuer,
            hosts=[*names, *hosts],
            origins=[*(f"http://{name}" for name in names), *origins],
            address=f"http://{(names or [_netloc(opened)])[0]}{PATH}",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        # Whitespace around a value is no part of it (RFC 9110, 5.5); the HTTP parser leaves it there.
        scope = {**scope, "headers": [(name, value.strip(b" \t")) for name, value in scope["headers"]]}
        if not self._may_pass(scope):
            headers = {"WWW-Authenticate": 'Bearer realm="arx-pagerduty"'}
            refusal = PlainTextResponse("A bearer token is needed.\n", status_code=401, headers=headers)
            await refusal(scope, receive, send)
        else:
            # A GET opens a stream of the server's own messages, which does not end by itself.
            reading = self._until_closed(receive) if scope["method"] == "GET" else _mending(receive)
            await self._inner(scope, reading, send)

    def close(self) -> None:
        """End the streams on which clients only listen, so that stopping the server need not wait for them."""
        self._closing.set()
        self._server.stop_subscriptions()

    def _may_pass(self, scope: Scope) -> bool:
        """Return True when the request has the one secret, or at most one access token for the SDK to verify."""
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        if self._verifies_tokens:
            return len(shown) <= 1
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


def _mending(receive: Receive) -> Receive:
    """Read a request's whole body, so that the SDK can read its message; the SDK refuses one that is too large."""
    parts: list[bytes] = []

    async def receive_whole() -> Message:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return message
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
            if more and sum(map(len, parts)) <= _LARGEST_BODY:
                continue
            body = b"".join(parts)
            parts.clear()
            if not more and (mended := mend(text := body.decode("utf-8", "replace"))) is not text:
                body = mended.encode()
            return {"type": "http.request", "body": body, "more_body": more}

    return receive_whole


def _own_names(opened: socket.socket) -> list[str]:
    """Return the host names of the socket's address, with its port; none when it listens on all addresses."""
    host, port = opened.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        return []
    return [_netloc(opened), f"localhost:{port}"] if address.is_loopback else [_netloc(opened)]


def _netloc(opened: socket.socket) -> str:
    host, port = opened.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
