"""A connection pooler before PostgreSQL: one that shares sessions is refused, one that does not is used."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from arx_wrapper import AuditError, audit
from arx_wrapper.audit.storage.postgres import PostgresStore
from tests.audit.conftest import entry
from tests.postgres import Server
from tests.support import PATIENCE

Pooler = Callable[[str], str]


@pytest.fixture
def pooler(log_in_postgres: str, postgres_server: Server) -> Iterator[Pooler]:
    """Starts PgBouncer in some mode before the server, and gives the address of a log behind it."""
    program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if program is None:
        pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    running: list[subprocess.Popen[bytes]] = []

    def start(mode: str) -> str:
        folder = postgres_server.folder / f"pool-{mode}"
        folder.mkdir(exist_ok=True)
        settings, users = folder / "pgbouncer.ini", folder / "users"
        users.write_text('"arx" ""\n')
        settings.write_text(
            f"[databases]\n* = user=arx host={postgres_server.folder} port={postgres_server.port}\n"
            f"[pgbouncer]\npool_mode = {mode}\nauth_type = any\nauth_file = {folder}/users\n"
            f"unix_socket_dir = {folder}\nlisten_port = {postgres_server.port}\n"
            f"logfile = {folder}/log\npidfile = {folder}/pid\nignore_startup_parameters = options\n"
        )
        if postgres_server._account:  # whatever others may read by this user's file mode mask
            for made in (folder, settings, users):
                shutil.chown(made, **_owner(postgres_server))
        command = [program, str(settings)]
        running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, **postgres_server._account))  # noqa: S603
        address = f"postgresql://arx@/postgres?host={folder}&port={postgres_server.port}"
        until = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(address).close()
                return address
            except psycopg.OperationalError:
                assert time.monotonic() < until, "PgBouncer does not answer"
                time.sleep(0.05)

    yield start
    for process in running:
        process.terminate()
        process.wait()


def _owner(server: Server) -> dict[str, int]:
    return {"user": server._account["user"], "group": server._account["group"]}


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_that_gives_every_transaction_another_session_is_refused(pooler: Pooler, mode: str) -> None:
    log = audit.open(pooler(mode), timeout=PATIENCE)
    with pytest.raises(AuditError) as caught:
        await log.append(entry())
    assert "Nothing was sent" in str(caught.value)
    assert "pool_mode = session" in str(caught.value) or mode == "statement"
    await log.aclose()


async def test_a_pooler_that_keeps_sessions_apart_is_used(pooler: Pooler) -> None:
    log = audit.open(pooler("session"), timeout=PATIENCE)
    await log.append(entry(action_type="connector.refused"))
    assert (await log.verify()).ok
    await log.aclose()


async def test_a_session_that_is_another_one_at_the_next_transaction_is_refused(log_in_postgres: str) -> None:
    log = audit.open(log_in_postgres)
    await log.append(entry(action_type="connector.refused"))
    store = log._writer.store()
    assert isinstance(store, PostgresStore)
    assert store._link
    store._link.backend += 1  # as if the pooler had hidden until now
    with pytest.raises(AuditError, match="another session"):
        await log.append(entry(action_type="connector.refused"))
    await log.aclose()
