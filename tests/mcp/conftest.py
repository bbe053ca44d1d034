"""Servers in this process, over the SDK's memory transport and over HTTP on loopback, before a sandbox on loopback."""

from __future__ import annotations

import asyncio
import io
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    redirect_stderr,
    redirect_stdout,
)
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx2
import msgspec
import pytest
from attrs import evolve, frozen
from mcp import Client, StdioServerParameters
from mcp.client._memory import InMemoryTransport
from mcp.client.streamable_http import streamable_http_client

from arx_wrapper import PagerDutyConnector
from arx_wrapper.cli.http_server import listening, server_for
from arx_wrapper.cli.main import run
from arx_wrapper.config import Config
from arx_wrapper.mcp.http import HttpServer
from arx_wrapper.mcp.server import ToolServer
from arx_wrapper.mcp.tools import Tools
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import run_in_thread
from tests.support import ASK_ABOUT_HIGH, CANARY

POLICIES = Path(__file__).parent.parent.parent / "arx_wrapper" / "pagerduty" / "policies"
COMMAND = [sys.executable, "-m", "arx_wrapper.cli"]
TOKEN = "a-token-for-tests-only"  # noqa: S105
Mode = Literal["auto", "legacy"]
_NONE: Mapping[str, Any] = {}
Connect = AbstractAsyncContextManager[Client]


@frozen(kw_only=True)
class Deployment:
    """A configuration that servers and commands share: its policy file, audit log, approvals and PagerDuty.

    Attributes:
        policy: The policy file.
        environ: The environment of the processes started here; the test's own process has the same.
        agent: The agent that servers in this process serve.
    """

    policy: Path
    environ: Mapping[str, str]
    agent: str = "agent-7"

    def adopt(self, *entries: Mapping[str, Any]) -> None:
        """Put another policy in force."""
        self.policy.write_bytes(msgspec.json.encode(entries))  # JSON is YAML

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, as `main()` does."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = run(list(arguments))
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    def start(self, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        return subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, *arguments], env=dict(self.environ), text=True, **streams
        )

    async def decide(self, approval_id: str, verb: str = "approve") -> None:
        """Decide a request for approval by the command."""
        done = await asyncio.to_thread(self.run, "approvals", verb, approval_id, "--reviewer", "alice", "--note", "ok")
        assert done.returncode == 0, done.stderr

    @asynccontextmanager
    async def server(self, **options: Any) -> AsyncIterator[ToolServer]:
        """A server in this process, with a connector that is configured as processes here are."""
        config = evolve(Config.load(), approvals_mode="raise")
        async with PagerDutyConnector(self.agent, config.org_id, config=config) as connector:
            yield ToolServer(Tools(connector, **options))

    @asynccontextmanager
    async def memory(
        self, *, mode: Mode = "auto", client: Mapping[str, Any] = _NONE, **options: Any
    ) -> AsyncIterator[Client]:
        """The SDK's client, with a server in this process at the other end of memory streams."""
        async with (
            self.server(**options) as server,
            Client(InMemoryTransport(server), mode=mode, **client) as connected,
        ):
            yield connected

    @asynccontextmanager
    async def served(
        self, hosts: Sequence[str] = (), origins: Sequence[str] = (), **options: Any
    ) -> AsyncIterator[str]:
        """A server in this process, over HTTP on loopback; its address."""
        async with self.server(**options) as server:
            with listening("127.0.0.1", 0) as opened:
                application = HttpServer.on(opened, server, token=TOKEN, hosts=hosts, origins=origins)
                http = server_for(application)
                serving = asyncio.create_task(http.serve(sockets=[opened]))
                try:
                    yield application.address
                finally:
                    http.should_exit = True
                    application.close()
                    await serving

    @asynccontextmanager
    async def http(
        self, *, mode: Mode = "auto", client: Mapping[str, Any] = _NONE, **options: Any
    ) -> AsyncIterator[Client]:
        """The SDK's client, with a server in this process at the other end of HTTP."""
        async with (
            self.served(**options) as url,
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as session,
            Client(streamable_http_client(url, http_client=session), mode=mode, **client) as connected,
        ):
            yield connected

    def stdio(self, *options: str, mode: Mode = "auto", **client: Any) -> Connect:
        """The SDK's client, with a server process at the other end of its pipes."""
        server = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "mcp", *options], env=dict(self.environ))
        return Client(server, mode=mode, **client)

    @contextmanager
    def http_process(self, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """A server process over HTTP: its address and the process."""
        process = self.start("mcp", "--http", *options, stderr=subprocess.PIPE)
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            found = re.search(r"http://\S+", line)
            assert found, line
            yield found[0], process
        finally:
            process.terminate()
            process.wait(60)
            process.stderr.close()


@pytest.fixture
def deployment(tmp_path: Path, account: tuple[str, Sandbox], monkeypatch: pytest.MonkeyPatch) -> Deployment:
    url, sandbox = account
    added = {
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PAGERDUTY_API_KEY": sandbox.token,
        "PAGERDUTY_REQUESTER_EMAIL": sandbox.email,
        "PAGERDUTY_BASE_URL": url,
        "ARX_POLICY": str(tmp_path / "policy.yaml"),
        "ARX_AGENT_ID": "agent-7",
        "ARX_APPROVALS_PROOF": "name",
        "ARX_ORG_ID": "org-7",
        "ARX_MCP_TOKEN": TOKEN,
        "PYTHONWARNINGS": "error",
    }
    for name, value in added.items():
        monkeypatch.setenv(name, value)
    found = Deployment(policy=tmp_path / "policy.yaml", environ=dict(os.environ))
    found.adopt(ASK_ABOUT_HIGH)
    return found


@pytest.fixture
def account(shared_account: tuple[str, Sandbox]) -> tuple[str, Sandbox]:
    """PagerDuty: an address, and the account that it serves, as new."""
    shared_account[1].reset()
    return shared_account


@pytest.fixture(scope="module")
def shared_account() -> Iterator[tuple[str, Sandbox]]:
    sandbox = Sandbox(clock=lambda: datetime(2025, 6, 1, 12, tzinfo=UTC))  # stands still: answers can be compared
    with run_in_thread(sandbox) as served:
        yield served.url, sandbox


def structured(result: Any) -> dict[str, Any]:
    """Return a tool's answer: one JSON object, sent once."""
    (block,) = result.content
    assert result.structured_content is None
    found: dict[str, Any] = msgspec.json.decode(block.text)
    assert "Traceback" not in block.text
    assert CANARY not in block.text
    return found
