"""`console` as a process: it says where it is, needs an origin beyond loopback, and stops with live browsers open."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from arx_wrapper.cli.http_server import server_for
from tests.cli.conftest import Command, command, here, sandboxed  # noqa: F401 - fixtures
from tests.support import PATIENCE


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "--origin"),  # noqa: S104 - it does not start
        (["--origin", "http://approvals.example.com", "--port", "0"], "offer no passkeys"),
        (["--origin", "http://127.0.0.1:8788", "--port", "0"], "http://localhost:PORT"),
        (["--host", "nonsense", "--origin", "https://a.example"], "--host takes an address"),
    ],
)
def test_where_passkeys_cannot_work_it_does_not_start(sandboxed: Command, options: list[str], said: str) -> None:  # noqa: F811
    done = sandboxed("console", *options)
    assert (done.status, said in done.err) == (2, True)


@pytest.mark.slow
def test_it_serves_on_loopback_and_stops_at_a_signal(sandboxed: Command) -> None:  # noqa: F811
    arguments = [sys.executable, "-m", "arx_wrapper.cli", "console", "--port", "0", "-o", "json"]
    environ = dict(os.environ)
    with subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as served:  # noqa: S603
        assert served.stdout
        url = json.loads(served.stdout.readline())["url"]
        port = url.rpartition(":")[2]
        assert url.startswith("http://localhost:")
        answer = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=PATIENCE)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/")
        assert (
            "No reviewer is enrolled yet"
            in httpx.get(f"http://127.0.0.1:{port}/sign-in", trust_env=False, timeout=PATIENCE).text
        )
        served.send_signal(signal.SIGTERM)
        out, err = served.communicate(timeout=60)
    assert (served.returncode, out) == (0, ""), err
    assert "Traceback" not in err


def test_a_console_in_an_agents_folder_reads_no_configuration_there(
    sandboxed: Command,  # noqa: F811
    here: Path,  # noqa: F811
) -> None:
    (here / "arx.toml").write_text('[console]\norigin = "https://evil.example"\n')
    done = sandboxed("console", "--host", "0.0.0.0")  # noqa: S104 - it does not start
    assert (done.status, "--origin" in done.err) == (2, True), "the file's origin does not count"


def test_nobody_says_where_they_come_from_unless_a_proxy_is_configured() -> None:
    assert server_for(None).config.proxy_headers is False
    assert server_for(None, proxied=True).config.proxy_headers is True
