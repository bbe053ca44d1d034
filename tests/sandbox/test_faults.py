"""Faults, over real connections unless said otherwise."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import httpx
import pytest

from arx_wrapper.sandbox import Fault, Sandbox
from arx_wrapper.sandbox.server import serve
from tests.sandbox.api import Api, headers
from tests.support import PATIENCE

NOTES = "/incidents/P1234AB/notes"
NOTE = {"note": {"content": "hello"}}


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[Api]:
    async with (
        serve(sandbox) as served,
        httpx.AsyncClient(base_url=served.url, headers=headers(sandbox), trust_env=False, timeout=PATIENCE) as client,
    ):
        yield Api(client)


def notes(sandbox: Sandbox) -> int:
    return len(sandbox.account.incident("P1234AB").notes)


@pytest.mark.parametrize(("when", "done"), [("before", 0), ("after", 1), ("midway", 1)])
async def test_a_dropped_connection_leaves_the_work_undone_or_done(
    sandbox: Sandbox, http: Api, when: str, done: int
) -> None:
    before = notes(sandbox)
    sandbox.faults.dropped(when)  # type: ignore[arg-type]  # parametrized
    with pytest.raises(httpx.RemoteProtocolError):
        await http("POST", NOTES, NOTE)
    assert notes(sandbox) == before + done
    assert sandbox.requests[-1].status is None
    await http("POST", NOTES, NOTE)


@pytest.mark.parametrize(("when", "done"), [("before", 0), ("after", 1)])
async def test_a_dropped_connection_looks_the_same_in_process(sandbox: Sandbox, api: Api, when: str, done: int) -> None:
    before = notes(sandbox)
    sandbox.faults.dropped(when)  # type: ignore[arg-type]  # parametrized
    with pytest.raises(httpx.RemoteProtocolError):
        await api("POST", NOTES, NOTE)
    assert notes(sandbox) == before + done


async def test_latency_outlasts_a_read_timeout_and_the_work_is_done(sandbox: Sandbox, http: Api) -> None:
    before = notes(sandbox)
    sandbox.faults.slow(1, times=1)
    with pytest.raises(httpx.ReadTimeout):
        await http.client.post(NOTES, json=NOTE, timeout=httpx.Timeout(60, read=0.05))
    began = time.monotonic()
    sandbox.faults.slow(1, times=1)
    await http("GET", "/teams")
    assert time.monotonic() - began >= 1
    assert notes(sandbox) == before + 1


async def test_429_comes_with_headers_or_bare(sandbox: Sandbox, http: Api) -> None:
    sandbox.faults.rate_limited(reset=7)
    sandbox.faults.rate_limited(after=1, bare=True)
    first, second = await http.client.get("/teams"), await http.client.get("/teams")
    assert (first.status_code, first.headers["ratelimit-reset"]) == (429, "7")
    assert (second.status_code, second.content) == (429, b"")
    assert "ratelimit-reset" not in second.headers
    await http("GET", "/teams")


async def test_a_server_error_comes_before_or_after_the_work(sandbox: Sandbox, http: Api) -> None:
    before = notes(sandbox)
    sandbox.faults.server_error(503, html=True, method="POST")
    answer = await http.client.post(NOTES, json=NOTE)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html")
    assert notes(sandbox) == before
    sandbox.faults.server_error(500, work=True)
    assert await http.refused("POST", NOTES, NOTE, status=500) == 2000
    assert notes(sandbox) == before + 1


async def test_401_comes_in_json_or_in_html(sandbox: Sandbox, http: Api) -> None:
    sandbox.faults.unauthorized()
    assert await http.refused("GET", "/teams", status=401) == 2006
    sandbox.faults.unauthorized(html=True)
    assert (await http.client.get("/teams")).text.startswith("<html>")


async def test_html_comes_where_json_was_expected(sandbox: Sandbox, http: Api) -> None:
    sandbox.faults.html()
    answer = await http.client.get("/teams")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")


async def test_a_fault_strikes_where_and_as_often_as_told(sandbox: Sandbox, http: Api) -> None:
    sandbox.faults.server_error(502, path="/incidents/*", after=1, times=2)
    await http("GET", "/teams")
    got = [(await http.client.get("/incidents/P1234AB")).status_code for _ in range(4)]
    assert got == [200, 502, 502, 200]
    assert sandbox.faults.pending() == []


async def test_a_fault_without_end_ends_when_cleared(sandbox: Sandbox, http: Api) -> None:
    sandbox.faults.server_error(times=None)
    assert [(await http.client.get("/teams")).status_code for _ in range(3)] == [500] * 3
    sandbox.faults.clear()
    await http("GET", "/teams")


@pytest.mark.parametrize("wrong", [{"times": 0}, {"after": -1}, {"latency": -1.0}, {"status": 99}, {"drop": "soon"}])
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|times"):
        Fault(**wrong)  # type: ignore[arg-type]  # wrong on purpose
