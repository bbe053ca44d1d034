"""The fault matrix: every fault, once and always, under a read, an idempotent write and a create.

Each cell runs the whole governed connector against a server of its own. Sixteen run at a time: with more, a cell would
spend its deadline waiting for the others. Cells in which a connection falls silent have an event loop of their own,
whose connections are given up soon; no other cell depends on how fast the machine is.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import frozen

from arx_wrapper import ArxError, PagerDutyConnector
from arx_wrapper.transport import loop_state
from arx_wrapper.transport.connection_pool import ConnectionPool
from tests.resilience import endpoints
from tests.resilience import faults as f
from tests.resilience.endpoints import Endpoint
from tests.resilience.harness import Outcome, connector_at, last_record, shown
from tests.resilience.server import Fault, Server, fair, serving
from tests.support import PATIENCE

CALLS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "read": ("incidents:read_detail", {"incident_id": "P1"}),
    "acknowledge": ("incidents:acknowledge", {"incident_id": "P1"}),
    "create": ("incidents:create", {"title": "Replication lag", "service_id": "PSVC"}),
}
SILENCE: Final = 2.5
MAX_BODY: Final = 256 * 1024


@frozen(kw_only=True)
class Case:
    """A fault.

    Attributes:
        name: As the table shows it.
        group: Which expectations hold.
        fault: What happens to a request; None where no connection comes about.
        endpoint: Where the server is, for a always, or for one once.
        kept: How a request before is answered on the connection that the call then uses.
        timeout: The call's deadline.
        later: How long after it the server still does what it was asked, in seconds.
        silent: Whether a connection stays open on which nothing comes.
    """

    name: str
    group: str
    fault: Fault = fair
    endpoint: Endpoint = serving
    once_endpoint: Endpoint | None = None
    kept: Fault | None = None
    timeout: float | None = None
    later: float = 0.0
    silent: bool = False


HTML: Final = ("Content-Type: text/html",)
CASES: Final[Sequence[Case]] = (
    Case(
        name="connection refused", group="no connection", endpoint=endpoints.refusing, once_endpoint=endpoints.starting
    ),
    Case(name="DNS failure", group="no connection", endpoint=endpoints.nameless),
    Case(name="TLS: issuer unknown", group="no connection", endpoint=endpoints.unvouched),
    Case(name="TLS: another host's certificate", group="no connection", endpoint=endpoints.misnamed),
    Case(name="TLS: certificate expired", group="no connection", endpoint=endpoints.expired),
    Case(name="TLS: cut in the handshake", group="no connection", endpoint=endpoints.hanging_up),
    Case(name="TLS: issuer in SSL_CERT_FILE", group="fair", endpoint=endpoints.trusted),
    Case(name="TLS: reset after processing", group="lost after", fault=f.reset_after, endpoint=endpoints.trusted),
    Case(name="TLS: cut without goodbye", group="lost after", fault=f.spoilt_and_reset, endpoint=endpoints.trusted),
    Case(name="reset before processing", group="lost before", fault=f.reset_before),
    Case(name="closed before processing", group="lost before", fault=f.closed_before),
    Case(name="reset after processing", group="lost after", fault=f.reset_after),
    Case(name="reset, processed 0.4 s later", group="lost after", fault=f.reset_then_processed, later=0.4),
    Case(name="time-out before processing", group="lost before", fault=f.silent_before, silent=True),
    Case(name="time-out after processing", group="lost after", fault=f.silent_after, silent=True),
    Case(name="429 with headers", group="limited", fault=f.limited),
    Case(name="429 without headers or body", group="limited", fault=f.answering(429)),
    Case(
        name="429, too long for a deadline",
        group="limited for long",
        fault=f.answering(429, "Retry-After: 60"),
        timeout=30,
    ),
    *(
        Case(name=f"{status} before processing", group="failed before", fault=f.answering(status))
        for status in f.FAILED
    ),
    *(
        Case(name=f"{status} after processing", group="failed after", fault=f.answering(status, processed=True))
        for status in f.FAILED
    ),
    Case(name="500 with HTML", group="failed after", fault=f.answering(500, *HTML, body=f.PAGE, processed=True)),
    Case(name="200 with HTML", group="unreadable", fault=f.spoilt(body=f.PAGE)),
    Case(name="200 with bad JSON", group="unreadable", fault=f.spoilt(body=b'{"incident": {"id": nope}}')),
    Case(name="200 with half the JSON", group="unreadable", fault=f.spoilt(body=b'{"incident": {"id": "P1"')),
    Case(name="truncated body", group="lost after", fault=f.spoilt(cut=20, ends=True)),
    Case(name="truncated chunks", group="lost after", fault=f.chunked_cut),
    Case(name="Content-Length too long", group="lost after", fault=f.spoilt(length=50), silent=True),
    Case(name="Content-Length too short", group="lost after", fault=f.spoilt(length=-20)),
    Case(name="Content-Length not a number", group="lost after", fault=f.mislabelled),
    Case(name="not HTTP", group="lost after", fault=f.garbage),
    Case(name="gzip bomb", group="lost after", fault=f.bomb),
    Case(name="endless body", group="lost after", fault=f.endless_body),
    Case(name="endless head", group="lost after", fault=f.endless_head),
    Case(name="dripping body, 4 s deadline", group="deadline", fault=f.dripping, timeout=4),
    Case(name="103 for ever, 4 s deadline", group="deadline", fault=f.only_hints, timeout=4),
    Case(name="redirect", group="refused", fault=f.answering(307, "Location: http://127.0.0.1:9/elsewhere")),
    Case(name="100 and 103 before the answer", group="fair", fault=f.hinted),
    Case(name="101", group="unreadable", fault=f.answering(101, "Connection: upgrade", "Upgrade: x", processed=True)),
    Case(name="kept, closed while idle", group="fair", kept=f.then_closing),
    Case(name="kept, closed as it is used", group="lost before", fault=f.closed_before, kept=fair),
    Case(name="kept, reset as it is used", group="lost before", fault=f.reset_before, kept=fair),
    Case(name="kept, an answer nobody asked for", group="fair", kept=f.then_straying),
)


@frozen
class Cell:
    """One run: a fault, once (`once`) or always (`always`), under one call."""

    case: Case
    call: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.case.name}-{self.pattern}-{self.call}"


CELLS: Final[Sequence[Cell]] = [
    Cell(case, call, pattern)
    for case in CASES
    for pattern in ("once", "always")
    if pattern == "always" or case.once_endpoint or (case.group not in ("no connection", "fair"))
    for call in CALLS
]


_read_timeout: ContextVar[float] = ContextVar("read_timeout")


def run(folder: Path) -> dict[str, Outcome | BaseException]:
    """Run every cell; what became of it, by its name."""
    authority = folder / "authority.pem"
    endpoints.authority().cert_pem.write_to_path(str(authority))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority))
        patch.setattr(socket, "getaddrinfo", endpoints.no_name)
        patch.setattr(
            loop_state,
            "ConnectionPool",
            lambda: ConnectionPool(connect_timeout=PATIENCE, read_timeout=_read_timeout.get()),
        )
        with ThreadPoolExecutor(2) as threads:
            both = list(threads.map(lambda silent: asyncio.run(_run(folder, silent)), (True, False)))
    return both[0] | both[1]


async def _run(folder: Path, silent: bool) -> dict[str, Outcome | BaseException]:
    _read_timeout.set(SILENCE if silent else PATIENCE)
    cells = {number: cell for number, cell in enumerate(CELLS) if cell.case.silent is silent}
    some = asyncio.Semaphore(16)

    async def one(number: int, cell: Cell) -> Outcome:
        async with some:
            home = folder / str(number)
            home.mkdir()
            return await _cell(cell, home)

    found = await asyncio.gather(*(one(*numbered) for numbered in cells.items()), return_exceptions=True)
    return dict(zip(map(str, cells.values()), found, strict=True))


async def _cell(cell: Cell, folder: Path) -> Outcome:
    operation, params = CALLS[cell.call]
    writes = cell.call != "read"
    server = Server()
    async with _under(cell, server, folder) as pd:
        if cell.case.kept:
            server.fault_plan = lambda asked: cell.case.kept
            await pd.execute("incidents:read_notes", {"incident_id": "P1"})
            if cell.case.kept is not fair:  # what is on its way has to arrive, upon which the connection ends
                async with asyncio.timeout(PATIENCE):
                    while server.open:
                        await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)  # the connector sees the server's end in one of the loop's next turns
        seen = len(server.seen)
        server.fault_plan = (f.once if cell.pattern == "once" else f.always)(cell.case.fault, writes)
        began, error = time.monotonic(), None
        try:
            answer = await pd.execute(operation, params, timeout=cell.case.timeout)
            assert answer["incident"]["id"] in server.account.incidents, "somebody else's answer"
        except ArxError as failure:
            error = failure
        took = time.monotonic() - began
        await asyncio.sleep(0.05 + cell.case.later)
        record = await last_record(pd)
        tries = record.metadata.get("attempts", [])
        return Outcome(
            error=shown(error),
            message=str(error or ""),
            action=record.action_type,
            status=record.status,
            recorded=record.error,
            attempts=len(tries),
            looks=record.metadata.get("looks", 0),
            sent=sum(asked.writes is writes for asked in server.seen[seen:]),
            effects=server.account.effects.total(),
            most=max(server.account.effects.values(), default=0),
            settled=record.metadata.get("settled"),
            took=took,
        )


async def _between_tries(server: Server, seconds: float) -> None:
    server.missed.set()
    await asyncio.sleep(seconds)


@asynccontextmanager
async def _under(cell: Cell, server: Server, folder: Path) -> AsyncIterator[PagerDutyConnector]:
    endpoint = cell.case.once_endpoint if cell.pattern == "once" and cell.case.once_endpoint else cell.case.endpoint
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(endpoint(server))
        pd = await stack.enter_async_context(connector_at(address, folder))
        pd.backends.sleep = partial(_between_tries, server)
        pd.backends.transport._max_body = MAX_BODY
        yield pd
