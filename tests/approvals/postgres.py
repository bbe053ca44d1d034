"""A real PostgreSQL server for one test run, from the distribution's binaries, reachable by its socket only."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """Where the newest installed server is; None when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextmanager
def server(installed: Path) -> Iterator[str]:
    """Run a server with an empty database; gives its address. It refuses to run as root, so root becomes nobody."""
    account = pwd.getpwnam("nobody") if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="arx-postgres-"))
    as_account = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)

    def run(program: str, *args: str) -> None:
        command = [str(installed / program), "-D", str(folder / "data"), *args]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **as_account)  # noqa: S603 - the distribution's own binaries
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        run("initdb", "-U", "arx", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        options = f"-c listen_addresses= -c unix_socket_directories={folder}"
        run("pg_ctl", "start", "--wait", "--log", str(folder / "log"), "--options", options)
        try:
            yield f"postgresql://arx@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "--wait", "--mode", "immediate")
    finally:
        shutil.rmtree(folder)
