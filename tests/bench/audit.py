"""Durable records, against a bare insert and commit on the same disk."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from arx_wrapper import audit
from arx_wrapper.audit.log import utc_now
from arx_wrapper.audit.storage.sqlite import SqliteStore
from arx_wrapper.audit.store import Pending
from tests.bench.audit_at_size import RECORDS
from tests.bench.audit_at_size import measure as at_size
from tests.bench.figures import Figure
from tests.bench.records import intent_of, outcome_of

ROUNDS, ONE, MANY, CALLERS, VERIFIED, COUNTED = 5, 2_000, 25_600, 64, 200_000, 320


def measure(records: int = RECORDS) -> Iterator[Figure]:
    """Measure what a record costs, and a log with as many records as given."""
    bare, single, one, many = [], [], [], []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for turn in range(ROUNDS):
            bare.append(_bare(Path(folder) / f"bare{turn}.db"))
            single.append(_single(Path(folder) / f"single{turn}.db"))
            one.append(asyncio.run(_alone(Path(folder) / f"one{turn}.db")))
            many.append(asyncio.run(calls(Path(folder) / f"many{turn}.db", CALLERS, MANY // 2)))
        commits = {
            callers: asyncio.run(calls(Path(folder) / f"commits{callers}.db", callers, COUNTED, commits=True))
            for callers in (1, CALLERS)
        }
        verifying, hashing = asyncio.run(_verify(Path(folder) / "verified.db"))
    yield Figure(name="audit: bare insert and commit, WAL, FULL", values=bare, unit="records/s")
    yield Figure(name="audit: our records, a transaction for each", values=single, unit="records/s")
    yield Figure(name="audit: one caller", values=one, unit="records/s", goal=4_000, atleast=True)
    yield Figure(name="audit: 64 callers, intent and outcome", values=many, unit="records/s", goal=40_000, atleast=True)
    slower = [theirs / ours for ours, theirs in zip(one, bare, strict=True)]
    yield Figure(name="audit: one caller, time × bare", values=slower, unit="×", goal=1.3)
    faster = [ours / theirs for ours, theirs in zip(many, single, strict=True)]
    yield Figure(name="audit: 64 callers, × a transaction for each", values=faster, unit="×", goal=10, atleast=True)
    for callers, each in commits.items():  # each is a sync of the -wal file: `synchronous` is FULL
        name = f"audit: synced commits a call, {callers} caller{'s' if callers > 1 else ''}"
        yield Figure(name=name, values=[each], unit="commits", goal=1 / callers, atleast=True)
    ratio = [verifying / hashing]
    yield Figure(name=f"audit: verify {VERIFIED:,} records, time × SHA-256 of them", values=ratio, unit="×", goal=3)
    yield from at_size(records)


async def _alone(path: Path) -> float:
    """One caller, who waits until each record is durable."""
    log = audit.open(f"sqlite:///{path}", timeout=60)
    intent = intent_of()
    await log.append(intent)
    began = time.perf_counter()
    for _ in range(ONE):
        await log.append(outcome_of(intent))
    took = time.perf_counter() - began
    await log.aclose()
    return ONE / took


async def calls(path: Path, callers: int, count: int, *, commits: bool = False) -> float:
    """Callers, each with one call after the other: the intent waited for, the outcome not.

    Returns:
        Records a second; with `commits`, the number of commits for a call.
    """
    log, seen = audit.open(f"sqlite:///{path}", timeout=60), list[str]()
    await log.append(outcome_of(intent_of()))
    if commits:
        store = log._writer.store()
        assert isinstance(store, SqliteStore)
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
        store._db.set_trace_callback(lambda statement: seen.append(statement) if statement == "COMMIT" else None)

    async def caller() -> None:
        for _ in range(count // callers):
            intent = intent_of()
            await log.append(intent)
            log.append_soon(outcome_of(intent))

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    await log.flush()
    took = time.perf_counter() - began
    await log.aclose()
    return len(seen) / count if commits else 2 * count / took


def _single(path: Path) -> float:
    """The same records, each in a transaction of its own."""
    store = SqliteStore(str(path), key=b"k" * 32, clock=utc_now)
    began = time.perf_counter()
    for _ in range(ONE // 2):
        intent = intent_of()
        store.write([Pending(intent, enforce_suspension=True)])
        store.write([Pending(outcome_of(intent))])
    took = time.perf_counter() - began
    store.close()
    return ONE / took


_SIZE = 940  # bytes of one of these outcomes: its JSON, id and hash


def _bare(path: Path) -> float:
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (seq INTEGER PRIMARY KEY, b BLOB)"
    )
    body = b"x" * _SIZE
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
        await asyncio.gather(*(log.append(intent_of()) for _ in range(2_000)))
    began = time.perf_counter()
    assert (await log.verify()).ok
    verifying = time.perf_counter() - began
    await log.aclose()
    began = time.perf_counter()
    for (body,) in sqlite3.connect(path).execute("SELECT CAST(body AS BLOB) FROM audit ORDER BY seq"):
        hashlib.sha256(body).digest()
    return verifying, time.perf_counter() - began
