"""Talk to a Vault server's KV v2 engine: log in, renew the token, read secrets. Synchronous, for one thread."""

from __future__ import annotations

import importlib.util
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from arx_wrapper.credentials import Credentials, Secret, Variables
from arx_wrapper.errors import ConfigError, CredentialError
from arx_wrapper.urls import Proxy, address

_T = TypeVar("_T")
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_TIMEOUT = 10
_TOKEN = re.compile(r"[!-~]+")
_AGAIN = 30.0  # seconds until a renewal that got no response is tried again


class NoSuchSecretError(Exception):
    """There is no such secret."""


class Server:
    """One server; the first request logs in.

    A token is renewed once two thirds of its lease are over. When it can no longer be renewed, the client logs in
    again, where the login method allows that.

    Raises:
        ConfigError: the server or the login is not named, or hvac is not installed.
    """

    def __init__(self, environ: Variables, *, clock: Callable[[], float], proxy: Proxy | None = None) -> None:
        self._environ, self._clock, self._proxy = environ, clock, proxy
        self._url, self._login = _address(environ), _login_method(environ)
        if importlib.util.find_spec("hvac") is None:
            raise ConfigError("HashiCorp Vault needs hvac: pip install 'arx-pagerduty[hashicorp]'. Nothing was sent.")
        self._client: Any = None  # hvac has no types
        self._renew_at = self._expires_at = -math.inf

    def require(self, mount: str, path: str) -> None:
        """Make sure that a secret exists, without reading it.

        Raises:
            NoSuchSecretError: it does not.
            CredentialError: the server does not respond.
        """
        from hvac.exceptions import Forbidden  # type: ignore[import-untyped]  # it has no types

        def look() -> None:
            try:
                self._client.secrets.kv.v2.read_secret_metadata(path=path, mount_point=mount)
            except Forbidden:
                # A token may be allowed to read a secret but not its metadata. Then `read()` finds out.
                return

        self._ask(look)

    def read(self, mount: str, path: str) -> dict[str, Any]:
        """Return the newest version of a secret, its `api_key` masked. Raises as `require()`."""

        def look() -> dict[str, Any]:
            answer = self._client.secrets.kv.v2.read_secret_version(
                path=path, mount_point=mount, raise_on_deleted_version=True
            )
            return {**answer["data"]["data"], "api_key": Secret(answer["data"]["data"].get("api_key", ""))}

        return self._ask(look)

    def write(self, mount: str, path: str, credentials: Credentials) -> None:
        """Store credentials as a new version of a secret. Raises as `require()`."""
        self._ask(
            lambda: self._client.secrets.kv.v2.create_or_update_secret(
                path=path,
                secret={
                    "api_key": credentials.api_key.reveal(),
                    "requester_email": credentials.requester_email or "",
                },
                mount_point=mount,
            )
        )

    def close(self) -> None:
        """Forget the token and close the connection."""
        if self._client is not None:
            self._client.adapter.close()
            self._client = None

    def _ask(self, look: Callable[[], _T]) -> _T:
        """Send a request as a logged-in client; when the server refuses the token, log in again and repeat it once."""
        from hvac.exceptions import Forbidden, VaultError
        from requests import RequestException

        try:
            new = self._ready()
            try:
                return self._looked(look)
            except Forbidden:
                if new or self._login == "token":
                    raise
                self._log_in()
                return self._looked(look)
        except (VaultError, RequestException, LookupError, TypeError, ValueError, AttributeError, OSError) as error:
            # The library's errors carry the server's whole response, so neither they nor their text are passed on.
            problem = type(error).__name__
        raise CredentialError(
            f"Could not read the credentials from the vault at VAULT_ADDR: {problem}. Nothing was sent. "
            f"Check the {self._login} login, its policy, and that the server is unsealed."
        )

    def _looked(self, look: Callable[[], _T]) -> _T:
        from hvac.exceptions import InvalidPath

        try:
            return look()
        except InvalidPath:  # the secret's path; a wrong login path is handled by the caller
            raise NoSuchSecretError from None

    def _ready(self) -> bool:
        """Make sure that the token is valid; return True when it is a new one."""
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
                self._renew_at = math.inf  # it has reached its maximum lifetime, and is valid until it expires
            except (VaultError, RequestException):
                self._renew_at = now + _AGAIN  # the server is unreachable; the token is still valid
        return False

    def _log_in(self) -> None:
        environ = self._environ
        if self._client is None:
            self._client = _client(self._url, environ, self._proxy)
        self._client.token = ""
        if self._login == "token":
            self._client.token = environ.secret("VAULT_TOKEN").reveal()
            seen = self._client.auth.token.lookup_self()["data"]
            self._lease({"lease_duration": seen["ttl"], "renewable": seen.get("renewable", False)})
        elif self._login == "AppRole":
            mount = environ.get("VAULT_APPROLE_MOUNT") or "approle"
            login = self._client.auth.approle.login
            self._lease(login(environ["VAULT_ROLE_ID"], environ["VAULT_SECRET_ID"], mount_point=mount)["auth"])
        else:
            mount = environ.get("VAULT_K8S_MOUNT") or "kubernetes"
            file = Path(environ.get("VAULT_K8S_TOKEN_FILE") or _SERVICE_ACCOUNT)
            login = self._client.auth.kubernetes.login
            answer = login(environ["VAULT_K8S_ROLE"], file.read_text("ascii").strip(), mount_point=mount)
            self._lease(answer["auth"])

    def _lease(self, lease: Mapping[str, Any]) -> None:
        now, seconds = self._clock(), lease["lease_duration"]
        self._expires_at = now + seconds if seconds else math.inf
        self._renew_at = now + seconds * 2 / 3 if seconds and lease.get("renewable") else math.inf


def _client(url: str, environ: Variables, proxy: Proxy | None) -> Any:
    import hvac  # type: ignore[import-untyped]  # it has no types
    import requests

    session = requests.Session()
    session.trust_env = False  # ignore the environment's proxy and .netrc: the token goes to the server only
    session.verify = _certificates(environ) or True
    if proxy is not None and proxy.serves(urlsplit(url).hostname or ""):
        session.proxies = {"https": proxy.with_password().reveal()}
    # A redirect would carry the token to another host: requests strips only the headers that it knows.
    return hvac.Client(
        url=url,
        token="",
        session=session,
        timeout=_TIMEOUT,
        namespace=environ.get("VAULT_NAMESPACE") or None,
        allow_redirects=False,
    )


def _certificates(environ: Variables) -> str | None:
    """Return the file or folder of certificates to trust: `VAULT_CACERT`, else `SSL_CERT_FILE`; None for the default.

    Raises:
        ConfigError: there is no such file.
    """
    for name in ("VAULT_CACERT", "SSL_CERT_FILE"):
        if path := environ.get(name):
            if not os.access(path, os.R_OK):
                raise ConfigError(f"{name} names {path!a}, which cannot be read. Nothing was sent.")
            return path
    return None


def _address(environ: Variables) -> str:
    try:
        return address(environ.get("VAULT_ADDR"))
    except ValueError as error:
        raise ConfigError(f"VAULT_ADDR {error}, such as https://vault.example:8200. Nothing was sent.") from None


def _login_method(environ: Variables) -> Literal["token", "AppRole", "Kubernetes"]:
    if token := environ.secret("VAULT_TOKEN"):
        if fault := token.fault(_TOKEN):
            raise ConfigError(f"VAULT_TOKEN {fault}. Nothing was sent.")
        return "token"
    if environ.get("VAULT_ROLE_ID") and environ.get("VAULT_SECRET_ID"):
        return "AppRole"
    if environ.get("VAULT_K8S_ROLE"):
        return "Kubernetes"
    raise ConfigError(
        "No login to the vault: set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID (AppRole), or VAULT_K8S_ROLE "
        "(Kubernetes). Nothing was sent."
    )
