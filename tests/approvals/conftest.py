"""A store in a real file, and a clock that the test moves."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from arx_wrapper import approvals
from arx_wrapper.model import Effect, Risk


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def terms(**changed: object) -> dict[str, object]:
    """Return the pipeline's request for an agent that wants to silence a service."""
    return {
        "org_id": "org-acme",
        "agent_id": "agent-001",
        "account": "f" * 64,
        "connector": "pagerduty",
        "operation": "maintenance:create",
        "params": b'{"service_ids":["PABC123"],"start_time":"2025-06-15T02:00:00Z"}',
        "effects": [Effect(operation="maintenance:create", risk=Risk.HIGH)],
        "risk": Risk.HIGH,
        "policy": "pd-full-admin",
        "policy_source": "policy.yaml:1",
        "reason": "HIGH risk needs a person.",
        "channel": "#pd-admin-approvals",
        **changed,
    }


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The address of an empty store, in each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/approvals.db"
    return request.getfixturevalue("postgres")


@pytest.fixture
def edit(url):
    """Changes the store's tables behind its back."""

    def run(statement: str) -> None:
        if url.startswith("postgresql:"):
            with psycopg.connect(url) as connection:
                connection.execute(statement.encode())
            return
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        with connection:
            connection.execute(statement)
        connection.close()

    return run


@pytest.fixture
async def store(url, clock):
    opened = approvals.open(url, clock=clock, proof="name")
    yield opened
    await opened.aclose()
