"""Syncs for durable records, counted by strace, so that durability cannot be dropped to win."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.audit import calls
from tests.bench.figures import Figure

ROUNDS, CALLS = 3, 320


def measure() -> Iterator[Figure]:
    if shutil.which("strace") is None:
        print("syncs: not counted, strace is not installed")
        return
    for callers in (1, 64):
        # What opening and closing costs is taken off: only what grows with the calls counts.
        each = [(_syncs(callers, 2 * CALLS) - _syncs(callers, CALLS)) / CALLS for _ in range(ROUNDS)]
        name = f"audit: syncs a call, {callers} {'callers' if callers > 1 else 'caller'}"
        least = 1.0 if callers == 1 else 1.0 / callers
        yield Figure(name=name, values=each, unit="syncs", goal=least, atleast=True)


def _syncs(callers: int, count: int) -> int:
    command = ["strace", "-f", "-c", "-e", "trace=fsync,fdatasync"]
    command += [sys.executable, "-m", "tests.bench.syncs", str(callers), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own program
    rows = [line.split() for line in done.stderr.splitlines() if line.endswith(("fsync", "fdatasync"))]
    return sum(int(row[3]) for row in rows)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        asyncio.run(calls(Path(folder) / "audit.db", int(sys.argv[1]), int(sys.argv[2])))
