"""A call's way to the wire: made by the pipeline once everything before it has passed, and only there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve

from arx_wrapper.core.backends import Backends
from arx_wrapper.errors import AuthenticationError, CredentialError
from arx_wrapper.model import Call, Decision

if TYPE_CHECKING:
    from pagerduty_client import Request

    from arx_wrapper.transport import Attempt, Response
    from arx_wrapper.vault import Credentials


class Dispatch:
    """Sends the requests of one governed call, and keeps count of what went out.

    Attributes:
        call: The call that was judged.
        request: Its request, built from the text that was judged.
        decision: What policy said.
        answered: How many requests were answered.
        attempts: Every attempt on the wire, retries included.
        before: What the call is about, as it was read for a reviewer; None when it was not.
        after: The object that a write answered with.
        facts: What else the outcome's record should say: records handed out, how a lost answer was settled.
    """

    def __init__(
        self, call: Call, request: Request, decision: Decision, backends: Backends, timeout: float | None
    ) -> None:
        self.call, self.request, self.decision = call, request, decision
        self._backends, self._timeout = backends, timeout
        self._credentials: Credentials | None = None
        import hashlib  # only now: OpenSSL takes a while

        self._answers = hashlib.sha256()
        self.answered = 0
        self.attempts: list[Attempt] = []
        self.facts: dict[str, Any] = {}
        self.before: Mapping[str, Any] | None = None
        self.after: Mapping[str, Any] | None = None
        self.began = backends.clock()

    @property
    def sent(self) -> bool:
        """Whether anything may have reached the API."""
        return any(attempt.sent for attempt in self.attempts)

    async def sign(self, *, fresh: bool = False) -> Credentials:
        """Read the credentials: only now, after policy and the intent record.

        Raises:
            CredentialError: the vault has none.
        """
        if self._credentials is None or fresh:
            self._credentials = await self._backends.vault.read(self.call.org_id, fresh=fresh)
        return self._credentials

    async def send(self, request: Request) -> dict[str, Any]:
        """Send one request of the call and return its JSON body; `{}` when there is none."""
        body = (await self.fetch(request)).json()
        operation = self.call.operation
        if operation.writes and request.method != "GET" and operation.answer:
            found = body.get(operation.answer)
            self.after = found if isinstance(found, dict) else {operation.answer: found} if found else None
        return body

    async def fetch(self, request: Request) -> Response:
        """Send one request of the call; its answer is parsed when it is wanted.

        A rejected key is read again from the vault, once: it may have been rotated.
        """
        credentials = await self.sign()
        try:
            return await self._send(request, credentials)
        except AuthenticationError as refused:
            try:
                renewed = await self.sign(fresh=True)
            except CredentialError:
                raise refused from None  # the vault's error would say that nothing was sent
            if renewed == credentials:
                raise
        return await self._send(request, renewed)

    async def look(self, request: Request) -> dict[str, Any]:
        """Read what the call is about: before it, for the reviewer, or after it, to settle what became of it.

        Such a read is counted in the outcome's record, but does not make the call itself sent.
        """
        if request.method != "GET":
            raise ValueError(f"{request.operation_id} does not only read")
        seen, self.attempts = self.attempts, []
        try:
            return await self.send(request)
        finally:
            self.facts["looks"] = self.facts.get("looks", 0) + len(self.attempts)
            self.attempts = seen

    async def _send(self, request: Request, credentials: Credentials) -> Response:
        operation, wire = self.call.operation, self._backends.transport
        if request.method != "GET" and operation.writes and (header := self._backends.requester_header):
            request = evolve(request, headers=(*request.headers, (header, self._requester(credentials))))
        answer = await wire.send(
            request,
            credentials,
            wire.grant(request),
            operation=operation.name,
            writes=operation.writes and request.method != "GET",
            deprecated=operation.deprecated,
            agent_id=self.call.agent_id,
            timeout=self._timeout,
            attempts=self.attempts,
        )
        self.answered += 1
        self._answers.update(answer.content)
        return answer

    def answer_digest(self) -> bytes:
        """A digest over all answers, in their order."""
        return self._answers.digest()

    def _requester(self, credentials: Credentials) -> str:
        requester = self.call.params.get("requester_email") or credentials.requester_email
        if not requester:
            raise CredentialError(
                f"{self.call.operation.name}: writes need the e-mail address of a user as requester. "
                "Nothing was sent. Store `requester_email` in the vault (PAGERDUTY_REQUESTER_EMAIL), or pass "
                "`requester_email=` with the call."
            )
        return str(requester)
