"""CONTRIBUTING adds an operation; a copy of the tree takes its steps, and passes the tests of the table."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
_STEP = re.compile(
    r'<!-- walk: (?P<file>\S+), (?:(?P<place>after|before|replace) "(?P<line>[^\n]*)"|at the end) -->\n'
    r"```\w+\n(?P<text>.*?)```\n",
    re.DOTALL,
)
# What the tests of the table, the sandbox, the tools and the tables on a terminal ask of a new operation.
_TESTS = (
    "tests/test_operations.py",
    "tests/test_table.py",
    "tests/test_extensions.py",
    "tests/test_surface.py",
    "tests/test_constructor.py::test_iterate_is_typed_as_the_table_says",
    "tests/cli/test_columns.py",
    "tests/mcp/test_listing.py",
    "tests/mcp/test_portability.py",
    "tests/sandbox/test_spec.py",
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of what git tracks here, with the endpoint as the build step trims it."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / name)
    spec = tmp_path / "spec" / "pagerduty.json"
    document, added = (
        json.loads(spec.read_text("utf-8")),
        json.loads((ROOT / "tests" / "codegen" / "walkthrough.json").read_text()),
    )
    document["paths"].update(added["paths"])
    document["components"]["schemas"].update(added["schemas"])
    spec.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", "utf-8")
    return tmp_path


def test_the_steps_of_contributing_add_an_operation(copy: Path) -> None:
    steps = list(_STEP.finditer((ROOT / "CONTRIBUTING.md").read_text("utf-8")))
    assert len(steps) == 10
    for step in steps:
        file = copy / step["file"]
        text, line = file.read_text("utf-8"), step["line"]
        if line is None:
            file.write_text(text + step["text"], "utf-8")
            continue
        assert text.count(line + "\n") == 1, f"{step['file']} has no single line {line!r}"
        new = {
            "after": f"{line}\n{step['text']}",
            "before": f"{step['text']}{line}\n",
            "replace": step["text"],
        }[step["place"]]
        file.write_text(text.replace(line + "\n", new), "utf-8")

    environ = {**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'generated'}"}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=copy, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
        assert done.returncode == 0, f"{arguments}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout

    run("-m", "codegen", "generate")
    run("-m", "tests.surface")
    run("-m", "tests.cli.golden")
    run("-m", "ruff", "check", ".")
    run("-m", "ruff", "format", "--check", ".")
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", *_TESTS)
    assert "teams:members" in run("-m", "arx_wrapper.cli", "ops", "--output", "json")
