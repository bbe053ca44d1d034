"""The controls under `/_sandbox/`, over HTTP as another process uses them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import serve
from tests.sandbox.api import Api, headers
from tests.support import PATIENCE

NOTES = "/incidents/P1234AB/notes"


@pytest.fixture
async def both(sandbox: Sandbox) -> AsyncIterator[tuple[Api, Api]]:
    """A client of the API, and a harness at the controls."""
    async with (
        serve(sandbox) as served,
        httpx.AsyncClient(base_url=served.url, headers=headers(sandbox), trust_env=False, timeout=PATIENCE) as client,
        httpx.AsyncClient(base_url=f"{served.url}/_sandbox", trust_env=False, timeout=PATIENCE) as harness,
    ):
        yield Api(client), Api(harness)


async def test_whoever_holds_a_key_cannot_reach_the_controls(sandbox: Sandbox, both: tuple[Api, Api]) -> None:
    client, _ = both
    await client("POST", "/_sandbox/reset", status=403)
    await client("GET", "/_sandbox/requests", status=403)
    del client.client.headers["Authorization"]
    await client("GET", "/_sandbox/requests")


async def test_faults_are_added_listed_and_cleared(both: tuple[Api, Api]) -> None:
    client, control = both
    await control("POST", "/faults", {"status": 503, "path": "/teams", "times": 2})
    await client("GET", "/users")
    await client("GET", "/teams", status=503)
    [fault] = (await control("GET", "/faults"))["faults"]
    assert (fault["status"], fault["path"]) == (503, "/teams")
    assert (await control("DELETE", "/faults"))["faults"] == []
    await client("GET", "/teams")


async def test_a_connection_can_be_dropped_from_outside(sandbox: Sandbox, both: tuple[Api, Api]) -> None:
    client, control = both
    await control("POST", "/faults", {"drop": "after", "method": "POST"})
    with pytest.raises(httpx.RemoteProtocolError):
        await client("POST", NOTES, {"note": {"content": "hello"}})
    seen = (await control("GET", "/requests"))["requests"]
    assert [(request["method"], request["path"], request["status"]) for request in seen] == [("POST", NOTES, None)]
    assert sandbox.token not in str(seen)


async def test_requests_are_listed_and_forgotten(both: tuple[Api, Api]) -> None:
    client, control = both
    await client("GET", "/teams", teem="x")
    [request] = (await control("GET", "/requests"))["requests"]
    assert (request["query"], request["unknown"]) == ("teem=x", ["query:teem"])
    await control("DELETE", "/requests")
    assert (await control("GET", "/requests"))["requests"] == []


async def test_the_clock_moves_forward_only(both: tuple[Api, Api]) -> None:
    client, control = both
    await client("POST", "/incidents/P1234AB/snooze", {"duration": 60}, status=201)
    await control("POST", "/clock", {"advance": 61})
    assert (await client("GET", "/incidents/P1234AB"))["incident"]["status"] == "triggered"
    assert "forward" in (await control("POST", "/clock", {"advance": -1}, status=400))["error"]


async def test_options_are_switched_and_checked(both: tuple[Api, Api]) -> None:
    client, control = both
    await control("PUT", "/options", {"event_rules": 410})
    await client("GET", "/event_rules", status=410)
    await control("PUT", "/options", {"event_rules": 999}, status=400)
    await control("PUT", "/options", {"evnt_rules": 200}, status=400)
    await client("GET", "/event_rules", status=410)


async def test_incidents_are_added_and_everything_is_reset(both: tuple[Api, Api]) -> None:
    client, control = both
    before = (await client("GET", "/incidents", total="true"))["total"]
    await control("POST", "/incidents", {"count": 30})
    assert (await client("GET", "/incidents", total="true"))["total"] == before + 30
    await control("POST", "/reset")
    assert (await client("GET", "/incidents", total="true"))["total"] == before


async def test_an_unknown_control_lists_the_known_ones(both: tuple[Api, Api]) -> None:
    _, control = both
    assert "POST reset" in (await control("GET", "/everything", status=404))["controls"]
    await control("POST", "/faults", {"sttus": 500}, status=400)
    await control("POST", "/clock", ["x"], status=400)
