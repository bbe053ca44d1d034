"""The examples run, as processes, as their docstrings say."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.faults import Fault
from arx_wrapper.sandbox.server import run_in_thread
from tests.support import ASK_ABOUT_HIGH, CANARY, PATIENCE

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
Process = subprocess.Popen[str]


@pytest.fixture
def account() -> Iterator[tuple[str, Sandbox]]:
    sandbox = Sandbox()
    with run_in_thread(sandbox) as served:
        yield served.url, sandbox


@pytest.fixture
def environ(tmp_path: Path, account: tuple[str, Sandbox]) -> Mapping[str, str]:
    url, sandbox = account
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(msgspec.json.encode([ASK_ABOUT_HIGH]))  # JSON is YAML
    return {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PAGERDUTY_API_KEY": sandbox.token,
        "PAGERDUTY_REQUESTER_EMAIL": sandbox.email,
        "PAGERDUTY_BASE_URL": url,
        "ARX_POLICY": str(policy),
        "ARX_AGENT_ID": "agent-7",
        "ARX_APPROVALS_PROOF": "name",
        "PYTHONWARNINGS": "error",
        "WORKER_EVERY": "0.2",
    }


# A server closes a connection that was idle for some seconds; a request that goes out on it just then is lost.
ANEW = httpx.Limits(max_keepalive_connections=0)


class Logs:
    """Collects a process's log, line by line, each a JSON object."""

    def __init__(self, process: Process) -> None:
        self.lines: list[dict[str, Any]] = []
        self._process, self._thread = process, threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(json.loads(line))

    def wait(self, message: str, count: int = 1, seconds: float = PATIENCE) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [line for line in self.lines if line["message"] == message]
            if len(found) >= count:
                return found[-1]
            time.sleep(0.02)
        raise AssertionError(f"{message!r} was not logged {count} times: {self.lines}")

    def finish(self) -> None:
        self._thread.join(60)


@contextmanager
def running(name: str, environ: Mapping[str, str]) -> Iterator[tuple[Process, Logs]]:
    process = subprocess.Popen(  # noqa: S603 - our own examples
        [sys.executable, str(EXAMPLES / name)],
        env=dict(environ),
        stderr=subprocess.PIPE,
        text=True,
    )
    logs = Logs(process)
    try:
        yield process, logs
    finally:
        process.kill()
        process.wait(60)
        logs.finish()
        if process.stderr:
            process.stderr.close()


def command(environ: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "arx_wrapper.cli", *arguments],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_other_connector_is_governed_like_this_one(environ: Mapping[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own example
        [sys.executable, str(EXAMPLES / "other_connector.py")],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    denied, read, asked, done_, audited = done.stdout.splitlines()
    assert "visitor" in denied
    assert "permits doors:read, but not for agent 'visitor'." in denied
    assert "'locked': True" in read
    assert re.search(r"doors:unlock: waits for a reviewer as \w+", asked)
    assert "'locked': False" in done_
    assert audited.endswith("the chain holds")


async def test_the_service_answers_many_at_once_and_in_the_right_classes(environ: Mapping[str, str]) -> None:
    with running("service.py", environ) as (process, logs):
        url = f"http://127.0.0.1:{logs.wait('serving')['port']}"
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=ANEW) as caller:
            boards = await asyncio.gather(*(caller.get("/board") for _ in range(20)))
            assert {board.status_code for board in boards} == {200}
            assert boards[0].json()["incidents"]
            assert boards[0].json()["on_call"]
            done = await caller.post("/incidents/P1234AB/acknowledge")
            assert done.json() == {"id": "P1234AB", "status": "acknowledged"}
            assert (await caller.post("/incidents/NOSUCHONE/acknowledge")).status_code == 404
            assert (await caller.post("/incidents/a%20b/acknowledge")).status_code == 422

            asked = await caller.delete("/services/PABC123")
            assert (asked.status_code, asked.json()["error"]) == (202, "ApprovalPendingError")
            approval_id = asked.json()["approval_id"]
            command(environ, "approvals", "approve", approval_id, "--reviewer", "alice")
            gone = await caller.delete("/services/PABC123", params={"approval_id": approval_id})
            assert gone.status_code == 204
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        logs.wait("closed")
        answered = [line for line in logs.lines if line["message"] == "answered"]
        assert len(answered) == 25
        assert all(line.keys() >= {"time", "level", "method", "path", "status", "ms"} for line in answered)
        assert CANARY not in str(logs.lines)
    records = [json.loads(line) for line in command(environ, "audit", "export").splitlines()]
    assert sum(record["operation"] == "schedules:read_oncall" for record in records) >= 20


async def test_a_service_told_to_stop_finishes_the_request_under_way(
    environ: Mapping[str, str], account: tuple[str, Sandbox]
) -> None:
    with running("service.py", environ) as (process, logs):
        url = f"http://127.0.0.1:{logs.wait('serving')['port']}"
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=ANEW) as caller:
            account[1].faults.add(Fault(method="PUT", latency=1.0))
            under_way = asyncio.create_task(caller.post("/incidents/P1234AB/acknowledge"))
            async with asyncio.timeout(PATIENCE):
                while not any(request.method == "PUT" for request in account[1].requests):
                    await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert (await under_way).status_code == 200
        process.wait(60)
        logs.wait("closed")
    statuses = [json.loads(line)["status"] for line in command(environ, "audit", "export").splitlines()]
    assert statuses[-1] == "success"


def test_the_worker_handles_what_it_finds_and_drains_when_told_to_stop(
    environ: Mapping[str, str], account: tuple[str, Sandbox]
) -> None:
    with running("worker.py", environ) as (process, logs):
        logs.wait("handled")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        logs.wait("draining")
        logs.wait("closed")
        handled = [line["incident"] for line in logs.lines if line["message"] == "handled"]
        assert len(handled) == len(set(handled)) > 0
        assert not [line for line in logs.lines if line["message"] == "not handled"]
    records = [json.loads(line) for line in command(environ, "audit", "export").splitlines()]
    noted = [r for r in records if r["operation"] == "incidents:add_note" and r["status"] == "success"]
    assert len(noted) == len(handled)
    assert "the chain holds" in command(environ, "audit", "verify", "-o", "table")
