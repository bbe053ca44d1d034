"""Serving: in a loop, in a thread, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys

import httpx
import pytest

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import run_in_thread, serve
from tests.sandbox.api import headers
from tests.support import PATIENCE

PROGRAM = """
import json
from arx_wrapper.sandbox.server import main_loop
from tests.support import PATIENCE
main_loop(lambda served, sandbox: print(json.dumps([served.url, sandbox.token, sandbox.email]), flush=True))
"""


async def test_it_listens_on_loopback_only(sandbox: Sandbox) -> None:
    async with serve(sandbox) as served:
        host, _, port = served.url.removeprefix("http://").partition(":")
        assert host == "127.0.0.1"
        assert served.ca_file is None
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", int(port)), timeout=1)


async def test_it_stops_listening_at_the_end(sandbox: Sandbox) -> None:
    async with serve(sandbox) as served, httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        assert (await client.get(f"{served.url}/teams", headers=headers(sandbox))).status_code == 200
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(served.url)


async def test_a_port_that_is_taken_is_an_error(sandbox: Sandbox) -> None:
    async with serve(sandbox) as served:
        with pytest.raises(OSError, match="in use"):
            async with serve(sandbox, int(served.url.rpartition(":")[2])):
                pytest.fail("served twice on one port")


async def test_tls_is_trusted_through_its_own_authority_alone(sandbox: Sandbox) -> None:
    async with serve(sandbox, tls=True) as served:
        assert served.url.startswith("https://")
        trusting = ssl.create_default_context(cafile=served.ca_file)
        async with httpx.AsyncClient(verify=trusting, trust_env=False, timeout=PATIENCE) as client:
            answer = await client.get(f"{served.url}/teams", headers=headers(sandbox))
            assert answer.json()["teams"][0]["self"].startswith(served.url)
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(served.url)
    assert served.ca_file is not None
    assert not served.ca_file.exists()


def test_a_thread_serves_code_without_a_loop(sandbox: Sandbox) -> None:
    with run_in_thread(sandbox) as served, httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        assert client.get(f"{served.url}/teams", headers=headers(sandbox)).status_code == 200
    assert sandbox.requests[-1].path == "/teams"


def test_the_thread_ends_when_the_block_fails(sandbox: Sandbox) -> None:
    with pytest.raises(RuntimeError, match="ours"), run_in_thread(sandbox) as served:
        raise RuntimeError("ours")
    with pytest.raises(httpx.ConnectError):
        httpx.get(served.url, trust_env=False, timeout=PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url, token, email = json.loads(process.stdout.readline())
        answer = httpx.get(
            f"{url}/users",
            params={"query": email},
            headers={"Authorization": f"Token token={token}"},
            trust_env=False,
            timeout=PATIENCE,
        )
        assert len(answer.json()["users"]) == 1
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
