"""Maintenance windows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import JSON, Api, ids, ref


def window(sandbox: Sandbox, start: float, end: float, **members: object) -> JSON:
    """From `start` to `end` hours from now."""
    now = sandbox.clock.now()
    times = {
        "start_time": (now + timedelta(hours=start)).isoformat(),
        "end_time": (now + timedelta(hours=end)).isoformat(),
    }
    services = [ref("service", "PABC123")]
    return {"maintenance_window": {"type": "maintenance_window", "services": services, **times, **members}}


async def create(api: Api, body: JSON) -> JSON:
    return dict((await api("POST", "/maintenance_windows", body, status=201))["maintenance_window"])


async def test_a_start_in_the_past_becomes_now(sandbox: Sandbox, api: Api) -> None:
    made = await create(api, window(sandbox, -5, 1, description="Upgrade"))
    assert made["start_time"] == sandbox.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (made["created_by"]["summary"], made["description"]) == ("Oncall Bot", "Upgrade")
    assert made["teams"]


async def test_an_end_in_the_past_is_refused(sandbox: Sandbox, api: Api) -> None:
    assert await api.refused("POST", "/maintenance_windows", window(sandbox, -2, -1)) == 5003


@pytest.mark.parametrize(
    "members",
    [
        {"type": "window"},
        {"services": []},
        {"services": [ref("service", "PNONE")]},
        {"services": None},
        {"start_time": "soon"},
        {"end_time": None},
    ],
)
async def test_a_wrong_window_is_refused(sandbox: Sandbox, api: Api, members: JSON) -> None:
    assert await api.refused("POST", "/maintenance_windows", window(sandbox, 1, 2, **members)) == 2001
    assert await api.refused("POST", "/maintenance_windows", window(sandbox, 2, 1)) == 2001


async def test_deleting_removes_ends_or_is_refused(sandbox: Sandbox, api: Api) -> None:
    future = await create(api, window(sandbox, 5, 6))
    await api("DELETE", f"/maintenance_windows/{future['id']}", status=204)
    assert await api.refused("GET", f"/maintenance_windows/{future['id']}", status=404) == 2100
    ongoing = await create(api, window(sandbox, 0, 6))
    sandbox.advance(timedelta(hours=1))
    await api("DELETE", f"/maintenance_windows/{ongoing['id']}", status=204)
    ended = (await api("GET", f"/maintenance_windows/{ongoing['id']}"))["maintenance_window"]
    assert ended["end_time"] < ongoing["end_time"]
    await api("DELETE", f"/maintenance_windows/{ongoing['id']}", status=405)


async def test_windows_are_filtered_by_when_they_are(sandbox: Sandbox, api: Api) -> None:
    ongoing = await create(api, window(sandbox, 0, 6))

    async def listed(**params: Any) -> list[str]:
        return ids((await api("GET", "/maintenance_windows", **params))["maintenance_windows"])

    assert await listed(filter="ongoing") == [ongoing["id"]]
    assert len(await listed(filter="past")) == len(await listed(filter="future")) == 1
    assert await listed(filter="open") == [*await listed(filter="future"), ongoing["id"]]
    assert len(await listed()) == len(await listed(filter="all")) == 3
    assert len(await listed(service_ids_list=["PABC123"])) == 2
    assert len(await listed(query="index")) == 1
    assert await api.refused("GET", "/maintenance_windows", filter="never") == 2001
