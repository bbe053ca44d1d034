"""Acts on incidents, compared by time, incident and operation, at times that the tests set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from attrs import frozen

from arx_wrapper import ConfigError, PagerDutyConnector
from arx_wrapper.errors import PagerDutyError
from arx_wrapper.pagerduty.reconciliation import Activity, Reconciliation, reconcile
from arx_wrapper.sandbox import Sandbox
from tests.audit.test_configuration_changes import Clock, connector

MINUTE = timedelta(minutes=1)


@frozen
class Logs:
    """A connector, another one whose log is not compared, and the account of both."""

    pd: PagerDutyConnector
    past: PagerDutyConnector
    account: Sandbox
    clock: Clock

    async def opened(self, title: str = "Lag") -> str:
        return str((await self.pd.create_incident(title, "PABC123")).id)

    async def later(self, **by: float) -> None:
        """Let time pass once everything is on record."""
        await self.pd.audit.flush()
        self.clock.advance(**by)

    def forget(self, incident: str, kind: str) -> None:
        """Remove PagerDuty's entries of a kind from the log of an incident."""
        log = self.account.account.incident(incident).log
        log[:] = [entry for entry in log if entry["type"] != kind]

    async def compared(
        self, *, until: datetime | None = None, email: str | None = None, by: PagerDutyConnector | None = None
    ) -> Reconciliation:
        await self.pd.audit.flush()
        now = self.clock()
        return await reconcile(
            by or self.pd,
            requester_email=email or self.account.email,
            since=now - timedelta(hours=3),
            until=until or now + MINUTE,
            configuration=False,
        )


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[Logs]:
    clock = Clock()
    account = Sandbox(clock=clock, rate_limit=None)
    async with (
        connector(account, tmp_path / "audit.db", clock) as pd,
        connector(account, tmp_path / "other.db", clock) as past,
    ):
        yield Logs(pd, past, account, clock)


def named(acts: list[Activity]) -> list[tuple[str, str]]:
    return sorted((act.incident_id, act.operation) for act in acts)


async def test_only_acts_within_the_span_are_compared(logs: Logs) -> None:
    incident = await logs.opened()
    await logs.later(minutes=10)
    until = logs.clock()
    await logs.later(minutes=10)
    await logs.past.add_incident_note(incident, "after the span")
    assert named((await logs.compared(until=until)).theirs) == []
    assert named((await logs.compared()).theirs) == [(incident, "incidents:add_note")]


async def test_an_assignment_counts_unless_it_came_with_the_incident(logs: Logs) -> None:
    incident = await logs.opened()
    await logs.later(seconds=6)
    await logs.past.reassign_incident(incident, [str(next(iter(logs.account.account.tables["user"])))])
    assert named((await logs.compared()).theirs) == [(incident, "incidents:reassign")]


async def test_acts_on_incidents_that_were_created_before_the_span_are_not_missing(logs: Logs) -> None:
    incident = await logs.opened()
    await logs.later(hours=4)
    await logs.pd.add_incident_note(incident, "later")
    await logs.later(minutes=1)
    found = await logs.compared()
    assert (found.incidents, found.matched, found.ours) == (0, 0, [])


class Waiting(httpx.AsyncBaseTransport):
    """Holds the response that shows an incident's log until a test releases it."""

    def __init__(self, inner: httpx.AsyncBaseTransport, incident: str) -> None:
        self.inner, self.path = inner, f"/incidents/{incident}/log_entries"
        self.held, self.released = asyncio.Event(), asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.inner.handle_async_request(request)
        if request.url.path == self.path:
            self.held.set()
            await self.released.wait()
        return response


async def test_an_act_after_pagerduty_was_read_is_not_missing_there(logs: Logs, tmp_path: Path) -> None:
    incident = await logs.opened()
    waiting = Waiting(logs.account.transport(), incident)
    async with connector(logs.account, tmp_path / "audit.db", logs.clock, transport=waiting) as slow:
        comparing = asyncio.ensure_future(logs.compared(by=slow))
        await waiting.held.wait()
        await logs.pd.add_incident_note(incident, "meanwhile")
        await logs.pd.audit.flush()
        waiting.released.set()
        found = await comparing
    assert (found.matched, found.ours, found.theirs) == (1, [], [])


@pytest.mark.parametrize("done", [True, False])
async def test_an_act_whose_response_was_lost_is_confirmed_or_left_unknown(logs: Logs, done: bool) -> None:
    incident = await logs.opened()
    logs.account.faults.server_error(work=done, method="PUT")
    with pytest.raises(PagerDutyError):
        await logs.pd.update_incident(incident, status="acknowledged")
    await logs.later(minutes=5)
    found = await logs.compared()
    assert named(found.confirmed) == ([(incident, "incidents:acknowledge")] if done else [])
    assert (found.matched, found.ours, found.theirs) == (2 if done else 1, [], [])


async def test_an_act_at_another_time_is_another_act(logs: Logs) -> None:
    incident = await logs.opened()
    await logs.pd.add_incident_note(incident, "ours")
    logs.forget(incident, "annotate_log_entry")
    await logs.later(minutes=10)
    await logs.past.add_incident_note(incident, "outside")
    found = await logs.compared()
    assert (named(found.ours), named(found.theirs)) == ([(incident, "incidents:add_note")],) * 2


async def test_of_several_acts_the_nearest_is_ours(logs: Logs) -> None:
    incident = await logs.opened()
    await logs.past.add_incident_note(incident, "outside, before")
    await logs.later(seconds=20)
    await logs.pd.add_incident_note(incident, "ours")
    await logs.later(seconds=20)
    await logs.past.add_incident_note(incident, "outside, after")
    found = await logs.compared()
    notes = {entry["id"]: entry["channel"].get("summary") for entry in logs.account.account.incident(incident).log}
    assert sorted(notes[act.source] for act in found.theirs) == ["outside, after", "outside, before"]


async def test_a_merge_explains_the_resolution_of_its_sources_and_no_other(logs: Logs) -> None:
    target, source, silent = [await logs.opened(title) for title in ("one", "two", "three")]
    await logs.later(minutes=10)
    await logs.pd.merge_incidents(target, [source, silent])
    logs.forget(silent, "resolve_log_entry")  # as PagerDuty may, whose log shows some of them as merged only
    await logs.past.resolve_incident(target)
    await logs.later(minutes=5)
    found = await logs.compared()
    assert (found.matched, found.ours, named(found.theirs)) == (4, [], [(target, "incidents:resolve")])


async def test_an_update_that_resolves_is_missing_when_pagerduty_has_no_resolution(logs: Logs) -> None:
    incident = await logs.opened()
    await logs.pd.update_incident(incident, status="resolved")
    logs.forget(incident, "resolve_log_entry")
    await logs.later(minutes=5)
    assert named((await logs.compared()).ours) == [(incident, "incidents:resolve")]


@pytest.mark.parametrize("email", ["bot@other.example", "oncall"])
async def test_a_user_whom_pagerduty_does_not_have_is_refused(logs: Logs, email: str) -> None:
    """PagerDuty's query finds parts of names and addresses; another person's acts would be compared."""
    with pytest.raises(ConfigError, match="no user with the e-mail address"):
        await logs.compared(email=email)
