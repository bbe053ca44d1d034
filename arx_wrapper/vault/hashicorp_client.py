"""A Vault server's KV v2 engine: logging in, keeping the token alive, reading. Synchronous, for one thread."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from arx_wrapper.errors import ConfigError, CredentialError
from arx_wrapper.urls import address

_T = TypeVar("_T")
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_TIMEOUT = 10
_AGAIN = 30.0  # seconds until a renewal that failed on the way is tried again


class NoSuchSecretError(Exception):
    """There is no such secret."""


class Server:
    """One server, logged in to when it is first asked.

    A token is renewed once two thirds of its lease are over. One that cannot be renewed any more is replaced by logging
    in again, where the way in allows that.

    Raises:
        ConfigError: the server or the way in is not named, or hvac is not installed.
    """

    def __init__(self, environ: Mapping[str, str], *, clock: Callable[[], float]) -> None:
        self._environ, self._clock = environ, clock
        self._url, self._way_in = _address(environ), _way_in(environ)
        if importlib.util.find_spec("hvac") is None:
            raise ConfigError("HashiCorp Vault needs hvac: pip install 'arx-pagerduty[hashicorp]'. Nothing was sent.")
        self._client: Any = None  # hvac has no types
        self._renew_at = self._expires_at = -math.inf

    def require(self, mount: str, path: str) -> None:
        """Make sure that a secret exists, without reading it.

        Raises:
            NoSuchSecretError: it does not.
            CredentialError: the server cannot be asked.
        """
        from hvac.exceptions import Forbidden  # type: ignore[import-untyped]  # it has no types

        def look() -> None:
            try:
                self._client.secrets.kv.v2.read_secret_metadata(path=path, mount_point=mount)
            except Forbidden:
                # Whoever may read a secret need not be allowed to read its metadata: then reading it will tell.
                return

        self._ask(look)

    def read(self, mount: str, path: str) -> dict[str, Any]:
        """The newest version of a secret. Raises as `require()`."""

        def look() -> dict[str, Any]:
            answer = self._client.secrets.kv.v2.read_secret_version(
                path=path, mount_point=mount, raise_on_deleted_version=True
            )
            return dict(answer["data"]["data"])

        return self._ask(look)

    def write(self, mount: str, path: str, secret: Mapping[str, str]) -> None:
        """Store a new version of a secret. Raises as `require()`."""
        self._ask(
            lambda: self._client.secrets.kv.v2.create_or_update_secret(
                path=path, secret=dict(secret), mount_point=mount
            )
        )

    def close(self) -> None:
        """Forget the token and close the connection."""
        if self._client is not None:
            self._client.adapter.close()
            self._client = None

    def _ask(self, look: Callable[[], _T]) -> _T:
        """Ask something of the server, logged in; once more after logging in anew, when the token is not accepted."""
        from hvac.exceptions import Forbidden, VaultError
        from requests import RequestException

        try:
            new = self._ready()
            try:
                return self._looked(look)
            except Forbidden:
                if new or self._way_in == "token":
                    raise
                self._log_in()
                return self._looked(look)
        except (VaultError, RequestException, LookupError, TypeError, ValueError, AttributeError, OSError) as error:
            # The library's errors carry the server's whole answer: neither their text nor they themselves go further.
            raise CredentialError(
                f"The vault at VAULT_ADDR did not give the credentials: {type(error).__name__}. Nothing was sent. "
                f"Check the {self._way_in} login, its policy, and that the server is unsealed."
            ) from None

    def _looked(self, look: Callable[[], _T]) -> _T:
        from hvac.exceptions import InvalidPath

        try:
            return look()
        except InvalidPath:  # of the secret, that is; the login's path may be wrong too
            raise NoSuchSecretError from None

    def _ready(self) -> bool:
        """Have a token that is good for now; whether it is new."""
        now = self._clock()
        if self._client is None or now >= self._expires_at:
            self._log_in()
            return True
        if now >= self._renew_at:
            from hvac.exceptions import Forbidden, InvalidRequest, VaultError
            from requests import RequestException

            try:
                self._lease(self._client.auth.token.renew_self()["auth"])
            except (Forbidden, InvalidRequest):
                self._renew_at = math.inf  # it has reached its longest life; good until it expires
            except (VaultError, RequestException):
                self._renew_at = now + _AGAIN  # the server is away for a moment; the token is good meanwhile
        return False

    def _log_in(self) -> None:
        environ = self._environ
        if self._client is None:
            self._client = _client(self._url, environ)
        self._client.token = ""
        if self._way_in == "token":
            self._client.token = environ["VAULT_TOKEN"]
            seen = self._client.auth.token.lookup_self()["data"]
            self._lease({"lease_duration": seen["ttl"], "renewable": seen.get("renewable", False)})
        elif self._way_in == "AppRole":
            mount = environ.get("VAULT_APPROLE_MOUNT") or "approle"
            role, secret = environ["VAULT_ROLE_ID"], environ["VAULT_SECRET_ID"]
            self._lease(self._client.auth.approle.login(role, secret, mount_point=mount)["auth"])
        else:
            mount = environ.get("VAULT_K8S_MOUNT") or "kubernetes"
            token = Path(environ.get("VAULT_K8S_TOKEN_FILE") or _SERVICE_ACCOUNT).read_text("ascii").strip()
            answer = self._client.auth.kubernetes.login(environ["VAULT_K8S_ROLE"], token, mount_point=mount)
            self._lease(answer["auth"])

    def _lease(self, lease: Mapping[str, Any]) -> None:
        now, seconds = self._clock(), lease["lease_duration"]
        self._expires_at = now + seconds if seconds else math.inf
        self._renew_at = now + seconds * 2 / 3 if seconds and lease.get("renewable") else math.inf


def _client(url: str, environ: Mapping[str, str]) -> Any:
    import hvac  # type: ignore[import-untyped]  # it has no types
    import requests

    session = requests.Session()
    session.trust_env = False  # no proxy and no .netrc: the token goes to the server, straight
    session.verify = environ.get("VAULT_CACERT") or True
    # A redirect would take the token along: requests strips only headers that it knows.
    return hvac.Client(
        url=url,
        token="",
        session=session,
        timeout=_TIMEOUT,
        namespace=environ.get("VAULT_NAMESPACE") or None,
        allow_redirects=False,
    )


def _address(environ: Mapping[str, str]) -> str:
    try:
        return address(environ.get("VAULT_ADDR"))
    except ValueError as error:
        raise ConfigError(f"VAULT_ADDR {error}, such as https://vault.example:8200. Nothing was sent.") from None


def _way_in(environ: Mapping[str, str]) -> Literal["token", "AppRole", "Kubernetes"]:
    if token := environ.get("VAULT_TOKEN"):
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ConfigError("VAULT_TOKEN is malformed. Nothing was sent.")
        return "token"
    if environ.get("VAULT_ROLE_ID") and environ.get("VAULT_SECRET_ID"):
        return "AppRole"
    if environ.get("VAULT_K8S_ROLE"):
        return "Kubernetes"
    raise ConfigError(
        "No way into the vault: set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID (AppRole), or VAULT_K8S_ROLE "
        "(Kubernetes). Nothing was sent."
    )
