"""Authentication, the requester, routing, what is recorded, and where a sandbox begins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import Api, headers, ref

NOTE = {"note": {"content": "hello"}}
NEW = {"incident": {"type": "incident", "title": "Disk full", "service": ref("service", "PABC123")}}


async def everything(sandbox: Sandbox) -> list[bytes]:
    async with httpx.AsyncClient(
        transport=sandbox.transport(), base_url=sandbox.base_url, headers=headers(sandbox)
    ) as client:
        return [
            (await client.get(path, params={"limit": 100})).content
            for path in (
                "/incidents",
                "/log_entries",
                "/services",
                "/users",
                "/oncalls",
                "/maintenance_windows",
            )
        ]


def frozen() -> datetime:
    return datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


async def test_the_same_seed_and_clock_give_the_same_account() -> None:
    assert await everything(Sandbox(3, frozen)) == await everything(Sandbox(3, frozen))


async def test_another_seed_gives_another_account() -> None:
    assert (await everything(Sandbox(3, frozen)))[0] != (await everything(Sandbox(4, frozen)))[0]


async def test_reset_takes_everything_back(sandbox: Sandbox, api: Api) -> None:
    sandbox = Sandbox(3, frozen)
    before = await everything(sandbox)
    sandbox.advance(timedelta(days=3))
    sandbox.faults.slow(0.0)
    sandbox.options.note_status = 201
    sandbox.add_incidents(5)
    sandbox.reset()
    assert sandbox.requests == []
    assert sandbox.faults.pending() == []
    assert sandbox.options.note_status == 200
    assert await everything(sandbox) == before


@pytest.mark.parametrize("seed", [None, 1, 99])
async def test_the_reference_ids_exist_whatever_the_seed(seed: int | None) -> None:
    account = Sandbox(seed).account
    assert account.incident("P1234AB")["service"] == account.get("service", "PABC123").ref
    assert account.incident("P1234AB")["status"] == "triggered"


@pytest.mark.parametrize("scheme", ["Token token=", "Bearer "])
async def test_a_key_is_accepted_as_token_and_as_bearer(sandbox: Sandbox, api: Api, scheme: str) -> None:
    api.client.headers["Authorization"] = scheme + sandbox.token
    await api("GET", "/users")
    assert sandbox.requests[-1].scheme == scheme.split()[0].lower()


async def test_a_wrong_key_is_refused_in_json(api: Api) -> None:
    api.client.headers["Authorization"] = "Token token=wrong"
    assert await api.refused("GET", "/users", status=401) == 2006


async def test_no_key_is_refused_in_plain_text(api: Api) -> None:
    del api.client.headers["Authorization"]
    answer = await api.client.get("/users")
    assert (answer.status_code, answer.headers["content-type"]) == (401, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/incidents", NEW),
        ("PUT", "/incidents", {"incidents": [{"id": "P1234AB", "type": "incident_reference"}]}),
        ("PUT", "/incidents/P1234AB", {"incident": {"type": "incident"}}),
        ("POST", "/incidents/P1234AB/snooze", {"duration": 60}),
        ("PUT", "/incidents/P1234AB/merge", {"source_incidents": []}),
        ("POST", "/incidents/P1234AB/notes", NOTE),
        ("PUT", "/incidents/P1234AB/alerts/PX", {"alert": {"status": "resolved"}}),
        ("POST", "/maintenance_windows", {"maintenance_window": {}}),
    ],
)
async def test_a_write_without_requester_is_refused(api: Api, method: str, path: str, body: object) -> None:
    del api.client.headers["From"]
    assert await api.refused(method, path, body) == 2016
    api.client.headers["From"] = "stranger@example.com"
    assert await api.refused(method, path, body) == 1008


async def test_a_new_policy_takes_a_requester_but_needs_none(api: Api) -> None:
    api.client.headers["From"] = "stranger@example.com"
    assert await api.refused("POST", "/escalation_policies", {"escalation_policy": {}}) == 1008
    del api.client.headers["From"]
    assert await api.refused("POST", "/escalation_policies", {"escalation_policy": {}}) == 2001


async def test_unknown_parameters_and_members_are_ignored_but_noted(sandbox: Sandbox, api: Api) -> None:
    await api("GET", "/incidents", staus_list="resolved", limit=1)
    assert list(sandbox.requests[-1].unknown) == ["query:staus[]"]
    incident = {**NEW["incident"], "titel": "x", "service": {**ref("service", "PABC123"), "nmae": "y"}}
    await api("POST", "/incidents", {"incident": incident}, status=201)
    assert list(sandbox.requests[-1].unknown) == ["body:incident.service.nmae", "body:incident.titel"]
    await api("PUT", "/incidents", {"incidents": [{"id": "P1234AB", "type": "incident", "service": {}}]})
    assert list(sandbox.requests[-1].unknown) == ["body:incidents[0].service"]


async def test_requests_are_recorded_without_credentials(sandbox: Sandbox, api: Api) -> None:
    await api("POST", "/incidents/P1234AB/notes", NOTE)
    request = sandbox.requests[-1]
    assert (request.method, request.path, request.body) == ("POST", "/incidents/P1234AB/notes", NOTE)
    assert (request.headers["from"], request.status) == (sandbox.email, 200)
    assert sandbox.token not in repr(request)


async def test_paths_are_taken_as_they_were_sent(sandbox: Sandbox, api: Api) -> None:
    for path in ("/incidents/P1234AB%2Fnotes", "/incidents/%2e%2e/services", "/services/PABC123%3Fx"):
        assert await api.refused("GET", path, status=404) == 2100
        assert sandbox.requests[-1].path == path


async def test_an_unknown_path_is_404(api: Api) -> None:
    assert await api.refused("GET", "/nothing", status=404) == 2100


async def test_a_body_that_is_not_an_object_is_refused(api: Api) -> None:
    assert await api.refused("POST", "/incidents/P1234AB/notes", ["x"]) == 2001
    answer = await api.client.post("/incidents/P1234AB/notes", content=b"{not json")
    assert answer.json()["error"]["code"] == 2001


async def test_the_account_keeps_the_injected_time() -> None:
    sandbox = Sandbox(clock=frozen)
    sandbox.advance(timedelta(seconds=4))
    assert sandbox.clock.now() == datetime(2026, 2, 3, 4, 5, 10, tzinfo=UTC)
    with pytest.raises(ValueError, match="forward"):
        sandbox.advance(timedelta(seconds=-1))
