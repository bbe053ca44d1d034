"""Measure the structure of the code: `python -m tests.structure` prints the figures that `test_structure.py` holds."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "arx_wrapper"
_CALLS = 20
INTERFACES = ("sandbox", "cli", "mcp", "console", "testing")
# A docstring says what calling the function does; these words begin a riddle about it.
_CLAUSE = re.compile(r"(What|Whether|Where|That|How|Who|Whose|Whom|Whoever)\b")


def entries() -> tuple[list[str], list[str]]:
    """Return the modules and the folders that lie directly in `arx_wrapper/`."""
    modules = sorted(path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py")
    folders = sorted(
        path.name
        for path in PACKAGE.iterdir()
        if not path.is_symlink() and (list(path.glob("*.py")) or list(path.glob("*.yaml")))
    )
    return modules, folders


def levels() -> int:
    """Return the length of the longest chain of imports between the entries of `arx_wrapper/`, a package being one."""
    graph = grimp.build_graph("arx_wrapper", exclude_type_checking_imports=False, cache_dir=None)
    units = graph.find_children("arx_wrapper")
    below = {
        unit: {
            other
            for other in units - {unit}
            if graph.direct_import_exists(importer=unit, imported=other, as_packages=True)
        }
        for unit in units
    }

    def depth(unit: str, above: frozenset[str]) -> int:
        return 1 + max((depth(other, above | {unit}) for other in below[unit] - above), default=0)

    return max(depth(unit, frozenset()) for unit in units)


def lines_of_the_core() -> int:
    """Return the lines of Python in `arx_wrapper/` without the sandbox, the test kit, CLI, MCP and console."""
    return sum(
        len(path.read_text("utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in INTERFACES
    )


def derived_lines() -> int:
    """Return how many of them are the typed methods, which `make methods` derives."""
    return len((PACKAGE / "pagerduty" / "methods.py").read_text("utf-8").splitlines())


def lines_by_hand() -> tuple[int, int]:
    """Return the hand-written lines of all operations, and the number of operations.

    They are the rows of the table, the methods that are not derived, and the whole of what builds bodies and judges
    effects: every function, class and table of those modules.
    """
    pagerduty = PACKAGE / "pagerduty"
    table = ast.parse((pagerduty / "operations.py").read_text("utf-8"))
    rows = [n for n in ast.walk(table) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Operation"]
    counted: list[ast.stmt | ast.expr] = [*rows]
    for path in sorted((pagerduty / "resources").glob("*.py")):
        if path.name != "base.py":
            counted += [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.AsyncFunctionDef)]
    for name in ("bodies.py", "effects.py"):
        defined = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
        counted += [n for n in ast.parse((pagerduty / name).read_text("utf-8")).body if isinstance(n, defined)]
    return sum((n.end_lineno or n.lineno) - n.lineno + 1 for n in counted), len(rows)


def clauses() -> Iterator[str]:
    """Yield the docstrings that begin with a clause instead of a verb, as `file:line: first line`."""
    for folder in ("arx_wrapper", "codegen", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    text = ast.get_docstring(node)
                    if text and _CLAUSE.match(text):
                        line = getattr(node, "lineno", 1)
                        yield f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"


def files_of_one_call() -> tuple[list[str], int]:
    """Return the files of ours that one `acknowledge_incident` enters, and how often it changes from file to file.

    It is permitted, and not the first call of its process, with an SQLite log and a server on loopback. A call that
    waits for its log goes through the same files again: the log is in memory, and of several calls the shortest counts.
    """
    from arx_wrapper import PagerDutyConnector
    from arx_wrapper.sandbox import Sandbox
    from arx_wrapper.sandbox.server import run_in_thread
    from arx_wrapper.vault.fixed import FixedVault
    from tests.support import EVERYTHING

    visits: list[str] = []
    calls: list[list[str]] = []

    def profile(frame: Any, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        ours = name.startswith((str(PACKAGE), str(ROOT / "generated"))) and "/sandbox/" not in name
        if event == "call" and ours and (not visits or visits[-1] != name):
            visits.append(name)

    async def main(url: str, account: Sandbox, folder: str) -> None:
        vault = FixedVault(api_key=account.token, requester_email=account.email)
        log = f"sqlite:///{folder}/audit.db"
        async with PagerDutyConnector("a", "o", policies=[EVERYTHING], vault=vault, base_url=url, audit=log) as pd:
            for number in range(_CALLS):
                incident = await pd.create_incident(f"Disk {number} full", "PABC123")
                visits.clear()
                sys.setprofile(profile)
                try:
                    await pd.acknowledge_incident(str(incident.id))
                finally:
                    sys.setprofile(None)
                calls.append(list(visits))

    account = Sandbox()
    memory = Path("/dev/shm")  # a disk that others keep busy would make every call wait  # noqa: S108 - Linux's tmpfs
    parent = memory if memory.is_dir() else None
    with run_in_thread(account) as served, tempfile.TemporaryDirectory(dir=parent) as folder:
        asyncio.run(main(served.url, account, folder))
    shortest = min(calls[1:], key=len)
    return sorted({str(Path(name).relative_to(ROOT)) for name in shortest}), len(shortest) - 1


def main() -> None:
    modules, folders = entries()
    files, changes = files_of_one_call()
    found = list(clauses())
    print(f"modules / folders in arx_wrapper/: {len(modules)} / {len(folders)}")  # noqa: T201
    print(f"levels of imports: {levels()}")  # noqa: T201
    print(f"files entered by one acknowledge_incident; changes of file: {len(files)}; {changes}")  # noqa: T201
    core, derived = lines_of_the_core(), derived_lines()
    print(f"lines without sandbox, test kit, CLI, MCP and console: {core}, of which derived: {derived}")  # noqa: T201
    by_hand, operations = lines_by_hand()
    print(f"hand-written lines per operation: {by_hand / operations:.1f} ({by_hand} / {operations})")  # noqa: T201
    print(f"docstrings that begin with a clause: {len(found)}", *found, sep="\n  ")  # noqa: T201


if __name__ == "__main__":
    main()
