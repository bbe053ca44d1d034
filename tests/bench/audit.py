"""Durable records, against a bare insert and commit on the same disk."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path

from arx_wrapper import audit
from arx_wrapper.audit import Entry
from arx_wrapper.audit.log import utc_now
from arx_wrapper.audit.storage.sqlite import SqliteStore
from arx_wrapper.audit.store import Pending
from arx_wrapper.audit.transparency.checkpoint import checkpoint_of, sign_checkpoint
from arx_wrapper.audit.transparency.checkpoint_stores import checkpoint_store
from arx_wrapper.audit.transparency.inclusion_proof import prove
from arx_wrapper.audit.transparency.signed_note import Signer, Verifier
from tests.bench.figures import Figure

ROUNDS, ONE, MANY, CALLERS, VERIFIED = 5, 2_000, 25_600, 64, 200_000


def measure() -> Iterator[Figure]:
    bare, single, one, many = [], [], [], []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for turn in range(ROUNDS):
            bare.append(_bare(Path(folder) / f"bare{turn}.db"))
            single.append(_single(Path(folder) / f"single{turn}.db"))
            one.append(asyncio.run(_alone(Path(folder) / f"one{turn}.db")))
            many.append(asyncio.run(calls(Path(folder) / f"many{turn}.db", CALLERS, MANY // 2)))
        verifying, hashing = asyncio.run(_verify(Path(folder) / "verified.db"))
        evidence = asyncio.run(_evidence(Path(folder) / "verified.db"))
    yield Figure(name="audit: bare insert and commit, WAL, FULL", values=bare, unit="records/s")
    yield Figure(name="audit: our records, a transaction for each", values=single, unit="records/s")
    yield Figure(name="audit: one caller", values=one, unit="records/s", goal=2_500, atleast=True)
    yield Figure(name="audit: 64 callers, intent and outcome", values=many, unit="records/s", goal=9_000, atleast=True)
    slower = [theirs / ours for ours, theirs in zip(one, bare, strict=True)]
    yield Figure(name="audit: one caller, time × bare", values=slower, unit="×", goal=1.3)
    faster = [ours / theirs for ours, theirs in zip(many, single, strict=True)]
    yield Figure(name="audit: 64 callers, × a transaction for each", values=faster, unit="×", goal=10, atleast=True)
    ratio = [verifying / hashing]
    for name, (seconds, goal) in evidence.items():
        yield Figure(name=f"audit: {name}, {VERIFIED:,} records", values=[seconds * 1_000], unit="ms", goal=goal)
    yield Figure(name=f"audit: verify {VERIFIED:,} records, time × SHA-256 of them", values=ratio, unit="×", goal=3)


def _entry() -> Entry:
    return Entry(
        action_type="connector.called",
        status="in_progress",
        org_id="org-acme",
        agent_id="agent-001",
        connector="pagerduty",
        operation="incidents:acknowledge",
        method="PUT",
        path="/incidents/{incident_id}",
        risk="low",
        policy_verdict="PERMIT",
        policy="pd-incident-responder",
        reason="policy 'pd-incident-responder' permits it.",
        inputs_hash="0" * 64,
        metadata={"effects": [["incidents:acknowledge", "low", 1]], "ids": {"incident_id": "P1234AB"}},
    )


def _outcome(intent: Entry) -> Entry:
    attempt = {"sent": True, "status": 200, "error": None, "duration_ms": 11.1, "waited_ms": 0.0}
    return Entry(
        action_type="connector.completed",
        status="success",
        org_id="org-acme",
        agent_id="agent-001",
        connector="pagerduty",
        operation="incidents:acknowledge",
        method="PUT",
        path="/incidents/{incident_id}",
        risk="low",
        policy_verdict="PERMIT",
        policy="pd-incident-responder",
        inputs_hash="0" * 64,
        outputs_hash="1" * 64,
        duration_ms=12.345,
        intent_id=intent.id,
        metadata={"answers": 1, "attempts": [attempt]},
    )


async def _alone(path: Path) -> float:
    """One caller, who waits until each record is durable."""
    log = audit.open(f"sqlite:///{path}", timeout=60)
    intent = _entry()
    await log.append(intent)
    began = time.perf_counter()
    for _ in range(ONE):
        await log.append(_outcome(intent))
    took = time.perf_counter() - began
    await log.aclose()
    return ONE / took


async def calls(path: Path, callers: int, count: int) -> float:
    """Callers, each with one call after the other: the intent waited for, the outcome not. Records a second."""
    log = audit.open(f"sqlite:///{path}", timeout=60)
    await log.append(_outcome(_entry()))

    async def caller() -> None:
        for _ in range(count // callers):
            intent = _entry()
            await log.append(intent)
            log.append_soon(_outcome(intent))

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    await log.flush()
    took = time.perf_counter() - began
    await log.aclose()
    return 2 * count / took


def _single(path: Path) -> float:
    """The same records, each in a transaction of its own."""
    store = SqliteStore(str(path), key=b"k" * 32, clock=utc_now)
    began = time.perf_counter()
    for _ in range(ONE // 2):
        intent = _entry()
        store.write([Pending(intent, enforce_suspension=True)])
        store.write([Pending(_outcome(intent))])
    took = time.perf_counter() - began
    store.close()
    return ONE / took


def _bare(path: Path) -> float:
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (seq INTEGER PRIMARY KEY, b BLOB)"
    )
    body = b"x" * 700
    began = time.perf_counter()
    for _ in range(ONE):
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO t (b) VALUES (?)", (body,))
        database.execute("COMMIT")
    took = time.perf_counter() - began
    database.close()
    return ONE / took


async def _verify(path: Path) -> tuple[float, float]:
    log = audit.open(f"sqlite:///{path}", timeout=60)
    for _ in range(VERIFIED // 2_000):
        await asyncio.gather(*(log.append(_entry()) for _ in range(2_000)))
    began = time.perf_counter()
    assert (await log.verify()).ok
    verifying = time.perf_counter() - began
    await log.aclose()
    began = time.perf_counter()
    for (body,) in sqlite3.connect(path).execute("SELECT CAST(body AS BLOB) FROM audit ORDER BY seq"):
        hashlib.sha256(body).digest()
    return verifying, time.perf_counter() - began


async def _evidence(path: Path) -> dict[str, tuple[float, float]]:
    """Seconds for proofs of a log, each with its goal in milliseconds: they must not depend on its size."""
    log = audit.open(f"sqlite:///{path}", read_only=True)
    signer = Signer.new("audit.example.com/bench")
    verifier = Verifier.parse(signer.verifier())
    size = await log.read(lambda reader: reader.size())
    early = await log.read(lambda reader: checkpoint_of(reader, signer.name, size - 1_000))
    found: dict[str, tuple[float, float]] = {}

    async def timed(name: str, goal: float, work: Awaitable[object]) -> object:
        began = time.perf_counter()
        result = await work
        found[name] = (time.perf_counter() - began, goal)
        return result

    store = checkpoint_store(str(path.with_name("checkpoints")))
    await store.keep(early.size, signer.sign(early.text()))
    note = str(await timed("a checkpoint after an earlier one", 100, sign_checkpoint(log, signer, [store])))
    await timed("an inclusion proof", 20, prove(log, size // 3, note, verifier))
    await timed("a consistency proof", 50, log.read(lambda reader: reader.tree().consistency(size // 3, size)))
    await timed("verify since a checkpoint", 1_000, log.verify(since=early.size))
    await log.aclose()
    return found
