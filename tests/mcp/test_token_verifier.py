"""Access tokens and the keys that verify them, from an issuer that publishes whatever a test says."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from arx_wrapper.cli.http_server import listening
from arx_wrapper.mcp import identity
from arx_wrapper.mcp.identity import Issuer, TokenVerifier
from tests.mcp.issuer import serving

OIDC, RFC8414 = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
AUDIENCE = "https://mcp.example/mcp"
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("k1", "k2")}
_PUBLIC = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)


class Published:
    """An issuer on loopback.

    Attributes:
        answers: The status and body that it responds with, by path; 404 elsewhere.
        asked: The paths that were asked for.
    """

    def __init__(self, url: str) -> None:
        self.url, self.answers, self.asked = url, dict[str, tuple[int, bytes]](), list[str]()
        self.publish("k1")
        self.say(OIDC, {"issuer": url, "jwks_uri": f"{url}/jwks"})

    def say(self, path: str, body: object, status: int = 200) -> None:
        self.answers[path] = (status, body if isinstance(body, bytes) else json.dumps(body).encode())

    def publish(self, *names: str, **members: str) -> None:
        keys = [{**_PUBLIC.to_jwk(KEYS[name].public_key(), as_dict=True), "kid": name, **members} for name in names]
        self.say("/jwks", {"keys": keys})

    def verifier(self, **options: Any) -> TokenVerifier:
        return TokenVerifier(Issuer(**{"url": self.url, "audience": AUDIENCE, **options}))

    def token(self, kid: object = "k1", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        whole = {"iss": self.url, "aud": AUDIENCE, "exp": int(time.time()) + 300, "sub": "agent-1", **claims}
        kept = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(kept, KEYS[str(kid)], algorithm="ES256", headers={"kid": kid, **(headers or {})})

    async def respond(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        status, body = self.answers.get(request.url.path, (404, b""))
        return Response(body, status)


@pytest.fixture
async def issuer() -> AsyncIterator[Published]:
    with listening("127.0.0.1", 0) as opened:
        found = Published(f"http://127.0.0.1:{opened.getsockname()[1]}")
        async with serving(Starlette(routes=[Route("/{path:path}", found.respond)]), opened):
            yield found


async def accepted(issuer: Published, token: str | None = None, **options: Any) -> bool:
    return await issuer.verifier(**options).verify_token(issuer.token() if token is None else token) is not None


async def test_a_token_is_read_once_and_names_who_calls(issuer: Published) -> None:
    exp = int(time.time()) + 60
    token = issuer.token(exp=exp, scope="a b", tenant="acme", azp="app")
    found = await issuer.verifier(org_claim="tenant").verify_token(token)
    assert found is not None
    assert (found.client_id, found.scopes, found.subject, found.resource) == ("app", ["a", "b"], "agent-1", AUDIENCE)
    assert exp <= (found.expires_at or 0) <= exp + 30
    assert found.claims == {"iss": issuer.url, "arx_agent_id": "agent-1", "arx_org_id": "acme"}
    for claims, client in (({"client_id": "c", "azp": "app"}, "c"), ({}, "agent-1")):
        found = await issuer.verifier().verify_token(issuer.token(**claims))
        assert found is not None
        assert found.client_id == client


async def test_a_claim_that_is_no_name_names_nobody(issuer: Published) -> None:
    for claim in ("agent_claim", "org_claim"):
        verifier = issuer.verifier(**{claim: "who"})
        for name in ("", "a" * 201, "a\nb", ["a"], {"a": 1}, 5, True, None):
            assert await verifier.verify_token(issuer.token(who=name)) is None, name
        assert await verifier.verify_token(issuer.token(who="a" * 200))


def encoded(text: str) -> str:
    return jwt.utils.base64url_encode(text.encode()).decode()


async def test_a_token_of_another_form_is_refused_and_raises_nothing(issuer: Published) -> None:
    head = encoded('{"alg":"ES256","kid":"k1"}')
    for token in (
        encoded("[" * 20_000) + ".e30.e30",
        f"{head}.{encoded('[' * 20_000)}.e30",
        issuer.token(exp=float("inf")),
        issuer.token(exp=[1]),
        issuer.token(iss=None),
        issuer.token(aud=None),
        issuer.token(exp=None),
        issuer.token(headers={"crit": ["b64x"], "b64x": True}),
        jwt.encode({"sub": "a"}, KEYS["k1"], algorithm="ES256"),  # names no key
        encoded('{"alg":"ES256","kid":5}') + ".e30.e30",
        encoded('{"alg":["ES256"],"kid":"k1"}') + ".e30.e30",
        "",
    ):
        assert not await accepted(issuer, token), token[:80]


async def test_a_withdrawn_key_verifies_no_token_once_keys_are_read_again(
    issuer: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier, token = issuer.verifier(), issuer.token()
    assert await verifier.verify_token(token)
    issuer.publish("k2")
    assert await verifier.verify_token(token), "keys are read every ten minutes"
    monkeypatch.setattr(identity, "_FRESH", 0.0)
    assert await verifier.verify_token(token), "and not more often than every 30 seconds"
    monkeypatch.setattr(identity, "_RETRY_AFTER", 0.0)
    assert await verifier.verify_token(token) is None


async def test_keys_of_an_issuer_that_no_longer_responds_are_used_for_an_hour_at_most(
    issuer: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = issuer.verifier()
    assert await verifier.verify_token(issuer.token())
    issuer.answers.clear()
    monkeypatch.setattr(identity, "_FRESH", 0.0)
    monkeypatch.setattr(identity, "_RETRY_AFTER", 0.0)
    assert await verifier.verify_token(issuer.token())
    monkeypatch.setattr(identity, "_LONGEST_USE", 0.0)
    assert await verifier.verify_token(issuer.token()) is None


async def test_published_keys_of_another_form_open_nothing(issuer: Published, caplog: pytest.LogCaptureFixture) -> None:
    cases: list[tuple[int, object, str]] = [
        (200, b"no JSON", "DecodeError"),
        (200, [], "ValueError"),
        (200, b'{"keys":[]}' + b" " * 1_000_000, "ValueError"),
        (200, {"keys": []}, "PyJWKSetError"),
        (200, {"keys": [{"kty": "new"}]}, "PyJWKSetError"),
        (200, {"other": 1}, "PyJWKSetError"),
        (500, {"keys": []}, "ValueError"),
    ]
    for status, body, error in cases:
        caplog.clear()
        issuer.say("/jwks", body, status)
        assert not await accepted(issuer)
        assert f"cannot be read: {error}" in caplog.text, body


async def test_an_issuer_that_cannot_be_reached_opens_nothing(issuer: Published) -> None:
    token = issuer.token()
    for url in ("http://127.0.0.1:9", "http://localhost:9"):
        assert not await accepted(issuer, token, url=url)
        assert not await accepted(issuer, token, jwks_url=f"{url}/jwks")


async def test_a_key_for_another_use_verifies_nothing(issuer: Published) -> None:
    for use, opens in (("enc", False), ("sig", True)):
        issuer.publish("k1", use=use)
        assert await accepted(issuer) is opens


async def test_a_configured_address_of_the_keys_is_used_without_a_search(issuer: Published) -> None:
    assert await accepted(issuer, jwks_url=f"{issuer.url}/jwks")
    assert issuer.asked == ["/jwks"]


@pytest.mark.parametrize("path", ["", "/tenant"])
async def test_metadata_is_found_where_either_standard_puts_it(issuer: Published, path: str) -> None:
    url = f"{issuer.url}{path}"
    del issuer.answers[OIDC]
    for place in (f"{path}{OIDC}", f"{RFC8414}{path}"):
        issuer.say(place, {"issuer": url, "jwks_uri": f"{issuer.url}/jwks"})
        assert await accepted(issuer, issuer.token(iss=url), url=url)
        del issuer.answers[place]


@pytest.mark.parametrize(
    "said", [{"issuer": "https://other.example"}, {"jwks_uri": "file:///jwks"}, {"jwks_uri": None}, {"jwks_uri": 5}]
)
async def test_metadata_of_another_issuer_or_with_an_address_that_is_not_private_opens_nothing(
    issuer: Published, caplog: pytest.LogCaptureFixture, said: dict[str, Any]
) -> None:
    issuer.say(OIDC, {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks", **said})
    assert not await accepted(issuer)
    assert "/jwks" not in issuer.asked
    assert "cannot be read: ConfigError" in caplog.text


async def test_keys_are_not_read_over_a_connection_without_encryption(issuer: Published) -> None:
    """0.0.0.0 reaches this machine, but is not a loopback address."""
    issuer.say(OIDC, {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks".replace("127.0.0.1", "0.0.0.0")})  # noqa: S104
    assert not await accepted(issuer)
    assert issuer.asked == [OIDC, RFC8414]
