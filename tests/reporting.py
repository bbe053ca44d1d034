"""Lines that tests show at the end of a run, also when several workers run them, and the tests that a run left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

_SECTIONS: pytest.StashKey[dict[str, list[str]]] = pytest.StashKey()
_LEFT_OUT: pytest.StashKey[Counter[str]] = pytest.StashKey()


def section(config: pytest.Config, title: str) -> list[str]:
    """Return the lines shown under `title` when the run ends; append to them."""
    return config.stash.setdefault(_SECTIONS, {}).setdefault(title, [])


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        _left_out(item.config)[item.nodeid.partition("::")[0]] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's lines to the process that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["sections"] = session.config.stash.get(_SECTIONS, {})
        output["left_out"] = dict(_left_out(session.config))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    output = getattr(node, "workeroutput", {})
    for title, lines in output.get("sections", {}).items():
        section(node.config, title).extend(lines)
    _left_out(node.config).update(  # every worker leaves out the same tests
        {name: count for name, count in output.get("left_out", {}).items() if name not in _left_out(node.config)}
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for title, lines in config.stash.get(_SECTIONS, {}).items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
    left_out = _left_out(config)
    if left_out and config.option.markexpr:
        files = ", ".join(f"{name} ({count})" for name, count in sorted(left_out.items()))
        terminalreporter.section("left out")
        terminalreporter.write_line(f"{left_out.total()} tests of another tier; `make test-all` runs them: {files}")


def _left_out(config: pytest.Config) -> Counter[str]:
    return config.stash.setdefault(_LEFT_OUT, Counter())
