"""A log in PostgreSQL, against a bare insert and commit on the same server; and one key's rate limit on many hosts."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import psycopg

from arx_wrapper import audit
from arx_wrapper.audit import Entry
from arx_wrapper.audit.transparency.checkpoint import checkpoint_of
from arx_wrapper.audit.transparency.inclusion_proof import prove
from arx_wrapper.audit.transparency.signed_note import Signer, Verifier
from arx_wrapper.model import Limit
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import serve
from tests.bench.figures import Figure
from tests.bench.records import intent_of, outcome_of
from tests.postgres import binaries, server

ROUNDS, ONE, MANY, CALLERS = 5, 1_000, 6_400, 64
MANY_USES, FEW_USES, LIMITED = 100_000, 10, 300
PROCESSES, CALLS, ALLOWED = 8, 75, 64
_KEY = "5a" * 32


def measure() -> Iterator[Figure]:
    installed = binaries()
    if installed is None:
        print("PostgreSQL is not installed: its figures are not measured")
        return
    os.environ["ARX_AUDIT_KEY"] = _KEY
    with server(installed) as running:
        yield from _records(running.url)
        few, many = asyncio.run(_limits(running.url))
        ratio = [ours / theirs for ours, theirs in zip(many, few, strict=True)]
        name = f"postgresql: limit with {MANY_USES:,} uses, × {FEW_USES} uses"
        yield Figure(name=name, values=ratio, unit="×", goal=1.1)
        size, proving, checking = asyncio.run(_evidence(running.url))
        yield Figure(name=f"postgresql: an inclusion proof among {size:,} records", values=proving, unit="ms", goal=20)
        yield Figure(name=f"postgresql: a checkpoint over {size:,} records", values=checking, unit="ms", goal=100)
        _empty(running.url)
        took, refused = asyncio.run(_one_key(running.url))
    ideal = (PROCESSES * CALLS - 1) // ALLOWED  # whole windows that have to pass before the last call may go
    name = f"postgresql: {PROCESSES} processes, one key, {PROCESSES * CALLS} calls at {ALLOWED}/s: time × ideal"
    yield Figure(name=name, values=[took / ideal], unit="×", goal=1.1)
    yield Figure(name="postgresql: 429 answers, the process with most", values=[max(refused)], unit="", goal=1)


def _records(url: str) -> Iterator[Figure]:
    bare, one, many = list[float](), list[float](), list[float]()
    _empty(url)
    for _ in range(ROUNDS):
        bare.append(_bare(url))
        one.append(asyncio.run(_alone(url)))
        many.append(asyncio.run(_calls(url)))
    yield Figure(name="postgresql: bare insert and commit", values=bare, unit="records/s")
    yield Figure(name="postgresql: one caller", values=one, unit="records/s")
    yield Figure(name="postgresql: 64 callers, intent and outcome", values=many, unit="records/s")
    slower = [theirs / ours for ours, theirs in zip(one, bare, strict=True)]
    yield Figure(name="postgresql: one caller, time × bare", values=slower, unit="×", goal=1.3)


def _empty(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS arx_audit CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def _bare(url: str) -> float:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bare; CREATE TABLE bare (seq bigserial PRIMARY KEY, b bytea)")
        body = b"x" * 700
        began = time.perf_counter()
        for _ in range(ONE):
            connection.execute("INSERT INTO bare (b) VALUES (%s)", (body,))
        return ONE / (time.perf_counter() - began)


async def _alone(url: str) -> float:
    """One caller, who waits until each record is durable."""
    log = audit.open(url, timeout=60)
    intent = intent_of()
    await log.append(intent)
    began = time.perf_counter()
    for _ in range(ONE):
        await log.append(outcome_of(intent))
    took = time.perf_counter() - began
    await log.aclose()
    return ONE / took


async def _calls(url: str) -> float:
    """Callers, each with one call after the other: the intent waited for, the outcome not. Records a second."""
    log = audit.open(url, timeout=60)
    await log.append(outcome_of(intent_of()))

    async def caller() -> None:
        for _ in range(MANY // CALLERS // 2):
            intent = intent_of()
            await log.append(intent)
            log.append_soon(outcome_of(intent))

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    await log.flush()
    took = time.perf_counter() - began
    await log.aclose()
    return MANY / took


async def _limits(url: str) -> tuple[list[float], list[float]]:
    """Seconds for a call under a limit, in alternating rounds, with few and with many uses in its window."""
    log = audit.open(url, timeout=60)
    for agent, uses in (("few", FEW_USES), ("many", MANY_USES)):
        for _ in range(0, uses, 2_000):
            batch = range(min(2_000, uses))
            await asyncio.gather(*(log.append(_by(agent), usage=[("op", 1)]) for _ in batch))
    times = dict[str, list[float]](few=[], many=[])
    limit = Limit(operation="op", count=10**9, seconds=3_600, text="10^9/hour", policy="p")
    for _ in range(LIMITED):
        for agent, found in times.items():
            began = time.perf_counter()
            await log.append(_by(agent), usage=[("op", 1)], limits=[limit])
            found.append(time.perf_counter() - began)
    await log.aclose()
    return _medians(times["few"]), _medians(times["many"])


async def _evidence(url: str) -> tuple[int, list[float], list[float]]:
    """Milliseconds for inclusion proofs and checkpoints, each with a connection of its own, and the log's size."""
    log, signer = audit.open(url, timeout=60), Signer.new("audit.example.com/bench")
    verifier = Verifier.parse(signer.verifier())
    size: int = await log.read(lambda reader: reader.size())
    proving, checking = list[float](), list[float]()
    for turn in range(20):
        began = time.perf_counter()
        checkpoint = await log.read(lambda reader: checkpoint_of(reader, signer.name, size))
        checking.append((time.perf_counter() - began) * 1000)
        note = signer.sign(checkpoint.text())
        began = time.perf_counter()
        await prove(log, 1 + turn * (size // 20), note, verifier)
        proving.append((time.perf_counter() - began) * 1000)
    await log.aclose()
    return size, proving, checking


def _by(agent_id: str) -> Entry:
    return Entry(
        action_type="connector.called",
        status="in_progress",
        org_id="org-acme",
        agent_id=agent_id,
        connector="pagerduty",
        operation="op",
    )


def _medians(values: Sequence[float]) -> list[float]:
    """Return the median of each fifth."""
    size = len(values) // ROUNDS
    return [statistics.median(values[place * size : (place + 1) * size]) for place in range(ROUNDS)]


_PROCESS = """
import asyncio, sys
from arx_wrapper import PagerDutyConnector
from arx_wrapper.vault.fixed import FixedVault
from tests.support import EVERYTHING

async def main(name, url, log, token, email, calls):
    vault = FixedVault(api_key=token, requester_email=email)
    async with PagerDutyConnector(name, "o", policies=[EVERYTHING], vault=vault, base_url=url, audit=log) as pd:
        await pd.backends.audit.open()
        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(pd.get_incident("P1234AB") for _ in range(int(calls))))

asyncio.run(main(*sys.argv[1:]))
"""


async def _one_key(url: str) -> tuple[float, list[float]]:
    """Processes that have opened the log begin at once and share a key.

    Returns:
        The seconds from the first request to the last, and the 429s of each process.
    """
    sandbox = Sandbox(rate_limit=f"{ALLOWED}/s")
    async with serve(sandbox) as served:
        arguments = (served.url, url, sandbox.token, sandbox.email, str(CALLS))
        pipe = asyncio.subprocess.PIPE
        children = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", _PROCESS, f"process-{number}", *arguments, stdin=pipe, stdout=pipe
            )
            for number in range(PROCESSES)
        ]
        for child in children:
            assert child.stdout
            await child.stdout.readline()
        for child in children:
            assert child.stdin
            child.stdin.write(b"go\n")
        while not sandbox.requests:
            await asyncio.sleep(0.002)
        began = time.monotonic()
        while len(sandbox.requests) - sum(one.status == 429 for one in sandbox.requests) < PROCESSES * CALLS:
            await asyncio.sleep(0.002)
            assert all(child.returncode in (None, 0) for child in children)
        took = time.monotonic() - began
        assert [await child.wait() for child in children] == [0] * PROCESSES
    log, refused = audit.open(url), Counter[str]()
    async for record in log.records(action_type="connector.completed"):
        refused[record.agent_id] += sum(one["status"] == 429 for one in record.metadata.get("attempts", ()))
    await log.aclose()
    return took, [float(refused[f"process-{number}"]) for number in range(PROCESSES)]
