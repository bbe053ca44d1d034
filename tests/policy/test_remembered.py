"""A decision is remembered only where neither parameters nor time nor another policy can change it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import Effect, Risk
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import Policies
from tests.policy.support import NOW, bare, entry

LATER = NOW + timedelta(days=2)
ALL = {"operations": ["*"], "risk_max": "high"}
MAIL = {"requester_email": "ada@example.com"}
LOW, HIGH = {"urgency": "low"}, {"urgency": "high"}


def policies(*entries: dict[str, Any]) -> Policies:
    return Policies(list(entries), registry=RISKS, connector="pagerduty")


@pytest.mark.parametrize(
    "entries",
    [
        [entry(**ALL)],
        [entry(**ALL, when='params.urgency == "low"')],
        [entry(**ALL), entry("d", deny=["incidents:*"], when='params.urgency == "low"')],
        [entry(**ALL), entry("d", deny=["incidents:*"], expires="2026-01-02T00:00:00Z")],
        [entry(**ALL), entry("second", deny=["users:read"], expires="2026-01-02T00:00:00Z")],
        [entry(**ALL, expires="2026-01-02T00:00:00Z")],
        [entry(**ALL, requesters=["bot@example.com"])],
        [entry(**ALL), entry("o", **ALL, enforce=False, when='params.urgency == "low"')],
        [entry(**ALL), entry("h", hide=["email"], when='params.urgency == "low"')],
        [entry(**ALL, agents=["agent-1"])],
        [entry(**ALL, orgs=["org-1"])],
        [entry(**{**ALL, "risk_max": "medium"})],
    ],
)
def test_the_decision_is_what_policy_says_of_this_call_whatever_was_decided_before(entries: Any) -> None:
    remembering, asked = policies(*entries), list[tuple[Any, datetime]]()
    for operation in ("incidents:create", "incidents:resolve"):
        for params in (LOW, HIGH, MAIL, {}):
            for agent, org in (("agent-1", "org-1"), ("agent-2", "org-1"), ("agent-1", "org-2")):
                for risk in (RISKS[operation], Risk.HIGH):
                    effects = (Effect(operation=operation, risk=risk, params=(params,)),)
                    call = bare(operation, agent=agent, org=org, params=params, effects=effects)
                    both = (*effects, Effect(operation="users:read", risk=Risk.LOW, params=({},)))
                    twice = bare(operation, agent=agent, org=org, params=params, effects=both)
                    asked += [(one, when) for one in (call, twice) for when in (NOW, LATER)]
    for call, when in [*asked, *reversed(asked)]:
        assert remembering.decide(call, when) == remembering.current.decide(call, when)


def test_a_policy_that_is_loaded_decides_anew(tmp_path: Path) -> None:
    file, now = tmp_path / "policy.yaml", [0.0]
    file.write_text("- {name: all, connector: pagerduty, operations: ['*'], risk_max: high}\n")
    found = Policies(
        file, registry=RISKS, connector="pagerduty", clock=lambda: now[0], wall=lambda: file.stat().st_mtime + now[0]
    )
    call = bare("users:read")
    assert found.decide(call, NOW) is found.decide(call, NOW)
    file.write_text("- {name: none, connector: pagerduty, deny: ['*']}\n")
    now[0] += 5
    assert found.decide(call, NOW).policy == "none"


def test_what_is_remembered_is_bounded() -> None:
    found = policies(entry(**ALL))
    first = found.decide(bare("users:read"), NOW)
    for number in range(5_000):
        found.decide(bare("users:read", agent=f"agent-{number + 2}"), NOW)
    assert found.decide(bare("users:read"), NOW) == first
    assert found.decide(bare("users:read"), NOW) is not first
