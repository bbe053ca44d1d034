"""A glob does not come to permit what a later release adds: an entry states the version of the table it is for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from arx_wrapper import PagerDutyConnector, PolicyError, Verdict
from arx_wrapper.cli.main import run
from arx_wrapper.core.resolution import minimal_call
from arx_wrapper.model import Operation
from arx_wrapper.pagerduty.operations import TABLE
from arx_wrapper.policy import PolicySet, lint, load
from tests.policy.support import NOW, entry

# A later release: one more write, and the two reads that came with version 2.
NEW_WRITE = evolve(TABLE["incidents:snooze"], name="incidents:unsnooze", since=3, needs=(), effects=None)
LATER: dict[str, Operation] = {**TABLE, NEW_WRITE.name: NEW_WRITE}
NEW_READ = "users:read_me"


def policy(*entries: dict[str, Any]) -> PolicySet:
    return load(list(entries), registry=LATER, connector="pagerduty")


def verdict(found: PolicySet, operation: str) -> Verdict:
    call = minimal_call(evolve(LATER[operation], needs=()), LATER, agent_id="agent", org_id="org")
    return found.decide(call, NOW).verdict


def permits(operation: str, **more: Any) -> bool:
    return verdict(policy(entry(risk_max="high", **more)), operation) is Verdict.PERMIT


@pytest.mark.parametrize("pattern", ["*", "incidents:*", "incidents:*snooze", "*snooze"])
def test_a_glob_of_no_stated_version_permits_no_write_that_came_later(pattern: str) -> None:
    assert permits("incidents:snooze", operations=[pattern])
    assert not permits(NEW_WRITE.name, operations=[pattern])


@pytest.mark.parametrize(("table", "write", "read"), [(1, False, False), (2, False, True), (3, True, True)])
def test_a_glob_permits_what_the_stated_version_has(table: int, write: bool, read: bool) -> None:
    for patterns in (["*"], ["incidents:*", "users:*"]):
        assert permits(NEW_WRITE.name, operations=patterns, table=table) is write
        assert permits(NEW_READ, operations=patterns, table=table) is read
        assert permits("incidents:snooze", operations=patterns, table=table)


def test_without_a_version_reads_are_permitted_as_they_come() -> None:
    assert permits(NEW_READ, operations=["users:*"])


@pytest.mark.parametrize("table", [None, 1, 2, 3])
def test_what_is_named_is_permitted_whenever_it_came(table: int | None) -> None:
    stated = {"table": table} if table else {}
    assert permits(NEW_WRITE.name, operations=["incidents:unsnooze"], **stated)


@pytest.mark.parametrize("table", [None, 1, 3])
def test_a_deny_holds_for_what_comes_later_too(table: int | None) -> None:
    stated = {"table": table} if table else {}
    found = policy(
        entry("all", operations=["incidents:unsnooze", "*"], risk_max="high"),
        entry("no", deny=["incidents:*"], **stated),
    )
    assert verdict(found, NEW_WRITE.name) is Verdict.DENY


def test_the_reason_says_what_to_write() -> None:
    found = policy(entry(operations=["incidents:*"], risk_max="high"))
    call = minimal_call(NEW_WRITE, LATER, agent_id="agent", org_id="org")
    assert "later version of the table" in found.decide(call, NOW).reason
    assert "`table`" in found.decide(call, NOW).reason
    others = policy(entry(operations=["incidents:snooze"], risk_max="high", agents=["other"]))
    call = minimal_call(evolve(TABLE["incidents:snooze"], needs=()), LATER, agent_id="agent", org_id="org")
    assert "version" not in others.decide(call, NOW).reason


def test_lint_lists_what_a_glob_has_come_to_match() -> None:
    problems = [one.problem for one in lint(policy(entry(operations=["*"], risk_max="low")), operations=LATER, now=NOW)]
    assert [problem for problem in problems if "added in version 3" in problem and NEW_WRITE.name in problem]
    assert not [problem for problem in problems if NEW_READ in problem]
    stated = policy(entry(operations=["*"], risk_max="low", table=1))
    problems = [one.problem for one in lint(stated, operations=LATER, now=NOW)]
    assert [problem for problem in problems if NEW_READ in problem and "table: 2" in problem]
    current = policy(entry(operations=["*"], risk_max="low", table=3))
    assert lint(current, operations=LATER, now=NOW) == []


@pytest.mark.parametrize("table", [0, -1, 4, "2", True, 1.0, None])
def test_a_version_that_there_is_not_is_refused(table: Any) -> None:
    with pytest.raises(PolicyError, match="version of the table, from 1 to 3"):
        policy(entry(operations=["*"], risk_max="low", table=table))


async def test_a_connector_and_the_command_follow_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [entry(operations=["users:*"], risk_max="low", table=1)]
    pd = PagerDutyConnector("agent", "org", policies=entries)
    assert pd.explain("users:read_me").verdict is Verdict.DENY
    assert pd.explain("users:read").verdict is Verdict.PERMIT
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps(entries))
    assert run(["policy", "check", "--strict", "--output", "table", str(file)]) == 1
    assert "table: 2" in capsys.readouterr().out
