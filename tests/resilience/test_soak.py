"""1,000 callers on one connector in changeable fault_plan: nothing leaks, and the audit log knows everything.

`ARX_SOAK_SECONDS=60 python -m pytest tests/resilience/test_soak.py` soaks for a minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import audit
from arx_wrapper.transport.connection_pool import CONNECTIONS
from tests.resilience import faults as f
from tests.resilience.server import Account, Asked, Fault, Reply, Server, serving

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("ARX_SOAK_SECONDS", "6"))
ROOT = Path(__file__).parents[2]
SHARE = 0.05
FAULTS: tuple[Fault, ...] = (
    f.reset_before,
    f.reset_after,
    f.closed_before,
    f.silent_after,
    f.answering(429, "Retry-After: 0"),
    f.answering(500),
    f.answering(503, processed=True),
    f.spoilt(body=f.PAGE),
    f.spoilt(cut=20, ends=True),
    f.garbage,
)


Known = dict[str, tuple[bool, str]]
"""Call → whether it writes, and its status on record."""


class Everything(Account):
    """An account that has every incident that is asked for."""

    def __call__(self, asked: Asked) -> Reply:
        parts = asked.path.strip("/").split("/")
        if len(parts) > 1 and parts[1] not in self.incidents:
            self.add(parts[1])
        return super().__call__(asked)


def subject(asked: Asked) -> str:
    """Return what tells a call from all others: the incident in its path, or the key of the one it creates."""
    if asked.path == "/incidents":
        return str(asked.body["incident"]["incident_key"] if asked.writes else asked.one("incident_key"))
    return asked.path.split("/")[2]


@pytest.mark.timeout(SECONDS * 2 + 110)
async def test_a_soak_leaks_nothing_and_leaves_a_complete_log(tmp_path: Path, figures: list[str]) -> None:
    chance = random.Random(20260301)  # noqa: S311 - chance, not a secret
    account = Everything()
    server = Server(account, fault_plan=lambda asked: chance.choice(FAULTS) if chance.random() < SHARE else None)
    async with serving(server) as address:
        report = await _soaked(address, tmp_path)
    figures.append(_summary(report, len(server.seen)))
    _nothing_leaked(report)
    known = await _log_is_complete(server, f"sqlite:///{tmp_path}/audit.db", report)
    _effects_match(account, known)


async def _soaked(address: str, folder: Path) -> dict[str, Any]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.resilience.soaking", address, str(folder), str(SECONDS)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == 0
    report: dict[str, Any] = json.loads(out)
    return report


def _summary(report: dict[str, Any], requests: int) -> str:
    early, late = report["samples"][1], report["samples"][-1]
    calls = late["calls"] - early["calls"]
    failed = ", ".join(f"{number} {outcome}" for outcome, number in report["outcomes"].items() if outcome != "ok")
    return (
        f"soak of {SECONDS:g} s: {late['calls']:,} calls, {requests:,} requests, failed: {failed or 'none'}; left "
        f"behind by each of the last {calls:,} calls: {(late['blocks'] - early['blocks']) / calls:.3f} objects, "
        f"{(late['rss'] - early['rss']) / calls:.0f} bytes; "
        f"files {report['before']['files']} -> {late['files']} -> {report['after']['files']}, tasks {late['tasks']}"
    )


def _nothing_leaked(report: dict[str, Any]) -> None:
    before, after, samples = report["before"], report["after"], report["samples"]
    early, late = samples[1], samples[-1]
    calls = late["calls"] - early["calls"]
    assert calls > 100
    assert (late["blocks"] - early["blocks"]) / calls < 0.5, "objects are left behind with every call"
    assert (late["rss"] - early["rss"]) / calls < 1000, "memory grows with every call"
    assert {sample["tasks"] for sample in samples} == {before["tasks"]}, "a task outlived its call"
    assert max(sample["files"] for sample in samples) <= before["files"] + CONNECTIONS + 10
    assert after["tasks"] == before["tasks"]
    assert after["files"] <= before["files"] + 1, "a socket or file is still open after aclose()"


async def _log_is_complete(server: Server, url: str, report: dict[str, Any]) -> Known:
    log = audit.open(url)
    assert (await log.verify()).ok
    records = [record async for record in log.records() if record.action_type != "policy.loaded"]
    await log.aclose()
    intents = {record.id: record for record in records if record.action_type == "connector.called"}
    outcomes = {record.metadata["intent"]: record for record in records if record.action_type != "connector.called"}
    assert len(intents) == len(outcomes) == len(records) / 2 == sum(report["outcomes"].values())
    assert intents.keys() == outcomes.keys()
    assert Counter(record.status == "success" for record in outcomes.values())[True] == report["outcomes"]["ok"]

    seen: dict[str, list[Asked]] = defaultdict(list)
    for asked in server.seen:
        seen[subject(asked)].append(asked)
    known = {record.metadata["ids"].get("incident_id", f"arx-{record.id}"): record for record in intents.values()}
    assert seen.keys() <= known.keys(), "a request without an intent"
    for name, intent in known.items():
        outcome, writes = outcomes[intent.id], intent.method != "GET"
        tries = sum(attempt["sent"] for attempt in outcome.metadata.get("attempts", ()))
        assert sum(asked.writes is writes for asked in seen[name]) <= tries
    return {name: (intent.method != "GET", outcomes[intent.id].status) for name, intent in known.items()}


def _effects_match(account: Account, known: Known) -> None:
    assert max(account.effects.values()) == 1, "two effects of one write"
    made = {effect.split(" ")[1] for effect in account.effects}
    for name, (writes, status) in known.items():
        if writes and status != "unknown":
            assert (name in made) == (status == "success")
