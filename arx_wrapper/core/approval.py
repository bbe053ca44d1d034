"""Step 5 of the pipeline: a person agrees to exactly this call, once, while it still means what it meant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve

from arx_wrapper.errors import ApprovalDeniedError, ApprovalPendingError, PermissionDeniedError
from arx_wrapper.model import Decision, Verdict

if TYPE_CHECKING:
    from arx_wrapper.core.backends import Rooms
    from arx_wrapper.core.dispatch import Passage
    from arx_wrapper.core.recorder import Recorder

Target = Mapping[str, Any] | None
ReadTarget = Callable[["Passage"], Awaitable[Target]]


async def obtain(
    passage: Passage, record: Recorder, rooms: Rooms, approval_id: str | None, read_target: ReadTarget
) -> None:
    """Ask a reviewer, or take up an approval asked for before, and use it up.

    The approval is bound to agent, organisation, account, operation, parameters, policy entry and the state of what the
    call changes. Policy is asked again at the end: what it denies by now, no approval permits.

    Raises:
        ApprovalPendingError: nobody has decided and the configuration says not to wait.
        ApprovalDeniedError: denied, used before, given for another call, or stale.
        ApprovalExpiredError: nobody decided in time.
        PermissionDeniedError: policy was tightened meanwhile.
    """
    call, terms = passage.call, await _terms(passage, rooms)
    if approval_id is None:
        target = passage.before = await read_target(passage)
        asked = await rooms.approvals.request(
            **terms,
            effects=call.effects,
            risk=passage.decision.risk,
            policy_source=passage.decision.source,
            reason=passage.decision.reason,
            channel=passage.decision.channel,
            target=target,
            min_approvals=passage.decision.min_approvals,
        )
        approval_id = asked.id
        await record.approval_requested(asked)
        if rooms.config.approvals_mode == "raise":
            raise ApprovalPendingError(
                f"{call.operation.name}: waits for a reviewer as {asked.id} until {asked.expires_at:%Y-%m-%d %H:%M}Z. "
                f"Nothing was sent. Resume with execute(..., approval_id={asked.id!r}).",
                approval_id=asked.id,
            )
    asked = await rooms.approvals.get(approval_id)
    record.approval_id = asked.id
    digest = _digest(terms, asked.target)
    if asked.digest != digest:
        raise ApprovalDeniedError(
            f"{call.operation.name}: {approval_id} was asked for another call. Nothing was sent.",
            approval_id=approval_id,
        )
    if rooms.config.approvals_mode == "wait":
        await rooms.approvals.wait(approval_id)
    await _judged_again(passage, record, rooms)  # before anything more is read with the account's key
    asked = await rooms.approvals.get(approval_id)
    if asked.state == "approved" and asked.target is not None:
        passage.before = await read_target(passage)
        if asked.target != passage.before:
            await rooms.approvals.mark_stale(approval_id)
            raise ApprovalDeniedError(
                f"{call.operation.name}: what {approval_id} was given for has changed since. Nothing was sent. "
                "Ask anew.",
                approval_id=approval_id,
            )
    again = await _judged_again(passage, record, rooms)
    await rooms.approvals.consume(approval_id, digest, min_approvals=again.min_approvals)


async def _terms(passage: Passage, rooms: Rooms) -> dict[str, Any]:
    credentials = await passage.sign()  # an approval holds for one account
    return {
        "org_id": passage.call.org_id,
        "agent_id": passage.call.agent_id,
        "account": credentials.fingerprint,
        "connector": rooms.connector,
        "operation": passage.call.operation.name,
        "params": passage.call.canonical,
        "policy": passage.decision.policy,
    }


def _digest(terms: Mapping[str, Any], target: Target) -> str:
    from arx_wrapper.approvals import call_digest

    return call_digest(**terms, target=target)


async def _judged_again(passage: Passage, record: Recorder, rooms: Rooms) -> Decision:
    """Long after the intent, perhaps: policy may say something else by now, and the agent may have been stopped."""
    again = rooms.policies.decide(passage.call, rooms.clock())
    if suspension := await rooms.audit.suspension(passage.call.agent_id):
        again = evolve(again, verdict=Verdict.DENY, reason=suspension)
    if again.verdict is Verdict.DENY:
        record.decision = again
        raise PermissionDeniedError(again)
    return again
