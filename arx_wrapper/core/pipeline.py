"""Run a call through the governed pipeline, the only way to the network.

Keep the order of the steps: one moved earlier or later can send a call that was not authorised or not recorded.

0. Record the policies in force.
1. Resolve the call: freeze it, and build its request from the same text that policy judges.
2. Check that credentials exist. No secret is read yet.
3. Let policy decide.
4. Record the intent, durably. A call whose intent cannot be recorded is not sent.
5. When policy requires it, wait for reviewers and use their approval.
6. Send the request. Values that policy hides are replaced by `[hidden]` or null before the caller gets the response.
7. Record the outcome.

`permit()` runs steps 0 to 5, before the call is sent; a call that fails there is recorded as refused. Step 5 may read
the credentials and the state of the call's target, for the reviewers. `run()` and `stream()` add steps 6 and 7: `run()`
returns one result, `stream()` yields records as they arrive.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve, frozen

from arx_wrapper.audit import Entry, Refused
from arx_wrapper.core import entries
from arx_wrapper.core.call_environment import CallEnvironment
from arx_wrapper.core.call_report import CallReport
from arx_wrapper.core.dispatch import Dispatch
from arx_wrapper.core.provenance import context, correlation
from arx_wrapper.core.resolution import RequestedCall, check, resolve
from arx_wrapper.core.telemetry import Observed, observe
from arx_wrapper.errors import ArxError, AuditError, PagerDutyError, PermissionDeniedError, shown
from arx_wrapper.model import JSON, Call, Decision, Verdict

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest

T = TypeVar("T")
_log = logging.getLogger("arx_wrapper.pipeline")


@frozen(kw_only=True, eq=False, repr=False)
class PermittedCall:
    """A call that may be sent.

    Attributes:
        dispatch: Sends it.
        records: Builds its audit entries.
        before: The state of the objects that it changes, as reviewers approved it.
    """

    dispatch: Dispatch
    records: CallRecords
    before: JSON | None


async def run(env: CallEnvironment, requested: RequestedCall) -> dict[str, Any]:
    """Run one call through all steps and return the API's JSON body; `{}` when there is none."""
    permitted = await permit(env, requested)  # 0-5
    try:
        result = permitted.dispatch.show(await permitted.dispatch.perform())  # 6
    except BaseException as error:
        conclude(env, permitted, error)  # 7
        raise
    conclude(env, permitted, None)  # 7
    return result


async def stream(
    env: CallEnvironment,
    requested: RequestedCall,
    read: Callable[[Dispatch], AsyncGenerator[Any, None]],
    made: Callable[[Any], T],
) -> AsyncGenerator[T, None]:
    """Run one call through all steps and yield `made(record)` for each record that `read` yields.

    All records are read under one permission and one intent.
    """
    permitted = await permit(env, requested)  # 0-5
    try:
        async with aclosing(read(permitted.dispatch)) as found:
            async for record in found:  # 6
                yield made(permitted.dispatch.show_record(record))
    except GeneratorExit:  # the caller has read enough
        conclude(env, permitted, None)  # 7
        raise
    except BaseException as error:
        conclude(env, permitted, error)  # 7
        raise
    conclude(env, permitted, None)  # 7


async def permit(env: CallEnvironment, requested: RequestedCall) -> PermittedCall:
    """Run a call through every step before sending.

    Raises:
        ArxError: the call is refused, and the refusal is recorded. Nothing was sent.
    """
    backends, log, records = env.backends, env.backends.audit, CallRecords(env, requested)
    intent_id: str | None = None
    try:
        await record_policies(env)  # 0 the policies in force are on record
        call, request = resolve(env.api, env.caller, requested)  # 1 freeze the call
        records.call, records.inputs_hash = call, log.keyed_hash(call.canonical)
        if requested.timeout is not None or requested.check is not None:
            check(requested, call.operation)
        await backends.vault.locate(env.caller.org_id)  # 2 credentials exist; no secret is read yet
        decision = records.decision = backends.policies.decide(call, backends.clock())  # 3 policy decides
        verdict, risk, policy = decision.verdict.name, decision.risk.name, decision.policy or "default"
        _log.debug("%s: %s at %s by %s", requested.operation, verdict, risk, policy)
        if decision.verdict is Verdict.DENY:
            raise PermissionDeniedError(decision)
        intent_id = call.id  # set before writing: the intent may be recorded although the caller is cancelled
        await log_intent(env, requested, records, call, decision)  # 4 durable
    except AuditError as error:
        records.end_span(records.refusal(error))  # Not appended: the log cannot be written. This only ends the span.
        raise
    except ArxError as error:
        await log.append(records.end_span(records.refusal(error)))
        raise
    except BaseException as error:  # cancelled before anything was sent
        log.append_soon(records.end_span(records.refusal(error, intent_id=intent_id)))
        raise
    dispatch = Dispatch(env, call, request, requested.timeout, visibility=decision.visibility)
    if decision.verdict is not Verdict.ESCALATE:
        return PermittedCall(dispatch=dispatch, records=records, before=None)
    try:
        # 5 a reviewer approves exactly this call
        before = await get_approval(env, requested, decision, dispatch, records)
    except BaseException as error:
        log.append_soon(records.end_span(records.refusal(error, intent_id=intent_id)))
        raise
    return PermittedCall(dispatch=dispatch, records=records, before=before)


def conclude(env: CallEnvironment, permitted: PermittedCall, error: BaseException | None) -> None:
    """Record the outcome of a call. It never awaits, so cancellation cannot interrupt it, and never raises."""
    records, report = permitted.records, permitted.dispatch.report()
    entry = records.outcome(permitted.dispatch.call.id, report, permitted.before, error)
    env.backends.audit.append_soon(records.end_span(entry, attempts=len(report.attempts)))


async def record_policies(env: CallEnvironment) -> None:
    """Record the policies that came into force, or failed to load, since the last call.

    Raises:
        AuditError: the log does not open, or cannot be written.
        PolicyError: no policy could be loaded.
    """
    backends, log, policies = env.backends, env.backends.audit, env.backends.policies
    if not backends.log_opened:
        await log.open()
        backends.log_opened = True
    if not policies.changed():
        return
    events = policies.drain_events()
    try:
        while events:
            await log.append(entries.policy_loaded(env.api.connector, env.caller, events[0]))
            del events[0]
    except BaseException:
        policies.keep(events)  # for the next call to record
        raise


async def log_intent(
    env: CallEnvironment, requested: RequestedCall, records: CallRecords, call: Call, decision: Decision
) -> None:
    """Record the intent, durably, and count the call against its limits.

    Do not count a resumed call again: it was counted when its approval was requested.

    Raises:
        AuditError: it cannot be recorded, so the call must not be sent.
        PermissionDeniedError: a limit is used up, or the agent is suspended.
    """
    counted = decision.verdict is Verdict.ESCALATE and requested.approval_id is not None
    usage = () if counted else [(effect.operation, effect.count) for effect in call.effects]
    try:
        await env.backends.audit.append(
            records.intent(call, decision), usage=usage, limits=() if counted else decision.limits
        )
    except Refused as refused:
        raise PermissionDeniedError(evolve(decision, verdict=Verdict.DENY, reason=refused.reason)) from None


async def get_approval(
    env: CallEnvironment, requested: RequestedCall, decision: Decision, dispatch: Dispatch, records: CallRecords
) -> JSON | None:
    """Request approval of the call, or take the request that its caller names, and use the reviewers' approval.

    Returns:
        The state of the objects that the call changes, as it was approved; None when it was not read.

    Raises:
        ArxError: as `approval_step.request_approval()` and `approval_step.use_approval()`.
    """
    from arx_wrapper.core.approval_step import request_approval, use_approval  # late: most calls need none

    if requested.approval_id is not None:
        approval_request = await env.backends.approvals.get(requested.approval_id)
        records.approval_id = approval_request.id
        return await use_approval(env, decision, dispatch, approval_request, resumed=True)
    approval_request = await request_approval(env, decision, dispatch)
    _log.debug("%s: waits for a reviewer as %s", requested.operation, approval_request.id)
    records.approval_id = approval_request.id
    await env.backends.audit.append(records.approval_requested(approval_request))
    return await use_approval(env, decision, dispatch, approval_request, resumed=False)


class CallRecords:
    """Build the audit entries of one call from what is known about it so far, and end its OpenTelemetry span.

    Attributes:
        call, inputs_hash: The call, once it is frozen, and the keyed hash of its parameters.
        decision: The decision of policy, once there is one.
        approval_id: The approval that the call waits for or uses.
    """

    def __init__(self, env: CallEnvironment, requested: RequestedCall) -> None:
        self._env, self._requested, self._started = env, requested, time.monotonic()
        self._observed: Observed | None = None
        self._correlation: Mapping[str, str] = {}
        traced = "opentelemetry.trace" in sys.modules or "opentelemetry.metrics" in sys.modules
        if traced:
            self._observed = observe(env.api.operations, requested.operation, env.caller.agent_id, env.caller.org_id)
        if traced or context.get():
            self._correlation = correlation(self._observed.trace_id if self._observed else None)
        self.call: Call | None = None
        self.inputs_hash: str | None = None
        self.decision: Decision | None = None
        self.approval_id: str | None = None

    def intent(self, call: Call, decision: Decision) -> Entry:
        """Return the entry that must be durable before anything is sent."""
        return entries.intent(self._subject(), call, decision, self._captured())

    def approval_requested(self, request: ApprovalRequest) -> Entry:
        """Return the entry of the request for the call's approval."""
        return entries.approval_requested(self._subject(), request)

    def refusal(self, error: BaseException, *, intent_id: str | None = None) -> Entry:
        """Return the entry of a call that was not sent."""
        return entries.refusal(self._subject(), error, self._elapsed(), intent_id=intent_id, captured=self._captured())

    def outcome(self, intent_id: str, report: CallReport, before: JSON | None, error: BaseException | None) -> Entry:
        """Return the entry of a call that was permitted.

        Args:
            intent_id: The id of its intent.
            report: The requests that were sent, and their responses.
            before: The state of the objects that the call changes, as reviewers approved it.
            error: The error that ended the call; None for a success.
        """
        # Record an attempted call as an outcome, not a refusal, even if no connection was made.
        if error is not None and not report.attempts and not isinstance(error, PagerDutyError):
            return self.refusal(error, intent_id=intent_id)
        subject, duration, backends = self._subject(), self._elapsed(), self._env.backends
        try:
            entry = entries.outcome(
                subject,
                report,
                error,
                duration,
                before=before,
                digest=backends.audit.keyed_hash,
                recorded=self._env.api.recorded_fields,
                captures=backends.config.capture_params,
            )
        except Exception as defect:  # any defect: the call was made, so it must be recorded
            entry = entries.bare_outcome(subject, report, error, duration, defect)
        _log.debug("%s: %s after %.0f ms", entry.operation, entry.status, duration)
        return entry

    def end_span(self, last: Entry, *, attempts: int = 0) -> Entry:
        """End the span of the call, if it has one, with the attributes of its last entry, and return that entry."""
        if self._observed:
            try:
                self._observed.end(last, attempts=attempts)
            except Exception:  # an error in a telemetry library never prevents a record
                _log.exception("%s: OpenTelemetry did not accept the call's span", last.operation)
        return last

    def _subject(self) -> entries.Subject:
        return entries.Subject(
            connector=self._env.api.connector,
            caller=self._env.caller,
            operation=self.call.operation.name if self.call is not None else _name(self._env, self._requested),
            origin=self._env.backends.origin,
            correlation=self._correlation,
            call=self.call,
            inputs_hash=self.inputs_hash,
            decision=self.decision,
            approval_id=self.approval_id,
        )

    def _captured(self) -> JSON | None:
        """Return the call's parameters, redacted, where the log keeps them."""
        if self.call is None or not self._env.backends.config.capture_params:
            return None
        return self._env.api.parameters(self.call.operation.name).redacted(self.call.params)

    def _elapsed(self) -> float:
        return round((time.monotonic() - self._started) * 1000, 3)


def _name(env: CallEnvironment, requested: RequestedCall) -> str:
    """Return the operation's name for the record, also when there is no such operation."""
    given: object = requested.operation
    return given if isinstance(given, str) and given in env.api.operations else shown(given)
