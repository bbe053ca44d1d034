"""Record reviewers' decisions, and verify an approval against the records before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from arx_wrapper.audit import AuditLog, Entry
from arx_wrapper.core.enrolment_records import enrolments_of, require_intact
from arx_wrapper.core.reviewer_checks import AskOnCall, Judge, require_all, require_one, rules_of
from arx_wrapper.errors import ApprovalDeniedError, ApprovalError, AuditError
from arx_wrapper.model import ReviewerRule

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest, Approvals, Evidence
    from arx_wrapper.audit import AuditRecord
    from arx_wrapper.audit.record import Status
    from arx_wrapper.audit.store import Reader

# The largest expected difference between the clocks of hosts that write to one log.
_SKEW = timedelta(minutes=10)
USED = "used"


async def review(
    approvals: Approvals,
    log: AuditLog,
    approval_id: str,
    *,
    reviewer: str,
    approve: bool,
    note: str = "",
    signature: str | None = None,
    at: datetime | None = None,
    ask_on_call: AskOnCall | None = None,
) -> ApprovalRequest:
    """Decide a request for approval, and record the reviewer and the decision.

    The record is written first: a decision counts only when the audit log has it. A decision that does not count is
    recorded as well, with status `error`.

    Args:
        approvals, log: The approval store, and the audit log.
        approval_id: The request.
        reviewer, approve, note: The decision.
        signature, at: The reviewer's signature and its time, when reviewers have registered keys.
        ask_on_call: Reads who is on call, for policies with on-call rules.

    Returns:
        The request after the decision; with `min_approvals` it may still be pending.

    Raises:
        ApprovalError: there is no such request, it has ended, or this reviewer may not decide it.
        AuditError: the decision could not be recorded, so it does not count.
    """
    await log.open()
    given: dict[str, Any] = {
        "reviewer": reviewer,
        "verdict": "approved" if approve else "denied",
        "note": note,
        "signed": signature is not None,
        "signature": signature,
    }
    request = await approvals.get(approval_id)
    reviewers = (await enrolments_of(log, request.org_id, approvals.reviewers)).reviewers
    judge = Judge(request=request, reviewers=reviewers, groups=approvals.groups, ask_on_call=ask_on_call)
    try:
        said = approvals.review(reviewer, approve, note, signature, at=at)
        after = await approvals.check(approval_id, said, reviewers=reviewers)
        if approve:
            await require_one(judge, rules_of(request), said)
        given |= {"on_call": judge.looked_up} if judge.looked_up else {}
        given |= {"at": said.at.isoformat(), "state": after.state}
        await log.append(_entry(request, "success" if approve else "blocked", given))
        return await approvals.take(approval_id, said, reviewers=reviewers)
    except ApprovalError as refused:
        given |= {"on_call": judge.looked_up} if judge.looked_up else {}
        given = {name: value for name, value in given.items() if name not in ("note", "signature", "state")}
        await log.append(_entry(request, "error", given, error=type(refused).__name__))
        raise


async def revoke(
    approvals: Approvals, log: AuditLog, approval_id: str, *, reviewer: str, note: str = ""
) -> ApprovalRequest:
    """Withdraw a request or an unused approval, and record the person who did.

    Args:
        approvals, log: The approval store, and the audit log.
        approval_id: The request.
        reviewer, note: The person who withdraws it, and the reason.

    Returns:
        The request, revoked.

    Raises:
        ApprovalError: there is no such request, or it has already ended. Nothing was changed.
        AuditError: the withdrawal could not be recorded; nothing was changed.
    """
    from arx_wrapper.approvals.request import plain_name

    plain_name(reviewer)
    await log.open()
    request = await approvals.get(approval_id)
    if request.state not in ("pending", "approved"):
        raise ApprovalError(f"{request.id} is {request.state} already. Nothing was changed.", approval_id=request.id)
    given = {"reviewer": reviewer, "verdict": "revoked", "note": note, "signed": False, "state": "revoked"}
    await log.append(_entry(request, "blocked", given))
    return await approvals.revoke(approval_id)


async def record_refusal(log: AuditLog, org_id: str, problem: str) -> None:
    """Record that a decision was refused before its request could be identified.

    Raises:
        AuditError: it cannot be recorded.
    """
    entry = Entry(
        action_type="approval.reviewed",
        status="error",
        org_id=org_id,
        agent_id="*",
        connector="*",
        reason=problem,
        error="ApprovalError",
        metadata={"step": "refused"},
    )
    await log.append(entry)


async def use_up(
    approvals: Approvals,
    log: AuditLog,
    request: ApprovalRequest,
    call_digest: str,
    *,
    min_approvals: int,
    rules: Sequence[ReviewerRule] = (),
    ask_on_call: AskOnCall | None = None,
) -> ApprovalRequest:
    """Use an approval, after verifying every decision again with this process's reviewers and the audit log.

    Args:
        approvals, log: The approval store, and the audit log.
        request: The request.
        call_digest: The digest of the call that is about to be sent.
        min_approvals: The number of approvals that policy requires now.
        rules: The rules for reviewers that policy has now.
        ask_on_call: Reads who is on call; reviewers who decided as on call must still be.

    Returns:
        The request, consumed.

    Raises:
        ApprovalPendingError, ApprovalDeniedError, ApprovalExpiredError: as `Approvals.consume()` does.
        AuditError: the log cannot be read.
    """
    evidence = await evidence_of(log, request)
    reviewers = (await enrolments_of(log, request.org_id, approvals.reviewers)).reviewers
    if rules and request.state == "approved":
        judge = Judge(request=request, reviewers=reviewers, groups=approvals.groups, ask_on_call=ask_on_call)
        await _require_rules(log, judge, rules)
    used = await approvals.consume(
        request.id, call_digest, min_approvals=min_approvals, evidence=evidence, reviewers=reviewers
    )
    await _record_use(log, request)
    return used


async def _record_use(log: AuditLog, request: ApprovalRequest) -> None:
    """Record that an approval is used, durably, before anything is sent with it.

    The store is not enough: a process that can write to it could set a used approval back to approved. The first record
    of a use in the log counts, so that only one of two processes sends.
    """
    mine = await log.append(_entry(request, "success", {"step": "used", "verdict": USED}))
    first = await log.read(lambda reader: min(seq for seq in _uses(reader, _since(request), request.id)))
    if first != mine.seq:
        raise ApprovalDeniedError(
            f"Approval {request.id} has been used already, by the audit log; an approval is valid for one call. "
            "Nothing was sent. Find out who can write to the approval store.",
            approval_id=request.id,
        )


def _uses(reader: Reader, since: str, approval_id: str) -> Iterator[int]:
    return (record.seq for record in _genuine(reader, since, approval_id) if record.metadata.get("verdict") == USED)


async def _require_rules(log: AuditLog, judge: Judge, rules: Sequence[ReviewerRule]) -> None:
    """Apply the rules when an approval is used, and record the result."""
    said: dict[str, Any] = {"step": "used", "verdict": "counted"}
    try:
        said["found"] = await require_all(judge, rules)
    except ApprovalError as refused:
        said |= {"verdict": "not counted", "on_call": judge.looked_up}
        await log.append(_entry(judge.request, "error", said, error=type(refused).__name__))
        raise
    if judge.looked_up:
        await log.append(_entry(judge.request, "success", {**said, "on_call": judge.looked_up}))


async def evidence_of(log: AuditLog, request: ApprovalRequest) -> Evidence:
    """Return the audit log's records of a request.

    Raises:
        AuditError: the log cannot be read, or holds a record that its key did not write.
    """
    from arx_wrapper.approvals import Evidence

    def read(reader: Reader) -> Evidence:
        return Evidence.of(request.id, _genuine(reader, _since(request), request.id))

    return await log.read(read)


def _since(request: ApprovalRequest) -> str:
    return (request.created_at - _SKEW).astimezone(UTC).isoformat(timespec="microseconds")


def _genuine(reader: Reader, since: str, approval_id: str) -> Iterator[AuditRecord]:
    from arx_wrapper.audit.store import Query

    newest = (require_intact(record, reader) for record in reader.select(Query(newest_first=True)))
    recent = takewhile(lambda record: record.created_at >= since, _gapless(newest) if reader.gapless else newest)
    return (record for record in recent if record.approval_id == approval_id)


def _gapless(newest: Iterator[AuditRecord]) -> Iterator[AuditRecord]:
    """Yield records, newest first; none may be missing, because it may withdraw or use an approval."""
    above: int | None = None
    for record in newest:
        if above is not None and record.seq != above - 1:
            raise AuditError(
                f"Record {above - 1} of the audit log is missing, so approvals cannot be judged by the log. Nothing "
                "was sent. Run `arx-pagerduty audit verify`, and find out who can write to the log."
            )
        above = record.seq
        yield record


def _entry(request: ApprovalRequest, status: Status, given: dict[str, Any], *, error: str | None = None) -> Entry:
    return Entry(
        action_type="approval.reviewed",
        status=status,
        org_id=request.org_id,
        agent_id=request.agent_id,
        connector=request.connector,
        operation=request.operation,
        risk=request.risk.name.lower(),
        policy=request.policy,
        approval_id=request.id,
        error=error,
        metadata={**given, "digest": request.digest},
    )
