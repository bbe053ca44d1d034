"""Serve a sandbox over HTTP(S), on loopback only: in this event loop, in a thread, or as the process's main loop."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from attrs import frozen
from uvicorn.protocols.http.h11_impl import H11Protocol

from arx_wrapper.sandbox.app import Sandbox
from arx_wrapper.sandbox.clock import system_time

__all__ = ["Served", "main_loop", "run_in_thread", "serve"]

HOST = "127.0.0.1"


@frozen
class Served:
    """The address of a sandbox that is being served.

    Attributes:
        url: Its address, `http://127.0.0.1:49152`.
        ca_file: The certificate authority to trust, when it is served over TLS; deleted when it stops.
    """

    url: str
    ca_file: Path | None


class _AbortableProtocol(H11Protocol):
    """Gives the application a function that closes its connection abruptly."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": transport.abort}


class _Server(uvicorn.Server):
    """Signals when it is ready, and does not handle the process's signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(sandbox: Sandbox, port: int = 0, *, tls: bool = False) -> AsyncIterator[Served]:
    """Serve a sandbox in the running event loop.

    Args:
        sandbox: The sandbox to serve.
        port: The port on 127.0.0.1; 0 for any free one.
        tls: Whether to use HTTPS, with a temporary certificate for 127.0.0.1 and localhost.

    Yields:
        The address.

    Raises:
        OSError: the port is in use.
    """
    with (
        tempfile.TemporaryDirectory(prefix="arx-sandbox-") as folder,
        socket.create_server((HOST, port)) as listening,
    ):
        # Inherited by every connection. asyncio does not set it on sockets that it has not created itself. Without it,
        # a response's second packet waits 40 ms for the first one's acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context, ca_file = _certificate(Path(folder)) if tls else (None, None)
        config = uvicorn.Config(
            sandbox.app,
            interface="asgi3",
            http=_AbortableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        config.load()
        config.ssl = context
        server = _Server(config)
        running = asyncio.ensure_future(server.serve(sockets=[listening]))
        ready = asyncio.ensure_future(server.ready.wait())
        try:
            await asyncio.wait((running, ready), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            yield Served(f"http{'s' if tls else ''}://{HOST}:{listening.getsockname()[1]}", ca_file)
        finally:
            ready.cancel()
            server.should_exit = True
            await running


def _certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    import trustme  # for TLS alone: it brings cryptography with it

    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The last name does not resolve, so that a client can reach the sandbox by it only through a proxy.
    authority.issue_cert(HOST, "localhost", "localhost.example").configure_cert(context)
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return context, ca_file


@contextmanager
def run_in_thread(sandbox: Sandbox, port: int = 0, *, tls: bool = False) -> Iterator[Served]:
    """Serve a sandbox in a thread, for code without an event loop. Yields the address; arguments as for `serve()`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="arx-sandbox", daemon=True)
    thread.start()
    serving = serve(sandbox, port, tls=tls)
    try:
        served = asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result()
        try:
            yield served
        finally:
            asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result()
            asyncio.run_coroutine_threadsafe(_last_turns(loop), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _last_turns(loop: asyncio.AbstractEventLoop) -> None:
    """Let closing transports release their sockets, which they cannot do after the loop has stopped."""
    for _ in range(3):
        await asyncio.sleep(0)
    await loop.shutdown_asyncgens()


def main_loop(
    on_ready: Callable[[Served, Sandbox], None],
    *,
    port: int = 0,
    tls: bool = False,
    sandbox: Sandbox | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, for a process that does nothing else.

    Args:
        on_ready: Called once with the address, and the sandbox with its token and e-mail.
        port: The port on 127.0.0.1; 0 for any free one.
        tls: Whether to use HTTPS, with a temporary certificate.
        sandbox: The sandbox to serve; by default a new one with the machine's time.
    """
    asyncio.run(_until_stopped(on_ready, port, tls, sandbox or Sandbox(clock=system_time)))


async def _until_stopped(on_ready: Callable[[Served, Sandbox], None], port: int, tls: bool, sandbox: Sandbox) -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with serve(sandbox, port, tls=tls) as served:
        on_ready(served, sandbox)
        await stopped.wait()
