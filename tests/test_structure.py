"""The structure stays readable: few entries at the top, few levels, docstrings that say what calling does."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from tests import structure


def test_few_modules_and_folders_lie_at_the_top() -> None:
    modules, folders = structure.entries()
    assert len(modules) <= 7
    assert len(folders) <= 14


def test_the_layout_for_contributors_names_every_folder() -> None:
    # Cells look like `arx_wrapper/core/`, or `arx_wrapper/{cli,mcp}/` for several.
    table = (structure.ROOT / "CONTRIBUTING.md").read_text("utf-8")
    cells = re.findall(r"^\| `arx_wrapper/\{?([a-z,]+)\}?/`", table, re.MULTILINE)
    assert sorted(name for cell in cells for name in cell.split(",")) == structure.entries()[1]


def test_imports_have_at_most_seven_levels_type_only_ones_counted() -> None:
    assert structure.levels() <= 7


def test_no_docstring_begins_with_a_clause() -> None:
    assert list(structure.clauses()) == []


def test_an_operation_costs_at_most_twenty_lines_by_hand_on_average() -> None:
    lines, operations = structure.lines_by_hand()
    assert lines / operations <= 20


def test_one_call_enters_few_files_and_changes_file_seldom() -> None:
    done = subprocess.run(  # other tests load what the connector then uses: OpenTelemetry  # noqa: S603 - our own code
        [sys.executable, "-c", _MEASURED], cwd=structure.ROOT, capture_output=True, text=True, check=True
    )
    files, changes = json.loads(done.stdout)
    assert len(files) <= 22, files
    assert changes <= 60


_MEASURED = """
import json
from tests.structure import files_of_one_call
print(json.dumps(files_of_one_call()))
"""
