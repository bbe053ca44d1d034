"""The whole governed connector under a server of ours, and what it left behind."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define

from arx_wrapper import ArxError, PagerDutyConnector
from arx_wrapper.audit import AuditRecord
from arx_wrapper.config import Config
from arx_wrapper.vault.fixed import FixedVault
from tests.resilience.server import Server, serving
from tests.support import EVERYTHING

KEY = "u0-resilience-key"


@asynccontextmanager
async def connected(
    server: Server, folder: Path, *, tls: ssl.SSLContext | None = None, url: str | None = None, **options: Any
) -> AsyncIterator[PagerDutyConnector]:
    """A connector to the server, with its real pool and an audit log in a file of its own."""
    async with serving(server, tls) as address, connector_at(url or address, folder, **options) as pd:
        yield pd


@asynccontextmanager
async def connector_at(address: str, folder: Path, **options: Any) -> AsyncIterator[PagerDutyConnector]:
    config = Config.load({"HOME": str(folder)}, folder)
    given = {
        "policies": [EVERYTHING],
        "vault": FixedVault(api_key=KEY, requester_email="bot@example.com"),
        "audit": f"sqlite:///{folder}/audit.db",
        "config": config,
        **options,
    }
    async with PagerDutyConnector("agent", "org", base_url=address, **given) as pd:
        yield pd


@define(kw_only=True)
class Outcome:
    """The outcome of one call, on all sides.

    Attributes:
        error: The error's class, and what it says of the outcome; None for a success.
        action: The last record's kind.
        status: The last record's status.
        recorded: The error in the record.
        attempts: How often the call itself was tried, by the record.
        looks: How often the target was read to settle a lost answer, by the record.
        sent: How many requests of the call's own method the server read.
        effects: How many changes the server made.
        most: How often it made the one it made most often.
        took: Seconds.
    """

    error: str | None
    message: str
    action: str
    status: str
    recorded: str | None
    attempts: int
    looks: int
    sent: int
    effects: int
    most: int
    took: float
    settled: str | None = None


def shown(error: ArxError | None) -> str | None:
    """An error as its class and what it claims: `TransportError:unknown`."""
    if error is None:
        return None
    claim = getattr(error, "outcome", None)
    return type(error).__name__ + (f":{claim}" if claim else "")


async def last_record(pd: PagerDutyConnector) -> AuditRecord:
    """The call's outcome; there must be one, and the chain must hold."""
    log = pd.audit
    await log.flush()
    assert (await log.verify()).ok
    records = [record async for record in log.records() if record.action_type != "policy.loaded"]
    intents = [record for record in records if record.action_type == "connector.called"]
    ends = [record for record in records if record.action_type in ("connector.completed", "connector.refused")]
    assert len(intents) == len(ends)
    assert ends[-1].metadata["intent"] == intents[-1].id
    return ends[-1]
