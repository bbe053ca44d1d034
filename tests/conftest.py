"""Fixtures that several packages' tests use."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import postgres, postgres_server  # noqa: F401 - fixtures
from tests.support import EVERYTHING

pytest_plugins = ["tests.reporting"]

# In CI the examples are the same in every run, so that a change is refused for what it does; developers' runs search.
settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("quick", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "quick")


# Files that take longest, most of them because they wait for processes. A worker that got one last would end long after
# the others.
_FIRST = (
    "cli/test_terminal.py",
    "mcp/test_processes.py",
    "cli/test_command.py",
    "audit/test_postgres_access.py",
    "audit/test_postgres.py",
    "cli/test_verbs.py",
    "cli/test_help.py",
    "audit/test_calls.py",
    "resilience/test_matrix.py",
    "examples/test_examples.py",
    "test_lifetime.py",
    "audit/test_attacks.py",
    "approvals/test_slack.py",
    "mcp/test_approvals.py",
    "kit/test_kit.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the files that take longest first."""
    first = [f"tests/{name}" for name in _FIRST]
    places = {name: place for place, name in enumerate(first)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(first)))


def pytest_collection_finish() -> None:
    """Keep the garbage collector from walking thousands of collected tests, in every full collection of every test."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one worker more than there are cores: tests wait half of their time, for processes, databases and disks."""
    return (os.cpu_count() or 1) + 1


_CONFIGURES = ("ARX_", "PAGERDUTY_", "SLACK_", "OTEL_", "VAULT_", "PG")
_TERMINAL = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """No test sees the developer's own configuration, state, credentials, terminal or proxy."""
    fetches = request.node.get_closest_marker("slow")  # from npm or an index of packages, perhaps through the proxy
    for name in list(os.environ):
        through = name.upper().endswith("_PROXY") and not fetches
        if through or name in _TERMINAL or name.startswith(_CONFIGURES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return


@pytest.fixture
def everything() -> list[dict[str, Any]]:
    """Policies that permit all of it without asking."""
    return [EVERYTHING]
