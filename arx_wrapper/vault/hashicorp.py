"""Keep credentials in HashiCorp Vault's KV v2 engine, through hvac (`hashicorp://mount/path`).

The server and the login method come from the variables that Vault's own tools use: `VAULT_ADDR`, `VAULT_NAMESPACE`,
`VAULT_CACERT`, and one of `VAULT_TOKEN`; `VAULT_ROLE_ID` with `VAULT_SECRET_ID` (AppRole); `VAULT_K8S_ROLE`
(Kubernetes). `{org_id}` in the path stands for the organisation.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

from attrs import frozen

from arx_wrapper.credentials import Credentials, Secret, Variables
from arx_wrapper.errors import CredentialError
from arx_wrapper.urls import Proxy
from arx_wrapper.vault.hashicorp_client import NoSuchSecretError, Server
from arx_wrapper.vault.loop_lock import LoopLock

_T = TypeVar("_T")
_ORG = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@frozen(kw_only=True)
class _Kept:
    credentials: Credentials
    until: float


class HashiCorpVault:
    """Reads a KV v2 secret with the members `api_key` and `requester_email`, and caches it.

    Args:
        mount: The mount point of the KV v2 engine.
        path: The secret's path; `{org_id}` stands for the organisation.
        environ: The variables that name the server and the login method.
        keep: Seconds for which a secret, or the fact that it exists, is cached.
        clock: Seconds, monotonic.
        proxy: The proxy for other machines.

    Raises:
        ConfigError: the server is not named, is not https, or hvac is not installed.
    """

    def __init__(
        self,
        mount: str,
        path: str,
        environ: Mapping[str, str] | Variables,
        *,
        keep: float = 300.0,
        clock: Callable[[], float] = monotonic,
        proxy: Proxy | None = None,
    ) -> None:
        self._mount, self._path, self._keep, self._clock = mount, path, keep, clock
        self._server = Server(Variables(environ), clock=clock, proxy=proxy)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="arx-vault")
        self._lock = LoopLock()  # concurrent callers share one request
        self._credentials: dict[str, _Kept] = {}
        self._located: dict[str, float] = {}

    async def locate(self, org_id: str) -> str:
        """Return the secret's path, once it is known to exist. Reads the secret's metadata, never its value.

        Raises:
            CredentialError: there is no such secret, or the server does not respond.
        """
        path = self._path_of(org_id)
        if not self._is_located(path):
            async with self._lock.here():
                if not self._is_located(path):  # unless another caller did meanwhile
                    await self._on_thread(path, lambda: self._server.require(self._mount, path))
                    self._located[path] = self._clock() + self._keep
        return f"hashicorp://{self._mount}/{path}"

    async def read(self, org_id: str, *, fresh: bool = False) -> Credentials:
        """Read the credentials.

        Raises:
            CredentialError: there are none, they are malformed, or the server does not respond.
        """
        path = self._path_of(org_id)
        before = self._credentials.get(path)
        if not fresh and before is not None and before.until > self._clock():
            return before.credentials
        async with self._lock.here():
            kept = self._credentials.get(path)
            if kept is None or kept is before:  # no other caller read it meanwhile
                self._credentials.pop(path, None)
                secret = await self._on_thread(path, lambda: self._server.read(self._mount, path))
                credentials = Credentials(
                    api_key=secret["api_key"], requester_email=secret.get("requester_email") or None
                )
                kept = self._credentials[path] = _Kept(credentials=credentials, until=self._clock() + self._keep)
        return kept.credentials

    async def set(self, api_key: Secret | str, requester_email: str | None = None, *, org_id: str = "*") -> None:
        """Store credentials as the secret's newest version. The token's policy has to allow `create` and `update`.

        Args:
            api_key, requester_email: The credentials.
            org_id: The organisation; `*` is enough where the path does not contain `{org_id}`.

        Raises:
            CredentialError: they are malformed, or the server refused them. Nothing was stored.
        """
        api_key = Secret(api_key)
        credentials, path = Credentials(api_key=api_key, requester_email=requester_email), self._path_of(org_id)
        await self._on_thread(path, lambda: self._server.write(self._mount, path, credentials))
        self._credentials.pop(path, None)

    async def aclose(self) -> None:
        """Forget secrets and tokens and close the connection."""
        self._credentials.clear()
        self._located.clear()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._server.close)
        self._thread.shutdown(wait=False)

    def _is_located(self, path: str) -> bool:
        known = self._credentials.get(path)
        return max(self._located.get(path, 0.0), known.until if known else 0.0) > self._clock()

    def _path_of(self, org_id: str) -> str:
        if "{org_id}" not in self._path:
            return self._path
        if not _ORG.fullmatch(org_id):
            raise CredentialError(
                f"The organisation {org_id!a} cannot be part of a vault path; accepted: letters, digits and ._-. "
                "Nothing was sent."
            )
        return self._path.replace("{org_id}", org_id)

    async def _on_thread(self, path: str, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except NoSuchSecretError:
            self._located.pop(path, None)
        raise CredentialError(
            f"The vault has no secret {self._mount}/{path}. Nothing was sent. Store one: "
            f"`vault kv put -mount={self._mount} {path} api_key=… requester_email=…`."
        )
