"""Identify agents over HTTP: verify access tokens of an OAuth 2.1 authorization server with its published keys.

The MCP server is only a resource server: it issues no token and keeps no secret. The token alone names the agent and,
by a claim, the organisation; nothing else that a client sends does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import jwt
import msgspec
from attrs import frozen
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings

from arx_wrapper.errors import ConfigError
from arx_wrapper.http_client import client as http_client
from arx_wrapper.http_client import library
from arx_wrapper.urls import Proxy, https_or_loopback, split

AGENT, ORG = "arx_agent_id", "arx_org_id"

# Signatures by keys that the issuer publishes; never a shared secret (HS256), never none.
_ALGORITHMS: Final = ("ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512")
_LEEWAY: Final = 30.0
_FRESH, _RETRY_AFTER = 600.0, 30.0
# Keys that were read longer ago are not used, even when the issuer does not respond: one may have been withdrawn.
_LONGEST_USE: Final = 3600.0
_LARGEST: Final = 1_000_000
_LONGEST_NAME: Final = 200
_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class Issuer:
    """An authorization server, and the claims by which its tokens name an agent.

    Attributes:
        url: The issuer, as in the tokens' `iss`.
        audience: This server's address, as clients use it and tokens state it in `aud`.
        agent_claim: The claim that names the agent.
        org_claim: The claim that names the organisation; None when all agents belong to `org_id`.
        org_id: The organisation, when no claim names it.
        scopes: The scopes that a token needs.
        jwks_url: The address of the issuer's keys; None to find it in the issuer's metadata.
        proxy: The proxy by which the issuer is reached; the environment's are not read.

    Raises:
        ConfigError: an address is neither https nor on this machine's loopback interface.
    """

    url: str
    audience: str
    agent_claim: str = "sub"
    org_claim: str | None = None
    org_id: str = "default"
    scopes: tuple[str, ...] = ()
    jwks_url: str | None = None
    proxy: Proxy | None = None

    def __attrs_post_init__(self) -> None:
        for name, value in (("issuer", self.url), ("audience", self.audience), ("JWKS address", self.jwks_url)):
            if value is not None and not https_or_loopback(value):
                raise ConfigError(f"The {name} must be an https:// address, or http:// on this machine.")

    def settings(self) -> AuthSettings:
        """Return the SDK's settings of a resource server."""
        return AuthSettings.model_validate(
            {
                "issuer_url": self.url,
                "resource_server_url": self.audience,
                "required_scopes": list(self.scopes) or None,
                "validate_token_resource": True,
            }
        )


class Keys:
    """An issuer's public keys, read when a token first names a key, and again when a token names an unknown one.

    Args:
        issuer: The issuer.
    """

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._read_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self, kid: str) -> jwt.PyJWK | None:
        """Return the key of an id; None when the issuer publishes none with that id, or does not respond."""
        now = time.monotonic()
        if kid in self._keys and now - self._read_at < _FRESH:
            return self._keys[kid]
        async with self._lock:
            now = time.monotonic()
            if now - self._tried_at >= _RETRY_AFTER:  # a caller that waited for the lock finds them read
                self._tried_at = now
                try:
                    self._keys, self._read_at = await self._read(), now
                except (library().HTTPError, ValueError, ConfigError, jwt.PyJWTError) as error:
                    _log.warning("The keys of %s cannot be read: %s", self._issuer.url, type(error).__name__)
        return self._keys.get(kid) if now - self._read_at < _LONGEST_USE else None

    async def _read(self) -> Mapping[str, jwt.PyJWK]:
        found = jwt.PyJWKSet.from_dict(await self._json(self._issuer.jwks_url or await self._discovered()))
        return {key.key_id: key for key in found.keys if key.key_id and key.public_key_use in (None, "sig")}

    async def _discovered(self) -> str:
        """Return the address of the keys from the issuer's metadata (OpenID Connect discovery, or RFC 8414)."""
        base = self._issuer.url.rstrip("/")
        parts = split(base)
        origin, path = (f"{parts.scheme}://{parts.netloc}", parts.path) if parts else (base, "")
        places = (f"{base}/.well-known/openid-configuration", f"{origin}/.well-known/oauth-authorization-server{path}")
        for place in places:
            try:
                found = await self._json(place)
            except (library().HTTPError, ValueError):
                continue
            address = found.get("jwks_uri")
            if found.get("issuer") == self._issuer.url and https_or_loopback(address):
                return str(address)
        raise ConfigError(f"{self._issuer.url} publishes no metadata of its own with the address of its keys.")

    async def _json(self, address: str) -> dict[str, Any]:
        """Return the JSON object at an address, read through the configured proxy and no other."""
        body = bytearray()
        async with (
            http_client(address, timeout=10.0, proxy=self._issuer.proxy) as client,
            client.stream("GET", address, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status_code != 200:
                raise ValueError(f"{answer.status_code} from {address}")
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > _LARGEST:
                    raise ValueError(f"{address} responds with more than {_LARGEST:,} bytes")
        found = msgspec.json.decode(bytes(body))
        if not isinstance(found, dict):
            raise ValueError(f"{address} responds with no JSON object")
        return found


class TokenVerifier:
    """Verifies access tokens (RFC 9068 JWTs) for the SDK's middleware.

    Args:
        issuer: The issuer whose tokens are accepted, with their audience.
        keys: The issuer's keys.
    """

    def __init__(self, issuer: Issuer, keys: Keys | None = None) -> None:
        self._issuer, self._keys = issuer, keys or Keys(issuer)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return a token's claims; None when it is not valid here. The reason is logged, without the token."""
        try:
            return await self._verified(token)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            _log.info("A bearer token was refused: %s", type(error).__name__)
            return None

    async def _verified(self, token: str) -> AccessToken | None:
        header = jwt.get_unverified_header(token)
        kid, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(kid, str) or algorithm not in _ALGORITHMS or header.get("crit"):
            raise jwt.InvalidTokenError
        key = await self._keys.get(kid)
        if key is None:
            raise jwt.InvalidKeyError
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[str(algorithm)],
            issuer=self._issuer.url,
            audience=self._issuer.audience,
            leeway=_LEEWAY,
            options={"require": ["exp"]},
        )
        agent = _name(claims.get(self._issuer.agent_claim))
        org = _name(claims.get(self._issuer.org_claim)) if self._issuer.org_claim else self._issuer.org_id
        subject = claims.get("sub")
        return AccessToken(
            token=token,
            client_id=str(claims.get("client_id") or claims.get("azp") or agent),
            scopes=str(claims.get("scope") or "").split(),
            expires_at=int(claims["exp"] + _LEEWAY),
            resource=self._issuer.audience,
            subject=subject if isinstance(subject, str) else None,
            claims={"iss": self._issuer.url, AGENT: agent, ORG: org},
        )


def _name(value: object) -> str:
    """Return a claim that can name an agent or organisation in policies and records."""
    if not isinstance(value, str) or not value or len(value) > _LONGEST_NAME or not value.isprintable():
        raise ValueError("a claim is no name")
    return value
