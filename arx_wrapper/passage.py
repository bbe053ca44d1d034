"""A call's way to the wire: made by the pipeline once everything before it has passed, and only there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from attrs import evolve

from arx_wrapper.errors import AuthenticationError, CredentialError
from arx_wrapper.model import Call, Decision
from arx_wrapper.rooms import Rooms

if TYPE_CHECKING:
    from pagerduty_client import Request

    from arx_wrapper.vault import Credentials


class Passage:
    """Sends the requests of one governed call, and keeps count of what went out.

    Attributes:
        call: The call that was judged.
        request: Its request, built from the text that was judged.
        requests: How many requests were answered.
        attempts: Every attempt on the wire, retries included: status or error, and durations.
        records: How many records an iteration handed out; None for a single call.
    """

    def __init__(
        self, call: Call, request: Request, decision: Decision, rooms: Rooms, timeout: float | None
    ) -> None:
        self.call, self.request, self._decision = call, request, decision
        self._rooms, self._timeout = rooms, timeout
        self._credentials: Credentials | None = None
        self._digest = hashlib.sha256()
        self.requests = 0
        self.attempts: list[dict[str, Any]] = []
        self.records: int | None = None
        self.sent = False

    async def sign(self, *, fresh: bool = False) -> Credentials:
        """Read the credentials: only now, after policy and the intent record.

        Raises:
            CredentialError: there are none, or a write lacks the requester's address.
        """
        if self._credentials is None or fresh:
            self._credentials = await self._rooms.vault.read(self.call.org_id, fresh=fresh)
        return self._credentials

    def answer_digest(self) -> bytes:
        """A digest over all answers, in their order."""
        return self._digest.digest()
