"""The MCP server over streamable HTTP: a bearer token for whoever calls, and only for the hosts it is meant for."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from arx_wrapper.errors import ConfigError
from arx_wrapper.mcp.server import ToolServer

PATH: Final = "/mcp"
TOKEN: Final = "ARX_MCP_TOKEN"  # noqa: S105 - the name of a variable
_SHORTEST: Final = 16


def app(server: ToolServer, *, token: str, hosts: Sequence[str], origins: Sequence[str] = ()) -> ASGIApp:
    """The server as an ASGI application, at `/mcp`. Its lifespan is the server's.

    Args:
        server: What to serve.
        token: What callers show as `Authorization: Bearer`.
        hosts: The `Host` headers that are answered, with their ports: a page in somebody's browser that has its own
            name resolve to this machine is not.
        origins: The `Origin` headers that are answered; none are sent by clients other than browsers.

    Raises:
        ConfigError: the token is too short to be a secret.
    """
    if len(token) < _SHORTEST:
        raise ConfigError(
            f"{TOKEN} is {'shorter than ' + str(_SHORTEST) + ' characters' if token else 'not set'}; callers over HTTP "
            "have to show it. Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    security = TransportSecuritySettings(allowed_hosts=list(hosts), allowed_origins=list(origins))
    inner = server.streamable_http_app(streamable_http_path=PATH, transport_security=security)
    return _Bearer(inner, token)


class _Bearer:
    """Lets those in who show the token; compares it in constant time."""

    def __init__(self, inner: ASGIApp, token: str) -> None:
        self._inner, self._expected = inner, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_shown(scope):
            await self._inner(scope, receive, send)
            return
        refusal = PlainTextResponse(
            "A bearer token is needed.\n", status_code=401, headers={"WWW-Authenticate": 'Bearer realm="arx-pagerduty"'}
        )
        await refusal(scope, receive, send)

    def _is_shown(self, scope: Scope) -> bool:
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = shown[0].partition(b" ") if len(shown) == 1 else (b"", b"", b"")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._expected)
