"""Over HTTP only those who show the token are answered, and only by the names that the server knows itself by."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from arx_wrapper import ConfigError, PagerDutyConnector
from arx_wrapper.cli.http_server import listening, server_for
from arx_wrapper.mcp.http import HttpServer
from arx_wrapper.mcp.server import ToolServer
from arx_wrapper.mcp.tools import Tools
from tests.mcp.conftest import TOKEN, Deployment
from tests.support import PATIENCE

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
# Of the handshake protocol, whose first request opens a session, and of 2026-07-28, which has none.
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ACCEPT = {"Accept": "application/json, text/event-stream"}


async def post(url: str, headers: dict[str, str], body: object = HELLO) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=PATIENCE) as session:
        return await session.post(url, headers=ACCEPT | headers, json=body)


async def test_only_the_token_opens(deployment: Deployment) -> None:
    async with deployment.served() as url:
        for wrong in (
            {},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": f"Bearer {TOKEN[:-1]}"},
            {"Authorization": "Bearer"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": TOKEN},
        ):
            refused = await post(url, wrong)
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"].startswith("Bearer")
            assert TOKEN not in refused.text
        twice = [("Authorization", "Bearer wrong"), *BEARER.items()]
        async with httpx2.AsyncClient(timeout=PATIENCE) as session:
            assert (await session.post(url, headers=[*ACCEPT.items(), *twice], json=HELLO)).status_code == 401
            assert (await session.get(url.removesuffix("/mcp"))).status_code == 401
        assert (await post(url, BEARER)).status_code == 200


@pytest.mark.parametrize("protocol", [{}, {"MCP-Protocol-Version": "2026-07-28"}])
async def test_other_hosts_and_origins_are_refused_in_either_protocol(
    deployment: Deployment, protocol: dict[str, str]
) -> None:
    async with deployment.served() as url:
        own = urlsplit(url).netloc
        shown = BEARER | protocol
        for host in ("evil.example", f"evil.example:{urlsplit(url).port}", "127.0.0.1", "127.0.0.1:1"):
            assert (await post(url, shown | {"Host": host}, PING)).status_code == 421
        for origin in ("http://evil.example", "null", f"https://{own}", "http://127.0.0.1:1"):
            assert (await post(url, shown | {"Origin": origin}, PING)).status_code == 403
        assert (await post(url, shown | {"Origin": f"http://{own}"}, PING)).status_code not in (401, 403, 421)


async def test_further_names_are_answered_when_they_are_given(deployment: Deployment) -> None:
    async with deployment.served(hosts=["mcp.example.com"], origins=["https://chat.example.com"]) as url:
        proxied = {"Host": "mcp.example.com", "Origin": "https://chat.example.com"}
        assert (await post(url, BEARER | proxied)).status_code == 200


async def test_a_client_without_the_token_gets_no_tools(deployment: Deployment) -> None:
    async with (
        deployment.served() as url,
        httpx2.AsyncClient(headers={"Authorization": "Bearer wrong"}, timeout=PATIENCE) as session,
    ):
        with pytest.raises(BaseExceptionGroup):
            async with Client(streamable_http_client(url, http_client=session)) as client:
                await client.list_tools()


async def test_the_token_is_no_part_of_what_a_short_one_is_answered() -> None:
    async with PagerDutyConnector.sandbox() as pd:
        with pytest.raises(ConfigError) as refused:
            HttpServer(ToolServer(Tools(pd)), token="hunter2", hosts=[])  # noqa: S106
    assert "hunter2" not in str(refused.value)


async def test_a_server_on_all_addresses_answers_only_to_names_that_are_given() -> None:
    async with PagerDutyConnector.sandbox() as pd:
        with listening("0.0.0.0", 0) as everywhere, listening("127.0.0.1", 0) as loopback:  # noqa: S104 - not served
            with pytest.raises(ConfigError, match="--allow-host"):
                HttpServer.on(everywhere, ToolServer(Tools(pd)), token=TOKEN, hosts=[], origins=[])
            application = HttpServer.on(
                everywhere, ToolServer(Tools(pd)), token=TOKEN, hosts=["mcp.example.com"], origins=[]
            )
            http = server_for(application)
            running = asyncio.create_task(http.serve(sockets=[loopback]))
            try:
                url, port = f"http://127.0.0.1:{loopback.getsockname()[1]}/mcp", everywhere.getsockname()[1]
                for host in ("0.0.0.0", f"0.0.0.0:{port}", f"localhost:{port}", f"127.0.0.1:{port}"):  # noqa: S104
                    assert (await post(url, BEARER | {"Host": host})).status_code == 421
                assert (await post(url, BEARER | {"Host": "mcp.example.com"})).status_code == 200
            finally:
                http.should_exit = True
                application.close()
                await running
