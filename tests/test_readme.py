"""The README is held to the code."""

from __future__ import annotations

import re
from pathlib import Path

from arx_wrapper.operations import OPERATIONS

README = Path(__file__).parent.parent / "README.md"
_BLOCK = re.compile(r"(<!-- operations:.*?-->\n)(.*?)(<!-- /operations -->)", re.DOTALL)


def operations_table() -> str:
    rows = [
        f"| `{row.name}` | {row.method} | `{row.path}` | {row.risk.name} | {row.summary} |"
        for row in OPERATIONS.values()
    ]
    return "\n".join(["| operation | method | path | risk | description |", "|---|---|---|---|---|", *rows, ""])


def test_the_readme_lists_every_operation_with_its_risk() -> None:
    block = _BLOCK.search(README.read_text("utf-8"))
    assert block is not None
    assert block[2] == operations_table(), "write operations_table() between the markers"


def test_the_readme_names_only_make_targets_that_exist() -> None:
    makefile = (README.parent / "Makefile").read_text("utf-8")
    for target in re.findall(r"make ([a-z]+)", README.read_text("utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
