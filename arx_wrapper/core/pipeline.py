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
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from attrs import evolve, frozen

from arx_wrapper.audit import Entry, Refused
from arx_wrapper.core import entries
from arx_wrapper.core.dispatch import Dispatch
from arx_wrapper.core.environment import Environment
from arx_wrapper.core.origin import context, correlation
from arx_wrapper.core.resolution import Asked, check, resolve
from arx_wrapper.core.telemetry import Observed, observe
from arx_wrapper.errors import ArxError, AuditError, PagerDutyError, PermissionDeniedError, shown
from arx_wrapper.model import JSON, Call, Decision, Verdict

T = TypeVar("T")
_log = logging.getLogger("arx_wrapper.pipeline")


@frozen(kw_only=True, eq=False, repr=False)
class Cleared:
    """A call that may be sent.

    Attributes:
        dispatch: Sends it.
        subject: The part that all its records have in common.
        before: The state of the objects that it changes, as reviewers approved it.
        started: The time at which the call began, by the monotonic clock.
        observed: Its OpenTelemetry span.
    """

    dispatch: Dispatch
    subject: entries.Subject
    before: JSON | None
    started: float
    observed: Observed | None


async def run(env: Environment, asked: Asked) -> dict[str, Any]:
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
    env: Environment, asked: Asked, read: Callable[[Dispatch], AsyncGenerator[Any, None]], made: Callable[[Any], T]
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


async def clear(env: Environment, asked: Asked) -> Cleared:
    """Run a call through every step before sending.

    Raises:
        ArxError: the call is refused, and the refusal is recorded. Nothing was sent.
    """
    backends, caller, log, started = env.backends, env.caller, env.backends.audit, time.monotonic()
    traced = "opentelemetry.trace" in sys.modules or "opentelemetry.metrics" in sys.modules
    observed = observe(env.api.operations, asked.operation, caller.agent_id, caller.org_id) if traced else None
    correlated = correlation(observed.trace_id if observed else None) if traced or context.get() else {}
    call: Call | None = None
    decision: Decision | None = None
    inputs_hash: str | None = None
    captured: JSON | None = None
    intent_id: str | None = None

    def subject(approval_id: str | None = None) -> entries.Subject:
        return entries.Subject(
            connector=env.api.connector,
            caller=caller,
            operation=call.operation.name if call is not None else _name(env, asked),
            origin=backends.origin,
            correlation=correlated,
            call=call,
            inputs_hash=inputs_hash,
            decision=decision,
            approval_id=approval_id,
        )

    def refusal(error: BaseException, *, intent_id: str | None = None, approval_id: str | None = None) -> Entry:
        entry = entries.refusal(subject(approval_id), error, _elapsed(started), intent_id=intent_id, captured=captured)
        _observe(observed, entry)
        return entry

    try:
        if not backends.log_opened:
            await log.open()
            backends.log_opened = True
        if backends.policies.changed():
            await record_policy_changes(env)  # 0 record the policies in force
        call, request = resolve(env.api, caller, asked)  # 1 freeze the call
        inputs_hash = log.keyed_hash(call.canonical)
        if backends.config.capture_params:
            captured = env.api.parameters(call.operation.name).redacted(call.params)
        if asked.timeout is not None or asked.check is not None:
            check(asked, call.operation)
        await backends.vault.locate(caller.org_id)  # 2 credentials exist; no secret is read yet
        decision = backends.policies.decide(call, backends.clock())  # 3 policy decides
        if _log.isEnabledFor(logging.DEBUG):
            policy = decision.policy or "default"
            _log.debug("%s: %s at %s by %s", asked.operation, decision.verdict.name, decision.risk.name, policy)
        if decision.verdict is Verdict.DENY:
            raise PermissionDeniedError(decision)
        judged = subject()
        intent_id = call.id  # set before writing: the intent may be recorded although the caller is cancelled
        await log_intent(env, judged, call, decision, captured, asked)  # 4 durable
    except AuditError as error:
        refusal(error)  # not appended: the log did not write the intent in time either
        raise
    except ArxError as error:
        await log.append(refusal(error))
        raise
    except BaseException as error:
        log.append_soon(refusal(error, intent_id=intent_id))  # cancelled before anything was sent
        raise

    dispatch = Dispatch(env, call, request, asked.timeout, visibility=decision.visibility)
    before = None
    if decision.verdict is Verdict.ESCALATE:
        from arx_wrapper.core.approval import approve, ask  # imported late: most calls need no approval

        approval_id = None
        try:
            if asked.approval_id is None:  # 5 a reviewer approves exactly this call
                waiting = await ask(env, decision, dispatch)
                _log.debug("%s: waits for a reviewer as %s", asked.operation, waiting.id)
            else:
                waiting = await backends.approvals.get(asked.approval_id)
            approval_id = waiting.id
            judged = subject(approval_id)
            if asked.approval_id is None:
                await log.append(entries.approval_requested(judged, waiting))
            before = await approve(env, decision, dispatch, waiting, resumed=asked.approval_id is not None)
        except BaseException as error:
            log.append_soon(refusal(error, intent_id=intent_id, approval_id=approval_id))
            raise
    return Cleared(dispatch=dispatch, subject=judged, before=before, started=started, observed=observed)


def conclude(env: Environment, cleared: Cleared, error: BaseException | None) -> None:
    """Record the outcome of a call. It never awaits, so cancellation cannot interrupt it, and never raises."""
    report, log = cleared.dispatch.report(), env.backends.audit
    duration, intent_id = round((time.monotonic() - cleared.started) * 1000, 3), cleared.dispatch.call.id
    # A permitted call that was tried is completed, even when no connection could be made: it was not refused.
    if error is not None and not report.attempts and not isinstance(error, PagerDutyError):
        entry = entries.refusal(cleared.subject, error, duration, intent_id=intent_id)
    else:
        try:
            entry = entries.outcome(
                cleared.subject,
                report,
                error,
                duration,
                before=cleared.before,
                digest=log.keyed_hash,
                recorded=env.api.recorded_fields,
                captures=env.backends.config.capture_params,
            )
        except Exception as defect:  # any defect: the call was made, so it must be recorded
            entry = entries.bare_outcome(cleared.subject, report, error, duration, defect)
    if cleared.observed:
        _observe(cleared.observed, entry, attempts=len(report.attempts))
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug("%s: %s after %.0f ms", entry.operation, entry.status, duration)
    log.append_soon(entry)


async def record_policy_changes(env: Environment) -> None:
    """Record the policies that came into force, or failed to load, since the last call.

    Raises:
        AuditError: the log does not open, or cannot be written.
        PolicyError: no policy could be loaded.
    """
    log, policies = env.backends.audit, env.backends.policies
    events = policies.drain_events()
    try:
        while events:
            await log.append(entries.policy_loaded(env.api.connector, env.caller, events[0]))
            del events[0]
    except BaseException:
        policies.keep(events)  # for the next call to record
        raise


async def log_intent(
    env: Environment, subject: entries.Subject, call: Call, decision: Decision, captured: JSON | None, asked: Asked
) -> None:
    """Record the intent, durably, and count the call against its limits.

    A call that resumes was counted before its approval was requested, and does not continue without the approval.

    Raises:
        AuditError: it cannot be recorded, so the call must not be sent.
        PermissionDeniedError: a limit is used up, or the agent is suspended.
    """
    counted = decision.verdict is Verdict.ESCALATE and asked.approval_id is not None
    usage = () if counted else [(effect.operation, effect.count) for effect in call.effects]
    intent = entries.intent(subject, call, decision, captured)
    try:
        await env.backends.audit.append(intent, usage=usage, limits=() if counted else decision.limits)
    except Refused as refused:
        raise PermissionDeniedError(evolve(decision, verdict=Verdict.DENY, reason=refused.reason)) from None


def _name(env: Environment, asked: Asked) -> str:
    """Return the operation's name for the record, also when there is no such operation."""
    given: object = asked.operation
    return given if isinstance(given, str) and given in env.api.operations else shown(given)


def _elapsed(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)


def _observe(observed: Observed | None, entry: Entry, **more: Any) -> None:
    """End the call's span. An error in a telemetry library never prevents a record."""
    try:
        if observed:
            observed.end(entry, **more)
    except Exception:
        _log.exception("%s: OpenTelemetry did not accept the call's span", entry.operation)
