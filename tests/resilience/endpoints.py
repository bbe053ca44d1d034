"""Endpoints without a connection: nobody listens, nobody has the name, or nobody vouches for the certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import trustme

from tests.resilience.server import Server, serving
from tests.serving import listening

UNKNOWN_HOST = "pagerduty.invalid"
Endpoint = Callable[[Server], AbstractAsyncContextManager[str]]


@cache
def authority() -> trustme.CA:
    return trustme.CA()


def certificate(*names: str, expires: datetime | None = None, issuer: trustme.CA | None = None) -> ssl.SSLContext:
    """A server's context whose certificate is for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (issuer or authority()).issue_cert(*names, not_after=expires).configure_cert(context)
    return context


@asynccontextmanager
async def refusing(server: Server) -> AsyncIterator[str]:
    """A port that is taken, so that nobody else gets it, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@asynccontextmanager
async def starting(server: Server) -> AsyncIterator[str]:
    """A server that comes up once a request was tried in vain."""
    async with AsyncExitStack() as stack:
        taken = stack.enter_context(socket.socket())
        taken.bind(("127.0.0.1", 0))

        async def later() -> None:
            await server.missed.wait()
            await stack.enter_async_context(listening(server.serve, at=taken))

        coming = asyncio.create_task(later())
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        await coming


@asynccontextmanager
async def nameless(server: Server) -> AsyncIterator[str]:
    yield f"https://{UNKNOWN_HOST}"


@asynccontextmanager
async def hanging_up(server: Server) -> AsyncIterator[str]:
    """Ends every connection before the handshake."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with listening(hang_up) as port:
        yield f"https://127.0.0.1:{port}"


def presenting(*names: str, expires: datetime | None = None, issuer: trustme.CA | None = None) -> Endpoint:
    return lambda server: serving(server, certificate(*names, expires=expires, issuer=issuer))


unvouched = presenting("127.0.0.1", issuer=trustme.CA())
misnamed = presenting("api.pagerduty.com")
expired = presenting("127.0.0.1", expires=datetime(2020, 1, 1, tzinfo=UTC))
trusted = presenting("127.0.0.1")


def no_name(host: Any, *args: Any, **options: Any) -> list[Any]:
    """`getaddrinfo` of a machine whose resolver does not know the host; the tests ask no real one."""
    if host == UNKNOWN_HOST:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return _getaddrinfo(host, *args, **options)


_getaddrinfo = socket.getaddrinfo
