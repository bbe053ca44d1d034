"""The audit entries of one call: what is recorded before it, and what after it. Pure functions of values.

Records name classes of errors, status and codes, never their messages: a message may quote what a caller or the API
put into it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from attrs import evolve, field, fields, frozen

from arx_wrapper.audit import Entry
from arx_wrapper.audit.record import ActionType, Status
from arx_wrapper.core.recorded import named_ids, state_of
from arx_wrapper.core.report import Report
from arx_wrapper.errors import (
    ApprovalError,
    ApprovalPendingError,
    PagerDutyError,
    PermissionDeniedError,
    ServerError,
    TransportError,
)
from arx_wrapper.model import JSON, Call, Decision, Verdict

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.core.resolution import Caller
    from arx_wrapper.policy import PolicyLoaded
    from arx_wrapper.transport import Attempt

# With these statuses the API did not process the request.
_UNPROCESSED: Final = frozenset({401, 429})

_canonical = msgspec.json.Encoder(order="sorted").encode


@frozen(kw_only=True)
class Subject:
    """The part of a record that is the same in every record of a call.

    Attributes:
        connector, caller: Which connector is called, and who calls.
        operation: The operation's name; what was asked for, shortened and escaped, where there is no such operation.
        origin: The process that calls, and the API's address.
        correlation: The trace and session that the call belongs to.
        call: The call, once it is resolved.
        inputs_hash: Keyed hash of its canonical parameters.
        decision: What policy said, once it was asked.
        approval_id: The approval that it waits for or uses.
    """

    connector: str
    caller: Caller
    operation: str
    origin: JSON = field(factory=dict)
    correlation: Mapping[str, str] = field(factory=dict)
    call: Call | None = None
    inputs_hash: str | None = None
    decision: Decision | None = None
    approval_id: str | None = None


def policy_loaded(connector: str, caller: Caller, event: PolicyLoaded) -> Entry:
    """Return the entry of a policy that came into force, or failed to load."""
    return Entry(
        action_type="policy.loaded",
        org_id=caller.org_id,
        agent_id=caller.agent_id,
        connector=connector,
        policy=event.source,
        status="error" if event.error else "success",
        error="PolicyError" if event.error else None,
        metadata={"digest": event.digest, "entries": event.entries, **({"text": event.text} if event.text else {})},
    )


def intent(subject: Subject, call: Call, decision: Decision, captured: JSON | None) -> Entry:
    """Return the entry that must be durable before anything is sent.

    Args:
        subject, call, decision: The call, judged.
        captured: Its parameters, redacted, where the log keeps them.
    """
    status: Status = "escalated" if decision.verdict is Verdict.ESCALATE else "in_progress"
    return _entry(subject, "connector.called", status, _asked(subject, call, decision, captured), id=call.id)


def approval_requested(subject: Subject, request: ApprovalRequest) -> Entry:
    """Return the entry of a request for approval."""
    metadata: dict[str, Any] = {"digest": request.digest, "expires_at": request.expires_at.isoformat()}
    metadata |= _sent_as(request.account, request.requester)
    return _entry(subject, "approval.requested", "escalated", metadata)


def refusal(
    subject: Subject,
    error: BaseException,
    duration_ms: float,
    *,
    intent_id: str | None = None,
    captured: JSON | None = None,
) -> Entry:
    """Return the entry of a call of which nothing was sent, and why.

    Args:
        subject: The call, as far as it got.
        error: What it ended with.
        duration_ms: Milliseconds since it was asked for.
        intent_id: The intent that is on record already.
        captured: Its parameters, redacted, where the log keeps them.
    """
    if isinstance(error, PermissionDeniedError):
        subject = evolve(subject, decision=error.decision)
    metadata = {} if intent_id else _asked(subject, subject.call, subject.decision, captured)
    return _entry(
        subject,
        "connector.refused",
        _refused_status(error),
        metadata,
        intent_id=intent_id,
        duration_ms=duration_ms,
        error=error_label(error),
    )


def outcome(
    subject: Subject,
    report: Report,
    error: BaseException | None,
    duration_ms: float,
    *,
    before: JSON | None,
    digest: Callable[[bytes], str],
    recorded: Container[str],
    captures: bool,
) -> Entry:
    """Return the entry of a call that was sent: what became of it.

    Args:
        subject: The call, with its decision and approval.
        report: What was sent and what came back.
        error: What it ended with; None for a success.
        duration_ms: Milliseconds since it was asked for.
        before: The state of what it changed, as it was approved.
        digest: Keyed hash with the log's key.
        recorded: The members of the API's objects whose values records may hold.
        captures: Whether they are kept as values, not as hashes.
    """
    metadata: dict[str, Any] = {"answers": report.responses, "attempts": [_plain(each) for each in report.attempts]}
    metadata |= _sent_as(report.account, report.requester)
    if report.records is not None:
        metadata["records"] = report.records
    if report.recovery:
        metadata["settled"] = "found" if report.recovery == "found" else "not found"
    if report.hidden:
        metadata["hidden"] = dict(report.hidden)
    if report.lookups:
        metadata["looks"] = report.lookups
    writes = subject.call is not None and subject.call.operation.writes
    if writes:
        metadata |= _changed(before, report.after, recorded, None if captures else digest)
    return _entry(
        subject,
        "connector.completed",
        "success" if error is None else failure_status(error, report, writes=writes),
        metadata,
        intent_id=subject.call.id if subject.call else None,
        outputs_hash=digest(report.digest) if error is None else None,
        duration_ms=duration_ms,
        error=error_label(error),
    )


def bare_outcome(
    subject: Subject, report: Report, error: BaseException | None, duration_ms: float, defect: Exception
) -> Entry:
    """Return the entry of an outcome that could not be described: how the call ended is on record nevertheless.

    Args:
        subject, report, error, duration_ms: As in `outcome()`.
        defect: Why it could not be described.
    """
    writes = subject.call is not None and subject.call.operation.writes
    attempts = [_plain(each) for each in report.attempts]
    return _entry(
        subject,
        "connector.completed",
        "success" if error is None else failure_status(error, report, writes=writes),
        {"answers": report.responses, "attempts": attempts, "undescribed": type(defect).__name__},
        intent_id=subject.call.id if subject.call else None,
        duration_ms=duration_ms,
        error=error_label(error),
    )


def failure_status(error: BaseException, report: Report, *, writes: bool) -> Status:
    """Classify a failed call: `error` if it certainly had no effect (reads always), `unknown` if a write may have."""
    unprocessed = all(attempt.status in _UNPROCESSED or not attempt.sent for attempt in report.attempts)
    if unprocessed or not writes or report.recovery == "absent":
        return "error"
    if isinstance(error, TransportError):
        return "unknown" if error.outcome == "unknown" else "error"
    return "error" if isinstance(error, PagerDutyError) and not isinstance(error, ServerError) else "unknown"


def error_label(error: BaseException | None) -> str | None:
    """Return an error's class, with status and code: `NotFoundError 404/2100`."""
    if error is None:
        return None
    name = type(error).__name__
    if isinstance(error, PagerDutyError) and error.status:
        return f"{name} {error.status}" + (f"/{error.code}" if error.code else "")
    return name


def _asked(subject: Subject, call: Call | None, decision: Decision | None, captured: JSON | None) -> dict[str, Any]:
    if call is None:
        return dict(subject.origin)
    metadata: dict[str, Any] = {
        **subject.origin,
        "effects": [[effect.operation, effect.risk.name.lower(), effect.count] for effect in call.effects],
        "ids": named_ids(call.params),
    }
    if decision and decision.observed:
        metadata["observed"] = list(decision.observed)
    if requester := call.params.get("requester_email"):
        metadata["requester"] = requester
    if call.iteration is not None:
        metadata["iterate"] = dict(call.iteration)
    if captured is not None:
        metadata["params"] = captured
    return metadata


def _changed(
    before: JSON | None, after: JSON | None, recorded: Container[str], digest: Callable[[bytes], str] | None
) -> dict[str, Any]:
    """Return what a write changed: as keyed hashes of the members on the list, besides the ids, or as values."""
    changed: dict[str, Any] = {}
    for name, seen in (("before", before), ("after", after)):
        if seen is None:
            continue
        state = state_of(seen, recorded)
        kept = {"hash": digest(_canonical(state))} if digest else state
        changed[name] = {**kept, **({"id": seen["id"]} if isinstance(seen.get("id"), str) else {})}
    return changed


def _plain(attempt: Attempt) -> dict[str, Any]:
    return {member.name: getattr(attempt, member.name) for member in fields(type(attempt))}


def _sent_as(account: str | None, requester: str | None) -> dict[str, str]:
    """Return the account that a call uses, by its fingerprint, and the user that it is sent for."""
    return {name: value for name, value in (("account", account), ("requester", requester)) if value is not None}


def _refused_status(error: BaseException) -> Status:
    if isinstance(error, ApprovalPendingError):
        return "escalated"
    return "blocked" if isinstance(error, PermissionDeniedError | ApprovalError) else "error"


def _entry(subject: Subject, action_type: ActionType, status: Status, metadata: JSON, **more: Any) -> Entry:
    call, decision = subject.call, subject.decision
    return Entry(
        action_type=action_type,
        status=status,
        org_id=subject.caller.org_id,
        agent_id=subject.caller.agent_id,
        connector=subject.connector,
        operation=subject.operation,
        method=call.operation.method if call else None,
        path=call.operation.path if call else None,
        risk=(decision.risk if decision else call.risk).name.lower() if call else None,
        policy_verdict=decision.verdict.value if decision else None,
        policy=decision.policy if decision else None,
        reason=decision.reason if decision else None,
        approval_id=subject.approval_id,
        inputs_hash=subject.inputs_hash,
        metadata={**metadata, **subject.correlation},
        **more,
    )
