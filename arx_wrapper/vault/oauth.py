"""Fetch access tokens of a scoped PagerDuty app (`oauth:`): OAuth 2.0 client credentials grant (RFC 6749, 4.4).

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

from arx_wrapper.credentials import Credentials, Secret, Variables
from arx_wrapper.errors import ConfigError, CredentialError
from arx_wrapper.http_client import client, library
from arx_wrapper.urls import Proxy, address
from arx_wrapper.vault.env import EMAIL
from arx_wrapper.vault.loop_lock import LoopLock

if TYPE_CHECKING:
    from arx_wrapper.http_client import Response

CLIENT_ID = "PAGERDUTY_OAUTH_CLIENT_ID"
CLIENT_SECRET = "PAGERDUTY_OAUTH_CLIENT_SECRET"  # noqa: S105 - the variable's name
SCOPE = "PAGERDUTY_OAUTH_SCOPE"
URL = "PAGERDUTY_OAUTH_URL"

_DEFAULT_URL = "https://identity.pagerduty.com/oauth/token"
_TIMEOUT = 10.0
_ANSWER_LIMIT = 64 * 1024


@frozen(kw_only=True)
class _Grant:
    """The identity server's response; it may hold more members."""

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
        environ: The variables that describe the app.
        clock: Seconds, monotonic.
        proxy: The proxy for other machines.

    Raises:
        ConfigError: the identity server's address is not https.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | Variables,
        *,
        clock: Callable[[], float] = monotonic,
        proxy: Proxy | None = None,
    ) -> None:
        self._environ, self._clock, self._proxy = Variables(environ), clock, proxy
        self._url = _address(self._environ)
        self._lock = LoopLock()
        self._token: _Token | None = None

    async def locate(self, org_id: str) -> str:
        """Return a name for the credentials, without reading them.

        Raises:
            CredentialError: a variable is not set.
        """
        missing = [name for name in (CLIENT_ID, CLIENT_SECRET, SCOPE) if name not in self._environ]
        if missing:
            raise CredentialError(f"{', '.join(missing)} not set; the oauth: vault needs it. Nothing was sent.")
        return f"oauth:{CLIENT_ID}"

    async def read(self, org_id: str, *, fresh: bool = False) -> Credentials:
        """Return a valid access token, fetching one when necessary.

        Raises:
            CredentialError: a variable is not set, or the identity server issues no token.
        """
        await self.locate(org_id)
        token = self._token
        if fresh or token is None or token.renew_at <= self._clock():
            token = await self._renewed(token, fresh=fresh)
        return token.credentials

    async def aclose(self) -> None:
        """Forget the token."""
        self._token = None

    async def _renewed(self, before: _Token | None, *, fresh: bool) -> _Token:
        async with self._lock.here():
            if self._token is not None and self._token is not before:
                return self._token  # another caller fetched it meanwhile
            try:
                self._token = await self._fetch()
            except CredentialError:
                if fresh or before is None or before.expires_at <= self._clock():
                    raise
                return before  # still valid for a while; the next call tries again
            return self._token

    async def _fetch(self) -> _Token:
        """Request a token (`POST /oauth/token`)."""
        now = self._clock()
        status, grant = await self._ask()
        if grant is None:
            raise _refused(status)
        if grant.token_type.lower() != "bearer" or grant.expires_in <= 0:
            raise _refused("a token of another kind")
        credentials = Credentials(
            api_key=Secret(grant.access_token),
            requester_email=self._environ.get(EMAIL) or None,
            scheme="Bearer",
            account=f"{self._environ[CLIENT_ID]} {self._environ[SCOPE]}",
        )
        return _Token(credentials=credentials, renew_at=now + grant.expires_in * 0.9, expires_at=now + grant.expires_in)

    async def _ask(self) -> tuple[str, _Grant | None]:
        """Return the token, or a description of the failure: an exception's traceback would show the app's secret."""
        try:
            async with (
                asyncio.timeout(_TIMEOUT),
                client(self._url, timeout=_TIMEOUT, proxy=self._proxy) as http,
                http.stream("POST", self._url, data=self._form()) as response,
            ):
                if response.status_code != 200:
                    return f"status {response.status_code}", None
                return await _token_in(response)
        except TimeoutError:
            return "no response in time", None
        except library().HTTPError as error:
            return type(error).__name__, None
        except asyncio.CancelledError as cancelled:
            cancelled.__context__ = cancelled.__cause__ = None
            raise cancelled.with_traceback(None) from None

    def _form(self) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_id": self._environ[CLIENT_ID],
            "client_secret": self._environ[CLIENT_SECRET],
            "scope": self._environ[SCOPE],
        }


async def _token_in(response: Response) -> tuple[str, _Grant | None]:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > _ANSWER_LIMIT:
            return "a response that is too long", None
    try:
        return "", msgspec.json.decode(content, type=_Grant)
    except msgspec.MsgspecError:
        return "a response that is not a token", None


def _refused(what: str) -> CredentialError:
    return CredentialError(
        f"PagerDuty's identity server returned {what} instead of a token. Nothing was sent to the API. "
        f"Check {CLIENT_ID}, {CLIENT_SECRET} and {SCOPE}."
    )


def _address(environ: Variables) -> str:
    try:
        return address(environ.get(URL) or _DEFAULT_URL)
    except ValueError as error:
        raise ConfigError(f"{URL} {error}. Nothing was sent.") from None
