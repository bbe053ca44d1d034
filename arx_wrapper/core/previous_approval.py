"""Step 5 of the pipeline: a person agrees to exactly this call, once, while it still means what it meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve

from arx_wrapper.core.review import evidence_of
from arx_wrapper.errors import ApprovalDeniedError, ApprovalPendingError, PermissionDeniedError
from arx_wrapper.model import Call, Decision, Verdict

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.core.backends import Backends
    from arx_wrapper.core.previous_dispatch import Dispatch
    from arx_wrapper.core.previous_recorder import Recorder

Target = Mapping[str, Any] | None


async def obtain(dispatch: Dispatch, record: Recorder, backends: Backends, approval_id: str | None) -> None:
    """Ask a reviewer, or take up an approval asked for before, and use it up.

    The approval is bound to agent, organisation, account, operation, parameters, policy entry and the state of what the
    call changes. Policy is asked again at the end: what it denies by now, no approval permits.

    Raises:
        ApprovalPendingError: nobody has decided and the configuration says not to wait.
        ApprovalDeniedError: denied, used before, given for another call, or stale.
        ApprovalExpiredError: nobody decided in time.
        PermissionDeniedError: policy was tightened meanwhile.
    """
    call, terms = dispatch.call, await _terms(dispatch, backends)
    if approval_id is None:
        target = dispatch.before = await dispatch.target_state()
        asked = await backends.approvals.request(
            **terms,
            risk=dispatch.decision.risk,
            policy_source=dispatch.decision.source,
            reason=dispatch.decision.reason,
            sentence=_sentence(call, target),
            channel=dispatch.decision.channel,
            target=target,
            min_approvals=dispatch.decision.min_approvals,
        )
        approval_id = asked.id
        await record.approval_requested(asked)
        if backends.config.approvals_mode == "raise":
            raise ApprovalPendingError(
                f"{call.operation.name}: waits for a reviewer as {asked.id} until {asked.expires_at:%Y-%m-%d %H:%M}Z. "
                f"Nothing was sent. Resume with execute(..., approval_id={asked.id!r}).",
                approval_id=asked.id,
            )
    asked = await backends.approvals.get(approval_id)
    record.approval_id = asked.id
    digest = _digest({**terms, "sentence": _sentence(call, asked.target)}, asked.target)
    if asked.call_digest != digest:
        raise ApprovalDeniedError(
            f"{call.operation.name}: {approval_id} was asked for another call. Nothing was sent.",
            approval_id=approval_id,
        )
    if backends.config.approvals_mode == "wait":
        await backends.approvals.wait(approval_id)
    await _judged_again(dispatch, record, backends)  # before anything more is read with the account's key
    asked = await backends.approvals.get(approval_id)
    if asked.state == "approved" and asked.target is not None:
        dispatch.before = await dispatch.target_state()
        if asked.target != dispatch.before:
            await backends.approvals.mark_stale(approval_id)
            raise ApprovalDeniedError(
                f"{call.operation.name}: what {approval_id} was given for has changed since. Nothing was sent. "
                "Ask anew.",
                approval_id=approval_id,
            )
    again = await _judged_again(dispatch, record, backends)
    _require_no_more_risk(asked, again)
    evidence = await evidence_of(backends.audit, asked)
    await backends.approvals.consume(approval_id, digest, min_approvals=again.min_approvals, evidence=evidence)


def _require_no_more_risk(asked: ApprovalRequest, again: Decision) -> None:
    if asked.risk < again.risk:
        raise ApprovalDeniedError(
            f"{asked.operation}: {asked.id} was given at {asked.risk.name}, and policy judges the call at "
            f"{again.risk.name} now. Nothing was sent. Ask anew.",
            approval_id=asked.id,
        )


def _sentence(call: Call, target: Target) -> str:
    """Say what a call does; the operation's summary where its row has no sentence of its own."""
    row = call.operation
    return row.sentence(call.params, target) if row.sentence else f"{row.summary}."


async def _terms(dispatch: Dispatch, backends: Backends) -> dict[str, Any]:
    credentials = await dispatch.sign()  # an approval holds for one account
    requester = dispatch.call.params.get("requester_email") or credentials.requester_email
    return {
        "requester": str(requester) if requester and dispatch.call.operation.writes else None,
        "effects": dispatch.call.effects,
        "org_id": dispatch.call.org_id,
        "agent_id": dispatch.call.agent_id,
        "account": credentials.fingerprint,
        "connector": backends.connector,
        "operation": dispatch.call.operation.name,
        "params": dispatch.call.canonical,
        "policy": dispatch.decision.policy,
    }


def _digest(terms: Mapping[str, Any], target: Target) -> str:
    from arx_wrapper.approvals import call_digest

    return call_digest(**terms, target=target)


async def _judged_again(dispatch: Dispatch, record: Recorder, backends: Backends) -> Decision:
    """Long after the intent, perhaps: policy may say something else by now, and the agent may have been stopped."""
    again = backends.policies.decide(dispatch.call, backends.clock())
    if suspension := await backends.audit.suspension(dispatch.call.agent_id):
        again = evolve(again, verdict=Verdict.DENY, reason=suspension)
    if again.verdict is Verdict.DENY:
        record.decision = again
        raise PermissionDeniedError(again)
    return again
