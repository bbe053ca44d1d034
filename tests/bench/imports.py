"""Cold imports, each in a fresh interpreter, contenders in turn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from tests.bench.figures import Figure

ROUNDS = 15
CONTENDERS = {
    "httpx and attrs": "import httpx, attrs",
    "ours": "import app.connectors.pagerduty",
    "official": "import pagerduty",
}


def measure() -> Iterator[Figure]:
    taken: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for program in CONTENDERS.values():
        _milliseconds(program)  # warm the disk's cache
    for _ in range(ROUNDS):
        for name, program in CONTENDERS.items():
            taken[name].append(_milliseconds(program))
    for name in CONTENDERS:
        yield Figure(name=f"import: {name}", values=taken[name], unit="ms")
    for peer, goal in (("httpx and attrs", 1.2), ("official", 1.0)):
        ratios = [ours / theirs for ours, theirs in zip(taken["ours"], taken[peer], strict=True)]
        yield Figure(name=f"import: ours, × {peer}", values=ratios, unit="×", goal=goal)


def _milliseconds(program: str) -> float:
    timed = f"import time; t = time.perf_counter(); {program}; print((time.perf_counter() - t) * 1000)"
    return float(subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True).stdout)  # noqa: S603
