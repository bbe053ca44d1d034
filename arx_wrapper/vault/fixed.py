"""Use credentials that the host program holds itself."""

from __future__ import annotations

from functools import cached_property

from attrs import field, frozen

from arx_wrapper.credentials import Credentials, Secret


@frozen(kw_only=True)
class FixedVault:
    """Returns the same credentials for every organisation.

    Attributes:
        api_key: The secret; never shown.
        requester_email: The requester of writes.
    """

    api_key: Secret = field(converter=Secret)
    requester_email: str | None = None

    async def locate(self, org_id: str) -> str:
        """Return a name for the credentials, which always exist."""
        return "fixed"

    async def read(self, org_id: str, *, fresh: bool = False) -> Credentials:
        """Return the credentials. CredentialError when they are malformed."""
        return self._credentials

    async def aclose(self) -> None:
        """Do nothing: nothing is held open."""

    @cached_property
    def _credentials(self) -> Credentials:
        """Return the credentials, which are checked once and not for every call."""
        return Credentials(api_key=self.api_key, requester_email=self.requester_email)
