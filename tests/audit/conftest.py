"""Entries, and an empty log in each kind of database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from arx_wrapper.audit import AuditLog, AuditRecord, Entry

KEY = "5a" * 32


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
