"""300 calls at once against a server that allows 16 a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from arx_wrapper import PagerDutyConnector
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import serve
from arx_wrapper.vault.fixed import FixedVault
from tests.bench.figures import Figure
from tests.support import EVERYTHING

CALLS, ALLOWED = 300, 16


def measure() -> Iterator[Figure]:
    took, refused, failed = asyncio.run(_storm())
    ideal = (CALLS - 1) // ALLOWED  # whole windows that have to pass before the last call may go
    yield Figure(name=f"storm of {CALLS} at {ALLOWED}/s: time × ideal", values=[took / ideal], unit="×", goal=1.1)
    yield Figure(name="storm: 429 answers", values=[refused], unit="", goal=16)
    yield Figure(name="storm: failures", values=[failed], unit="", goal=0)


async def _storm() -> tuple[float, int, int]:
    sandbox = Sandbox(rate_limit=f"{ALLOWED}/s")
    async with serve(sandbox) as served:
        vault = FixedVault(api_key=sandbox.token, requester_email=sandbox.email)
        async with PagerDutyConnector("a", "o", policies=[EVERYTHING], vault=vault, base_url=served.url) as pd:
            began = time.monotonic()
            results = await asyncio.gather(*(pd.get_incident("P1234AB") for _ in range(CALLS)), return_exceptions=True)
            took = time.monotonic() - began
    refused = sum(request.status == 429 for request in sandbox.requests)
    return took, refused, sum(isinstance(result, BaseException) for result in results)
