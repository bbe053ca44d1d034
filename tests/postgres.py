"""A real PostgreSQL server for one test run, from the distribution's binaries, with its data in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from attrs import define, field

from tests.support import PATIENCE

MISSING = (
    "PostgreSQL's server is not installed, so its half of these tests did not run "
    "(Debian: apt-get install postgresql; elsewhere: have initdb on the PATH)"
)
# Roles log in as they are, but for those whose names say that they have a password.
_HBA = "local all with_password scram-sha-256\nlocal all all trust\nhost all all 127.0.0.1/32 trust\n"


@define(eq=False)
class Server:
    """A server that a test may stop, start and freeze.

    Attributes:
        folder: Where its data, its log and its socket are.
        port: Where it listens, on loopback and as the socket's number.
    """

    folder: Path
    port: int
    _installed: Path
    _account: dict[str, Any] = field(factory=dict)

    @property
    def url(self) -> str:
        return self.address("arx")

    def address(self, user: str) -> str:
        return f"postgresql://{user}@/postgres?host={self.folder}&port={self.port}"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "start", "--wait", "--log", str(self.folder / "log"), "--options", options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode", "immediate")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All of its processes stand still: connections stay open, and nothing answers.

        The main process stands still first and goes on last. It alone starts processes and removes those that have
        ended, so the list of them holds for as long as nothing moves.
        """
        main = int((self.folder / "data/postmaster.pid").read_text().split()[0])
        os.kill(main, signal.SIGSTOP)
        try:
            _wait_until_still(main)
            others = [*map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())]
            for process in others:
                os.kill(process, signal.SIGSTOP)
            try:
                yield
            finally:
                for process in others:
                    os.kill(process, signal.SIGCONT)
        finally:
            os.kill(main, signal.SIGCONT)

    def initialise(self) -> None:
        self._run("initdb", "-U", "arx", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        (self.folder / "data/pg_hba.conf").write_text(_HBA)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._installed / program), "-D", str(self.folder / "data"), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, **self._account)  # noqa: S603 - the distribution's own binaries
        assert done.returncode == 0, done.stdout + done.stderr


def _wait_until_still(process: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline, f"process {process} goes on after SIGSTOP"
        time.sleep(0.001)


def binaries() -> Path | None:
    """Return the folder of the newest installed server; None when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextmanager
def server(installed: Path) -> Iterator[Server]:
    """Run a server with an empty database. It refuses to run as root, so root becomes nobody."""
    account = pwd.getpwnam("nobody") if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="arx-postgres-"))
    as_account = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
    with socket.socket() as reserved:
        # Bound and never listening, it leaves the port to the server, and to nobody else while the server is stopped.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        running = Server(folder, reserved.getsockname()[1], installed, as_account)
        try:
            running.initialise()
            running.start()
            try:
                yield running
            finally:
                running.stop()
        finally:
            shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A server for the whole run."""
    installed = binaries()
    if installed is None:
        pytest.skip(MISSING)
    with server(installed) as running:
        yield running


@pytest.fixture
def postgres(postgres_server: Server) -> str:
    """The address of a database without tables."""
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS public, arx_audit CASCADE; CREATE SCHEMA public")
    return postgres_server.url
