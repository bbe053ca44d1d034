"""The one road to the network: resolve, find credentials, judge, record, get approval, send, record.

`BaseConnector.execute()` and `iterate()` both go through `_governed`, whose order is the security property: nothing is
judged that is not what will be sent, nothing is sent that is not on record, and no secret is read for a call that
policy denies. A connector for another API gives its table of operations and its methods, and changes nothing here.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import msgspec

from arx_wrapper.config import Config
from arx_wrapper.core import previous_approval as consent
from arx_wrapper.core.backends import Backends
from arx_wrapper.core.dispatch import Dispatch
from arx_wrapper.core.effects import expand, minimal_call
from arx_wrapper.core.environment import Environment
from arx_wrapper.core.inflight import InFlightCalls
from arx_wrapper.core.previous_dispatch import Dispatch as PreviousDispatch
from arx_wrapper.core.resolution import Api, Asked, Caller, request_of
from arx_wrapper.errors import (
    ApprovalError,
    ArxError,
    AuditError,
    InvalidParamsError,
    PermissionDeniedError,
    UnknownOperationError,
)
from arx_wrapper.model import Call, Decision, Operation, Request, Verdict, new_id
from arx_wrapper.params.model import ParamModel, param_model

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.audit import AuditLog
    from arx_wrapper.http_client import AsyncTransport

# Seconds that closing waits for the calls under way.
_DRAIN: Final = 10.0


class BaseConnector:
    """A governed connector to one API.

    Attributes:
        connector: The connector's name, as policies and records know it.
        operations: Its table.
        client: The package of its generated calls.
        requester_header: The header that names who a write is made for; None when the API wants none.
        accept: What the API is asked to answer with.
        key_prefix: What stands before an API key in `Authorization`.
        tool_descriptions: Descriptions of parameters for agents; `{services:read}` stands for that tool's name.
        tool_omissions: Parameters that agents are not offered: `name`, or `operation.name` for one operation.
        recorded_fields: The members of its objects whose values records may hold, of what a write changed.
    """

    connector: ClassVar[str]
    operations: ClassVar[Mapping[str, Operation]]
    client: ClassVar[str] = ""
    requester_header: ClassVar[str | None] = None
    accept: ClassVar[str] = "application/json"
    key_prefix: ClassVar[str] = "Bearer "
    tool_descriptions: ClassVar[Mapping[str, str]] = MappingProxyType({})
    tool_omissions: ClassVar[frozenset[str]] = frozenset()
    recorded_fields: ClassVar[frozenset[str]] = frozenset({"id", "status", "updated_at"})

    def __init__(
        self,
        agent_id: str,
        org_id: str,
        *,
        policies: object = None,
        audit: object = None,
        vault: object = None,
        approvals: object = None,
        base_url: str | None = None,
        transport: AsyncTransport | None = None,
        config: Config | None = None,
    ) -> None:
        """Make a connector; nothing is opened or read until it is used.

        Args:
            agent_id: Who calls; policies, limits, approvals and records name it.
            org_id: For which organisation.
            policies: A policy file, a folder of them, a list of entries, or a loaded set.
            audit: An audit log, or its address.
            vault: A vault, or its address.
            approvals: An approval store, or its address.
            base_url: The API's address.
            transport: An `AsyncBaseTransport` of httpx or httpx2 to use instead of a connection pool.
            config: Where everything left out comes from; by default the environment and `arx.toml`.
        """
        for name in (agent_id, org_id):
            if not isinstance(name, str) or not name or not name.isprintable():
                raise ValueError("agent_id and org_id must be printable text: policies and records go by them")
        self.agent_id, self.org_id = agent_id, org_id
        self._in_flight = InFlightCalls()
        self._backends = Backends(
            connector=self.connector,
            registry={name: row.risk for name, row in self.operations.items()},
            config=config or Config.load(),
            policies=policies,
            audit=audit,
            vault=vault,
            approvals=approvals,
            base_url=base_url,
            transport=transport,
            requester_header=self.requester_header,
            accept=self.accept,
            key_prefix=self.key_prefix,
        )
        self._env = Environment(
            api=Api(
                connector=self.connector,
                operations=self.operations,
                parameters=lambda row: param_model(row.name, getattr(type(self), row.function)),
                build=self._request,
                request=partial(request_of, self.client),
                is_alias=self.is_alias,
                recorded_fields=self.recorded_fields,
            ),
            caller=Caller(agent_id=agent_id, org_id=org_id),
            backends=self._backends,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let the calls under way end, write out the audit log and close every connection that was opened here."""
        await self._in_flight.wait_idle(_DRAIN)
        await self._backends.aclose()

    async def execute(
        self,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        approval_id: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - passed on as the deadline of the call on the wire
    ) -> dict[str, Any]:
        """Run one operation, governed.

        Args:
            operation: Its name in the table, `incidents:acknowledge`.
            params: The keyword arguments of its method.
            approval_id: An approval to use up: resumes a call that raised `ApprovalPendingError`.
            timeout: Seconds that the call on the wire may take, retries included. Finding out what became of a write
                whose answer was lost comes on top.

        Returns:
            The API's JSON body as it came; `{}` when there is none.

        Raises:
            ArxError: in the classes of `arx_wrapper.errors`, each of which says whether anything was sent.
        """
        from arx_wrapper.core import pipeline  # only now: it brings asyncio and the audit log's threads

        asked = Asked(operation=operation, params=params, approval_id=approval_id, timeout=timeout)
        with self._in_flight:
            return await pipeline.run(self._env, asked, Dispatch.perform)

    async def _previous_execute(
        self,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        approval_id: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[str, Any]:
        with self._in_flight:
            async with self._governed(operation, params, approval_id, timeout) as dispatch:
                return await dispatch.perform()

    def explain(self, operation: str, params: Mapping[str, Any] | None = None) -> Decision:
        """What policy says of a call. Calls nothing and records nothing.

        Raises:
            UnknownOperationError, InvalidParamsError: as `execute()` would.
        """
        call, _ = self._resolve(operation, params)
        return self._backends.policies.decide(call, self._backends.clock())

    def possible_verdicts(self, operation: str) -> frozenset[Verdict]:
        """What policy may say of calls of an operation, whatever their parameters, other than no.

        Empty when it denies them all; ESCALATE alone when a reviewer is always asked. Calls nothing, records nothing.

        Raises:
            UnknownOperationError: when there is no such operation.
        """
        row = self._row(operation)
        bare = minimal_call(row, self.operations, agent_id=self.agent_id, org_id=self.org_id)
        return self._backends.policies.possible_verdicts(bare, self._backends.clock())

    async def approval(self, approval_id: str) -> ApprovalRequest:
        """A request for approval that this agent made, as it stands.

        Raises:
            ApprovalError: this agent made no such request, or the store cannot be used.
        """
        request = await self._backends.approvals.get(approval_id)
        if (request.agent_id, request.org_id) != (self.agent_id, self.org_id):
            raise ApprovalError(f"There is no request {approval_id!a} of yours.", approval_id=approval_id)
        return request

    @property
    def audit(self) -> AuditLog:
        """The audit log, to be read."""
        return self._backends.audit

    async def requester_email(self) -> str | None:
        """Who writes are made for, when a call names nobody; None when the vault knows of no one.

        Raises:
            CredentialError: the vault has no credentials.
        """
        return (await self._backends.vault.read(self.org_id)).requester_email

    @property
    def captures_params(self) -> bool:
        """Whether the audit log also keeps the parameters, redacted."""
        return self._backends.config.capture_params

    def model_of(self, operation: str) -> ParamModel:
        """The parameter model of an operation.

        Raises:
            UnknownOperationError: when there is no such operation.
        """
        row = self._row(operation)
        return param_model(row.name, getattr(type(self), row.function))

    @asynccontextmanager
    async def _governed(
        self,
        operation: str,
        params: Mapping[str, Any] | None,
        approval_id: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        *,
        only: Callable[[Operation], object] | None = None,
    ) -> AsyncIterator[PreviousDispatch]:
        """The steps around a call, in their order. `only` refuses operations that will not do for the caller."""
        from arx_wrapper.core.previous_recorder import (
            Recorder,  # only now: it brings asyncio and the audit log's threads
        )

        backends = self._backends
        record = Recorder(backends.audit, self, operation)
        await record.loaded_policies(backends.policies)
        try:
            call, request = self._resolve(operation, params)  # 1 what is asked, frozen
            record.call = call
            _check_timeout(call.operation, timeout)
            if only:
                only(call.operation)
            await backends.vault.locate(self.org_id)  # 2 there are credentials; no secret is read yet
            decision = backends.policies.decide(call, backends.clock())  # 3 what policy says
            record.decision = decision
            if decision.verdict is Verdict.DENY:
                raise PermissionDeniedError(decision)
            asks = decision.verdict is Verdict.ESCALATE
            await record.intent(resumed=asks and approval_id is not None)  # 4 durable, or nothing goes on
        except AuditError as silence:
            record.unrecorded(silence)  # a log that did not take the intent in time is not waited for once more
            raise
        except ArxError as refusal:
            await record.refusal(refusal)
            raise
        except BaseException as end:
            record.given_up(end)  # cancelled before anything was sent
            raise
        dispatch = PreviousDispatch(call, request, decision, backends, timeout, client=self.client, build=self._request)
        try:
            if asks:  # 5 a person agrees, to exactly this
                await consent.obtain(dispatch, record, backends, approval_id)
            dispatch.began = backends.clock()  # a reviewer may have taken an hour
            yield dispatch  # 6 the generated call
        except BaseException as error:
            record.outcome(dispatch, error)  # 7 what became of it
            raise
        record.outcome(dispatch)

    @staticmethod
    def is_alias(name: str, value: Any) -> bool:
        """Tell whether a parameter's value names an object by another name than its id. None does by default."""
        return False

    def _resolve(self, operation: str, params: Mapping[str, Any] | None) -> tuple[Call, Request]:
        """Step 1: the frozen call, and the request built from the very text that is judged."""
        row = self._row(operation)
        model = self.model_of(operation)
        canonical = model.canonical(params or {})
        frozen: Mapping[str, Any] = msgspec.json.decode(canonical)
        call = Call(
            id=new_id(),
            operation=row,
            agent_id=self.agent_id,
            org_id=self.org_id,
            canonical=canonical,
            params=MappingProxyType(frozen),
            effects=expand(row, frozen, self.operations, self.is_alias),
        )
        return call, self._request(row, msgspec.json.decode(canonical))

    def _row(self, operation: str) -> Operation:
        row = self.operations.get(operation) if isinstance(operation, str) else None
        if row is None:
            raise UnknownOperationError(operation, self._nearest(str(operation)[:100]))
        return row

    def _nearest(self, name: str) -> str | None:
        """Return the operation that a wrong name probably means: one that it begins, else one that is spelt alike."""
        begun = [known for known in self.operations if name.partition(":")[2] and known.startswith(name)]
        alike = difflib.get_close_matches(name, self.operations, n=1)
        return next(iter(begun or alike), None)

    def _request(self, row: Operation, params: Mapping[str, Any]) -> Request:
        endpoint = importlib.import_module(f"{self.client}.api.{row.endpoint}")
        arguments = {name: value for name, value in params.items() if name != "requester_email"}
        try:
            if row.body:
                path = {name: arguments[name] for name in row.path_names}
                request = endpoint.request(**path, body=row.body(arguments))
            else:
                request = endpoint.request(**arguments)
        except ValueError as error:
            name = getattr(error, "path", "") or "parameters"
            accepted = getattr(error, "accepted", "") or "what the operation's schema allows"
            problem = getattr(error, "problem", "") or str(error)
            raise InvalidParamsError(row.name, str(name), str(problem), str(accepted)) from None
        return Request.of(request)


def _check_timeout(operation: Operation, timeout: object) -> None:
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0):
        raise InvalidParamsError(operation.name, "timeout", f"is {timeout!a}", "seconds, more than 0, or None")
