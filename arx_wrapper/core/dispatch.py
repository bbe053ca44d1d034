"""Send the requests of one call: step 6 of the pipeline, and the reads of its target for the reviewers of step 5.

Only the pipeline makes a `Dispatch`, and only a `Dispatch` asks the transport for grants.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from attrs import evolve

from arx_wrapper.core.call_environment import CallEnvironment
from arx_wrapper.core.call_report import CallReport
from arx_wrapper.core.lost_response import not_done, recover
from arx_wrapper.core.redaction import Filter
from arx_wrapper.errors import (
    ApprovalDeniedError,
    AuthenticationError,
    CredentialError,
    ForbiddenError,
    PagerDutyError,
    ServerError,
    TransportError,
)
from arx_wrapper.model import JSON, NOT_RECOVERABLE, Call, Decision, Params, Request, Visibility

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.credentials import Credentials
    from arx_wrapper.transport import Attempt, Response

T = TypeVar("T")


class Dispatch:
    """Sends the requests of one governed call and counts them.

    Attributes:
        call: The call that was judged.
        records: The number of records that an iteration has yielded; None for any other call.
    """

    def __init__(
        self,
        env: CallEnvironment,
        call: Call,
        request: Request,
        timeout: float | None = None,
        *,
        visibility: tuple[tuple[Visibility, ...], ...],
    ) -> None:
        import hashlib  # imported late: loading OpenSSL takes a while

        self.call = call
        self.records: int | None = None
        self._env, self._request, self._timeout = env, request, timeout
        self._credentials: Credentials | None = None
        self._approval: ApprovalRequest | None = None
        self._attempts: list[Attempt] = []
        self._responses = self._lookups = 0
        self._digest = hashlib.sha256()
        self._after: JSON | None = None
        self._visibility, self._hidden = visibility, dict[str, int]()
        self._recovery: Literal["found", "absent"] | None = None

    def report(self) -> CallReport:
        """Return a report of the requests and responses so far."""
        return CallReport(
            attempts=tuple(self._attempts),
            responses=self._responses,
            lookups=self._lookups,
            digest=self._digest.digest(),
            after=self._after,
            records=self.records,
            account=self._credentials.fingerprint if self._credentials else None,
            requester=self.requester(self._credentials) if self._credentials else None,
            hidden=self._hidden,
            recovery=self._recovery,
        )

    def remember_approval(self, approval: ApprovalRequest) -> None:
        """Remember the approval: a key that replaces one after a 401 must belong to its account and requester."""
        self._approval = approval

    def requester(self, credentials: Credentials) -> str | None:
        """Return the user for whom the call is sent; None for a read, or when neither call nor vault names one."""
        if not self.call.operation.writes:
            return None
        return self.call.params.get("requester_email") or credentials.requester_email

    async def credentials(self, *, fresh: bool = False) -> Credentials:
        """Return the credentials. They are first read here, after policy and the intent record.

        Raises:
            CredentialError: the vault has none.
        """
        if self._credentials is None or fresh:
            vault = self._env.backends.vault
            self._credentials = await vault.read(self.call.org_id, fresh=fresh)
        return self._credentials

    async def perform(self) -> dict[str, Any]:
        """Send the call. When a write's response was lost or is a 5xx, look up its effect.

        Returns:
            The API's JSON body; `{}` when there is none.

        Raises:
            PagerDutyError: the call failed, or its effect is unknown.
        """
        operation, request, params = self.call.operation, self._request, self.call.params
        if operation.recovery and operation.recovery.prepare:
            params = operation.recovery.prepare(params, self.call.id)
            request = request if params is self.call.params else self._env.api.build(operation, params)
        began = self._env.backends.clock()
        try:
            return await self.send(request)
        except (TransportError, ServerError) as lost:
            if not operation.writes or getattr(lost, "outcome", "unknown") != "unknown":
                raise
            return await self._recovered(lost, params, began)
        except PagerDutyError as error:
            if operation.fallback is None or error.status not in operation.fallback.statuses:
                raise
            return await operation.fallback.read(self._send_endpoint, params)

    async def send(self, request: Request) -> dict[str, Any]:
        """Send one request of the call and return its JSON body; `{}` when there is none."""
        body = (await self._send_with_key_renewal(request, self._attempts)).json()
        operation = self.call.operation
        if operation.writes and request.method != "GET" and operation.envelope:
            found = body.get(operation.envelope)
            self._after = found if isinstance(found, dict) else {operation.envelope: found} if found else None
        return body

    async def send_page(self, params: Params) -> Response:
        """Send the call with other parameters, to read a further page; the response is not parsed yet.

        Raises:
            PermissionDeniedError: policy denies the call by now, or its agent was suspended.
        """
        if self._attempts:
            await self.judge_again()
        return await self._send_with_key_renewal(self._env.api.build(self.call.operation, params), self._attempts)

    async def lookup(self, endpoint: str, *path: str, **query: object) -> dict[str, Any]:
        """Read the call's target: before the call, for the reviewer, or after it, to look up its effect.

        The outcome's record counts such a read, but it does not count as sending the call itself.

        Args:
            endpoint: The generated client's module, `incidents.get_incident`.
            path, query: Its arguments.

        Raises:
            ValueError: the endpoint does not only read.
        """
        request = self._env.api.request(endpoint, *path, **query)
        if request.method != "GET":
            raise ValueError(f"{request.operation_id} does not only read")
        attempts: list[Attempt] = []
        try:
            return (await self._send_with_key_renewal(request, attempts)).json()
        finally:
            self._lookups += len(attempts)

    async def target_state(self) -> JSON | None:
        """Read the state of the objects that the call changes, with hidden values replaced.

        Returns:
            The state; None when the operation has no target to read.
        """
        read = self.call.operation.target_state
        return await read(self._lookup_visible, self.call.params) if read else None

    async def judge_again(self) -> None:
        """Judge the call again before a further page is requested or handed out, and apply its present visibility.

        Raises:
            PermissionDeniedError: policy denies the call by now, or its agent was suspended.
        """
        self.use_visibility_of(await self._env.judge_again(self.call))

    def use_visibility_of(self, decision: Decision) -> None:
        """Apply the visibility of a later decision on the same call from now on."""
        self._visibility = decision.visibility

    def show(self, body: T) -> T:
        """Hide the members of a response body that policy hides from the caller, in place, and return it."""
        operation = self.call.operation
        if isinstance(body, dict):
            envelopes = (operation.envelope, operation.records and operation.records.envelope)
            self._hide(body, [name for name in envelopes if name])
        return body

    def show_record(self, record: T) -> T:
        """Hide the members of one record of a list that policy hides from the caller, in place, and return it."""
        records = self.call.operation.records
        self._hide(record, (), above=(records.envelope,) if records else ())
        return record

    def _hide(self, body: Any, envelopes: Sequence[str], *, above: tuple[str, ...] = ()) -> None:
        visible = self._filter()
        if not visible.hides or not visible.concerns(body):
            return
        for glob, count in visible.apply(body, above, envelopes=envelopes, known=self.call.params.values()).items():
            self._hidden[glob] = self._hidden.get(glob, 0) + count

    def _filter(self) -> Filter:
        return Filter.of(self._env.api.hidden, self._visibility)

    async def _lookup_visible(self, endpoint: str, *path: str, **query: object) -> dict[str, Any]:
        body = await self.lookup(endpoint, *path, **query)
        self._filter().apply(body, envelopes=body.keys())
        return body

    async def _send_endpoint(self, endpoint: str, *path: str, **query: object) -> dict[str, Any]:
        """Send the request of another endpoint as the call itself."""
        return await self.send(self._env.api.request(endpoint, *path, **query))

    async def _recovered(self, lost: PagerDutyError, params: Params, began: datetime) -> dict[str, Any]:
        recovery, sleep = self.call.operation.recovery or NOT_RECOVERABLE, self._env.backends.sleep
        found = await recover(recovery, lost, lookup=self.lookup, params=params, began=began, sleep=sleep)
        if found is None:
            self._recovery = "absent"
            raise not_done(lost, str(recovery.absence), self.call.operation.name) from None
        self._recovery = "found"
        return found

    async def _send_with_key_renewal(self, request: Request, attempts: list[Attempt]) -> Response:
        """Send one request. When the API rejects the key, read it again from the vault, once: it may have been rotated.

        Raises:
            ApprovalDeniedError: the new key belongs to another account than the approval's.
        """
        credentials = self._credentials or await self.credentials()
        try:
            return await self._send_once(request, credentials, attempts)
        except AuthenticationError as refused:
            try:
                renewed = await self.credentials(fresh=True)
            except CredentialError:
                raise refused from None  # the vault's error says that nothing was sent, but a request was
            if renewed == credentials:
                raise
            self._require_approved(renewed)
        return await self._send_once(request, renewed, attempts)

    async def _send_once(self, request: Request, credentials: Credentials, attempts: list[Attempt]) -> Response:
        operation, backends = self.call.operation, self._env.backends
        writes = operation.writes and request.method != "GET"
        if writes and backends.requester_header:
            header = (backends.requester_header, self._require_requester(credentials))
            request = evolve(request, headers=(*request.headers, header))
        try:
            response = await backends.transport.send(
                request,
                credentials,
                backends.transport.grant(request),
                operation=operation.name,
                writes=writes,
                deprecated=operation.deprecated,
                agent_id=self.call.agent_id,
                timeout=self._timeout,
                attempts=attempts,
            )
        except PagerDutyError as refused:
            if not isinstance(refused, TransportError):
                refused.replace_text(lambda text: self._filter().masked(text, self.call.canonical.decode()))
            if not isinstance(refused, ForbiddenError) or not operation.scopes or request.method != operation.method:
                raise
            raise _needing(refused, operation.scopes) from None
        self._responses += 1
        self._digest.update(response.content)
        return response

    def _require_approved(self, renewed: Credentials) -> None:
        approval = self._approval
        if approval is None or (approval.account, approval.requester) == (
            renewed.fingerprint,
            self.requester(renewed),
        ):
            return
        raise ApprovalDeniedError(
            f"{self.call.operation.name}: the API rejected the key (401), and the vault's new one belongs to another "
            f"account or requester than {approval.id} was given for. The call was not made. Ask anew.",
            approval_id=approval.id,
        )

    def _require_requester(self, credentials: Credentials) -> str:
        requester = self.requester(credentials)
        if not requester:
            raise CredentialError(
                f"{self.call.operation.name}: writes need the e-mail address of a user as requester. "
                "Nothing was sent. Store `requester_email` in the vault (PAGERDUTY_REQUESTER_EMAIL), or pass "
                "`requester_email=` with the call."
            )
        return requester


def _needing(refused: ForbiddenError, scopes: tuple[str, ...]) -> ForbiddenError:
    """Return the 403 error with the scopes that the request needs."""
    return ForbiddenError(
        f"{refused.message}; a key with scopes needs {' and '.join(scopes)}",
        status=refused.status,
        code=refused.code,
        errors=refused.errors,
        request_id=refused.request_id,
        operation=refused.operation,
    )
