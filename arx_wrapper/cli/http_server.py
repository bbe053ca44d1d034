"""Serve an ASGI application over HTTP for `mcp`, `console` and `approvals serve`: listen, and stop at a signal."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from arx_wrapper.errors import ConfigError

if TYPE_CHECKING:
    import uvicorn


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Open a socket that listens on an address; port 0 for any free one.

    Raises:
        ConfigError: the host is not an address, or it cannot be listened on.
    """
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        opened = socket.create_server((host, port), family=family)
    except ValueError:
        raise ConfigError(f"--host takes an address, 127.0.0.1 or 0.0.0.0, not {host!a}.") from None
    except (OSError, OverflowError) as error:
        raise ConfigError(f"Cannot listen on {host} port {port}: {error}.") from None
    with opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio sets it only on sockets it made itself
        yield opened


def server_for(application: Any, *, grace: int = 5, proxied: bool = False) -> uvicorn.Server:
    """Return a uvicorn server that leaves signals to the caller, so that its application is closed after it.

    It writes no access log: an address may hold an invitation.

    Args:
        application: An ASGI application that supports the lifespan protocol.
        grace: Seconds that open connections have left when the server stops.
        proxied: Whether a proxy on this machine states the client's address in `X-Forwarded-For`. Without one the
            header is ignored, because attempts are limited by address.
    """
    import uvicorn  # an extra

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            application,
            lifespan="on",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=proxied,
            timeout_graceful_shutdown=grace,
        )
    )


async def until_stopped(
    server: uvicorn.Server,
    opened: socket.socket,
    ready: Callable[[], None],
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        server: From `server_for()`.
        opened: The socket, which listens.
        ready: Called once signals are heeded.
        stopping: Called at the signal.
    """

    def stop() -> None:
        server.should_exit = True
        stopping()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    ready()  # the socket listens already, so that connections made now are served
    await server.serve(sockets=[opened])
