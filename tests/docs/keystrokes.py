"""Run the on-call scenario with this command and with PagerDuty's community CLI, and count the keys.

`python -m tests.docs.keystrokes PD` runs both against a sandbox each. PD is the program `pd` of the npm package
`pagerduty-cli`, which this project does not install. That program knows no other address than PagerDuty's, so it gets a
proxy on loopback that hands its requests to the sandbox: nothing leaves the machine.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import trustme
from attrs import frozen

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.clock import system_time
from arx_wrapper.sandbox.server import run_in_thread
from tests.support import PATIENCE

POLICY = '- {name: all, connector: pagerduty, operations: ["*"], risk_max: high, approval: none}\n'
TOKEN = "a" * 64  # has the form of a user's token
_PAGERDUTY = "api.pagerduty.com"
_FORWARDED = {"accept", "authorization", "content-type", "from"}
_WINDOW = {
    "maintenance_window": {
        "type": "maintenance_window",
        "start_time": "2030-06-01T12:00:00Z",
        "end_time": "2030-06-01T14:00:00Z",
        "services": [{"id": "PABC123", "type": "service_reference"}],
    }
}


@frozen
class Step:
    """One thing that a responder does, as it is typed here and there."""

    to: str
    here: str
    there: str


SCENARIO = (
    Step("list open incidents", "pd incidents list", "pd incident list"),
    Step("look at one", "pd incidents show 41", "pd rest get -e incidents/P1234AB"),
    Step("acknowledge it", "pd incidents ack 41", "pd incident ack -i P1234AB"),
    Step(
        "add a note",
        'pd incidents note 41 "failing over"',
        'pd incident notes -i P1234AB -n "failing over"',
    ),
    Step("snooze it", "pd incidents snooze 41 1h", "pd incident ack -i P1234AB -z 1h"),
    Step("see who is on call", "pd oncall", "pd rest get -e oncalls"),
    Step(
        "open a maintenance window",
        "pd windows open orders --for 2h",
        f"pd rest post -e maintenance_windows -d '{json.dumps(_WINDOW, separators=(',', ':'))}'",
    ),
    Step("resolve it", "pd incidents resolve 41", "pd incident resolve -i P1234AB"),
)


def rows() -> str:
    """Return the table of the page: what is typed here and there, and its keys."""
    lines = [
        f"| {step.to} | {keys(step.here)} | {keys(step.there)} | `{step.here}` | `{shown(step.there)}` |"
        for step in SCENARIO
    ]
    here, there = (sum(keys(getattr(step, side)) for step in SCENARIO) for side in ("here", "there"))
    return "\n".join([*lines, f"| do all of it | {here} | {there} | | |", ""])


def shown(typed: str) -> str:
    """Return a command with its JSON left out."""
    return re.sub(r"'\{.*\}'", "'{…}'", typed)


def keys(typed: str) -> int:
    """Return how many keys a line takes, Enter included."""
    return len(typed) + 1


@frozen
class Outcome:
    """A command's end.

    Attributes:
        requests: The requests that reached the sandbox: method and path.
    """

    status: int
    requests: tuple[str, ...]
    shown: str


def run(program: list[str], side: str, account: Sandbox, environ: Mapping[str, str]) -> Iterator[Outcome]:
    """Run each step's command, after what stands for `pd` in it."""
    for step in SCENARIO:
        before = len(account.requests)
        done = subprocess.run(  # noqa: S603 - the commands above
            [*program, *shlex.split(getattr(step, side))[1:]],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        seen = tuple(f"{request.method} {request.path}" for request in account.requests[before:])
        yield Outcome(done.returncode, seen, (done.stdout + done.stderr).strip())


@contextmanager
def proxy(address: str, folder: Path) -> Iterator[dict[str, str]]:
    """Serve a proxy on loopback whose tunnels to PagerDuty end in the sandbox; give the environment that names it."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(_PAGERDUTY).configure_cert(context)
    trusted = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))

    class Tunnel(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:
            self.send_response(200 if self.path == f"{_PAGERDUTY}:443" else 403)
            self.end_headers()
            if self.path == f"{_PAGERDUTY}:443":
                self.connection = context.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
                self.close_connection = False

        def forward(self) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() in _FORWARDED}
            headers.setdefault("From", Sandbox.email)  # PagerDuty knows the user by the token
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            response = httpx.request(self.command, address + self.path, headers=headers, content=body, timeout=PATIENCE)
            self.send_response(response.status_code)
            self.send_header("Content-Type", response.headers.get("content-type", "application/json"))
            self.send_header("Content-Length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        do_GET = do_POST = do_PUT = do_DELETE = forward  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Tunnel) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            name = f"http://127.0.0.1:{server.server_address[1]}"
            yield {"https_proxy": name, "HTTPS_PROXY": name, "NODE_EXTRA_CA_CERTS": str(trusted)}
        finally:
            server.shutdown()
            thread.join()


def environ_of(folder: Path, address: str) -> dict[str, str]:
    """Return an environment with nothing of the user's, with a policy and a token for both programs."""
    (folder / "policy.yaml").write_text(POLICY)
    there = folder / "pagerduty-cli"
    there.mkdir()
    account = {"alias": "sandbox", "subdomain": "sandbox", "accessToken": TOKEN}
    (there / "config.json").write_text(json.dumps({"defaultSubdomain": "sandbox", "subdomains": [account]}))
    home = dict.fromkeys(("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"), str(folder))
    return {
        "PATH": os.environ["PATH"],
        "ARX_POLICY": str(folder / "policy.yaml"),
        "PAGERDUTY_BASE_URL": address,
        "PAGERDUTY_API_KEY": TOKEN,
        "PAGERDUTY_REQUESTER_EMAIL": Sandbox.email,
        "PD_SKIP_NEW_VERSION_CHECK": "true",
        "NO_COLOR": "1",
        "TERM": "dumb",
        **home,
    }


def outcomes(side: str, program: list[str]) -> list[Outcome]:
    """Run the scenario of a side against a sandbox of its own."""
    account = Sandbox(clock=system_time)
    account.token = TOKEN
    with tempfile.TemporaryDirectory() as named, run_in_thread(account) as served:
        folder = Path(named)
        with proxy(served.url, folder) as through:
            return list(run(program, side, account, environ_of(folder, served.url) | through))


def main(pd: str) -> int:
    """Run both, print a row for each step, and return 1 when a step failed."""
    ended = outcomes("here", [sys.executable, "-m", "arx_wrapper.cli"]), outcomes("there", [pd])
    for step, *both in zip(SCENARIO, *ended, strict=True):
        sys.stdout.write(f"{step.to}: {keys(step.here)} keys here, {keys(step.there)} there\n")
        for typed, outcome in zip((step.here, step.there), both, strict=True):
            sys.stdout.write(f"  {typed}\n    exit {outcome.status}; {'; '.join(outcome.requests) or 'no request'}\n")
            if outcome.status:
                sys.stdout.write(f"    {outcome.shown}\n")
    here, there = (sum(keys(getattr(step, side)) for step in SCENARIO) for side in ("here", "there"))
    sys.stdout.write(f"all of it: {here} keys here, {there} there\n")
    return int(any(outcome.status for side in ended for outcome in side))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
