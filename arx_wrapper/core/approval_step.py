"""Step 5 of the pipeline: get a reviewer's approval of exactly this call, and check that its target is unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from arx_wrapper.core.review import use_up
from arx_wrapper.errors import ApprovalDeniedError, ApprovalPendingError
from arx_wrapper.model import JSON, Call, Decision

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.core.call_environment import CallEnvironment
    from arx_wrapper.core.dispatch import Dispatch


async def request_approval(env: CallEnvironment, decision: Decision, dispatch: Dispatch) -> ApprovalRequest:
    """Request approval of a call; the request shows the call and the state of the objects that it changes.

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


async def use_approval(
    env: CallEnvironment, decision: Decision, dispatch: Dispatch, approval_request: ApprovalRequest, *, resumed: bool
) -> JSON | None:
    """Wait until reviewers have decided, and use their approval.

    The approval is bound to all that reviewers saw. Policy judges the call again afterwards: an approval does not
    permit a call that policy denies by then.

    Args:
        env, decision, dispatch: The call, as it was judged.
        approval_request: The request for approval.
        resumed: Whether an earlier call made the request.

    Returns:
        The state of the objects that the call changes, as it was approved; None when it was not read.

    Raises:
        ApprovalPendingError: no reviewer has decided, and the configuration says not to wait.
        ApprovalDeniedError: denied, used before, given for another call, or stale.
        ApprovalExpiredError: no reviewer decided in time.
        PermissionDeniedError: policy was tightened meanwhile.
    """
    backends, call = env.backends, dispatch.call
    if backends.config.approvals_mode == "raise" and not resumed:
        raise _pending(approval_request, f"waits for a reviewer as {approval_request.id}")
    terms = await _terms(env, decision, dispatch)
    digest = _digest({**terms, "sentence": _sentence(call, approval_request.target)}, approval_request.target)
    if approval_request.call_digest != digest:
        raise ApprovalDeniedError(
            f"{call.operation.name}: {approval_request.id} is a request for another call. Nothing was sent.",
            approval_id=approval_request.id,
        )
    dispatch.remember_approval(approval_request)
    if backends.config.approvals_mode == "wait":
        await backends.approvals.wait(approval_request.id)
    await env.judge_again(call)  # before the target is read with the account's key
    approval_request, before = await backends.approvals.get(approval_request.id), approval_request.target
    if approval_request.state == "pending":  # the checks below read the decisions, so no later decision may be used
        raise _pending(approval_request, f"{approval_request.id} still waits for a reviewer")
    if approval_request.state == "approved" and approval_request.target is not None:
        before = await dispatch.target_state()
        if approval_request.target != before:
            await backends.approvals.mark_stale(approval_request.id)
            raise ApprovalDeniedError(
                f"{call.operation.name}: the target of {approval_request.id} has changed since: "
                f"{', '.join(_changed(approval_request.target, before))}. Nothing was sent. Ask anew.",
                approval_id=approval_request.id,
            )
    again = await env.judge_again(call)
    dispatch.use_visibility_of(again)
    _require_no_more_risk(approval_request, again)
    read = env.api.on_call
    await use_up(
        backends.approvals,
        backends.audit,
        approval_request,
        digest,
        min_approvals=again.min_approvals,
        rules=again.reviewers,
        ask_on_call=partial(read, dispatch.lookup) if read else None,
    )
    return before


def _changed(approved: Any, now: Any) -> list[str]:
    """Return the names of the innermost members that differ, never their values."""
    if isinstance(approved, Mapping) and isinstance(now, Mapping):
        names = [name for name in {**approved, **now} if approved.get(name) != now.get(name)]
        inner = [_changed(approved.get(name), now.get(name)) or [name] for name in names]
        return list(dict.fromkeys(name for found in inner for name in found))
    if isinstance(approved, list) and isinstance(now, list) and len(approved) == len(now):
        found = [name for pair in zip(approved, now, strict=True) for name in _changed(*pair)]
        return list(dict.fromkeys(found))
    return []


def _pending(approval_request: ApprovalRequest, problem: str) -> ApprovalPendingError:
    return ApprovalPendingError(
        f"{approval_request.operation}: {problem} until {approval_request.expires_at:%Y-%m-%d %H:%M}Z. "
        f"Nothing was sent. Resume with execute(..., approval_id={approval_request.id!r}).",
        approval_id=approval_request.id,
    )


def _require_no_more_risk(approval_request: ApprovalRequest, again: Decision) -> None:
    if approval_request.risk < again.risk:
        raise ApprovalDeniedError(
            f"{approval_request.operation}: {approval_request.id} was given at {approval_request.risk.name}, and "
            f"policy judges the call at {again.risk.name} now. Nothing was sent. Ask anew.",
            approval_id=approval_request.id,
        )


def _sentence(call: Call, target: JSON | None) -> str:
    """Return the call's sentence for reviewers; the operation's summary when it has no sentence."""
    operation = call.operation
    said = operation.sentence(call.params, target) if operation.sentence else f"{operation.summary}."
    if call.iteration is None:
        return said
    most = call.iteration.get("max_items")
    return f"{said} {'Every page is read.' if most is None else f'Up to {most:,} records are read.'}"


async def _terms(env: CallEnvironment, decision: Decision, dispatch: Dispatch) -> dict[str, Any]:
    """Return the values that an approval is bound to; reads the credentials, because it is valid for one account."""
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
