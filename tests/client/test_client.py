"""The bare client: any 2xx is success, all else is an error that says so, and nothing is imported before its time."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import Any

import httpx
import httpx2
import pytest
from pagerduty_client import Client, UnexpectedAnswerError, UnexpectedStatusError, models
from pagerduty_client.api.incidents import add_incident_note, get_incident
from pagerduty_client.api.services import delete_service

from tests.client.server import PATIENCE, Server

NOTE = models.AddIncidentNoteBody(note=models.NoteCreate(content="x"))


@pytest.mark.parametrize("status", [200, 201, 202, 299])
async def test_any_2xx_is_success_documented_or_not(status: int) -> None:
    async with (
        Server(status=status, content=b'{"note": {"id": "PN"}}').running() as server,
        Client(server.url) as client,
    ):
        answer = await add_incident_note.call("PX", body=NOTE, from_="a@example.com", client=client)
    assert answer.note is not None
    assert answer.note.id == "PN"


@pytest.mark.parametrize("status", [301, 400, 401, 404, 409, 429, 500, 503, 599])
async def test_every_other_status_is_an_error_without_the_body(status: int) -> None:
    page = b"<html>canary</html>"
    async with (
        Server(status=status, content=page, content_type="text/html").running() as server,
        Client(server.url) as client,
    ):
        with pytest.raises(UnexpectedStatusError, match=f"get_incident: PagerDuty answered {status}") as raised:
            await get_incident.call("PX", client=client)
    assert (raised.value.status, raised.value.operation_id) == (status, "get_incident")
    assert "canary" not in str(raised.value)
    assert len(server.received) == 1


async def test_a_deletion_answers_none() -> None:
    async with Server(status=204, content=b"").running() as server, Client(server.url) as client:
        await delete_service.call("PX", client=client)
    assert server.received[0].method == "DELETE"


async def test_success_that_is_no_json_says_so() -> None:
    async with Server(content=b"<html>canary</html>").running() as server, Client(server.url) as client:
        with pytest.raises(UnexpectedAnswerError, match="get_incident succeeded, but its answer is not JSON") as raised:
            await get_incident.call("PX", client=client)
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None


async def test_a_redirect_is_not_followed_even_if_the_callers_client_would() -> None:
    async with Server().running() as elsewhere, Server(status=302, location=elsewhere.url).running() as server:
        async with Client(
            http=httpx.AsyncClient(base_url=server.url, follow_redirects=True, timeout=PATIENCE)
        ) as client:
            with pytest.raises(UnexpectedStatusError, match="302"):
                await get_incident.call("PX", client=client)
        assert elsewhere.received == []


async def test_the_client_gives_up_after_its_time_out() -> None:
    async with Server(stall=True).running() as server, Client(server.url, timeout=0.05) as client:
        with pytest.raises((httpx.ReadTimeout, httpx.ConnectTimeout)):  # a loaded machine may not connect in time
            await get_incident.call("PX", client=client)


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_credentials_are_the_callers_and_in_no_repr(library: Any) -> None:
    http = library.AsyncClient(headers={"Authorization": "Token token=canary"})
    async with (
        Server(content=b'{"incident": {"id": "PX"}}').running() as server,
        Client(server.url, http=http) as client,
    ):
        assert "canary" not in repr(client)
        await get_incident.call("PX", client=client)
    assert server.received[0].headers["authorization"] == "Token token=canary"


def fresh(code: str) -> str:
    """Return the lines that a piece of code prints in a new interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


def test_importing_the_package_and_building_a_request_need_no_httpx() -> None:
    code = (
        "import sys, pagerduty_client\n"
        "from pagerduty_client.api.incidents import list_incidents\n"
        "list_incidents.request(statuses=['triggered'])\n"
        "list_incidents.parse({'incidents': []}).incidents\n"
        "print('httpx' in sys.modules, end=' ')\n"
        "client = pagerduty_client.Client\n"
        "print('httpx' in sys.modules, end=' ')\n"
        "client()\n"
        "print('httpx' in sys.modules)"
    )
    assert fresh(code) == "False False True"


def test_an_endpoint_imports_no_models_but_those_that_it_meets() -> None:
    code = (
        "import sys\n"
        "loaded = lambda: sorted(n.split('.')[-1] for n in sys.modules if n.startswith('pagerduty_client.models.'))\n"
        "from pagerduty_client.api.incidents import list_incidents\n"
        "print(loaded())\n"
        "page = list_incidents.parse({'incidents': [{'id': 'PX', 'service': {'id': 'PS'}}]})\n"
        "print(loaded())\n"
        "page.incidents[0].service\n"
        "print(loaded())"
    )
    assert fresh(code).splitlines() == ["[]", "['incident_list']", "['incident', 'incident_list', 'service']"]


def test_every_name_that_the_package_offers_can_be_imported() -> None:
    for name in dir(models):
        assert getattr(models, name) is not None
    with pytest.raises(AttributeError, match="Incidnt"):
        models.Incidnt  # noqa: B018 - the access is the claim


@pytest.mark.parametrize(
    ("body", "code", "message", "errors"),
    [
        ({"error": {"code": 2001, "message": "Invalid", "errors": ["a", "b"]}}, 2001, "Invalid", ("a", "b")),
        ({"error": {"code": 2001, "message": "Invalid", "errors": "a"}}, 2001, "Invalid", ("a",)),
        ({"error": {"message": "Invalid", "errors": {"x": 1}}}, None, "Invalid", ("{'x': 1}",)),
        ({"error": "Invalid"}, None, "Invalid", ()),
        ({"error": [{"message": "Invalid"}]}, None, "Invalid", ()),
        ({"error": {"code": "2001", "message": 5}}, None, None, ()),
        ({"error": None}, None, None, ()),
        (["x"], None, None, ()),
    ],
)
async def test_an_error_carries_pagerdutys_code_and_message(
    body: object, code: int | None, message: str | None, errors: tuple[str, ...]
) -> None:
    content = json.dumps(body).encode()
    async with Server(status=400, content=content).running() as server, Client(server.url) as client:
        with pytest.raises(UnexpectedStatusError) as raised:
            await get_incident.call("PX", client=client)
    error = raised.value
    assert (error.code, error.message, error.errors) == (code, message, errors)
    assert (message or "answered 400") in str(error)
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(twin), twin.code, twin.message, twin.errors) == (str(error), code, message, errors)


async def test_an_error_repeats_neither_the_key_nor_control_characters_nor_without_end() -> None:
    said = {"error": {"message": "\x1b[31mno canary-key-0001 " + "x" * 5_000, "errors": ["canary-key-0001"] * 50}}
    for scheme in ("Token token=canary-key-0001", "Bearer canary-key-0001"):
        http = httpx.AsyncClient(headers={"Authorization": scheme}, timeout=PATIENCE)
        content = json.dumps(said).encode()
        async with Server(status=403, content=content).running() as server, Client(server.url, http=http) as client:
            with pytest.raises(UnexpectedStatusError) as raised:
                await get_incident.call("PX", client=client)
        told = f"{raised.value} {raised.value.message} {raised.value.errors} {raised.value!r}"
        assert "canary" not in told
        assert "[masked]" in told
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < 1_500


def test_constants_need_not_be_given() -> None:
    assert models.ServiceReference(id="PS").to_dict() == {"id": "PS", "type": "service_reference"}
    incident = models.IncidentCreate(title="db", service=models.ServiceReference(id="PS"))
    assert incident.to_dict()["type"] == "incident"
    assert models.ServiceUpdate(name="db").to_dict() == {"name": "db"}
