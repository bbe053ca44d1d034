"""A scoped app: one token at a time, renewed before it expires, and never shown."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs

import pytest

from arx_wrapper import vault
from arx_wrapper.errors import ConfigError, CredentialError
from arx_wrapper.vault import oauth
from arx_wrapper.vault.oauth import OAuthVault
from tests.leaks import leaks


class StandIn:
    """An identity server: what it answers, and the forms it was sent."""

    def __init__(self) -> None:
        self.forms: list[dict[str, list[str]]] = []
        self.status, self.content, self.headers = 200, None, {}
        self.dripping = False

    def token(self) -> bytes:
        number = str(len(self.forms)).encode()
        return b'{"access_token":"k4n4ry-%b","token_type":"bearer","expires_in":1000,"scope":"x"}' % number


@contextmanager
def running(stand_in: StandIn):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            stand_in.forms.append(parse_qs(self.rfile.read(int(self.headers["content-length"])).decode()))
            content = stand_in.token() if stand_in.content is None else stand_in.content
            self.send_response(stand_in.status)
            for name, value in {"Content-Length": str(len(content)), **stand_in.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # who asked may not wait for all of it
                for at in range(0, len(content), size := 1 if stand_in.dripping else max(1, len(content))):
                    self.wfile.write(content[at : at + size])
                    time.sleep(0.1 if stand_in.dripping else 0)

        def log_message(self, *_: object) -> None:
            """Tests read `forms` instead."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/oauth/token"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    return StandIn()


@pytest.fixture
def environ(server):
    with running(server) as address:
        yield {
            "PAGERDUTY_OAUTH_URL": address,
            "PAGERDUTY_OAUTH_CLIENT_ID": "client",
            "PAGERDUTY_OAUTH_CLIENT_SECRET": "k4n4ry-secret",
            "PAGERDUTY_OAUTH_SCOPE": "as_account-us.acme incidents.read",
            "PAGERDUTY_REQUESTER_EMAIL": "bot@yourorg.com",
        }


@pytest.fixture
def opened(environ, clock):
    return OAuthVault(environ, clock=clock)


async def test_the_grant_is_asked_for_as_the_standard_says(opened, server):
    credentials = await opened.read("org-acme")
    assert (credentials.api_key, credentials.scheme) == ("k4n4ry-1", "Bearer")
    assert credentials.requester_email == "bot@yourorg.com"
    assert server.forms == [
        {
            "grant_type": ["client_credentials"],
            "client_id": ["client"],
            "client_secret": ["k4n4ry-secret"],
            "scope": ["as_account-us.acme incidents.read"],
        }
    ]


async def test_locating_asks_nobody(opened, server):
    assert await opened.locate("org-acme") == "oauth:PAGERDUTY_OAUTH_CLIENT_ID"
    assert server.forms == []


async def test_a_token_is_renewed_before_it_expires_and_stays_the_same_account(opened, server, clock):
    first = await opened.read("x")
    clock.now = 899
    assert await opened.read("x") is first
    clock.now = 900
    second = await opened.read("x")
    assert (second.api_key, len(server.forms)) == ("k4n4ry-2", 2)
    assert first.fingerprint == second.fingerprint


async def test_callers_at_once_share_one_token(opened, server):
    assert len({(await each).api_key for each in [asyncio.create_task(opened.read("x")) for _ in range(50)]}) == 1
    assert len(server.forms) == 1


async def test_a_rejected_token_is_replaced(opened, server):
    await opened.read("x")
    assert (await opened.read("x", fresh=True)).api_key == "k4n4ry-2"


async def test_a_token_that_cannot_be_renewed_is_used_to_its_end(opened, server, clock):
    await opened.read("x")
    server.status = 503
    clock.now = 950
    assert (await opened.read("x")).api_key == "k4n4ry-1"
    with pytest.raises(CredentialError, match="status 503"):
        await opened.read("x", fresh=True)  # the API refused the token
    clock.now = 1000
    with pytest.raises(CredentialError, match="status 503"):
        await opened.read("x")


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, b'{"error":"k4n4ry"}'),
        (401, b"k4n4ry"),
        (302, b""),
        (200, b"k4n4ry"),
        (200, b"{}"),
        (200, b'{"access_token":"k4n4ry\\n","token_type":"bearer","expires_in":10}'),
        (200, b'{"access_token":"k4n4ry","token_type":"mac","expires_in":10}'),
        (200, b'{"access_token":"k4n4ry","token_type":"bearer","expires_in":0}'),
        (200, b'{"access_token":5,"token_type":"bearer","expires_in":10}'),
        (200, b'{"access_token":"k4n4ry","token_type":"bearer","expires_in":10}' + b" " * 100_000),
    ],
)
async def test_a_bad_answer_is_a_credential_error_and_is_not_shown(opened, server, status, content):
    server.status, server.content = status, content
    server.headers = {"Location": "http://127.0.0.1:1/"}
    with pytest.raises(CredentialError) as caught:
        await opened.read("x")
    assert leaks(caught.value, "k4n4ry") == []
    assert len(server.forms) == 1


async def test_the_secret_does_not_go_through_a_proxy(opened, server, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert (await opened.read("x")).api_key == "k4n4ry-1"


async def test_a_server_that_is_down_is_a_credential_error(environ):
    opened = vault.open("oauth:", environ={**environ, "PAGERDUTY_OAUTH_URL": "http://127.0.0.1:1/"})
    with pytest.raises(CredentialError, match="ConnectError"):
        await opened.read("x")


async def test_an_answer_that_drips_is_given_up(opened, server, monkeypatch):
    monkeypatch.setattr(oauth, "_TIMEOUT", 0.5)
    server.dripping = True
    with pytest.raises(CredentialError, match="no response in time"):
        await opened.read("x")


async def test_missing_variables_are_named():
    opened = vault.open("oauth:", environ={"PAGERDUTY_OAUTH_CLIENT_ID": "x"})
    for ask in (opened.locate, opened.read):
        with pytest.raises(CredentialError, match="PAGERDUTY_OAUTH_CLIENT_SECRET, PAGERDUTY_OAUTH_SCOPE not set"):
            await ask("x")


async def test_an_app_with_another_scope_is_another_account(environ, opened):
    """The scope names the account, so an approval for one must not be used for the other."""
    other = OAuthVault({**environ, "PAGERDUTY_OAUTH_SCOPE": "as_account-us.other incidents.read"})
    assert (await opened.read("x")).fingerprint != (await other.read("x")).fingerprint


async def test_the_kind_of_a_token_is_compared_without_regard_to_case(opened, server):
    server.content = b'{"access_token":"k4n4ry","token_type":"BEARER","expires_in":10}'
    assert (await opened.read("x")).api_key == "k4n4ry"


@pytest.mark.parametrize(
    "url", ["http://identity.example/", "https://u:p@identity.example/", "https://[", "x", "https://x:99999/"]
)
def test_the_identity_server_needs_a_private_address(url):
    with pytest.raises(ConfigError, match="PAGERDUTY_OAUTH_URL"):
        vault.open("oauth:", environ={"PAGERDUTY_OAUTH_URL": url})


async def test_a_closed_vault_forgets_its_token(opened, server):
    await opened.read("x")
    await opened.aclose()
    assert (await opened.read("x")).api_key == "k4n4ry-2"


async def test_closing_while_callers_wait_for_a_token_fails_none_of_them(opened, server, clock):
    await opened.read("x")
    clock.now, server.status = 950, 503
    callers = [asyncio.create_task(opened.read("x")) for _ in range(2)]
    await asyncio.sleep(0)
    await opened.aclose()
    assert {(await each).api_key for each in callers} == {"k4n4ry-1"}
