"""Define the base class of every governed connector.

A connector for another API supplies its table of operations and its methods, without changes here. `execute()` runs the
pipeline of `arx_wrapper.core.pipeline`, which is the only way to the network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from functools import cache, partial
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from attrs import evolve, frozen

from arx_wrapper.config import Config
from arx_wrapper.core.backends import Backends, Given
from arx_wrapper.core.call_environment import CallEnvironment
from arx_wrapper.core.param_model import ParamModel, param_model
from arx_wrapper.core.resolution import (
    Api,
    Caller,
    RequestedCall,
    build_request,
    is_alias,
    minimal_call,
    operation_named,
    request_of,
    resolve,
)
from arx_wrapper.errors import ApprovalError, ConfigError
from arx_wrapper.model import Call, Decision, OnCallReader, Operation, Params, Request, Verdict

if TYPE_CHECKING:
    from asyncio import Event

    from arx_wrapper.approvals import ApprovalRequest, Approvals
    from arx_wrapper.audit import AuditLog
    from arx_wrapper.http_client import AsyncTransport
    from arx_wrapper.policy import Policies, PolicySource
    from arx_wrapper.vault import Vault

# Seconds that closing waits for the calls in flight.
_DRAIN: Final = 10.0


@frozen(kw_only=True)
class Plan:
    """A call as it would be judged and sent.

    Attributes:
        call: The call, frozen, with its effects.
        request: The request that would be sent.
        decision: The present decision of policy on it.
    """

    call: Call
    request: Request
    decision: Decision


class BaseConnector:
    """A governed connector to one API.

    Attributes:
        connector: The connector's name, as policies and records know it.
        operations: Its table.
        client: The package of its generated client; empty when `build_request()` needs none.
        requester_header: The header that names the user for whom a write is made; None when the API has none.
        accept: The `Accept` header.
        key_prefix: The text before an API key in `Authorization`.
        tool_descriptions: Descriptions of parameters for agents; `{services:read}` stands for that tool's name.
        tool_omissions: Parameters that no operation offers to agents.
        recorded_fields: The members of changed objects whose values records may hold.
        hidden: Globs over members of its responses that are hidden unless policy shows them.
        aliases: Parameters that also accept a second name of an object, each with the pattern of such names. Conditions
            cannot compare these.
        on_call: The operation that reads who is on call, and its reader; None when the API has no on-call data.
        agent_id, org_id: The agent that calls, and its organisation.
        backends: The policies, audit log, vault, approvals and transport in use; each is opened when it is first used.
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
    hidden: ClassVar[tuple[str, ...]] = ()
    aliases: ClassVar[Mapping[str, re.Pattern[str]]] = MappingProxyType({})
    on_call: ClassVar[tuple[str, OnCallReader] | None] = None

    def __init__(
        self,
        agent_id: str,
        org_id: str,
        *,
        policies: PolicySource | Policies | None = None,
        audit: AuditLog | str | PathLike[str] | None = None,
        vault: Vault | str | None = None,
        approvals: Approvals | str | PathLike[str] | None = None,
        base_url: str | None = None,
        transport: AsyncTransport | None = None,
        config: Config | None = None,
    ) -> None:
        """Make a connector; nothing is opened or read until it is used.

        Args:
            agent_id: The agent that calls; policies, limits, approvals and records name it.
            org_id: The organisation for which it calls.
            policies: A policy file, a folder of them, a list of entries, or a loaded set.
            audit: An audit log, its address, or the path of its SQLite file.
            vault: A vault, or its address.
            approvals: An approval store, its address, or the path of its SQLite file.
            base_url: The API's address.
            transport: An `AsyncBaseTransport` of httpx or httpx2 to use instead of a connection pool.
            config: The settings for arguments that are left out; by default the environment and `arx.toml`.

        Raises:
            ConfigError: `agent_id` or `org_id` is blank or not printable text (also a ValueError), another argument is
                of the wrong kind, or the configuration cannot be read.
        """
        caller = Caller.of(agent_id, org_id)
        self.agent_id, self.org_id = caller.agent_id, caller.org_id
        self._owns_backends = True
        given = Given(
            policies=policies,
            audit=audit,
            vault=vault,
            approvals=approvals,
            base_url=base_url,
            transport=transport,
            config=Config.load() if config is None else config,
        )
        self.backends = Backends(
            self._completed(given),
            connector=self.connector,
            registry=self.operations,
            requester_header=self.requester_header,
            accept=self.accept,
            key_prefix=self.key_prefix,
        )
        self._in_flight = _InFlightCalls()
        self._env = CallEnvironment(api=self._api(), caller=caller, backends=self.backends)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Wait for the calls in flight, write the pending audit records, and close all that was opened here.

        Afterwards the connector refuses calls, and so does every connector that `for_agent()` made from it. In a
        process that was forked after the first call nothing is closed, because the connections belong to the parent.
        """
        if not self._owns_backends:
            return
        self._in_flight.close()
        if self._in_flight.inherited:
            return
        await self._in_flight.wait_idle(_DRAIN)
        await self.backends.aclose()

    def for_agent(self, agent_id: str, org_id: str) -> Self:
        """Return a connector for another agent that shares this connector's backends, which this connector closes.

        Args:
            agent_id, org_id: The agent that calls, and its organisation.

        Raises:
            ConfigError: one of them is blank or not printable text; also a ValueError.
        """
        other, caller = copy(self), Caller.of(agent_id, org_id)
        other.agent_id, other.org_id = caller.agent_id, caller.org_id
        other._env = evolve(self._env, caller=caller)
        other._owns_backends = False
        return other

    async def execute(
        self,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        approval_id: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - passed on as the deadline of the call in the transport
    ) -> dict[str, Any]:
        """Run one operation through policy, approval and audit.

        Args:
            operation: Its name in the table, `incidents:acknowledge`.
            params: The keyword arguments of its method.
            approval_id: An approval to use, which resumes a call that raised `ApprovalPendingError`.
            timeout: Seconds that sending may take, retries included. Looking up the effect of a write whose response
                was lost may take longer.

        Returns:
            The API's JSON body, unchanged except for hidden members; `{}` when there is none.

        Raises:
            ArxError: one of the classes in `arx_wrapper.errors`, each of which states whether anything was sent.
        """
        from arx_wrapper.core import pipeline  # imported late: it loads asyncio and the audit log

        requested = RequestedCall(operation=operation, params=params, approval_id=approval_id, timeout=timeout)
        with self._in_flight:
            return await pipeline.run(self._env, requested)

    def plan(self, operation: str, params: Mapping[str, Any] | None = None) -> Plan:
        """Return a call as it would be judged and sent. Sends nothing and records nothing.

        Raises:
            UnknownOperationError, InvalidParamsError: as in `execute()`.
            PolicyError: no policy could be loaded.
        """
        call, request = resolve(self._env.api, self._env.caller, RequestedCall(operation=operation, params=params))
        decision = self.backends.policies.decide(call, self.backends.clock())
        return Plan(call=call, request=request, decision=decision)

    def explain(self, operation: str, params: Mapping[str, Any] | None = None) -> Decision:
        """Return the decision of policy on a call. Sends nothing and records nothing.

        Raises:
            UnknownOperationError, InvalidParamsError: as in `execute()`.
            PolicyError: no policy could be loaded.
        """
        return self.plan(operation, params).decision

    def possible_verdicts(self, operation: str) -> frozenset[Verdict]:
        """Return the verdicts other than DENY that calls of an operation can still receive, over all parameters.

        An empty set means that policy denies them all; ESCALATE alone, that each needs approval. Sends nothing and
        records nothing.

        Raises:
            UnknownOperationError: there is no such operation.
            PolicyError: no policy could be loaded.
        """
        known = operation_named(self.operations, operation)
        bare = minimal_call(known, self.operations, agent_id=self.agent_id, org_id=self.org_id)
        return self.backends.policies.possible_verdicts(bare, self.backends.clock())

    async def who_is_on_call(self, escalation_policy: str) -> Mapping[int, frozenset[str]]:
        """Read who is on call for an escalation policy now, by level: ids and e-mail addresses, in lower case.

        It serves policy entries with on-call rules. The read belongs to the approval, like that of a target's state, so
        policy does not judge it; the decision's record holds the result.

        Raises:
            ApprovalError: the API has no on-call data.
            CredentialError, PagerDutyError: it cannot be read.
        """
        if self.on_call is None:
            raise ApprovalError(f"{self.connector} has no on-call data. Nothing was decided.")
        from arx_wrapper.core.dispatch import Dispatch  # imported late, as the pipeline is

        operation, read = self.on_call
        call, request = resolve(self._env.api, self._env.caller, RequestedCall(operation=operation))
        dispatch = Dispatch(self._env, call, request, visibility=())
        return await read(dispatch.lookup, escalation_policy)

    async def approval(self, approval_id: str) -> ApprovalRequest:
        """Return a request for approval that this agent made.

        Raises:
            ApprovalError: this agent made no such request, or the store cannot be used.
        """
        with self._in_flight:
            request = await self.backends.approvals.get(approval_id)
        if (request.agent_id, request.org_id) != (self.agent_id, self.org_id):
            raise ApprovalError(f"This agent made no request {approval_id!a}.", approval_id=approval_id)
        return request

    @property
    def audit(self) -> AuditLog:
        """Return the audit log, for reading."""
        return self.backends.audit

    async def requester_email(self) -> str | None:
        """Return the e-mail address of the user for whom writes are made when a call names none; None when unknown.

        Raises:
            CredentialError: the vault has no credentials.
        """
        with self._in_flight:
            return (await self.backends.vault.read(self.org_id)).requester_email

    def model_of(self, operation: str) -> ParamModel:
        """Return the parameter model of an operation.

        Raises:
            UnknownOperationError: there is no such operation.
        """
        return self._env.api.parameters(operation_named(self.operations, operation).name)

    def build_request(self, operation: Operation, params: Params) -> Request:
        """Return an operation's request, built by the generated client. A connector without one overrides this.

        Args:
            operation: The operation.
            params: Its parameters, validated.

        Raises:
            InvalidParamsError: the client refuses a value.
        """
        return build_request(self.client, operation, params)

    @classmethod
    def is_alias(cls, name: str, value: Any) -> bool:
        """Return True when a parameter's value is a second name of an object instead of its id."""
        return is_alias(cls.aliases, name, value)

    def _api(self) -> Api:
        """Return the API as the pipeline knows it: its operations, their parameter models and requests."""
        own = type(self).build_request is not BaseConnector.build_request
        return Api(
            connector=self.connector,
            operations=self.operations,
            parameters=cache(lambda name: param_model(name, getattr(type(self), self.operations[name].function))),
            build=self.build_request if own else partial(build_request, self.client),
            request=partial(request_of, self.client),
            is_alias=partial(is_alias, self.aliases),
            recorded_fields=self.recorded_fields,
            hidden=self.hidden,
            on_call=self.on_call[1] if self.on_call else None,
        )

    def _completed(self, given: Given) -> Given:
        """Return the arguments to use; a subclass may replace them, for a sandbox."""
        return given


class _InFlightCalls:
    """Counts a connector's calls in flight; a context manager around each call.

    Raises:
        ConfigError: the connector was closed, or it was used before this process was forked.
    """

    def __init__(self) -> None:
        self._count = 0
        self._none: Event | None = None
        self._closed = False
        self._process: int | None = None

    def __enter__(self) -> None:
        if self._closed:
            raise ConfigError("This connector was closed. Nothing was sent. Make another one.")
        if self.inherited:
            raise ConfigError(
                "This connector was used before this process was forked, and cannot be used here: the audit log's "
                "thread, its database and the connections stayed with the parent. Nothing was sent. Make a connector "
                "in each process after the fork (gunicorn: post_fork; Celery: worker_process_init)."
            )
        self._process = os.getpid()
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if self._none and not self._count:
            self._none.set()

    @property
    def inherited(self) -> bool:
        """Return True in a process that was forked after the connector's first call."""
        return self._process is not None and self._process != os.getpid()

    def close(self) -> None:
        """Refuse further calls."""
        self._closed = True

    async def wait_idle(self, seconds: float) -> None:
        """Wait until no call is in flight, at most for a number of seconds."""
        if self._count:
            import asyncio  # imported late: it takes longer than everything else here

            self._none = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none.wait(), seconds)
