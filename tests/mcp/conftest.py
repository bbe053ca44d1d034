"""The server as its clients meet it: a process of its own, before a sandbox on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx2
import msgspec
import pytest
from attrs import frozen
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import run_in_thread
from tests.support import ASK_ABOUT_HIGH, CANARY

POLICIES = Path(__file__).parent.parent.parent / "arx_wrapper" / "policies"
COMMAND = [sys.executable, "-m", "arx_wrapper.cli"]
TOKEN = "a-token-for-tests-only"  # noqa: S105
Mode = Literal["auto", "legacy"]
Connect = AbstractAsyncContextManager[Client]


@frozen(kw_only=True)
class House:
    """A configuration that several processes share: its policy file, audit log, approvals and PagerDuty."""

    policy: Path
    environ: Mapping[str, str]

    def adopt(self, *entries: Mapping[str, Any]) -> None:
        """Put another policy in force."""
        self.policy.write_bytes(msgspec.json.encode(entries))  # JSON is YAML

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another process of the same house."""
        return subprocess.run(  # noqa: S603 - our own command
            [*COMMAND, *arguments], env=dict(self.environ), capture_output=True, text=True, timeout=60, check=False
        )

    def stdio(self, *options: str, mode: Mode = "auto", **client: Any) -> Connect:
        """The SDK's client, with a server process at the other end of its pipes."""
        server = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "mcp", *options], env=dict(self.environ))
        return Client(server, mode=mode, **client)

    @contextmanager
    def served(self, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """A server process over HTTP: its address and the process."""
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, "mcp", "--http", *options], env=dict(self.environ), stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            found = re.search(r"http://\S+", line)
            assert found, line
            yield found[0], process
        finally:
            process.terminate()
            process.wait(20)
            process.stderr.close()

    @asynccontextmanager
    async def http(self, *options: str, mode: Mode = "auto", **client: Any) -> AsyncIterator[Client]:
        """The SDK's client, with a server process at the other end of HTTP."""
        with self.served(*options) as (url, _):
            async with (
                httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as session,
                Client(streamable_http_client(url, http_client=session), mode=mode, **client) as connected,
            ):
                yield connected


@pytest.fixture
def house(tmp_path: Path, account: tuple[str, Sandbox]) -> House:
    url, sandbox = account
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ARX_", "PAGERDUTY_"))}
    found = House(
        policy=tmp_path / "policy.yaml",
        environ={
            **environ,
            "HOME": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "PAGERDUTY_API_KEY": sandbox.token,
            "PAGERDUTY_REQUESTER_EMAIL": sandbox.email,
            "PAGERDUTY_BASE_URL": url,
            "ARX_POLICY": str(tmp_path / "policy.yaml"),
            "ARX_AGENT_ID": "agent-7",
            "ARX_ORG_ID": "org-7",
            "ARX_MCP_TOKEN": TOKEN,
            "PYTHONWARNINGS": "error",
        },
    )
    found.adopt(ASK_ABOUT_HIGH)
    return found


@pytest.fixture
def account() -> Iterator[tuple[str, Sandbox]]:
    """PagerDuty: an address, and the account that it serves."""
    sandbox = Sandbox()
    with run_in_thread(sandbox) as served:
        yield served.url, sandbox


def structured(result: Any) -> dict[str, Any]:
    """What a tool answered; the same as text, for clients that read no more than that."""
    found: dict[str, Any] = result.structured_content
    (block,) = result.content
    assert msgspec.json.decode(block.text) == found
    assert "Traceback" not in block.text
    assert CANARY not in block.text
    return found
