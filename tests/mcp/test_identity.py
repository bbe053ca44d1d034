"""One server for many agents: each is who its access token says, and no other token opens."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import jwt
import pytest
from attrs import evolve, frozen
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from arx_wrapper import Config, ConfigError, PagerDutyConnector
from arx_wrapper.cli.http_server import listening, server_for
from arx_wrapper.mcp import identity
from arx_wrapper.mcp.agent_tools import Agents
from arx_wrapper.mcp.http import HttpServer
from arx_wrapper.mcp.identity import Issuer
from arx_wrapper.mcp.server import ToolServer
from tests.mcp.conftest import Deployment, structured
from tests.mcp.issuer import AuthorizationServer, authorization_server
from tests.mcp.test_http import ACCEPT, HELLO
from tests.proxy import proxying
from tests.support import EVERYTHING, PATIENCE

SERVICE = {"service_id": "PABC123"}


@frozen
class Served:
    url: str
    issuer: AuthorizationServer

    def token(self, **claims: Any) -> str:
        return self.issuer.token(self.url, **claims)

    async def post(self, token: str | None, body: object = HELLO, **headers: str) -> httpx2.Response:
        shown = {"Authorization": f"Bearer {token}"} if token is not None else {}
        async with httpx2.AsyncClient(timeout=PATIENCE) as client:
            return await client.post(self.url, headers=ACCEPT | shown | headers, json=body)

    @asynccontextmanager
    async def client(self, token: str) -> AsyncIterator[Client]:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as session,
            Client(streamable_http_client(self.url, http_client=session)) as connected,
        ):
            yield connected


@pytest.fixture
async def served(deployment: Deployment) -> AsyncIterator[Served]:
    async with serving() as found:
        yield found


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Served]:
    config = evolve(Config.load(), approvals_mode="raise")
    async with authorization_server() as issuer, PagerDutyConnector("root", "org-7", config=config) as root:
        with listening("127.0.0.1", 0) as opened:
            url = f"http://127.0.0.1:{opened.getsockname()[1]}/mcp"
            accepted = Issuer(url=issuer.url, audience=url, org_id="org-7", **options)
            application = HttpServer.on(opened, ToolServer(Agents(root)), issuer=accepted, hosts=[], origins=[])
            http = server_for(application)
            running = asyncio.create_task(http.serve(sockets=[opened]))
            try:
                yield Served(url, issuer)
            finally:
                http.should_exit = True
                application.close()
                await running


@pytest.mark.parametrize("count", [10, pytest.param(100, marks=pytest.mark.slow)])
async def test_many_agents_may_each_do_exactly_what_their_policy_says(
    deployment: Deployment, served: Served, count: int
) -> None:
    agents = [f"agent-{number}" for number in range(count)]
    deployment.adopt(
        {**EVERYTHING, "name": "odd", "operations": ["teams:read"], "agents": agents[1::2]},
        {**EVERYTHING, "name": "even", "operations": ["services:read"], "agents": agents[::2]},
        {**EVERYTHING, "name": "seven", "operations": ["priorities:read"], "agents": ["agent-7"]},
    )

    async def check(number: int) -> None:
        own, other = ("teams_read", "services_read")[:: -1 if number % 2 == 0 else 1]
        async with served.client(served.token(sub=f"agent-{number}")) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert tools == {own, "priorities_read"} if number == 7 else {own}
            assert structured(await client.call_tool(own, {}))["done"] is True
            denied = structured(await client.call_tool(other, {}))["error"]
            assert (denied["class"], denied["sent"]) == ("PermissionDeniedError", "no")

    for start in range(0, count, 20):
        await asyncio.gather(*(check(number) for number in range(start, min(start + 20, count))))
    exported = (await asyncio.to_thread(deployment.run, "audit", "export")).stdout.splitlines()
    records = [record for line in exported if (record := json.loads(line))["action_type"] != "policy.loaded"]
    assert len(records) == 3 * count
    assert {record["agent_id"] for record in records} == set(agents)
    assert {record["org_id"] for record in records} == {"org-7"}
    assert (await asyncio.to_thread(deployment.run, "audit", "verify")).returncode == 0


def encoded(data: bytes) -> str:
    return jwt.utils.base64url_encode(data).decode()


def altered(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(jwt.utils.base64url_decode(body))
    changed = encoded(json.dumps({**claims, "sub": "agent-9"}).encode())
    return f"{head}.{changed}.{signature}"


def with_public_key_as_secret(served: Served) -> str:
    form, kind = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    secret = served.issuer.keys["k1"].public_key().public_bytes(form, kind)
    body = served.token().split(".")[1]
    head = encoded(json.dumps({"alg": "HS256", "kid": "k1"}).encode())
    return f"{head}.{body}.{encoded(hmac.digest(secret, f'{head}.{body}'.encode(), 'sha256'))}"


def with_a_secret_that_was_published(served: Served) -> str:
    served.issuer.shared["s1"] = encoded(b"x" * 32)
    return served.token(kid="s1", key=b"x" * 32, alg="HS256")


BAD = {
    "a published secret": with_a_secret_that_was_published,
    "expired": lambda served: served.token(exp=int(time.time()) - 60),
    "not yet valid": lambda served: served.token(nbf=int(time.time()) + 600),
    "without an end": lambda served: served.token(exp=None),
    "foreign key": lambda served: served.token(key=ec.generate_private_key(ec.SECP256R1())),
    "foreign issuer": lambda served: served.token(iss="https://issuer.example"),
    "unknown key id": lambda served: served.token(kid="k2", key=served.issuer.keys["k1"]),
    "altered": lambda served: altered(served.token()),
    "wrong audience": lambda served: served.issuer.token("https://other.example/mcp"),
    "no audience": lambda served: served.token(aud=None),
    "unsigned": lambda served: served.token(key="", alg="none"),
    "public key as a secret": with_public_key_as_secret,
    "names no agent": lambda served: served.token(sub=None),
    "names an agent that is no name": lambda served: served.token(sub="a\nb"),
    "end is no number": lambda served: served.token(exp=float("inf")),
    "not a token": lambda served: "abc.def.ghi",
    "two words": lambda served: "a b",
    "nested deeply": lambda served: encoded(b"[" * 20_000) + ".e30.e30",
    "none": lambda served: None,
}


async def test_any_other_token_gets_401_that_says_where_to_get_one(deployment: Deployment, served: Served) -> None:
    deployment.adopt(EVERYTHING)
    metadata = served.url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
    for name, make in BAD.items():
        refused = await served.post(make(served))
        assert refused.status_code == 401, name
        header = refused.headers["WWW-Authenticate"]
        assert header.startswith("Bearer "), name
        assert 'error="invalid_token"' in header, name
        assert f'resource_metadata="{metadata}"' in header, name
    assert (await served.post(served.token())).status_code == 200
    async with httpx2.AsyncClient(timeout=PATIENCE) as client:
        found = (await client.get(metadata)).json()
    assert (found["resource"], found["authorization_servers"]) == (served.url, [served.issuer.url])
    twice = [("Authorization", f"Bearer {served.token()}"), ("Authorization", "Bearer x"), *ACCEPT.items()]
    async with httpx2.AsyncClient(timeout=PATIENCE) as client:
        assert (await client.post(served.url, headers=twice, json=HELLO)).status_code == 401


async def test_a_session_belongs_to_the_agent_that_opened_it(deployment: Deployment, served: Served) -> None:
    deployment.adopt(EVERYTHING)
    opened = await served.post(served.token(sub="agent-1"))
    session = opened.headers["Mcp-Session-Id"]
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "teams_read", "arguments": {}}}
    taken = await served.post(served.token(sub="agent-2"), call, **{"Mcp-Session-Id": session})
    assert taken.status_code == 404
    assert (await served.post(served.token(sub="agent-1"), call, **{"Mcp-Session-Id": session})).status_code == 200


async def test_agents_approvals_are_their_own(deployment: Deployment, served: Served) -> None:
    async with served.client(served.token(sub="agent-1")) as client:
        asked = structured(await client.call_tool("services_delete", SERVICE))["approval"]["approval_id"]
    async with served.client(served.token(sub="agent-2")) as client:
        found = structured(await client.call_tool("approval_status", {"approval_id": asked}))
        assert found["error"]["class"] == "ApprovalError"
        stolen = structured(await client.call_tool("services_delete", {**SERVICE, "approval_id": asked}))
        assert stolen["error"]["sent"] == "no"


async def test_claims_name_agent_and_organisation_and_scopes_are_needed(deployment: Deployment) -> None:
    deployment.adopt({**EVERYTHING, "orgs": ["acme"], "agents": ["bot"]})
    options = {"agent_claim": "client_id", "org_claim": "tenant", "scopes": ("pagerduty",)}
    async with serving(**options) as served:
        claims = {"client_id": "bot", "tenant": "acme", "scope": "openid pagerduty"}
        async with served.client(served.token(**claims)) as client:
            assert len((await client.list_tools()).tools) == len(PagerDutyConnector.operations)
            assert structured(await client.call_tool("teams_read", {}))["done"] is True
        async with served.client(served.token(**{**claims, "tenant": "evil"})) as client:
            assert (await client.list_tools()).tools == []
        assert (await served.post(served.token(**{**claims, "tenant": None}))).status_code == 401
        narrow = await served.post(served.token(**{**claims, "scope": "openid"}))
        assert (narrow.status_code, "insufficient_scope" in narrow.headers["WWW-Authenticate"]) == (403, True)


async def test_new_keys_are_read_and_an_issuer_that_is_down_opens_nothing(
    deployment: Deployment, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.adopt(EVERYTHING)
    monkeypatch.setattr(identity, "_RETRY_AFTER", 0.0)
    served.issuer.down = True
    assert (await served.post(served.token())).status_code == 401
    served.issuer.down = False
    assert (await served.post(served.token())).status_code == 200
    served.issuer.keys["k2"] = ec.generate_private_key(ec.SECP256R1())
    del served.issuer.keys["k1"]
    assert (await served.post(served.token(kid="k2"))).status_code == 200
    served.issuer.down = True
    assert (await served.post(served.token(kid="k2"))).status_code == 200  # the keys are known


async def test_tokens_with_unknown_keys_do_not_make_the_issuer_be_asked_each_time(
    deployment: Deployment, served: Served
) -> None:
    for number in range(10):
        await served.post(served.token(kid=f"x{number}", key=served.issuer.keys["k1"]))
    assert len(served.issuer.asked) == 2


@pytest.mark.parametrize("wrong", [{"url": "http://issuer.example"}, {"audience": "mcp"}, {"jwks_url": "file:///x"}])
def test_an_issuer_is_reached_by_https_or_on_this_machine(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Issuer(**{"url": "https://issuer.example", "audience": "https://mcp.example/mcp", **wrong})


@pytest.mark.parametrize("options", [("--issuer", "https://i.example"), ("--http", "--audience", "https://a.example")])
def test_issuer_and_audience_go_together_with_http(deployment: Deployment, options: tuple[str, ...]) -> None:
    done = deployment.run("mcp", *options)
    assert done.returncode == 2
    assert "--issuer and --audience go together" in done.stderr


async def test_the_issuer_is_reached_through_the_configured_proxy_and_no_other(deployment: Deployment) -> None:
    claims = {"iss": "https://issuer.example", "aud": "https://mcp.example/mcp", "sub": "agent", "exp": 2**31}
    token = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "k1"})
    refusing = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"
    options = ("--issuer", "https://issuer.example", "--audience", "https://mcp.example/mcp")
    async with proxying(1, answer=refusing) as ours, proxying(1, answer=refusing) as environments:
        theirs = {"HTTPS_PROXY": environments.url, "ALL_PROXY": environments.url}
        proxied = evolve(deployment, environ={**deployment.environ, "PAGERDUTY_PROXY": ours.url, **theirs})

        def ask() -> int:
            with proxied.http_process(*options) as (url, _):
                shown = ACCEPT | {"Authorization": f"Bearer {token}"}
                return httpx2.post(url, json=HELLO, headers=shown, timeout=PATIENCE).status_code

        assert await asyncio.to_thread(ask) == 401
        assert set(ours.targets()) == {"issuer.example:443"}
        assert environments.heads == []
