"""Build the audit entries of one call, before it and after it. All functions are pure.

Records name the class, status and code of an error, never its message, which may quote a caller or the API. Of
parameters and of the API's objects they hold ids, and a fixed list of members.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from attrs import evolve, field, frozen

from arx_wrapper.audit import Entry
from arx_wrapper.audit.record import ActionType, Status
from arx_wrapper.core.call_report import CallReport
from arx_wrapper.errors import (
    ApprovalError,
    ApprovalPendingError,
    PagerDutyError,
    PermissionDeniedError,
    ServerError,
    TransportError,
)
from arx_wrapper.model import JSON, Call, Decision, Params, Risk, Verdict

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.core.resolution import Caller
    from arx_wrapper.policy import PolicyLoaded
    from arx_wrapper.transport import Attempt

# With these statuses the API did not process the request.
_UNPROCESSED: Final = frozenset({401, 429})

# The most ids that one record names: a bulk call has 250 entries, each with its own assignees.
_MOST_IDS: Final = 1_000
# The levels of an object that are searched; no object of an API has as many.
_DEEPEST: Final = 20
# An `external_id` is a routing key, which is a secret.
_NAMES_IDS: Final = re.compile(r"(^|_)(?<!external_)ids?$")
_RISKS: Final = {risk: risk.name.lower() for risk in Risk}
_VERDICTS: Final = {verdict: verdict.value for verdict in Verdict}

_canonical = msgspec.json.Encoder(order="sorted").encode


@frozen(kw_only=True, eq=False, repr=False)
class Subject:
    """The part of a record that is the same in every record of a call.

    Attributes:
        connector, caller: The connector, and the caller.
        operation: The operation's name; when there is no such operation, the given text, shortened and escaped.
        origin: The calling process, and the API's address.
        correlation: The trace and session that the call belongs to.
        call: The call, once it is resolved.
        inputs_hash: Keyed hash of its canonical parameters.
        decision: The decision of policy, once there is one.
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
    return _entry(subject, "connector.called", status, _intent_metadata(subject, call, decision, captured), id=call.id)


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
    """Return the entry of a call for which nothing was sent, with the reason.

    Args:
        subject: The call, as far as it was resolved.
        error: The error that ended it.
        duration_ms: Milliseconds since the call began.
        intent_id: The intent, when it is recorded already.
        captured: Its parameters, redacted, when the log keeps them.
    """
    if isinstance(error, PermissionDeniedError):
        subject = evolve(subject, decision=error.decision)
    metadata = {} if intent_id else _intent_metadata(subject, subject.call, subject.decision, captured)
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
    report: CallReport,
    error: BaseException | None,
    duration_ms: float,
    *,
    before: JSON | None,
    digest: Callable[[bytes], str],
    recorded: Container[str],
    captures: bool,
) -> Entry:
    """Return the entry with the outcome of a call that was sent.

    Args:
        subject: The call, with its decision and approval.
        report: The requests and responses.
        error: The error that ended it; None for a success.
        duration_ms: Milliseconds since the call began.
        before: The state of the changed objects, as it was approved.
        digest: Keyed hash with the log's key.
        recorded: The members of the API's objects whose values records may hold.
        captures: Whether they are kept as values instead of hashes.
    """
    metadata: dict[str, Any] = {
        "answers": report.responses,
        "attempts": [_attempt_metadata(each) for each in report.attempts],
    }
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
        metadata |= _changes(before, report.after, recorded, None if captures else digest)
    return _entry(
        subject,
        "connector.completed",
        "success" if error is None else failure_status(error, report, writes=writes),
        metadata,
        intent_id=subject.call.id if subject.call else None,
        outputs_hash=digest(report.digest) if error is None else None,
        duration_ms=duration_ms,
        error=error_label(error) if error else None,
    )


def bare_outcome(
    subject: Subject, report: CallReport, error: BaseException | None, duration_ms: float, defect: Exception
) -> Entry:
    """Return a minimal entry with a call's outcome, for use when `outcome()` failed because of a defect.

    Args:
        subject, report, error, duration_ms: As in `outcome()`.
        defect: The error that `outcome()` raised.
    """
    writes = subject.call is not None and subject.call.operation.writes
    attempts = [_attempt_metadata(each) for each in report.attempts]
    return _entry(
        subject,
        "connector.completed",
        "success" if error is None else failure_status(error, report, writes=writes),
        {"answers": report.responses, "attempts": attempts, "undescribed": type(defect).__name__},
        intent_id=subject.call.id if subject.call else None,
        duration_ms=duration_ms,
        error=error_label(error),
    )


def failure_status(error: BaseException, report: CallReport, *, writes: bool) -> Status:
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


def _intent_metadata(
    subject: Subject, call: Call | None, decision: Decision | None, captured: JSON | None
) -> dict[str, Any]:
    """Return what a call asks for: its origin, effects, ids and user; only its origin while it is not resolved."""
    if call is None:
        return dict(subject.origin)
    metadata: dict[str, Any] = {
        **subject.origin,
        "effects": [[effect.operation, _RISKS[effect.risk], effect.count] for effect in call.effects],
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


def _changes(
    before: JSON | None, after: JSON | None, recorded: Container[str], digest: Callable[[bytes], str] | None
) -> dict[str, Any]:
    """Return the changes of a write: ids, and the listed members as keyed hashes or as values."""
    changed: dict[str, Any] = {}
    for name, seen in (("before", before), ("after", after)):
        if seen is None:
            continue
        state = state_of(seen, recorded)
        kept = {"hash": digest(_canonical(state))} if digest else state
        changed[name] = {**kept, **({"id": seen["id"]} if isinstance(seen.get("id"), str) else {})}
    return changed


def _attempt_metadata(attempt: Attempt) -> dict[str, Any]:
    return {
        "sent": attempt.sent,
        "status": attempt.status,
        "error": attempt.error,
        "duration_ms": attempt.duration_ms,
        "waited_ms": attempt.waited_ms,
        "request_id": attempt.request_id,
    }


def _sent_as(account: str | None, requester: str | None) -> dict[str, str]:
    """Return the fingerprint of the account that a call uses, and the user for whom it is sent."""
    return {name: value for name, value in (("account", account), ("requester", requester)) if value is not None}


def _refused_status(error: BaseException) -> Status:
    if isinstance(error, ApprovalPendingError):
        return "escalated"
    return "blocked" if isinstance(error, PermissionDeniedError | ApprovalError) else "error"


def _entry(subject: Subject, action_type: ActionType, status: Status, metadata: JSON, **more: Any) -> Entry:
    call, decision = subject.call, subject.decision
    if call is not None and "ids" not in metadata and (ids := named_ids(call.params)):
        metadata = {"ids": ids, **metadata}  # so that a look-up by an object's id finds how a call ended as well
    return Entry(
        action_type=action_type,
        status=status,
        org_id=subject.caller.org_id,
        agent_id=subject.caller.agent_id,
        connector=subject.connector,
        operation=subject.operation,
        method=call.operation.method if call else None,
        path=call.operation.path if call else None,
        risk=_RISKS[decision.risk if decision else call.risk] if call else None,
        policy_verdict=_VERDICTS[decision.verdict] if decision else None,
        policy=decision.policy if decision else None,
        reason=decision.reason if decision else None,
        approval_id=subject.approval_id,
        inputs_hash=subject.inputs_hash,
        metadata={**metadata, **subject.correlation},
        **more,
    )


def named_ids(params: Params, most: int = _MOST_IDS) -> dict[str, Any]:
    """Return the ids that parameters name, at any depth: `{"incident_id": "P1", "incidents": ["P2", "P3"]}`.

    Nested ids are under their path: `incidents.assignee_ids`, `rules.targets`, `filters.service_ids`, each once. Ids
    beyond `most` are counted under `omitted`.
    """
    if len(params) <= most and not any(isinstance(value, list | Mapping) for value in params.values()):  # most calls
        return {name: value for name, value in params.items() if isinstance(value, str) and _names_ids(name)}
    ids: dict[str, Any] = {}
    inner: dict[str, dict[str, None]] = {}
    omitted = 0
    for path, found in _ids_in("", params):
        if most == 0:
            omitted += 1
        elif path in params and isinstance(params[path], str):
            ids[path] = found
            most -= 1
        elif found not in inner.setdefault(path, {}):
            inner[path][found] = None
            most -= 1
    ids |= {path: list(found) for path, found in inner.items()}
    return ids | ({"omitted": omitted} if omitted else {})


def _ids_in(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield the ids in a list or an object, each with its path; an object's own id is under the object's path."""
    if isinstance(value, list):
        for item in value:
            yield from _ids_in(path, item)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            below = f"{path}.{name}" if path else name
            if name == "id" and path and isinstance(inner, str):
                yield path, inner
            elif _names_ids(name):
                yield from ((below, one) for one in _each(inner) if isinstance(one, str))
            else:
                yield from _ids_in(below, inner)


@lru_cache(maxsize=1024)  # there are few names of parameters; callers can invent others only in free-form members
def _names_ids(name: str) -> bool:
    return _NAMES_IDS.search(name) is not None


def _each(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def state_of(seen: Mapping[str, Any], members: Container[str], depth: int = _DEEPEST) -> dict[str, Any]:
    """Return the members of an object that records may hold: those on the list, up to `depth` levels deep."""
    kept: dict[str, Any] = {}
    for name, value in seen.items() if depth else ():
        if isinstance(value, Mapping):
            inner: Any = state_of(value, members, depth - 1)
        elif isinstance(value, list):
            inner = [state_of(item, members, depth - 1) for item in value if isinstance(item, Mapping)]
        else:
            inner = value if name in members else None
        if inner:
            kept[name] = inner
    return kept
