"""Run the measurements, one process each, and print figure, goal and whether it was met; JSON with --json FILE."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.bench import audit, audit_at_size, calls, console, imports, policy, postgres, report, storm, syncs
from tests.bench.chart import draw
from tests.bench.figures import Figure

ROUNDS: dict[str, Callable[[], Iterator[Figure]]] = {
    "imports": imports.measure,
    "policy": policy.measure,
    "audit": audit.measure,
    "postgres": postgres.measure,
    "report": report.measure,
    "syncs": syncs.measure,
    "calls": calls.measure,
    "console": console.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("only", nargs="*", choices=[[], *ROUNDS, "storm"], help="which measurements; default all")
    parser.add_argument("--chart", type=Path, help="draw the cost of one GET, a bar for each client, into this file")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    parser.add_argument("--records", type=int, default=audit_at_size.RECORDS, help="the size of the large audit log")
    options = parser.parse_args()
    ROUNDS["audit"] = partial(audit.measure, options.records)
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}")
    figures: list[Figure] = []
    for name, measure in {**ROUNDS, "storm": storm.measure}.items():
        if options.only and name not in options.only:
            continue
        for figure in measure():
            figures.append(figure)
            print(figure.line(), flush=True)
    if options.chart:
        options.chart.write_text(draw(figures), "utf-8")
    if options.json:
        options.json.write_text(json.dumps([figure.plain() for figure in figures], indent=1) + "\n")


if __name__ == "__main__":
    main()
