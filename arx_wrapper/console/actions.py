"""Handle the requests that change something: decide, withdraw, suspend and resume agents, verify the log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from arx_wrapper.approvals.passkeys import challenge_of
from arx_wrapper.approvals.signatures import decision_statement
from arx_wrapper.console.context import Console
from arx_wrapper.console.pages import approval_request_of
from arx_wrapper.console.policy_pages import proposed_policy
from arx_wrapper.console.request_checks import Problem, signed_in_post
from arx_wrapper.core.review import review, revoke
from arx_wrapper.errors import ApprovalError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_LONGEST = 512 * 1024


async def submitted(request: Request) -> Mapping[str, Any]:
    """Return the members that a form or a script sent: texts, and the passkey's credential.

    Raises:
        Problem: 413, it is too long; 400, it is neither a form nor an object of texts.
    """
    from urllib.parse import parse_qsl

    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST:
            raise Problem(413, "Too large", "This is more than any page of the console sends. Nothing was changed.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    try:
        if kind == "application/json":
            return _texts(msgspec.json.decode(bytes(body), type=dict[str, Any]))
        if kind == "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=50))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    raise Problem(400, "Not understood", "No page of the console sends this. Nothing was changed.")


def _texts(form: dict[str, Any]) -> dict[str, Any]:
    """Return the members that were given. Problem 400 when one of them, other than the credential, is not text."""
    for name, value in form.items():
        if name != "credential" and not isinstance(value, str | None):
            shown = ascii(name)[:80]
            raise Problem(400, "Not understood", f"The member {shown} must be text. Nothing was changed.")
    return {name: value for name, value in form.items() if value is not None}


async def decision_options(console: Console, request: Request) -> Response:
    """Return the options with which a passkey signs a decision."""
    form = await submitted(request)
    session = await signed_in_post(console, request, form)
    approval_request = await approval_request_of(console, request.path_params["id"])
    approve, note = _verdict(form), str(form.get("note") or "")
    at = console.clock().replace(microsecond=0)
    statement = decision_statement(
        approval_request, console.backends.approvals.review(session.reviewer, approve, note, "-", at=at)
    )
    return await options(console, session.reviewer, statement, {"at": at.isoformat()})


async def options(console: Console, reviewer: str, statement: bytes, echo: Mapping[str, str]) -> Response:
    """Return the options of an assertion over a statement, by one of a reviewer's passkeys."""
    from starlette.responses import Response
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    passkeys = (await console.enrolments()).reviewers.passkeys(reviewer)
    made = generate_authentication_options(
        rp_id=console.rp_id,
        challenge=challenge_of(statement),
        allow_credentials=[
            PublicKeyCredentialDescriptor(id=base64url_to_bytes(each.credential_id)) for each in passkeys
        ],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    body = {"publicKey": msgspec.json.decode(options_to_json(made)), "echo": dict(echo)}
    return Response(msgspec.json.encode(body), media_type="application/json")


def proof_of(form: Mapping[str, Any]) -> str:
    """Return the assertion that a script sent. Problem 400 when there is none, as in a browser without JavaScript."""
    found = form.get("credential")
    if not isinstance(found, Mapping):
        raise Problem(
            400,
            "A passkey has to sign this",
            "Your browser sent no passkey's signature, which needs JavaScript. Nothing was decided.",
        )
    return msgspec.json.encode(found).decode()


def go(path: str, request: Request) -> Response:
    """Send the browser to a page: a form by redirect; a script gets the page's path as JSON."""
    from starlette.responses import JSONResponse, RedirectResponse

    if request.headers.get("content-type", "").startswith("application/json"):
        return JSONResponse({"go": path})
    return RedirectResponse(path, status_code=303)


async def decide(console: Console, request: Request) -> Response:
    """Store a decision that a passkey signed."""
    form = await submitted(request)
    session = await signed_in_post(console, request, form)
    approval_request = await approval_request_of(console, request.path_params["id"])
    proof = proof_of(form)
    try:
        at = datetime.fromisoformat(str(form.get("at")))
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
    except ValueError:
        raise Problem(400, "Not understood", "The decision states no time of signing. Nothing was decided.") from None
    try:
        await review(
            console.backends.approvals,
            console.backends.audit,
            approval_request.id,
            reviewer=session.reviewer,
            approve=_verdict(form),
            note=str(form.get("note") or ""),
            signature=proof,
            at=at,
            ask_on_call=console.ask_on_call,
        )
    except ApprovalError as error:
        raise Problem(409, "Nothing was decided", str(error)) from None
    return go(f"/requests/{approval_request.id}", request)


async def withdraw(console: Console, request: Request) -> Response:
    """Withdraw a request or an approval that is not used yet."""
    form = await submitted(request)
    session = await signed_in_post(console, request, form)
    approval_request = await approval_request_of(console, request.path_params["id"])
    try:
        await revoke(
            console.backends.approvals,
            console.backends.audit,
            approval_request.id,
            reviewer=session.reviewer,
            note=str(form.get("note") or "")[:2000],
        )
    except ApprovalError as error:
        raise Problem(409, "Nothing was changed", str(error)) from None
    return go(f"/requests/{approval_request.id}", request)


async def switch_agent(console: Console, request: Request) -> Response:
    """Suspend or resume an agent."""
    form = await submitted(request)
    session = await signed_in_post(console, request, form)
    agent, reason = str(form.get("agent") or ""), str(form.get("reason") or "").strip()
    if not agent or not agent.isprintable() or len(agent) > 200:
        raise Problem(400, "Which agent?", "No agent was named. Nothing was changed.")
    audit = console.backends.audit
    if form.get("do") == "resume":
        await audit.resume(agent, org_id=console.org_id, by=session.reviewer)
    else:
        await audit.suspend(
            agent, org_id=console.org_id, by=session.reviewer, reason=reason or "suspended by a reviewer"
        )
    return go("/agents", request)


async def verify_log(console: Console, request: Request) -> Response:
    """Verify the log now."""
    form = await submitted(request)
    await signed_in_post(console, request, form)
    await console.verify()
    return go("/log", request)


async def simulate(console: Console, request: Request) -> Response:
    """Judge the recorded calls by a proposed policy."""
    form = await submitted(request)
    await signed_in_post(console, request, form)
    return await proposed_policy(console, request, str(form.get("policy") or ""))


def _verdict(form: Mapping[str, Any]) -> bool:
    verdict = form.get("verdict")
    if verdict not in ("approve", "deny"):
        raise Problem(400, "Approve or deny?", "The form states neither. Nothing was decided.")
    return bool(verdict == "approve")
