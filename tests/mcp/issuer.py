"""An authorization server on loopback: metadata, published keys, and tokens of any kind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket
from typing import Any

import jwt
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from arx_wrapper.cli.http_server import listening, server_for


@define
class AuthorizationServer:
    """An issuer of access tokens.

    Attributes:
        url: The issuer.
        keys: Its keys by id.
        shared: Secrets that it publishes by mistake, by id, in base64url.
        asked: The paths that were asked for.
        down: Whether it answers with an error.
    """

    url: str
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(factory=lambda: {"k1": ec.generate_private_key(ec.SECP256R1())})
    shared: dict[str, str] = field(factory=dict)
    asked: list[str] = field(factory=list)
    down: bool = False

    def token(self, audience: str, *, kid: str = "k1", key: Any = None, alg: str = "ES256", **claims: Any) -> str:
        """Return a token; a claim that is None is left out."""
        now = int(time.time())
        whole = {"iss": self.url, "aud": audience, "exp": now + 300, "iat": now, "sub": "agent-0", **claims}
        kept = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(kept, key if key is not None else self.keys[kid], algorithm=alg, headers={"kid": kid})

    async def metadata(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        if self.down:
            return Response(status_code=503)
        return JSONResponse({"issuer": self.url, "jwks_uri": f"{self.url}/jwks"})

    async def jwks(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        found = [{**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid} for kid, key in self.keys.items()]
        found += [{"kty": "oct", "kid": kid, "k": key} for kid, key in self.shared.items()]
        return JSONResponse({"keys": found})


@asynccontextmanager
async def authorization_server() -> AsyncIterator[AuthorizationServer]:
    """Serve an issuer on loopback."""
    with listening("127.0.0.1", 0) as opened:
        found = AuthorizationServer(f"http://127.0.0.1:{opened.getsockname()[1]}")
        routes = [Route("/.well-known/openid-configuration", found.metadata), Route("/jwks", found.jwks)]
        async with serving(Starlette(routes=routes), opened):
            yield found


@asynccontextmanager
async def serving(app: Starlette, opened: socket) -> AsyncIterator[None]:
    """Serve an application on a socket that listens."""
    server = server_for(app)
    task = asyncio.create_task(server.serve(sockets=[opened]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
