"""Find the parts of the connector that a change affects: operations, cassettes, sandbox routes and columns.

The build step does not import the connector: it reads the table in a separate process, and reports when that fails.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from codegen.compare import Change
from codegen.rules import Kind

_ROOT: Final = Path(__file__).parent.parent
_ASK: Final = """
import json
from arx_wrapper.pagerduty.operations import OPERATIONS
from arx_wrapper.sandbox.routes import ENDPOINTS
rows = [
    {"name": row.name, "method": row.method, "path": row.path, "columns": [str(c) for c in getattr(row, "columns", ())]}
    for row in OPERATIONS.values()
]
routes = [{"method": each.method, "path": each.path, "module": each.handler.__module__} for each in ENDPOINTS]
print(json.dumps({"rows": rows, "routes": routes}))
"""


@frozen(kw_only=True)
class Impact:
    """The parts of the connector that changes affect.

    Attributes:
        operations: The connector's operations.
        cassettes: Their recordings.
        routes: The sandbox's modules that serve the endpoints.
        columns: Table columns with a removed or renamed member, each with its operation.
        unknown: The reason why the connector could not be read; empty when it was.
    """

    operations: tuple[str, ...] = field(default=())
    cassettes: tuple[str, ...] = field(default=())
    routes: tuple[str, ...] = field(default=())
    columns: tuple[str, ...] = field(default=())
    unknown: str = ""


def connector() -> dict[str, Any]:
    """Return the connector's operations and the sandbox's routes, or the reason why they are unknown."""
    command = [sys.executable, "-X", "utf8", "-c", _ASK]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, encoding="utf-8", errors="replace")  # noqa: S603
    if done.returncode:
        return {"unknown": (done.stderr.strip().splitlines() or ["it said nothing"])[-1]}
    known: dict[str, Any] = json.loads(done.stdout)
    return known


def of(changes: Iterable[Change], known: dict[str, Any]) -> Impact:
    """Return the parts that changes affect. A changed description affects none."""
    if "unknown" in known:
        return Impact(unknown=known["unknown"])
    meant = [each for each in changes if not each.rule.endswith("description-changed")]
    touched = {_shape(endpoint) for each in meant for endpoint in each.endpoints}
    rows = [row for row in known["rows"] if _shape(f"{row['method']} {row['path']}") in touched]
    routes = {r["module"] for r in known["routes"] if _shape(f"{r['method']} {r['path']}") in touched}
    return Impact(
        operations=tuple(row["name"] for row in rows),
        cassettes=tuple(f"tests/cassettes/{row['name'].replace(':', '.')}.yaml" for row in rows),
        routes=tuple(sorted(f"{module.replace('.', '/')}.py" for module in routes)),
        columns=tuple(_columns(meant, rows)),
    )


def _columns(changes: list[Change], rows: list[dict[str, Any]]) -> Iterable[str]:
    gone = [each for each in changes if each.rule.startswith("response") and each.kind in (Kind.REMOVED, Kind.RENAMED)]
    for row in rows:
        endpoint = _shape(f"{row['method']} {row['path']}")
        names = {each.place.rpartition(".")[2] for each in gone if endpoint in map(_shape, each.endpoints)}
        for column in row["columns"]:
            if names & set(re.split(r"[.=]", column)):
                yield f"{row['name']}: {column}"


def _shape(endpoint: str) -> str:
    return re.sub(r"{[^}]*}", "{}", endpoint)
