"""An independent judge: Prism, between the connector and the sandbox, holds every call against an OpenAPI document.

    make judge                          # against spec/pagerduty.json
    make judge OPENAPI=published.json   # against PagerDuty's published document

Prism comes from npm (`npx`). What it says of the requests is printed, operation by operation; of the answers it only
counts, because real ones leave the document too. Exit status 1 when it objects to a request and `KNOWN` has no reason.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from attrs import evolve

from arx_wrapper import OPERATIONS, Config, PagerDutyConnector
from arx_wrapper.config import MEMORY
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import serve
from arx_wrapper.vault.fixed import FixedVault
from tests.cases import calls
from tests.subjects import subjects
from tests.support import EVERYTHING

PRISM = "@stoplight/prism-cli@5"
# Where PagerDuty's published document is known to be wrong, or is not what it is about.
KNOWN = {
    ("incidents:create", "body.incident.body.details"): "documented with text, declared as an object",
    ("escalation:update", "body.escalation_policy"): "PUT takes partial bodies, declared as the full object",
    ("services:read_integrations", "route"): "the reference's path is not published",
    ("rules:read", "route"): "event rules are not published any more",
    ("rules:create", "route"): "event rules are not published any more",
    ("rules:update", "route"): "event rules are not published any more",
}


class Recorder(httpx.AsyncHTTPTransport):
    """Keeps what Prism answers when it objects."""

    objections: list[dict[str, Any]]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if response.headers.get("content-type", "").startswith("application/problem+json"):
            await response.aread()
            problem = response.json()
            self.objections.extend(problem.get("validation") or [{"location": ["route"], "message": problem["title"]}])
        return response


async def main(document: str) -> int:
    if not shutil.which("npx"):
        sys.stderr.write("The judge needs npx (Node.js) and npm's registry.\n")
        return 2
    unexplained = judged = answers = 0
    sandbox = Sandbox(rate_limit=None)
    sandbox.options.list_integrations = True
    vault = FixedVault(api_key=sandbox.token, requester_email=sandbox.email)
    async with serve(sandbox) as served, prism(document, served.url) as judge:
        for operation in OPERATIONS:
            sandbox.reset()
            transport = Recorder()
            transport.objections = []
            async with connector(served.url, vault) as pd:
                params = calls(await subjects(pd))[operation]
            async with connector(judge, vault, transport) as pd:
                await asyncio.gather(pd.execute(operation, params), return_exceptions=True)
            answers += sum(objection["location"][0] == "response" for objection in transport.objections)
            objections = [objection for objection in transport.objections if objection["location"][0] != "response"]
            for objection in objections:
                reason = explained(operation, objection)
                unexplained += reason is None
                place = ".".join(map(str, objection["location"]))
                sys.stdout.write(
                    f"{operation}: {place}: {objection['message']}" + (f" ({reason})" if reason else "") + "\n"
                )
            judged += all(explained(operation, objection) for objection in objections)
    sys.stdout.write(f"{judged} of {len(OPERATIONS)} operations' requests pass {PRISM} on {document}\n")
    sys.stdout.write(f"{unexplained} objections without a known reason; {answers} to the sandbox's answers\n")
    return 1 if unexplained else 0


def explained(operation: str, objection: dict[str, Any]) -> str | None:
    place = ".".join(map(str, objection["location"]))
    return next(
        (reason for (name, where), reason in KNOWN.items() if name == operation and place.startswith(where)), None
    )


def connector(url: str, vault: FixedVault, transport: httpx.AsyncBaseTransport | None = None) -> PagerDutyConnector:
    config = evolve(Config.load(), audit_url=MEMORY, sandbox=True)
    transport = transport or httpx.AsyncHTTPTransport()
    return PagerDutyConnector(
        "judge", "judge", policies=[EVERYTHING], vault=vault, base_url=url, config=config, transport=transport
    )


@asynccontextmanager
async def prism(document: str, upstream: str) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        "npx",
        "--yes",
        PRISM,
        "proxy",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--errors",
        document,
        upstream,
    ]
    # A group of its own: npx starts node, and both have to stop.
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, start_new_session=True)
    assert process.stdout
    try:
        async with asyncio.timeout(180):
            while b"listening" not in (line := await process.stdout.readline()):
                if not line:
                    raise SystemExit("Prism did not start")
        drain = asyncio.create_task(process.stdout.read())
        yield f"http://127.0.0.1:{port}"
        drain.cancel()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


if __name__ == "__main__":
    json.load(open(sys.argv[1], encoding="utf-8"))  # noqa: SIM115 - a readable document, or an error before Prism starts
    raise SystemExit(asyncio.run(main(sys.argv[1])))
