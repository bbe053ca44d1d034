"""Incidents stay consistent, whatever happens to them in whatever order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import JSON, headers, ref

INCIDENTS = st.integers(0, 3)
CHANGES: st.SearchStrategy[JSON] = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["triggered", "acknowledged", "resolved", "closed"]),
        "escalation_level": st.sampled_from([1, 2, 3]),
        "urgency": st.sampled_from(["high", "low"]),
        "assignments": st.just([{"assignee": "somebody"}]),
    },
)
STEPS = st.one_of(
    st.tuples(st.just("change"), INCIDENTS, CHANGES),
    st.tuples(st.just("manage"), st.lists(INCIDENTS, min_size=1, max_size=3), CHANGES),
    st.tuples(st.just("merge"), INCIDENTS, INCIDENTS),
    st.tuples(st.just("snooze"), INCIDENTS, st.sampled_from([0, 60])),
    st.tuples(st.just("alert"), INCIDENTS, st.sampled_from(["resolved", "triggered"])),
    st.tuples(st.just("wait"), st.sampled_from([10, 100]), st.none()),
    st.tuples(st.just("requester"), st.sampled_from(["oncall-bot", "ada.nkemelu", "nobody"]), st.none()),
)


class World:
    """Four open incidents, and everything that can be done to them."""

    def __init__(self, sandbox: Sandbox, client: httpx.AsyncClient) -> None:
        self.sandbox, self.client = sandbox, client
        self.ids = [i["id"] for i in sandbox.account.incidents()][-4:]
        self.user = next(user["id"] for user in sandbox.account.all("user"))

    async def incidents(self) -> list[JSON]:
        return [(await self.client.get(f"/incidents/{id_}")).json()["incident"] for id_ in self.ids]

    def changed(self, members: JSON) -> JSON:
        assigned = [{"assignee": ref("user", self.user)}]
        return {
            "type": "incident_reference",
            **members,
            **({"assignments": assigned} if "assignments" in members else {}),
        }

    async def do(self, kind: str, what: Any, how: Any) -> httpx.Response | None:
        """The answer; None when nothing was asked."""
        if kind == "wait":
            self.sandbox.advance(timedelta(seconds=what))
            return None
        if kind == "requester":
            self.client.headers["From"] = f"{what}@example.com"
            return None
        if kind == "manage":
            entries = [{"id": self.ids[number], **self.changed(how)} for number in what]
            return await self.client.put("/incidents", json={"incidents": entries})
        path = f"/incidents/{self.ids[what]}"
        if kind == "change":
            return await self.client.put(path, json={"incident": self.changed(how)})
        if kind == "merge":
            sources = {"source_incidents": [ref("incident", self.ids[how])]}
            return await self.client.put(f"{path}/merge", json=sources)
        if kind == "snooze":
            return await self.client.post(f"{path}/snooze", json={"duration": how})
        alerts = (await self.client.get(f"{path}/alerts")).json()["alerts"]
        if not alerts:
            return None
        return await self.client.put(f"{path}/alerts/{alerts[0]['id']}", json={"alert": {"status": how}})


def check(incident: JSON) -> None:
    resolved, acknowledged = incident["status"] == "resolved", incident["status"] == "acknowledged"
    assert resolved == (incident["resolved_at"] is not None)
    assert resolved == (incident["assignments"] == [])
    assert acknowledged == bool(incident["acknowledgements"])
    assert acknowledged or not incident["pending_actions"]
    assert incident["created_at"] <= incident["last_status_change_at"] <= incident["updated_at"]
    counts = incident["alert_counts"]
    assert counts["all"] == counts["triggered"] + counts["resolved"]


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=12))
async def test_incidents_stay_consistent_and_a_refusal_changes_nothing(steps: list[tuple[str, Any, Any]]) -> None:
    sandbox = Sandbox(rate_limit=None)
    sandbox.add_incidents(4)
    async with httpx.AsyncClient(
        transport=sandbox.transport(), base_url=sandbox.base_url, headers=headers(sandbox)
    ) as client:
        world = World(sandbox, client)
        alerts = sum(incident["alert_counts"]["all"] for incident in await world.incidents())
        for step in steps:
            before = await world.incidents()
            answer = await world.do(*step)
            after = await world.incidents()
            if answer is not None and answer.is_error:
                assert after == before
            for incident in after:
                check(incident)
            assert sum(incident["alert_counts"]["all"] for incident in after) == alerts
