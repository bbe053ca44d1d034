"""Fixtures that several packages' tests use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import postgres, postgres_server  # noqa: F401 - fixtures
from tests.support import EVERYTHING

pytest_plugins = ["tests.reporting"]

settings.register_profile("ci", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "quick")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the developer's own configuration, state or credentials."""
    for name in list(os.environ):
        if name.startswith(("ARX_", "PAGERDUTY_", "SLACK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return


@pytest.fixture
def everything() -> list[dict[str, Any]]:
    """Policies that permit all of it without asking."""
    return [EVERYTHING]
