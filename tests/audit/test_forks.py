"""A child of a fork opens the same log anew; it goes on when its parent has closed it, or is told at once."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from arx_wrapper import audit
from tests.audit.conftest import entry, everything

FORKING = """
import asyncio, os, sqlite3, sys
from arx_wrapper import ArxError, PagerDutyConnector
from tests.support import EVERYTHING

url, left = sys.argv[1], sys.argv[2]

def connector():
    return PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=url)

async def call(pd):
    await pd.add_incident_note("P1234AB", "note")

async def child():
    async with connector() as pd:
        await call(pd)
        os.write(opened[1], b"x"), os.read(closed[0], 1)
        for _ in range(3):
            await call(pd)
        await pd.audit.flush()

loop, pd = asyncio.new_event_loop(), connector()
opened, closed = os.pipe(), os.pipe()
loop.run_until_complete(call(pd))
if left == "another connection":
    other = sqlite3.connect(url.removeprefix("sqlite:///"))
    other.execute("SELECT count(*) FROM audit").fetchone()
pid = os.fork()
if pid == 0:
    try:
        asyncio.run(child())
    except ArxError as error:
        print(error, flush=True)
        os.write(opened[1], b"x")
        os._exit(3)
    except BaseException as error:
        print(repr(error), flush=True)
        os.write(opened[1], b"x")
    else:
        os._exit(0)
    os._exit(1)
os.read(opened[0], 1)
if left == "another connection":
    other.close()
loop.run_until_complete(pd.aclose())
os.write(closed[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def forked(path: Path, left: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", FORKING, f"sqlite:///{path}", left]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own script


async def test_a_child_goes_on_when_its_parent_has_closed_the_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    done = await asyncio.to_thread(forked, path, "nothing")
    assert done.returncode == 0, done.stdout + done.stderr
    log = audit.open(f"sqlite:///{path}", read_only=True)
    assert (await log.verify()).ok
    calls = await everything(log, action_type="connector.completed")
    await log.aclose()
    assert [record.status for record in calls] == ["success"] * 5


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="only Linux tells a process which locks it holds")
async def test_a_child_that_cannot_lock_the_log_is_told_at_once_and_sends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    done = await asyncio.to_thread(forked, path, "another connection")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "forked" in done.stdout
    assert "Nothing was sent" in done.stdout
    log = audit.open(f"sqlite:///{path}", read_only=True)
    assert (await log.verify()).records == 3, "those of the parent"
    await log.aclose()


async def test_a_parents_intent_is_known_to_be_abandoned_though_its_child_lives_on(tmp_path: Path) -> None:
    """The child does not keep the lock by which others see that the parent lives."""
    url = f"sqlite:///{tmp_path}/audit.db"
    script = (
        "import asyncio, os, sys, time\n"
        "from arx_wrapper import audit\n"
        "from tests.audit.conftest import entry\n"
        "log = audit.open(sys.argv[1])\n"
        "asyncio.run(log.append(entry()))\n"
        "if os.fork() == 0:\n"
        "    print('forked', flush=True)\n"
        "    time.sleep(60)\n"
        "os.waitpid(-1, 0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True) as parent:  # noqa: ASYNC220, S603
        assert parent.stdout
        assert await asyncio.to_thread(parent.stdout.readline) == "forked\n"
        (child,) = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()  # noqa: ASYNC240
        try:
            parent.kill()
            await asyncio.to_thread(parent.wait)
            log = audit.open(url)
            assert [record.status for record in await everything(log)] == ["in_progress", "unknown"]
            await log.aclose()
        finally:
            os.kill(int(child), 9)


def end_of_a_child() -> None:
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        os._exit(0)
    os.waitpid(child, 0)


async def test_a_fork_leaves_the_parents_log_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    log = audit.open(f"sqlite:///{path}")
    await log.append(entry(action_type="connector.refused"))
    for _ in range(3):
        end_of_a_child()
        await log.append(entry(action_type="connector.refused"))
    assert Path(f"{path}-wal").stat().st_size > 0  # noqa: ASYNC240 - a test's file
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM audit").fetchone() == (4,)
    assert (await log.verify()).records == 4
    await log.aclose()
