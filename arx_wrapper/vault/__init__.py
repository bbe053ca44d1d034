"""Read credentials from the environment, an encrypted file, HashiCorp Vault or an identity server.

    vault = vault.open("env:")                      # PAGERDUTY_API_KEY, PAGERDUTY_REQUESTER_EMAIL
    where = await vault.locate("org-acme")          # proves that credentials exist; reads no secret
    credentials = await vault.read("org-acme")

The pipeline calls `locate()` first, and `read()` only when a call is about to be sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from arx_wrapper.credentials import Credentials, Scheme, Secret, Variables
from arx_wrapper.errors import ConfigError
from arx_wrapper.urls import Proxy
from arx_wrapper.vault.env import EnvVault

__all__ = ["Credentials", "EnvVault", "Scheme", "Secret", "Vault", "open"]


class Vault(Protocol):
    """A source of credentials."""

    async def locate(self, org_id: str) -> str:
        """Return a name for the organisation's credentials, reading no secret; CredentialError when none exist."""
        ...

    async def read(self, org_id: str, *, fresh: bool = False) -> Credentials:
        """Return the credentials; `fresh` bypasses every cache, as after a 401. CredentialError when unusable."""
        ...

    async def aclose(self) -> None:
        """Forget secrets and close connections."""
        ...


def open(  # noqa: A001 - read as `vault.open`
    url: str, *, environ: Mapping[str, str] | Variables | None = None, proxy: Proxy | None = None
) -> Vault:
    """Open the vault at an address; nothing is read yet.

    Args:
        url: `env:`, `oauth:` (a scoped app), `file:///path` (encrypted), or `hashicorp://mount/path` (KV v2).
        environ: The environment to use; by default the process's own.
        proxy: The proxy for vaults on other machines.

    Raises:
        ConfigError: the address is of no known kind of vault.
    """
    environ = Variables(environ)
    if url == "env:":
        return EnvVault(environ)
    if url == "oauth:":
        from arx_wrapper.vault.oauth import OAuthVault

        return OAuthVault(environ, proxy=proxy)
    if url.startswith("file:///"):
        from arx_wrapper.vault.file import FileVault

        return FileVault(Path(unquote(url.removeprefix("file://"))), environ)
    mount, _, path = url.removeprefix("hashicorp://").partition("/")
    if url.startswith("hashicorp://") and mount and path and ".." not in path.split("/"):
        from arx_wrapper.vault.hashicorp import HashiCorpVault

        return HashiCorpVault(mount, path, environ, proxy=proxy)
    raise ConfigError(
        "ARX_VAULT_URL names an unknown kind of vault; accepted: env:, oauth:, file:///path, hashicorp://mount/path. "
        "Nothing was sent."
    )
