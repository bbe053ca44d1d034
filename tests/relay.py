"""A relay on loopback between a client and PostgreSQL, which loses the connection at the moment that hurts most."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Literal


class Relay:
    """Passes on what both sides say.

    Attributes:
        port: Where it listens.
        cuts: Cut the next connection that commits: `before` the server gets to know, or `after`, instead of the answer.
        down: Take no connections.
        cut: How many connections were.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cuts: Literal["before", "after"] | None = None
        self.down, self.cut = False, 0
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for client in self._clients:
            with suppress(OSError):  # gone already
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                if self.down:
                    client.close()
                    continue
                self._clients.append(client)
                thread = threading.Thread(target=self._pass, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _pass(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._server_port))
        with closing(client), closing(server), suppress(ConnectionError):
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    said = ready.recv(65_536)
                    if ready is client and b"COMMIT" in said and self.cuts:
                        self._lose(server, said)
                        return
                    if not said:
                        return
                    (server if ready is client else client).sendall(said)

    def _lose(self, server: socket.socket, said: bytes) -> None:
        cuts, self.cuts = self.cuts, None
        if cuts == "after":
            server.sendall(said)
            server.recv(65_536)  # the answer, so that it is certain that it was done
        self.cut += 1


@contextmanager
def relay(server_port: int) -> Iterator[Relay]:
    running = Relay(server_port)
    try:
        yield running
    finally:
        running.close()
