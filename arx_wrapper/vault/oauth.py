"""`oauth:`, a scoped PagerDuty app: access tokens by the OAuth 2.0 client credentials grant (RFC 6749, 4.4).

Reads `PAGERDUTY_OAUTH_CLIENT_ID`, `PAGERDUTY_OAUTH_CLIENT_SECRET`, `PAGERDUTY_OAUTH_SCOPE`
(`as_account-us.acme incidents.read incidents.write`), `PAGERDUTY_OAUTH_URL` and `PAGERDUTY_REQUESTER_EMAIL`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING

import msgspec
from attrs import field, frozen

from arx_wrapper.credentials import Credentials
from arx_wrapper.errors import ConfigError, CredentialError
from arx_wrapper.urls import address
from arx_wrapper.vault.env import EMAIL

if TYPE_CHECKING:
    import httpx

CLIENT_ID = "PAGERDUTY_OAUTH_CLIENT_ID"
CLIENT_SECRET = "PAGERDUTY_OAUTH_CLIENT_SECRET"  # noqa: S105 - the variable's name
SCOPE = "PAGERDUTY_OAUTH_SCOPE"
URL = "PAGERDUTY_OAUTH_URL"

_DEFAULT_URL = "https://identity.pagerduty.com/oauth/token"
_TIMEOUT = 10.0
_ANSWER_LIMIT = 64 * 1024


@frozen(kw_only=True)
class _Grant:
    """What the identity server answers; it may say more."""

    access_token: str = field(repr=False)
    token_type: str
    expires_in: float


@frozen(kw_only=True)
class _Token:
    credentials: Credentials
    renew_at: float
    expires_at: float


class OAuthVault:
    """Fetches an access token when one is needed, and the next one before it expires.

    Args:
        environ: Where the app is described.
        clock: Seconds, monotonic.

    Raises:
        ConfigError: the identity server's address is not https.
    """

    def __init__(self, environ: Mapping[str, str], *, clock: Callable[[], float] = monotonic) -> None:
        self._environ, self._clock = environ, clock
        self._url = _address(environ)
        self._lock = asyncio.Lock()
        self._token: _Token | None = None

    async def locate(self, org_id: str) -> str:
        """Say where the credentials are, without reading them.

        Raises:
            CredentialError: a variable is not set.
        """
        missing = [name for name in (CLIENT_ID, CLIENT_SECRET, SCOPE) if name not in self._environ]
        if missing:
            raise CredentialError(f"{', '.join(missing)} not set, which the oauth: vault needs. Nothing was sent.")
        return f"oauth:{CLIENT_ID}"

    async def read(self, org_id: str, *, fresh: bool = False) -> Credentials:
        """An access token that is good for now.

        Raises:
            CredentialError: a variable is not set, or the identity server gives no token.
        """
        await self.locate(org_id)
        before = self._token
        if fresh or before is None or before.renew_at <= self._clock():
            async with self._lock:
                if self._token is before:  # nobody else fetched one meanwhile
                    self._token = await self._renewed(before, fresh=fresh)
        if self._token is None:
            raise CredentialError("The oauth: vault was closed. Nothing was sent.")
        return self._token.credentials

    async def aclose(self) -> None:
        """Forget the token."""
        self._token = None

    async def _renewed(self, before: _Token | None, *, fresh: bool) -> _Token:
        try:
            return await self._fetch()
        except CredentialError:
            if fresh or before is None or before.expires_at <= self._clock():
                raise
            return before  # good for a while yet; the next call tries again

    async def _fetch(self) -> _Token:
        """Ask for a token (`POST /oauth/token`)."""
        import httpx

        form = {
            "grant_type": "client_credentials",
            "client_id": self._environ[CLIENT_ID],
            "client_secret": self._environ[CLIENT_SECRET],
            "scope": self._environ[SCOPE],
        }
        now = self._clock()
        try:
            async with (
                asyncio.timeout(_TIMEOUT),
                httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=_TIMEOUT) as client,
                client.stream("POST", self._url, data=form) as answer,
            ):
                content = await _limited(answer)
        except TimeoutError:
            raise _refused("no answer in time") from None
        except httpx.HTTPError as error:
            raise _refused(type(error).__name__) from None
        if answer.status_code != 200:
            raise _refused(f"status {answer.status_code}")
        try:
            grant = msgspec.json.decode(content, type=_Grant)
        except msgspec.MsgspecError:
            raise _refused("an answer that is not a token") from None
        if grant.token_type.lower() != "bearer" or grant.expires_in <= 0:
            raise _refused("a token of another kind")
        credentials = Credentials(
            api_key=grant.access_token,
            requester_email=self._environ.get(EMAIL) or None,
            scheme="Bearer",
            account=f"{form['client_id']} {form['scope']}",
        )
        return _Token(credentials=credentials, renew_at=now + grant.expires_in * 0.9, expires_at=now + grant.expires_in)


async def _limited(answer: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > _ANSWER_LIMIT:
            raise _refused("an answer without end")
    return bytes(content)


def _refused(what: str) -> CredentialError:
    return CredentialError(
        f"PagerDuty's identity server gave {what} instead of a token. Nothing was sent to the API. "
        f"Check {CLIENT_ID}, {CLIENT_SECRET} and {SCOPE}."
    )


def _address(environ: Mapping[str, str]) -> str:
    try:
        return address(environ.get(URL) or _DEFAULT_URL)
    except ValueError as error:
        raise ConfigError(f"{URL} {error}. Nothing was sent.") from None
