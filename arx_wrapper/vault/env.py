"""Read credentials from the process's environment (`env:`)."""

from __future__ import annotations

from collections.abc import Mapping

from arx_wrapper.credentials import Credentials, Variables
from arx_wrapper.errors import CredentialError

KEY = "PAGERDUTY_API_KEY"
EMAIL = "PAGERDUTY_REQUESTER_EMAIL"


class EnvVault:
    """Reads the environment anew at every call: it is cheap, and the process may change it."""

    def __init__(self, environ: Mapping[str, str] | Variables) -> None:
        self._environ = Variables(environ)
        self._last: Credentials | None = None  # read last: comparing is faster than checking again

    async def locate(self, org_id: str) -> str:
        """Return the name of the variable that holds the key, without reading it.

        Raises:
            CredentialError: the variable is not set.
        """
        if KEY not in self._environ:
            raise CredentialError(
                f"{KEY} is not set. Set it, or name another vault in ARX_VAULT_URL. Nothing was sent."
            )
        return f"env:{KEY}"

    async def read(self, org_id: str, *, fresh: bool = False) -> Credentials:
        """Read the credentials. The environment's are used for every organisation.

        Raises:
            CredentialError: a variable is not set or malformed.
        """
        await self.locate(org_id)
        api_key, email, last = self._environ.secret(KEY), self._environ.get(EMAIL) or None, self._last
        if last is None or last.api_key != api_key or last.requester_email != email:
            last = self._last = Credentials(api_key=api_key, requester_email=email)
        return last

    async def aclose(self) -> None:
        """Do nothing: nothing is held open."""
