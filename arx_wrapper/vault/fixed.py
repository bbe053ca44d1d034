"""Use credentials that the host program holds itself."""

from __future__ import annotations

from attrs import define, field
from attrs.setters import frozen

from arx_wrapper.credentials import Credentials, Secret


@define(kw_only=True)
class FixedVault:
    """Returns the same credentials for every organisation.

    Attributes:
        api_key: The secret; never shown.
        requester_email: The requester of writes.
    """

    api_key: Secret = field(converter=Secret, on_setattr=frozen)
    requester_email: str | None = field(default=None, on_setattr=frozen)
    _checked: Credentials | None = field(default=None, init=False, repr=False, eq=False)

    async def locate(self, org_id: str) -> str:
        """Return a name for the credentials, which always exist."""
        return "fixed"

    async def read(self, org_id: str, *, fresh: bool = False) -> Credentials:
        """Return the credentials. CredentialError when they are malformed."""
        if self._checked is None:
            self._checked = Credentials(api_key=self.api_key, requester_email=self.requester_email)
        return self._checked

    async def aclose(self) -> None:
        """Do nothing: nothing is held open."""
