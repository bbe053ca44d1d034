"""Calls to judge, without a connector."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from arx_wrapper import OPERATIONS, Call, Effect
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import PolicySet, load

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def bare(
    operation: str,
    *,
    agent: str = "agent-1",
    org: str = "org-1",
    params: Mapping[str, Any] | None = None,
    effects: tuple[Effect, ...] | None = None,
) -> Call:
    return Call(
        id="c",
        operation=OPERATIONS[operation],
        agent_id=agent,
        org_id=org,
        canonical=b"{}",
        params=params or {},
        effects=effects or (Effect(operation=operation, risk=RISKS[operation], params=(params or {},)),),
    )


def policy(*entries: Mapping[str, Any]) -> PolicySet:
    return load(list(entries), registry=RISKS, connector="pagerduty")


def entry(name: str = "p", **more: Any) -> dict[str, Any]:
    return {"name": name, "connector": "pagerduty", **more}
