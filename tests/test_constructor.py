"""The constructor takes what its types say; anything else is refused at once, by type checkers and at run time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_overloads

import pytest

from arx_wrapper import ConfigError, InvalidParamsError, PagerDutyConnector, UnknownOperationError, Verdict
from arx_wrapper.core.backends import Backends
from arx_wrapper.pagerduty.methods import Methods
from arx_wrapper.vault.fixed import FixedVault
from tests.support import ASK_ABOUT_HIGH, EVERYTHING, trail

WRONG: list[tuple[str, Any]] = [
    ("audit", 42),
    ("audit", b"sqlite:///x.db"),
    ("audit", ["sqlite:///x.db"]),
    ("vault", {"api_key": "canary"}),
    ("vault", Path("vault.json")),
    ("vault", 3.5),
    ("approvals", b"x"),
    ("approvals", {"url": "sqlite:///x.db"}),
    ("policies", 42),
    ("policies", object()),
    ("policies", {"name": "p"}),
    ("policies", b"policy.yaml"),
    ("base_url", 8080),
    ("transport", "https://api.pagerduty.com"),
    ("config", {"policy": None}),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}={type(value).__name__}" for name, value in WRONG])
def test_an_argument_of_the_wrong_kind_is_refused_when_the_connector_is_made(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be .*, not {type(value).__name__}") as refused:
        PagerDutyConnector("agent", "org", **{name: value})
    assert "canary" not in str(refused.value)


async def test_paths_are_taken_for_policies_log_and_approvals(tmp_path: Path) -> None:
    policy, log, approvals = tmp_path / "policy.yaml", tmp_path / "a b" / "log.db", tmp_path / "approvals.db"
    policy.write_text("- {name: all, connector: pagerduty, operations: ['*'], risk_max: high, approval: none}\n")
    async with PagerDutyConnector.sandbox(policies=policy, audit=log, approvals=approvals) as pd:
        await pd.list_teams()
        assert len(await trail(pd)) == 2
        assert await pd.backends.approvals.list() == ()
    assert log.exists()
    assert approvals.exists()


async def test_approvals_are_beside_a_log_that_was_given_as_a_path(tmp_path: Path) -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=tmp_path / "log.db") as pd:
        assert await pd.backends.approvals.list() == ()
    assert {name for name in os.listdir(tmp_path) if name.endswith(".db")} == {"log.db"}


async def test_what_was_given_ready_made_is_used_and_not_closed() -> None:
    closed = []

    class Vault(FixedVault):
        async def aclose(self) -> None:
            closed.append(self)

    vault = Vault(api_key="k", requester_email="a@example.com")
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], vault=vault) as pd:
        assert pd.backends.vault is vault
        policies = pd.backends.policies
    assert closed == []
    async with PagerDutyConnector.sandbox(policies=policies) as pd:
        assert pd.backends.policies is policies


def test_a_plan_is_the_call_its_request_and_the_decision() -> None:
    pd = PagerDutyConnector("agent", "org", policies=[ASK_ABOUT_HIGH])
    plan = pd.plan("services:delete", {"service_id": "PABC123"})
    assert (plan.call.operation.name, plan.call.params) == ("services:delete", {"service_id": "PABC123"})
    assert (plan.request.method, plan.request.path) == ("DELETE", "/services/PABC123")
    assert plan.decision == pd.explain("services:delete", {"service_id": "PABC123"})
    assert plan.decision.verdict is Verdict.ESCALATE
    with pytest.raises(UnknownOperationError):
        pd.plan("services:explode")
    with pytest.raises(InvalidParamsError):
        pd.plan("services:delete")


def test_backends_are_opened_once_and_only_when_they_are_used(tmp_path: Path) -> None:
    pd = PagerDutyConnector("agent", "org", policies=[], audit=tmp_path / "log.db", base_url="https://pd.example")
    assert isinstance(pd.backends, Backends)
    assert list(tmp_path.iterdir()) == []
    assert pd.backends.transport is pd.backends.transport


def test_iterate_is_typed_as_the_table_says() -> None:
    typed: dict[str, str] = {}
    for overload in get_overloads(Methods.iterate):
        named = re.findall(r"'([a-z_:]+)'", overload.__annotations__["operation"])
        typed |= dict.fromkeys(named, overload.__annotations__["return"])
    lists = {name: row.records for name, row in PagerDutyConnector.operations.items() if row.records}
    assert typed == {name: f"AsyncGenerator[m.{records.model}, None]" for name, records in lists.items()}


REFUSED = """
from pathlib import Path
from arx_wrapper import PagerDutyConnector

PagerDutyConnector("a", "o", audit=42)
PagerDutyConnector("a", "o", vault=3.5)
PagerDutyConnector("a", "o", vault=Path("v"))
PagerDutyConnector("a", "o", approvals=b"x")
PagerDutyConnector("a", "o", policies=object())
PagerDutyConnector.sandbox(audit=42)
PagerDutyConnector.sandbox(autid="sqlite:///x.db")

async def names(pd: PagerDutyConnector) -> list[int]:
    return [user.name async for user in pd.iterate("users:read", max_items=5)]
"""
ACCEPTED = """
from pathlib import Path
from arx_wrapper import PagerDutyConnector, audit, policy

PagerDutyConnector("a", "o", audit=Path("x.db"), vault="env:", approvals="sqlite:///x.db", policies=Path("policy.yaml"))
PagerDutyConnector("a", "o", audit=audit.open("sqlite:///x.db"), policies=[{"name": "p"}])
PagerDutyConnector.sandbox(audit=None, policies="policy.yaml", seed=3)

async def names(pd: PagerDutyConnector) -> list[str | None]:
    return [incident.title async for incident in pd.iterate("incidents:read", {"limit": 5}, max_items=5)]
"""


@pytest.mark.slow
def test_type_checkers_refuse_and_accept_the_same(tmp_path: Path) -> None:
    refused, accepted = tmp_path / "refused.py", tmp_path / "accepted.py"
    refused.write_text(REFUSED)
    accepted.write_text(ACCEPTED)
    found = subprocess.run(  # noqa: S603 - our own environment's tool
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(refused), str(accepted)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    # By name alone: what mypy has checked before it reports with the path it had then.
    lines = {int(line.split(":")[1]) for line in found.stdout.splitlines() if "refused.py" in line and "error:" in line}
    wanted = {
        number for number, line in enumerate(REFUSED.splitlines(), 1) if line.startswith(("PagerDuty", "    return"))
    }
    assert lines == wanted, found.stdout
    assert "accepted.py" not in found.stdout
