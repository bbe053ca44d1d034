"""CONTRIBUTING adds operations; a copy of the tree takes the steps of each, and passes the tests of the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.codegen import walkthrough

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WALKS = walkthrough.walks()
# What the tests of the table, the sandbox, the tools and the tables on a terminal ask of a new operation.
_TESTS = (
    "tests/test_operations.py",
    "tests/test_table.py",
    "tests/test_extensions.py",
    "tests/test_reachable.py",
    "tests/test_effects.py",
    "tests/test_surface.py",
    "tests/test_constructor.py::test_iterate_is_typed_as_the_table_says",
    "tests/cli/test_columns.py",
    "tests/mcp/test_listing.py",
    "tests/mcp/test_portability.py",
    "tests/policy/test_walk.py",
    "tests/sandbox/test_spec.py",
)


def test_a_read_a_write_and_a_read_of_a_path_with_another_name_are_added() -> None:
    assert list(WALKS) == ["teams:members", "incidents:request_responders", "services:dependencies"]


@pytest.mark.parametrize("name", WALKS)
def test_an_operation_takes_at_most_25_lines_by_hand(name: str) -> None:
    lines = walkthrough.cost(WALKS[name])
    assert lines.total() <= walkthrough.MOST, lines


@pytest.mark.parametrize("name", WALKS)
def test_the_steps_of_contributing_add_an_operation(name: str, tmp_path: Path) -> None:
    tree = walkthrough.copied(tmp_path)
    spec = tree / "spec" / "pagerduty.json"
    document, fragment = json.loads(spec.read_text("utf-8")), json.loads(walkthrough.FRAGMENTS.read_text("utf-8"))[name]
    for path, item in fragment["paths"].items():
        document["paths"].setdefault(path, {}).update(item)
    document["components"]["schemas"].update(fragment["schemas"])
    spec.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", "utf-8")
    for step in WALKS[name]:
        step.take(tree)

    def run(*arguments: str) -> str:
        return walkthrough.run(tree, *arguments)

    for command in (
        ("codegen", "generate"),
        ("codegen", "methods"),
        ("tests.surface",),
        ("tests.cli.golden",),
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy", "arx_wrapper/pagerduty"),
        ("pytest", "-q", "-p", "no:cacheprovider", *_TESTS),
    ):
        run("-m", *command)
    assert name in run("-m", "arx_wrapper.cli", "ops", "--output", "json")
