"""Transports and clients of httpx, and of httpx2, its maintained continuation, are taken wherever the other's are."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from arx_wrapper import PagerDutyConnector, TransportError, approvals
from arx_wrapper.approvals import Webhook
from arx_wrapper.credentials import Credentials
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.transport import Attempt, Transport
from arx_wrapper.vault.fixed import FixedVault
from tests.approvals.conftest import terms
from tests.support import CANARY, EVERYTHING
from tests.transport.test_transport import READ, WRITE, send

PACKAGE = Path(__file__).parents[2] / "arx_wrapper"
both = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


@both
async def test_an_asgi_transport_carries_governed_calls(library: Any, tmp_path: Path) -> None:
    sandbox = Sandbox()
    async with PagerDutyConnector(
        "a",
        "o",
        policies=[EVERYTHING],
        audit=f"sqlite:///{tmp_path}/audit.db",
        vault=FixedVault(api_key=sandbox.token, requester_email=sandbox.email),
        transport=library.ASGITransport(sandbox.app),
    ) as pd:
        assert (await pd.acknowledge_incident("P1234AB")).status == "acknowledged"
        assert len(await pd.list_teams()) > 0


@both
async def test_a_request_is_the_same_through_either(library: Any) -> None:
    seen: list[Any] = []

    def answer(request: Any) -> Any:
        seen.append(request)
        return library.Response(200, json={"users": 1}, headers={"X-Request-Id": "r"})

    transport = Transport(base_url="https://api.pagerduty.com", transport=library.MockTransport(answer))
    key = Credentials(api_key=CANARY)
    found = await transport.send(READ, key, transport.grant(READ), operation="users:read", writes=False)
    await transport.send(WRITE, key, transport.grant(WRITE), operation="x", writes=True)
    assert (found.json(), found.request_id) == ({"users": 1}, "r")
    assert str(seen[0].url) == "https://api.pagerduty.com/users?query=a%20b%26c&team_ids%5B%5D=P1"
    assert seen[0].headers["authorization"] == f"Bearer {CANARY}"
    assert seen[1].content == b'{"note":{"content":"n"}}'
    assert isinstance(seen[0], library.Request)


@both
@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("ConnectError", "not_sent"),
        ("ConnectTimeout", "not_sent"),
        ("ProxyError", "not_sent"),
        ("LocalProtocolError", "not_sent"),
        ("ReadError", "unknown"),
        ("ReadTimeout", "unknown"),
        ("RemoteProtocolError", "unknown"),
    ],
)
async def test_either_librarys_errors_say_whether_anything_was_sent(library: Any, kind: str, outcome: str) -> None:
    def fail(request: Any) -> Any:
        raise getattr(library, kind)("x", request=request)

    transport = Transport(base_url="https://api.pagerduty.com", transport=library.MockTransport(fail), attempts=1)
    attempts: list[Attempt] = []
    with pytest.raises(TransportError) as caught:
        await send(transport, WRITE, attempts=attempts)
    assert (caught.value.outcome, attempts[0].sent) == (outcome, outcome == "unknown")


@both
async def test_a_bomb_is_noticed_through_either(library: Any) -> None:
    def answer(request: Any) -> Any:
        return library.Response(200, content=b"x" * 2000)

    transport = Transport(
        base_url="https://api.pagerduty.com", transport=library.MockTransport(answer), max_body=1000, attempts=1
    )
    with pytest.raises(TransportError, match="larger than"):
        await send(transport, WRITE)


@both
async def test_a_webhook_posts_with_a_client_of_either(library: Any, tmp_path: Path) -> None:
    seen: list[Any] = []

    def answer(request: Any) -> Any:
        seen.append(request)
        return library.Response(204)

    client = library.AsyncClient(transport=library.MockTransport(answer))
    webhook = Webhook("https://hooks.example/x", "s" * 32, clock=lambda: datetime.now(UTC), client=client)
    store = approvals.open(f"sqlite:///{tmp_path}/a.db", channels=[webhook], proof="name")
    await store.request(**terms())
    await store.aclose()
    assert seen[0].headers["x-arx-signature"].startswith("v1=")


def test_one_module_alone_imports_httpx() -> None:
    importing = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] in ("httpx", "httpx2") for name in names):
                importing.add(str(file.relative_to(PACKAGE)))
    assert importing == {"http_client.py"}
