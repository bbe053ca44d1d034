"""Run a call through the governed pipeline, the only way to the network. The order of the steps is its security.

0. Record the policies in force.
1. Resolve the call: freeze it, and build its request from the same text that policy judges.
2. Check that credentials exist. No secret is read yet.
3. Let policy decide.
4. Record the intent, durably. A call whose intent cannot be recorded is not sent.
5. When policy requires it, wait for reviewers and use their approval.
6. Send the request. Members of the response that policy hides are removed before the caller gets it.
7. Record the outcome.

`clear()` runs steps 0 to 5, before the call is sent; a call that fails there is recorded as refused. Step 5 may read
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
from arx_wrapper.core.dispatch import Dispatch
from arx_wrapper.core.provenance import context, correlation
from arx_wrapper.core.resolution import Asked, check, resolve
from arx_wrapper.core.telemetry import Observed, observe
from arx_wrapper.errors import ArxError, AuditError, PagerDutyError, PermissionDeniedError, shown
from arx_wrapper.model import JSON, Call, Decision, Verdict

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest

T = TypeVar("T")
_log = logging.getLogger("arx_wrapper.pipeline")


@frozen(kw_only=True, eq=False, repr=False)
class Cleared:
    """A call that may be sent.

    Attributes:
        dispatch: Sends it.
        trail: Makes its records.
        before: The state of the objects that it changes, as reviewers approved it.
    """

    dispatch: Dispatch
    trail: Trail
    before: JSON | None


async def run(env: CallEnvironment, asked: Asked) -> dict[str, Any]:
    """Run one call through all steps and return the API's JSON body; `{}` when there is none."""
    cleared = await clear(env, asked)  # 0-5
    try:
        result = cleared.dispatch.show(await cleared.dispatch.perform())  # 6
    except BaseException as error:
        conclude(env, cleared, error)  # 7
        raise
    conclude(env, cleared, None)  # 7
    return result


async def stream(
    env: CallEnvironment, asked: Asked, read: Callable[[Dispatch], AsyncGenerator[Any, None]], made: Callable[[Any], T]
) -> AsyncGenerator[T, None]:
    """Run one call through all steps and yield `made(record)` for each record that `read` yields.

    All records are read under one permission and one intent.
    """
    cleared = await clear(env, asked)  # 0-5
    try:
        async with aclosing(read(cleared.dispatch)) as records:
            async for record in records:  # 6
                yield made(cleared.dispatch.show_record(record))
    except GeneratorExit:  # the caller has read enough
        conclude(env, cleared, None)  # 7
        raise
    except BaseException as error:
        conclude(env, cleared, error)  # 7
        raise
    conclude(env, cleared, None)  # 7


async def clear(env: CallEnvironment, asked: Asked) -> Cleared:
    """Run a call through every step before sending.

    Raises:
        ArxError: the call is refused, and the refusal is recorded. Nothing was sent.
    """
    backends, log, trail = env.backends, env.backends.audit, Trail(env, asked)
    intent_id: str | None = None
    try:
        await record_policies(env)  # 0 the policies in force are on record
        call, request = resolve(env.api, env.caller, asked)  # 1 freeze the call
        trail.call, trail.inputs_hash = call, log.keyed_hash(call.canonical)
        if asked.timeout is not None or asked.check is not None:
            check(asked, call.operation)
        await backends.vault.locate(env.caller.org_id)  # 2 credentials exist; no secret is read yet
        decision = trail.decision = backends.policies.decide(call, backends.clock())  # 3 policy decides
        verdict, risk, policy = decision.verdict.name, decision.risk.name, decision.policy or "default"
        _log.debug("%s: %s at %s by %s", asked.operation, verdict, risk, policy)
        if decision.verdict is Verdict.DENY:
            raise PermissionDeniedError(decision)
        intent_id = call.id  # set before writing: the intent may be recorded although the caller is cancelled
        await log_intent(env, asked, trail, call, decision)  # 4 durable
    except AuditError as error:
        trail.refusal(error)  # not appended: the log did not write the intent in time either
        raise
    except ArxError as error:
        await log.append(trail.refusal(error))
        raise
    except BaseException as error:
        log.append_soon(trail.refusal(error, intent_id=intent_id))  # cancelled before anything was sent
        raise
    dispatch = Dispatch(env, call, request, asked.timeout, visibility=decision.visibility)
    if decision.verdict is not Verdict.ESCALATE:
        return Cleared(dispatch=dispatch, trail=trail, before=None)
    try:
        before = await get_approval(env, asked, decision, dispatch, trail)  # 5 a reviewer approves exactly this call
    except BaseException as error:
        log.append_soon(trail.refusal(error, intent_id=intent_id))
        raise
    return Cleared(dispatch=dispatch, trail=trail, before=before)


def conclude(env: CallEnvironment, cleared: Cleared, error: BaseException | None) -> None:
    """Record the outcome of a call. It never awaits, so cancellation cannot interrupt it, and never raises."""
    env.backends.audit.append_soon(cleared.trail.outcome(cleared.dispatch, cleared.before, error))


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


async def log_intent(env: CallEnvironment, asked: Asked, trail: Trail, call: Call, decision: Decision) -> None:
    """Record the intent, durably, and count the call against its limits.

    A call that resumes was counted before its approval was requested, and does not continue without the approval.

    Raises:
        AuditError: it cannot be recorded, so the call must not be sent.
        PermissionDeniedError: a limit is used up, or the agent is suspended.
    """
    counted = decision.verdict is Verdict.ESCALATE and asked.approval_id is not None
    usage = () if counted else [(effect.operation, effect.count) for effect in call.effects]
    try:
        await env.backends.audit.append(
            trail.intent(call, decision), usage=usage, limits=() if counted else decision.limits
        )
    except Refused as refused:
        raise PermissionDeniedError(evolve(decision, verdict=Verdict.DENY, reason=refused.reason)) from None


async def get_approval(
    env: CallEnvironment, asked: Asked, decision: Decision, dispatch: Dispatch, trail: Trail
) -> JSON | None:
    """Request approval of the call, or take the request that its caller names, and use the reviewers' approval.

    Returns:
        The state of the objects that the call changes, as it was approved; None when it was not read.

    Raises:
        ArxError: as `approval_step.ask()` and `approval_step.approve()`.
    """
    from arx_wrapper.core.approval_step import approve, ask  # imported late: most calls need no approval

    if asked.approval_id is not None:
        waiting = await env.backends.approvals.get(asked.approval_id)
        trail.approval_id = waiting.id
        return await approve(env, decision, dispatch, waiting, resumed=True)
    waiting = await ask(env, decision, dispatch)
    _log.debug("%s: waits for a reviewer as %s", asked.operation, waiting.id)
    trail.approval_id = waiting.id
    await env.backends.audit.append(trail.approval_requested(waiting))
    return await approve(env, decision, dispatch, waiting, resumed=False)


class Trail:
    """The records of one call, made from what is known about it so far, and its OpenTelemetry span.

    Attributes:
        call, inputs_hash: The call, once it is frozen, and the keyed hash of its parameters.
        decision: The decision of policy, once there is one.
        approval_id: The approval that the call waits for or uses.
    """

    def __init__(self, env: CallEnvironment, asked: Asked) -> None:
        self._env, self._asked, self._started = env, asked, time.monotonic()
        self._observed: Observed | None = None
        self._correlation: Mapping[str, str] = {}
        traced = "opentelemetry.trace" in sys.modules or "opentelemetry.metrics" in sys.modules
        if traced:
            self._observed = observe(env.api.operations, asked.operation, env.caller.agent_id, env.caller.org_id)
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
        """Return the entry of a call that was not sent, and end its span."""
        subject, captured = self._subject(), self._captured()
        entry = entries.refusal(subject, error, self._elapsed(), intent_id=intent_id, captured=captured)
        if self._observed:
            _end_span(self._observed, entry)
        return entry

    def outcome(self, dispatch: Dispatch, before: JSON | None, error: BaseException | None) -> Entry:
        """Return the entry of a call that was permitted, and end its span.

        Args:
            dispatch: Reports the requests that were sent, and their responses.
            before: The state of the objects that the call changes, as reviewers approved it.
            error: The error that ended the call; None for a success.
        """
        report, backends = dispatch.report(), self._env.backends
        # A permitted call that was tried is completed, even when no connection could be made: it was not refused.
        if error is not None and not report.attempts and not isinstance(error, PagerDutyError):
            return self.refusal(error, intent_id=dispatch.call.id)
        subject, duration = self._subject(), self._elapsed()
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
        if self._observed:
            _end_span(self._observed, entry, attempts=len(report.attempts))
        return entry

    def _subject(self) -> entries.Subject:
        return entries.Subject(
            connector=self._env.api.connector,
            caller=self._env.caller,
            operation=self.call.operation.name if self.call is not None else _name(self._env, self._asked),
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


def _end_span(observed: Observed, entry: Entry, **more: Any) -> None:
    """End the span of a call. An error in a telemetry library never prevents a record."""
    try:
        observed.end(entry, **more)
    except Exception:
        _log.exception("%s: OpenTelemetry did not accept the call's span", entry.operation)


def _name(env: CallEnvironment, asked: Asked) -> str:
    """Return the operation's name for the record, also when there is no such operation."""
    given: object = asked.operation
    return given if isinstance(given, str) and given in env.api.operations else shown(given)
