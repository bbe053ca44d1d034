"""A call's way to the wire: made by the pipeline once everything before it has passed, and only there."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve

from arx_wrapper.core.backends import Backends
from arx_wrapper.core.recovery import not_done, recover
from arx_wrapper.errors import AuthenticationError, CredentialError, PagerDutyError, ServerError, TransportError
from arx_wrapper.model import NOT_RECOVERABLE, Call, Decision, Operation, Params, Request

if TYPE_CHECKING:
    from arx_wrapper.credentials import Credentials
    from arx_wrapper.transport import Attempt, Response


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
        self,
        call: Call,
        request: Request,
        decision: Decision,
        backends: Backends,
        timeout: float | None,
        *,
        client: str,
        build: Callable[[Operation, Params], Request],
    ) -> None:
        self.call, self.request, self.decision = call, request, decision
        self._backends, self._timeout = backends, timeout
        self._client, self._build = client, build
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

    async def perform(self) -> dict[str, Any]:
        """Send the call; find out what became of a write whose response was lost or a 5xx.

        Returns:
            The API's JSON body; `{}` when there is none.

        Raises:
            PagerDutyError: the call failed, or it is not known what became of it.
        """
        row, request, params = self.call.operation, self.request, self.call.params
        if row.recovery and row.recovery.prepare:
            params = row.recovery.prepare(params, self.call.id)
            request = request if params is self.call.params else self._build(row, dict(params))
        try:
            return await self.send(request)
        except (TransportError, ServerError) as lost:
            if not row.writes or getattr(lost, "outcome", "unknown") != "unknown":
                raise
            return await self._recovered(lost, params)
        except PagerDutyError as error:
            if row.fallback is None or error.status not in row.fallback.statuses:
                raise
            return await row.fallback.read(self._read, params)

    async def _recovered(self, lost: PagerDutyError, params: Params) -> dict[str, Any]:
        recovery = self.call.operation.recovery or NOT_RECOVERABLE
        found = await recover(
            recovery, lost, lookup=self.lookup, params=params, began=self.began, sleep=self._backends.sleep
        )
        if found is None:
            self.facts["settled"] = "not found"
            raise not_done(lost, str(recovery.absence), self.call.operation.name) from None
        self.facts["settled"] = "found"
        return found

    async def target_state(self) -> Mapping[str, Any] | None:
        """Read the state of what the call changes; None when the operation states none."""
        read = self.call.operation.target_state
        return await read(self.lookup, self.call.params) if read else None

    async def _read(self, endpoint: str, *path: str, **query: object) -> dict[str, Any]:
        """Send a request of another endpoint as the call itself."""
        return await self.send(self._request_of(endpoint, *path, **query))

    def _request_of(self, endpoint: str, *path: str, **query: object) -> Request:
        module = importlib.import_module(f"{self._client}.api.{endpoint}")
        return Request.of(module.request(*path, **query))

    async def send(self, request: Request) -> dict[str, Any]:
        """Send one request of the call and return its JSON body; `{}` when there is none."""
        body = (await self.fetch(request)).json()
        operation = self.call.operation
        if operation.writes and request.method != "GET" and operation.envelope:
            found = body.get(operation.envelope)
            self.after = found if isinstance(found, dict) else {operation.envelope: found} if found else None
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

    async def lookup(self, endpoint: str, *path: str, **query: object) -> dict[str, Any]:
        """Read what the call is about: before it, for the reviewer, or after it, to find out what became of it.

        Such a read is counted in the outcome's record, but does not make the call itself sent.

        Args:
            endpoint: The generated client's module, `incidents.get_incident`.
            path, query: Its arguments.

        Raises:
            ValueError: the endpoint does not only read.
        """
        request = self._request_of(endpoint, *path, **query)
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
