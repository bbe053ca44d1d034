"""Step 5 of the pipeline: a person agrees to exactly this call, once, while it still means what it meant."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from arx_wrapper.core.review import use_up
from arx_wrapper.errors import ApprovalDeniedError, ApprovalPendingError
from arx_wrapper.model import JSON, Call, Decision

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.core.dispatch import Dispatch
    from arx_wrapper.core.environment import Environment


async def ask(env: Environment, decision: Decision, dispatch: Dispatch) -> ApprovalRequest:
    """Ask reviewers to approve a call, as it stands and with the state of what it changes.

    Raises:
        ApprovalError: too many requests wait already, or the store cannot be used.
    """
    call = dispatch.call
    terms = await _terms(env, decision, dispatch)
    target = await dispatch.target_state()
    return await env.backends.approvals.request(
        **terms,
        sentence=_sentence(call, target),
        risk=decision.risk,
        policy_source=decision.source,
        reason=decision.reason,
        channel=decision.channel,
        target=target,
        min_approvals=decision.min_approvals,
        reviewers=decision.reviewers,
    )


async def approve(
    env: Environment, decision: Decision, dispatch: Dispatch, asked: ApprovalRequest, *, resumed: bool
) -> JSON | None:
    """Wait until reviewers have decided, and use their approval up.

    The approval is bound to everything that reviewers saw. Policy is asked again at the end: what it denies by now, no
    approval permits.

    Args:
        env, decision, dispatch: The call, as it was judged.
        asked: The request for approval.
        resumed: Whether it was asked for by an earlier call.

    Returns:
        The state of what the call changes, as it was approved; None when it was not read.

    Raises:
        ApprovalPendingError: nobody has decided and the configuration says not to wait.
        ApprovalDeniedError: denied, used before, given for another call, or stale.
        ApprovalExpiredError: nobody decided in time.
        PermissionDeniedError: policy was tightened meanwhile.
    """
    backends, call = env.backends, dispatch.call
    if backends.config.approvals_mode == "raise" and not resumed:
        raise _pending(asked, f"waits for a reviewer as {asked.id}")
    terms = await _terms(env, decision, dispatch)
    digest = _digest({**terms, "sentence": _sentence(call, asked.target)}, asked.target)
    if asked.call_digest != digest:
        raise ApprovalDeniedError(
            f"{call.operation.name}: {asked.id} was asked for another call. Nothing was sent.", approval_id=asked.id
        )
    dispatch.bind(asked)
    if backends.config.approvals_mode == "wait":
        await backends.approvals.wait(asked.id)
    await env.judge_again(call)  # before anything more is read with the account's key
    asked, before = await backends.approvals.get(asked.id), asked.target
    if asked.state == "pending":  # what follows looks at the decisions: none that comes later may be used unseen
        raise _pending(asked, f"{asked.id} still waits for a reviewer")
    if asked.state == "approved" and asked.target is not None:
        before = await dispatch.target_state()
        if asked.target != before:
            await backends.approvals.mark_stale(asked.id)
            raise ApprovalDeniedError(
                f"{call.operation.name}: what {asked.id} was given for has changed since. Nothing was sent. Ask anew.",
                approval_id=asked.id,
            )
    again = await env.judge_again(call)
    dispatch.follow(again)
    _require_no_more_risk(asked, again)
    read = env.api.on_call
    await use_up(
        backends.approvals,
        backends.audit,
        asked,
        digest,
        min_approvals=again.min_approvals,
        rules=again.reviewers,
        ask_on_call=partial(read, dispatch.lookup) if read else None,
    )
    return before


def _pending(asked: ApprovalRequest, problem: str) -> ApprovalPendingError:
    return ApprovalPendingError(
        f"{asked.operation}: {problem} until {asked.expires_at:%Y-%m-%d %H:%M}Z. "
        f"Nothing was sent. Resume with execute(..., approval_id={asked.id!r}).",
        approval_id=asked.id,
    )


def _require_no_more_risk(asked: ApprovalRequest, again: Decision) -> None:
    if asked.risk < again.risk:
        raise ApprovalDeniedError(
            f"{asked.operation}: {asked.id} was given at {asked.risk.name}, and policy judges the call at "
            f"{again.risk.name} now. Nothing was sent. Ask anew.",
            approval_id=asked.id,
        )


def _sentence(call: Call, target: JSON | None) -> str:
    """Say what a call does; the operation's summary where its row has no sentence of its own."""
    row = call.operation
    said = row.sentence(call.params, target) if row.sentence else f"{row.summary}."
    if call.iteration is None:
        return said
    most = call.iteration.get("max_items")
    return f"{said} {'Every page is read.' if most is None else f'Up to {most:,} records are read.'}"


async def _terms(env: Environment, decision: Decision, dispatch: Dispatch) -> dict[str, Any]:
    """Return what an approval is bound to; reads the credentials, because it holds for one account."""
    call, credentials = dispatch.call, await dispatch.credentials()
    return {
        "requester": dispatch.requester(credentials),
        "effects": call.effects,
        "org_id": call.org_id,
        "agent_id": call.agent_id,
        "account": credentials.fingerprint,
        "connector": env.api.connector,
        "operation": call.operation.name,
        "params": call.canonical,
        "policy": decision.policy,
    }


def _digest(terms: Mapping[str, Any], target: JSON | None) -> str:
    from arx_wrapper.approvals import call_digest

    return call_digest(**terms, target=target)
