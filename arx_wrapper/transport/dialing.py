"""Connect to the first of a host's addresses that responds (Happy Eyeballs, RFC 8305)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

_P = TypeVar("_P", bound=asyncio.BaseProtocol)
# Seconds after which the next address is tried while the one before has not responded.
_NEXT_ADDRESS: Final = 0.25

Address = tuple[Any, ...]


async def dial(
    factory: Callable[[], _P], host: str, port: int, context: ssl.SSLContext | None
) -> tuple[asyncio.Transport, _P]:
    """Open a connection, with TLS when a context is given.

    asyncio's own `happy_eyeballs_delay` is not used, because it may leave a socket open when it is cancelled.

    Raises:
        OSError: the host has no address, none responds, or its certificate is not trusted.
    """
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {"ssl": context, "server_hostname": host if context else None}
    if _is_address(host):
        return await loop.create_connection(factory, host, port, **options)
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connected = await first_connected([(family, address) for family, _, _, _, address in found])
    try:
        return await loop.create_connection(factory, sock=connected, **options)
    except BaseException:
        connected.close()
        raise


async def first_connected(addresses: Sequence[tuple[int, Address]], *, delay: float = _NEXT_ADDRESS) -> socket.socket:
    """Return a socket that is connected to one of the addresses; the next is tried when one fails or is slow.

    Raises:
        OSError: all addresses failed; the error of the last one.
    """
    running: set[asyncio.Task[socket.socket]] = set()
    winner: asyncio.Task[socket.socket] | None = None
    problem: BaseException = OSError("the host has no address")
    waiting = list(addresses)
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_connected(*waiting.pop(0))))
            done, running = await asyncio.wait(
                running, timeout=delay if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                if failure := task.exception():
                    problem = failure
                elif winner is None:
                    winner = task
                else:
                    task.result().close()
            if winner is not None:
                return winner.result()
        raise problem
    finally:
        for task in running:
            task.cancel()
        for late in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(late, socket.socket):
                late.close()


async def _connected(family: int, address: Address) -> socket.socket:
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connecting, address)
    except BaseException:
        connecting.close()
        raise
    return connecting


def _is_address(host: str) -> bool:
    if not (host[:1].isdigit() or ":" in host):
        return False
    import ipaddress  # imported late: most hosts are names

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
