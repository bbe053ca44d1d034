"""Entries, a clock that a test moves, and an empty log in each kind of database."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper.audit import AuditLog, AuditRecord, Entry

KEY = "5a" * 32
WHO = {"by": "ada", "org_id": "org"}
"""The person who seals and removes records."""


class Clock:
    """A time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def entry(**more: Any) -> Entry:
    base: dict[str, Any] = {
        "action_type": "connector.called",
        "status": "in_progress",
        "org_id": "org",
        "agent_id": "agent",
        "connector": "pagerduty",
        "operation": "incidents:create",
    }
    return Entry(**{**base, **more})


async def everything(log: AuditLog, **filters: Any) -> list[AuditRecord]:
    return [record async for record in log.records(**filters)]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a log that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/audit.db"
    return str(request.getfixturevalue("log_in_postgres"))


@pytest.fixture
def log_in_postgres(postgres: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ARX_AUDIT_KEY", KEY)
    return postgres
