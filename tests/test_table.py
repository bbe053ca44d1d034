"""The table of operations: every row is complete, and nothing outside it is keyed by an operation's name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import arx_wrapper
from arx_wrapper import OPERATIONS
from arx_wrapper.model import NO_TARGET, NOT_RECOVERABLE, Many, One, Operation
from arx_wrapper.pagerduty.operations import TABLE

PACKAGE = Path(arx_wrapper.__file__).parent
WRITES = [row for row in TABLE.values() if row.writes]
# PagerDuty takes no body with these: the address says it all.
NO_BODY = {"services:delete", "escalation:delete", "maintenance:delete"}


def named(row: Operation) -> str:
    return row.name


@pytest.mark.parametrize("row", WRITES, ids=named)
def test_every_write_states_its_body_effects_target_state_and_recovery_or_that_it_has_none(row: Operation) -> None:
    assert (row.body is None) == (row.name in NO_BODY)
    assert row.effects is not None
    assert row.target_state is not None
    assert row.recovery is not None


def test_what_a_reviewer_is_not_shown_and_what_cannot_be_recovered_are_these() -> None:
    assert {row.name for row in WRITES if row.target_state is NO_TARGET} == {
        "escalation:create",
        "rules:create",
        "rules:update",
    }
    assert {row.name for row in WRITES if row.recovery is not NOT_RECOVERABLE} == {
        "incidents:create",
        "incidents:snooze",
        "incidents:add_note",
        "incidents:resolve",
        "incidents:acknowledge",
        "maintenance:create",
    }


def test_reads_have_nothing_that_only_writes_have() -> None:
    for row in OPERATIONS.values():
        if not row.writes:
            assert (row.target_state, row.recovery, row.pages, row.log_entry, row.certain_effects) == (
                None,
                None,
                None,
                None,
                (),
            )
            assert row.returns is not None


def test_what_a_row_returns_is_what_its_envelope_says() -> None:
    for row in OPERATIONS.values():
        if isinstance(row.returns, Many):
            assert row.returns.envelope.endswith("s")
            assert row.writes or row.records == row.returns
        elif isinstance(row.returns, One):
            assert row.records is None or row.records.envelope == "data"
        else:
            assert row.method == "DELETE"


def test_a_log_entry_is_left_by_one_operation_only() -> None:
    types = [row.log_entry for row in OPERATIONS.values() if row.log_entry]
    assert len(types) == len(set(types)) == 6


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name != "pagerduty/operations.py" and not name.startswith("sandbox/"):
            yield name, ast.parse(path.read_text("utf-8"))


def names_an_operation(node: ast.AST) -> bool:
    """A name, or a name with a parameter: `services:read.offset`."""
    return isinstance(node, ast.Constant) and str(node.value).partition(".")[0] in OPERATIONS


def test_no_code_outside_the_table_compares_an_operations_name() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare | ast.match_case)
        and any(
            names_an_operation(part) for part in ast.walk(node.pattern if isinstance(node, ast.match_case) else node)
        )
    ]
    assert found == []


def test_no_registry_outside_the_table_is_keyed_by_operations_names() -> None:
    found = []
    for name, tree in sources():
        typed = {id(node.slice) for node in ast.walk(tree) if isinstance(node, ast.Subscript)}  # Literal["a", "b"]
        for node in ast.walk(tree):
            if id(node) in typed:
                continue
            keys = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
            if sum(key is not None and names_an_operation(key) for key in keys) > 1:
                found.append(f"{name}:{node.lineno}")
    assert found == []
