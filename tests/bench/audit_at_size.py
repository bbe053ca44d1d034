"""A log in SQLite with a million records and with ten million: evidence, opening, a call, look-ups, limits."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from arx_wrapper import audit
from arx_wrapper.audit import AuditLog, Entry
from arx_wrapper.audit.storage.sqlite import SqliteStore
from arx_wrapper.audit.store import Pending
from arx_wrapper.audit.transparency.checkpoint import checkpoint_of, sign_checkpoint
from arx_wrapper.audit.transparency.checkpoint_stores import checkpoint_store
from arx_wrapper.audit.transparency.inclusion_proof import prove
from arx_wrapper.audit.transparency.signed_note import Signer, Verifier
from arx_wrapper.model import Limit
from tests.bench.figures import Figure
from tests.bench.records import intent_of, outcome_of

RECORDS, LOOKED_UP, SMALL, ROUNDS, CALLS = 10_000_000, 1_000_000, 1_000, 9, 150
USES, FEW, BATCH = 100_000, 10, 4_096
DAYS = 30.0
_BYTES = 1_500  # that a record takes on disk, with its index and the -wal file, at most
_OPERATION = "incidents:acknowledge"


def measure(records: int = RECORDS) -> Iterator[Figure]:
    room = shutil.disk_usage(Path.cwd()).free
    if room < records * _BYTES:
        print(f"audit: {records:,} records were not measured: they need {records * _BYTES >> 30} GB of room")
        return
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        path, small = Path(folder) / "large.db", Path(folder) / "small.db"
        build(path, min(records, LOOKED_UP), DAYS)
        yield from _looked_up(path, min(records, LOOKED_UP))
        yield from _limited(path)
        records = build(path, records, 0)  # more than asked for, when the limits' uses alone are more
        build(small, SMALL, 0)
        yield from _evidence(path, records)
        yield from _opened(path, records)
        yield _compared(path, small, records)


def build(path: Path, count: int, days: float) -> int:
    """Fill a log up to so many records: calls of 50 agents, one in 1,000 denied, spread over the last days.

    Returns the number of its records.

    The records are those that the store itself writes; only the syncs are left out.
    """
    draw, began = random.Random(16), datetime.now(UTC) - timedelta(days=days)  # noqa: S311 - made-up calls
    now = [began]
    with closing(SqliteStore(str(path), key=b"k" * 32, clock=lambda: now[0])) as store:
        store._db.execute("PRAGMA synchronous=OFF")
        there = store.size()
        step = timedelta(days=days) / max(1, (count - there) // BATCH)
        while (left := count - store.size()) > 0:
            store.write([Pending(entry) for entry in _calls(draw, min(left, BATCH))])
            now[0] = min(now[0] + step, datetime.now(UTC)) if days else datetime.now(UTC)
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = store.size()
    os.sync()
    return size


def _calls(draw: random.Random, count: int) -> list[Entry]:
    found: list[Entry] = []
    while len(found) < count:
        agent, target = f"agent-{draw.randrange(50):03}", f"P{draw.randrange(36**4):06X}"
        if draw.random() < 0.001:
            found.append(outcome_of(None, agent_id=f"rare-{draw.randrange(9)}", status="blocked", verdict="DENY"))
            continue
        intent = intent_of(agent_id=agent, target=target)
        found += [intent, outcome_of(intent, agent_id=agent)]
    return found[:count]


def _timed(name: str, goal: float, records: int, work: Callable[[], object], rounds: int = ROUNDS) -> Figure:
    """Measure something several times, after once to load the code that does it."""
    work()
    values = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        values.append((time.perf_counter() - began) * 1_000)
    return Figure(name=f"audit: {name}, {records:,} records", values=values, unit="ms", goal=goal)


def _command(path: Path, *arguments: str) -> Callable[[], object]:
    from arx_wrapper.cli.main import run

    def work() -> None:
        os.environ["ARX_AUDIT_URL"] = f"sqlite:///{path}"
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            assert run(["audit", *arguments, "--output", "json"]) == 0, arguments
        assert shown.getvalue().strip(), arguments

    return work


def _looked_up(path: Path, records: int) -> Iterator[Figure]:
    """Look records up by the command line's own code, in this process."""
    some = asyncio.run(_middle(path, records))
    yield _timed("show ID", 50, records, _command(path, "show", some.id))
    filters = {
        "agent": ("--agent", "rare-3"),
        "operation": ("--operation", "incidents:ack*"),
        "verdict": ("--verdict", "DENY"),
        "status": ("--status", "blocked"),
        "target": ("--target", str(some.metadata["ids"]["incident_id"])),
        "since": ("--since", "1d"),
        "until": ("--until", "20d"),
        "agent and verdict": ("--agent", "rare-3", "--verdict", "DENY"),
        "agent in a span": ("--agent", "agent-007", "--since", "20d", "--until", "10d"),
        "nothing found": ("--agent", "rare-3", "--status", "unknown"),
    }
    for name, options in filters.items():
        work = _command(path, "tail", *options) if name != "nothing found" else _silent(path, "tail", *options)
        yield _timed(f"tail by {name}", 100, records, work, 5)
    yield _timed("stats --since 1d", 1_000, records, _command(path, "stats", "--since", "1d"), 5)


def _silent(path: Path, *arguments: str) -> Callable[[], object]:
    from arx_wrapper.cli.main import run

    def work() -> None:
        os.environ["ARX_AUDIT_URL"] = f"sqlite:///{path}"
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert run(["audit", *arguments, "--output", "json"]) == 0, arguments

    return work


async def _middle(path: Path, records: int) -> audit.AuditRecord:
    log = audit.open(f"sqlite:///{path}", key=b"k" * 32, read_only=True)
    async for record in log.records(after_seq=records // 2, action_type="connector.called", limit=1):
        await log.aclose()
        return record
    raise AssertionError("the log has no call in its middle")


def _limited(path: Path) -> Iterator[Figure]:
    """Compare calls under a limit: an agent with 100,000 uses in its window, and one with 10."""
    usage, limit = [(_OPERATION, 1)], Limit(operation=_OPERATION, count=10**9, seconds=86_400, text="1/day", policy="p")
    with closing(SqliteStore(str(path), key=b"k" * 32, clock=lambda: datetime.now(UTC))) as store:
        store._db.execute("PRAGMA synchronous=OFF")
        for agent, uses in (("busy", USES), ("calm", FEW)):
            for begin in range(0, uses, BATCH // 2):
                asked = [intent_of(agent_id=agent) for _ in range(min(BATCH // 2, uses - begin))]
                store.write([Pending(one, usage) for one in asked])
                store.write([Pending(outcome_of(one, agent_id=agent)) for one in asked])
    with closing(SqliteStore(str(path), key=b"k" * 32, clock=lambda: datetime.now(UTC))) as store:

        def call(agent: str) -> None:
            intent = intent_of(agent_id=agent)
            store.write([Pending(intent, usage, [limit], enforce_suspension=True)])
            store.write([Pending(outcome_of(intent, agent_id=agent))])

        for agent, uses in (("busy", USES), ("calm", FEW)):
            began = time.perf_counter()
            call(agent)
            took = (time.perf_counter() - began) * 1_000
            yield Figure(
                name=f"audit: the first call of a process with {uses:,} uses in its window", values=[took], unit="ms"
            )
        ratios = []
        for _ in range(ROUNDS):
            spent = {agent: _cpu(lambda agent=agent: call(agent)) for agent in ("busy", "calm")}  # type: ignore[misc]
            ratios.append(spent["busy"] / spent["calm"])
        name = f"audit: a call under a limit with {USES:,} uses × one with {FEW}, CPU"
        yield Figure(name=name, values=ratios, unit="×", goal=1.1)


def _cpu(work: Callable[[], object], count: int = CALLS) -> float:
    began = time.process_time()
    for _ in range(count):
        work()
    return time.process_time() - began


def _evidence(path: Path, records: int) -> Iterator[Figure]:
    """Measure proofs and checkpoints: they read a few tiles, whatever the log's size."""
    signer = Signer.new("audit.example.com/bench")
    verifier = Verifier.parse(signer.verifier())

    def with_log(work: Callable[[AuditLog], Coroutine[None, None, object]]) -> Callable[[], object]:
        async def run() -> object:
            log = audit.open(f"sqlite:///{path}", key=b"k" * 32, read_only=True)
            try:
                return await work(log)
            finally:
                await log.aclose()

        return lambda: asyncio.run(run())

    early = with_log(lambda log: log.read(lambda reader: checkpoint_of(reader, signer.name, records - 1_000)))()
    kept = signer.sign(early.text())  # type: ignore[attr-defined]

    async def checkpoint(log: AuditLog) -> object:
        with tempfile.TemporaryDirectory() as folder:
            store = checkpoint_store(folder)
            await store.keep(records - 1_000, kept)
            return await sign_checkpoint(log, signer, [store])

    yield _timed("a checkpoint 1,000 records after another", 100, records, with_log(checkpoint))
    note = str(with_log(checkpoint)())
    places = iter(random.Random(7).choices(range(1, records - 2), k=1_000))  # noqa: S311 - places to prove
    proving = with_log(lambda log: prove(log, next(places), note, verifier))
    yield _timed("an inclusion proof", 20, records, proving)
    consistency = with_log(lambda log: log.read(lambda reader: reader.tree().consistency(next(places), records)))
    yield _timed("a consistency proof", 50, records, consistency)
    since = with_log(lambda log: log.verify(since=records - 1_000))
    yield _timed("verify since a checkpoint 1,000 records ago", 1_000, records, since)


def _opened(path: Path, records: int) -> Iterator[Figure]:
    def opening() -> None:
        SqliteStore(str(path), key=b"k" * 32, clock=lambda: datetime.now(UTC)).close()

    yield _timed("opening", 100, records, opening)


def _compared(path: Path, small: Path, records: int) -> Figure:
    """Compare a call's records, durable, in a large log and in a small one: paired, in turn."""
    ratios = []
    for turn in range(ROUNDS):
        spent: dict[Path, float] = {}
        for file in (path, small) if turn % 2 else (small, path):
            with closing(SqliteStore(str(file), key=b"k" * 32, clock=lambda: datetime.now(UTC))) as store:

                def call(store: SqliteStore = store) -> None:
                    intent = intent_of(agent_id="agent-001")
                    store.write([Pending(intent, enforce_suspension=True)])
                    store.write([Pending(outcome_of(intent, agent_id="agent-001"))])

                _cpu(call, 10)
                spent[file] = statistics.median(_cpu(call, CALLS // 5) for _ in range(5))
        ratios.append(spent[path] / spent[small])
    return Figure(
        name=f"audit: a call with {records:,} records × one with {SMALL:,}, CPU", values=ratios, unit="×", goal=1.05
    )
