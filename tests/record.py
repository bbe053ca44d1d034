"""Record one cassette an operation, over real HTTP: `make cassettes`, or `python -m tests.record OPERATION ...`.

From the sandbox's server by default. From a live account when PAGERDUTY_API_KEY is set; then the writes need a service
and an incident of your own to work on, named by PAGERDUTY_TEST_SERVICE and PAGERDUTY_TEST_INCIDENT, and change them:
use an account made for it. Keys, addresses and e-mails are scrubbed before anything is written.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from attrs import evolve

from arx_wrapper import OPERATIONS, PagerDutyConnector
from arx_wrapper.config import MEMORY, Config
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.clock import EPOCH
from arx_wrapper.sandbox.server import serve
from arx_wrapper.vault.fixed import FixedVault
from tests.cases import calls
from tests.subjects import subjects
from tests.support import EVERYTHING
from tests.tape import FOLDER, PARAMS, cassette, cassette_file


def record(operations: Iterable[str], folder: Path = FOLDER) -> int:
    """Record the cassettes of some operations; those of the others stay as they are. Returns the exit status."""
    key = os.environ.get("PAGERDUTY_API_KEY")
    own = {name: os.environ.get(f"PAGERDUTY_TEST_{name.upper()}", "") for name in ("service", "incident")}
    if key and not all(own.values()):
        sys.stderr.write("Set PAGERDUTY_TEST_SERVICE and PAGERDUTY_TEST_INCIDENT: the writes change them.\n")
        return 2
    folder.mkdir(exist_ok=True)
    file = folder / PARAMS.name
    recorded: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    made = asyncio.run(_all(list(operations), folder, key, own))
    file.write_text(json.dumps(recorded | made, indent=1, sort_keys=True) + "\n", "utf-8")
    print(f"{len(made)} cassettes recorded from {'the live account' if key else 'the sandbox'}")  # noqa: T201
    return 0


async def _all(operations: list[str], folder: Path, key: str | None, own: dict[str, str]) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    for operation in operations:
        if key:
            vault = FixedVault(api_key=key, requester_email=os.environ.get("PAGERDUTY_REQUESTER_EMAIL"))
            url = os.environ.get("PAGERDUTY_BASE_URL", "https://api.pagerduty.com")
            made[operation] = await _record(operation, url, vault, folder, **own)
        else:
            sandbox = Sandbox(clock=lambda: EPOCH)  # an account of its own for each: no recording depends on another
            # The window of the rate limit is measured in real seconds, which differ from one recording to the next.
            with patch("arx_wrapper.sandbox.clock.monotonic", lambda: 0.0):
                async with serve(sandbox) as served:
                    vault = FixedVault(api_key=sandbox.token, requester_email=sandbox.email)
                    made[operation] = await _record(operation, served.url, vault, folder)
    return made


async def _record(operation: str, url: str, vault: FixedVault, folder: Path, **own: str) -> dict[str, Any]:
    async with httpx.AsyncHTTPTransport() as transport, _connector(url, vault, transport) as pd:
        params: dict[str, Any] = calls(await subjects(pd, **own))[operation]
    _forget(cassette_file(operation, folder))
    async with httpx.AsyncHTTPTransport() as transport, _connector(url, vault, transport) as pd:
        with cassette(operation, record=True, folder=folder):
            await pd.execute(operation, params)
    return params


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)


def _connector(url: str, vault: FixedVault, transport: httpx.AsyncHTTPTransport) -> PagerDutyConnector:
    return PagerDutyConnector(
        "agent-cassettes",
        "org-cassettes",
        policies=[EVERYTHING],
        vault=vault,
        base_url=url,
        transport=transport,
        config=evolve(Config.load(), audit_url=MEMORY, sandbox=True),
    )


def main(arguments: list[str]) -> int:
    if unknown := [name for name in arguments if name not in OPERATIONS]:
        sys.stderr.write(f"There is no operation {', '.join(unknown)}.\n")
        return 2
    return record(arguments or OPERATIONS)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
