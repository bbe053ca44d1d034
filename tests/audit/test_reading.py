"""Looking at a log writes nothing, and works where nothing can be written."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from arx_wrapper import AuditError, audit
from arx_wrapper.audit import AuditLog
from arx_wrapper.audit.record import hasher
from arx_wrapper.audit.storage.sqlite_files import opened_to_read
from arx_wrapper.audit.storage.sqlite_reader import SqliteReader
from arx_wrapper.audit.store import Reader, Store
from arx_wrapper.cli.main import run
from tests.audit.conftest import KEY, entry, everything
from tests.support import PATIENCE

DYING = """
import asyncio, os, sys
from arx_wrapper import audit
from tests.audit.conftest import entry

async def main(url):
    log = audit.open(url)
    for _ in range(300):
        log.append_soon(entry(action_type="connector.refused"))
    await log.append(entry())
    os.kill(os.getpid(), 9)

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True)  # noqa: S603, S607
    if mounted.returncode:
        pytest.skip(f"mounting a small tmpfs needs root: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S603, S607


def looks(capsys: pytest.CaptureFixture[str]) -> int:
    """Run every command that looks; the number of records that were exported."""
    capsys.readouterr()
    for command in (["tail"], ["show", "1"], ["stats"], ["verify"]):
        assert run(["audit", *command]) == 0, (command, capsys.readouterr().err)
    capsys.readouterr()
    assert run(["audit", "export"]) == 0
    return len(capsys.readouterr().out.splitlines())


async def written(url: str, count: int) -> None:
    log = audit.open(url)
    for _ in range(count):
        log.append_soon(entry(action_type="connector.refused"))
    await log.aclose()


@pytest.mark.parametrize("end", ["closed", "killed"])
@pytest.mark.parametrize("media", ["read-only", "full"])
def test_a_log_is_read_where_nothing_can_be_written(
    disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], end: str, media: str
) -> None:
    url = f"sqlite:///{disk}/audit.db"
    monkeypatch.setenv("ARX_AUDIT_URL", url)
    if end == "closed":
        asyncio.run(written(url, 301))
    else:
        child = subprocess.run([sys.executable, "-c", DYING, url], check=False)  # noqa: S603 - our own script
        assert child.returncode == -9
        (disk / "audit.db-shm").unlink()  # as in a copy of the disk, or after the machine died
    if media == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)  # noqa: S603, S607
    else:
        (disk / "filler").write_bytes(b"x" * shutil.disk_usage(disk).free)
        assert shutil.disk_usage(disk).free == 0
    before = {file.name: file.read_bytes() for file in disk.iterdir() if file.name.startswith("audit")}
    assert looks(capsys) == 301
    assert {file.name: file.read_bytes() for file in disk.iterdir() if file.name.startswith("audit")} == before


async def test_a_log_opened_for_reading_alone_takes_no_record_and_closes_no_intent(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/audit.db"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, url)
    assert await child.wait() == -9
    looking = audit.open(url, read_only=True)
    assert len(await everything(looking)) == 301
    assert (await looking.verify()).ok
    with pytest.raises(AuditError, match="opened read-only"):
        await looking.append(entry())
    with pytest.raises(AuditError, match="opened read-only"):
        await looking.suspend("agent", org_id="org", by="ada", reason="why")
    await looking.aclose()
    writing = audit.open(url)
    assert len(await everything(writing, status="unknown")) == 1, "the next writer closes it"
    await writing.aclose()


async def test_a_log_in_postgresql_opened_for_reading_alone_takes_nothing_and_makes_no_tables(
    log_in_postgres: str,
) -> None:
    looking = audit.open(log_in_postgres, read_only=True)
    assert await everything(looking) == []
    assert (await looking.verify()).records == 0
    log = audit.open(log_in_postgres)
    await log.append(entry())
    await log.aclose()
    assert len(await everything(looking)) == 1
    assert (await looking.verify()).ok
    with pytest.raises(AuditError, match="opened read-only"):
        await looking.append(entry())
    await looking.aclose()


def test_every_reader_sees_what_a_writer_has_written_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/audit.db"
    monkeypatch.setenv("ARX_AUDIT_URL", url)
    monkeypatch.setenv("ARX_AUDIT_KEY", KEY)

    async def write() -> audit.AuditLog:
        log = audit.open(url)
        await log.append(entry(action_type="connector.refused"))
        return log

    log = asyncio.run(write())
    assert run(["audit", "tail", "--output", "json"]) == 0
    assert [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()] == [1]
    asyncio.run(log.aclose())
    assert not [file for file in os.listdir(tmp_path) if file.startswith("audit.db-")], "nothing is left behind"


class Lingering(SqliteReader):
    """A connection that takes a while to close, as on a busy machine."""

    def close(self) -> None:
        time.sleep(0.1)
        super().close()


async def test_a_closed_log_has_no_connection_left_open(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    await written(f"sqlite:///{path}", 3)

    def unused() -> Store:
        raise AssertionError("it is only read")

    def reader() -> Reader:
        return Lingering(opened_to_read(str(path)), hasher(bytes(32)), tmp_path)

    log = AuditLog(unused, timeout=PATIENCE, idle=0.01, reader=reader, begun=lambda: False)
    assert len(await everything(log)) == 3
    await log.aclose()
    assert not [file for file in os.listdir(tmp_path) if file.endswith(("-wal", "-shm"))], "SQLite's, of an open log"
