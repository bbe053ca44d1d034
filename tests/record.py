"""Record one cassette an operation, over real HTTP: `make cassettes`.

From the sandbox's server by default. From a live account when PAGERDUTY_API_KEY is set; then the writes need a service
and an incident of your own to work on, named by PAGERDUTY_TEST_SERVICE and PAGERDUTY_TEST_INCIDENT, and change them:
use an account made for it. Keys, addresses and e-mails are scrubbed before anything is written.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import httpx
from attrs import evolve

from arx_wrapper import OPERATIONS, PagerDutyConnector
from arx_wrapper.config import MEMORY, Config
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import serve
from arx_wrapper.vault.fixed import FixedVault
from tests.cases import calls
from tests.subjects import subjects
from tests.support import EVERYTHING
from tests.tape import FOLDER, PARAMS, cassette, cassette_file


async def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    recorded: dict[str, dict[str, Any]] = {}
    key = os.environ.get("PAGERDUTY_API_KEY")
    if not key:
        for operation in OPERATIONS:  # an account of its own for each, so that no recording depends on another
            sandbox = Sandbox()
            async with serve(sandbox) as served:
                vault = FixedVault(api_key=sandbox.token, requester_email=sandbox.email)
                recorded[operation] = await _record(operation, served.url, vault)
        return _report(recorded, "the sandbox")
    service, incident = os.environ.get("PAGERDUTY_TEST_SERVICE"), os.environ.get("PAGERDUTY_TEST_INCIDENT")
    if not service or not incident:
        sys.stderr.write("Set PAGERDUTY_TEST_SERVICE and PAGERDUTY_TEST_INCIDENT: the writes change them.\n")
        return 2
    vault = FixedVault(api_key=key, requester_email=os.environ.get("PAGERDUTY_REQUESTER_EMAIL"))
    url = os.environ.get("PAGERDUTY_BASE_URL", "https://api.pagerduty.com")
    for operation in OPERATIONS:
        recorded[operation] = await _record(operation, url, vault, service=service, incident=incident)
    return _report(recorded, "the live account")


async def _record(operation: str, url: str, vault: FixedVault, **own: str) -> dict[str, Any]:
    async with _connector(url, vault) as pd:
        params: dict[str, Any] = calls(await subjects(pd, **own))[operation]
    cassette_file(operation).unlink(missing_ok=True)
    async with _connector(url, vault) as pd:
        with cassette(operation, record=True):
            await pd.execute(operation, params)
    return params


def _connector(url: str, vault: FixedVault) -> PagerDutyConnector:
    return PagerDutyConnector(
        "agent-cassettes",
        "org-cassettes",
        policies=[EVERYTHING],
        vault=vault,
        base_url=url,
        transport=httpx.AsyncHTTPTransport(),
        config=evolve(Config.load(), audit_url=MEMORY, sandbox=True),
    )


def _report(recorded: dict[str, dict[str, Any]], source: str) -> int:
    PARAMS.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n", "utf-8")
    print(f"{len(recorded)} cassettes recorded from {source} into tests/cassettes/")  # noqa: T201 - a command's output
    return 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
