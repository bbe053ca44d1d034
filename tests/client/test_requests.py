"""Every endpoint sends what the trimmed document asks for: method, path, query, headers, body."""

from __future__ import annotations

import importlib
import inspect
import json
import keyword
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pagerduty_client import UNSET, Client, InvalidRequestError, Request, models
from pagerduty_client.api.incidents import get_incident, list_incident_alerts, list_incidents, update_incident
from pagerduty_client.api.services import delete_service

from codegen.endpoints import ENDPOINTS
from tests.client.server import Server

DOCUMENT = json.loads((Path(__file__).parents[2] / "spec" / "pagerduty.json").read_text())
OPERATIONS = [
    pytest.param(path, method.upper(), operation, id=operation["operationId"])
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]


def endpoint(operation: dict[str, Any]) -> ModuleType:
    return importlib.import_module(f"pagerduty_client.api.{operation['tags'][0]}.{operation['operationId']}")


def python_name(name: str) -> str:
    plain = name.removesuffix("[]").lower()
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def sample(schema: dict[str, Any], *, full: bool = True) -> Any:
    """A value that a schema allows; `full` with every member, else only the required ones."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "oneOf" in schema:
        return sample(schema["oneOf"][0], full=full)
    if "enum" in schema:
        return schema["enum"][-1]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        members = schema["properties"] if full else schema.get("required", [])
        deeper = {name for name in members if name != "children"}  # a predicate may hold predicates without end
        return {name: sample(schema["properties"][name], full=full) for name in sorted(deeper)}
    if kind == "array":
        return [sample(schema["items"], full=full)]
    if schema.get("format") == "date-time":
        return "2025-06-15T02:00:00Z"
    return {"string": "text", "integer": schema.get("minimum", 3), "number": 0.5, "boolean": True}.get(
        str(kind), ["any"]
    )


def arguments(operation: dict[str, Any], *, full: bool = True) -> tuple[list[str], dict[str, Any]]:
    """Values for every parameter, or only for the required ones."""
    placed = [p for p in operation["parameters"] if p["in"] == "path"]
    asked = [p for p in operation["parameters"] if p["in"] == "query" and full]
    named = {python_name(p["name"]): sample(p["schema"]) for p in asked}
    if full and any(p["in"] == "header" for p in operation["parameters"]):
        named["from_"] = "someone@example.com"
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        model = getattr(models, schema["$ref"].rpartition("/")[2])
        named["body"] = model.parse(sample(schema, full=full))
    return ["PX-1_a" for _ in placed], named


def expected_query(operation: dict[str, Any]) -> list[tuple[str, str]]:
    pairs = []
    for parameter in operation["parameters"]:
        if parameter["in"] == "query":
            value = sample(parameter["schema"])
            text = ",".join(value) if isinstance(value, list) else {True: "true"}.get(value, str(value))
            pairs.append((parameter["name"], "true" if value is True else text))
    return pairs


def test_the_document_has_the_selected_endpoints_and_the_four_that_the_overlay_adds() -> None:
    assert len(OPERATIONS) == len(ENDPOINTS) + 4


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
async def test_every_endpoint_sends_what_the_document_asks_for(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    module = endpoint(operation)
    placed, named = arguments(operation)
    async with Server(status=int(next(iter(operation["responses"])))).running() as server, Client(server.url) as client:
        await module.call(*placed, **named, client=client)
    (sent,) = server.received
    target, _, query = sent.target.partition("?")
    wanted = path
    for parameter in operation["parameters"]:
        wanted = wanted.replace(f"{{{parameter['name']}}}", "PX-1_a")
    assert (sent.method, target) == (method, wanted)
    assert parse_qsl(query) == expected_query(operation)
    assert sent.headers["accept"] == "application/vnd.pagerduty+json;version=2"
    assert sent.headers.get("from") == named.get("from_")
    assert "authorization" not in sent.headers
    if "body" in named:
        assert json.loads(sent.body) == sample(operation["requestBody"]["content"]["application/json"]["schema"])
        assert sent.headers["content-type"] == "application/json"
    else:
        assert sent.body == b""


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_what_is_not_given_is_not_sent(path: str, method: str, operation: dict[str, Any]) -> None:
    placed, named = arguments(operation, full=False)
    request = endpoint(operation).request(*placed, **named)
    assert request.query == ()
    assert request.headers == ()
    assert request.operation_id == operation["operationId"]
    if "body" in named:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert request.json == sample(schema, full=False)
    else:
        assert request.json is UNSET


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_path_parameters_are_positional_and_all_else_is_by_name(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    for name, parameter in inspect.signature(endpoint(operation).request).parameters.items():
        in_path = f"{{{name}}}" in path
        assert (parameter.kind is parameter.POSITIONAL_OR_KEYWORD) is in_path


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        ".",
        "..",
        "../services/PX",
        "PX/merge",
        "PX?x",
        "PX#f",
        "%2e%2e",
        "PX\n",
        "P X",
        "é",
        None,
        7,
        "P/" * 500,
    ],
)
def test_no_id_leaves_its_place_in_the_path(identifier: Any) -> None:
    for request in (get_incident.request, delete_service.request):
        with pytest.raises(InvalidRequestError) as refused:
            request(identifier)
        assert refused.value.path in ("incident_id", "service_id")
        assert len(str(refused.value)) < 200
        assert str(refused.value).isprintable()


def test_lists_are_repeated_or_joined() -> None:
    request = list_incidents.request(statuses=["triggered", "resolved"], sort_by=["created_at:desc", "urgency"])
    assert request.query == (
        ("statuses[]", "triggered"),
        ("statuses[]", "resolved"),
        ("sort_by", "created_at:desc,urgency"),
    )
    assert list_incidents.request(sort_by="created_at").query == (("sort_by", "created_at"),)
    assert list_incidents.request(statuses=("triggered",)).query == (("statuses[]", "triggered"),)


def test_an_empty_list_does_not_drop_the_filter() -> None:
    cases: list[dict[str, Any]] = [{"service_ids": []}, {"statuses": ()}, {"sort_by": []}]
    for given in cases:
        with pytest.raises(InvalidRequestError, match="would drop the filter"):
            list_incidents.request(**given)


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ({"statuses": ["open"]}, "acknowledged, resolved, triggered"),
        ({"statuses": "triggered"}, "a list of texts"),
        ({"service_ids": [7]}, "text that is not empty"),
        ({"service_ids": [None]}, "text that is not empty"),
        ({"limit": "25"}, "a whole number"),
        ({"limit": True}, "a whole number"),
        ({"limit": 2.5}, "a whole number"),
        ({"total": "true"}, "True or False"),
        ({"total": 1}, "True or False"),
        ({"date_range": "some"}, "one of all"),
        ({"since": datetime(2025, 1, 1)}, "a datetime with a zone"),
        ({"since": 1735689600}, "text"),
        ({"incident_key": ""}, "text that is not empty"),
        ({"incident_key": None}, "text that is not empty"),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_refused_by_name(given: dict[str, Any], accepted: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        list_incidents.request(**given)
    assert refused.value.path.startswith(next(iter(given)))
    assert accepted in refused.value.accepted


def test_a_joined_list_is_checked_item_by_item() -> None:
    with pytest.raises(InvalidRequestError, match="created_at:up"):
        list_incident_alerts.request("PX", sort_by=["created_at", "created_at:up"])  # type: ignore[list-item]


def test_times_carry_their_zone() -> None:
    request = list_incidents.request(since=datetime(2025, 1, 1, tzinfo=UTC), until="2025-02-01T00:00:00Z")
    assert request.query == (("since", "2025-01-01T00:00:00+00:00"), ("until", "2025-02-01T00:00:00Z"))


@pytest.mark.parametrize(
    "address", ["é@example.com", "a@example.com\r\nX: y", "a@example.com\n", "", " a@b.c", None, 7]
)
def test_from_can_neither_end_the_header_nor_fail_to_be_encoded(address: Any) -> None:
    body = models.UpdateIncidentBody.parse({"incident": {"type": "incident", "status": "resolved"}})
    with pytest.raises(InvalidRequestError) as refused:
        update_incident.request("PX", body=body, from_=address)
    assert refused.value.path == "From"


def test_a_body_of_another_endpoint_or_plain_json_is_refused() -> None:
    bodies: list[Any] = [{"incident": {}}, models.SnoozeIncidentBody(duration=1), None]
    for body in bodies:
        with pytest.raises(InvalidRequestError, match="UpdateIncidentBody"):
            update_incident.request("PX", body=body)


def test_a_request_is_a_frozen_value() -> None:
    assert get_incident.request("PX") == Request(method="GET", path="/incidents/PX", operation_id="get_incident")
    with pytest.raises(AttributeError):
        get_incident.request("PX").path = "/services/PX"  # type: ignore[misc]
