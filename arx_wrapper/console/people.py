"""Sign in with a passkey; register one at an invitation's link; confirm, remove and invite reviewers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from arx_wrapper.approvals.enrolment_rules import enrolment_statement, registration_challenge, removal_statement
from arx_wrapper.approvals.passkeys import (
    NotProvenError,
    Passkey,
    challenge_of,
    credential_of,
    verify_assertion,
    verify_registration,
)
from arx_wrapper.console.actions import go, options, proof_of, submitted
from arx_wrapper.console.context import Console
from arx_wrapper.console.request_checks import Problem, require_own_origin, signed_in, signed_in_post
from arx_wrapper.console.templating import page
from arx_wrapper.core import enrolment_records
from arx_wrapper.errors import ApprovalError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from arx_wrapper.approvals.enrolment_rules import Candidate

_SIGNS_IN: Final = b"arx-wrapper sign-in v1\n"
_CHALLENGE: Final = "arx-challenge"


async def sign_in_page(console: Console, request: Request) -> Response:
    """Show the button that signs in."""
    next_ = own_path(request.query_params.get("next"))
    return page(
        console,
        "sign_in.html",
        None,
        title="Sign in",
        next=next_,
        nobody=not (await console.enrolments()).reviewers.enrolled,
    )


async def sign_in_options(console: Console, request: Request) -> Response:
    """Return a challenge that only this browser can respond to, once."""
    from starlette.responses import Response
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import UserVerificationRequirement

    await submitted(request)
    require_own_origin(console, request)
    _limited(console, request)
    name, value = console.challenges.issue()
    made = generate_authentication_options(
        rp_id=console.rp_id,
        challenge=challenge_of(_SIGNS_IN + value),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    body = {"publicKey": msgspec.json.decode(options_to_json(made)), "echo": {}}
    response = Response(msgspec.json.encode(body), media_type="application/json")
    response.set_cookie(
        _CHALLENGE, name, max_age=300, path="/sign-in", secure=console.secure, httponly=True, samesite="strict"
    )
    return response


async def sign_in(console: Console, request: Request) -> Response:
    """Start a session for the reviewer whose passkey signed the challenge."""
    form = await submitted(request)
    require_own_origin(console, request)
    _limited(console, request)
    challenge = console.challenges.take(request.cookies.get(_CHALLENGE))
    proof = proof_of(form)
    reviewers = (await console.enrolments()).reviewers
    owner = None
    try:
        if challenge is None:
            raise NotProvenError("is too late, or was used before: try again")
        owner = reviewers.owner_of(credential_of(proof))
        if owner is None:
            raise NotProvenError("belongs to no reviewer's passkey")
        passkey = next(each for each in reviewers.passkeys(owner) if each.credential_id == credential_of(proof))
        verify_assertion(proof, _SIGNS_IN + challenge, passkey)
    except NotProvenError as error:
        await enrolment_records.refused(
            console.backends.audit, console.org_id, owner or "unknown", f"A sign-in {error}.", action="sign-in"
        )
        raise Problem(403, "Not signed in", f"The sign-in {error}.") from None
    await enrolment_records.signed_in(console.backends.audit, console.org_id, owner)
    return started(console, request, owner, passkey, own_path(str(form.get("next") or "/")))


def started(console: Console, request: Request, reviewer: str, passkey: Passkey, path: str) -> Response:
    """Return a response that starts a session and ends the browser's earlier one."""
    console.sessions.end(request.cookies.get(console.cookie))
    response = go(path, request)
    token = console.sessions.start(reviewer, passkey.credential_id)
    response.set_cookie(console.cookie, token, path="/", secure=console.secure, httponly=True, samesite="strict")
    return response


async def sign_out(console: Console, request: Request) -> Response:
    """End the session."""
    form = await submitted(request)
    await signed_in_post(console, request, form)
    console.sessions.end(request.cookies.get(console.cookie))
    response = go("/sign-in", request)
    response.delete_cookie(console.cookie, path="/", secure=console.secure, httponly=True, samesite="strict")
    return response


async def enrol_page(console: Console, request: Request) -> Response:
    """Show the button that registers a passkey, when the link is still valid."""
    enrolments = await console.enrolments()
    invitation = enrolments.invitation(request.path_params["token"], console.clock())
    if invitation is None:
        _limited(console, request)
        await enrolment_records.refused(
            console.backends.audit,
            console.org_id,
            "unknown",
            "An expired, used or unknown invitation was opened.",
            action="enrol",
        )
        raise Problem(404, "This link is dead", _DEAD)
    return page(console, "enrol.html", None, title="Become a reviewer", invitation=invitation, first=enrolments.first)


async def enrol_options(console: Console, request: Request) -> Response:
    """Return the options with which the browser creates a passkey."""
    from starlette.responses import Response
    from webauthn import base64url_to_bytes, generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    await submitted(request)
    require_own_origin(console, request)
    token = request.path_params["token"]
    enrolments = await console.enrolments()
    invitation = enrolments.invitation(token, console.clock())
    if invitation is None:
        raise Problem(404, "This link is dead", _DEAD)
    made = generate_registration_options(
        rp_id=console.rp_id,
        rp_name=f"Approvals of {console.org_id}",
        user_name=invitation.reviewer,
        challenge=registration_challenge(token),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        # An authenticator that holds one of these refuses: one device does not make two reviewers.
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=base64url_to_bytes(each.credential_id)) for each in enrolments.passkeys()
        ],
    )
    body = {"publicKey": msgspec.json.decode(options_to_json(made)), "echo": {}}
    return Response(msgspec.json.encode(body), media_type="application/json")


async def enrol(console: Console, request: Request) -> Response:
    """Store a registered passkey. The first reviewer is signed in; others wait for a confirmation."""
    form = await submitted(request)
    require_own_origin(console, request)
    _limited(console, request)
    token, audit = request.path_params["token"], console.backends.audit
    proof = proof_of(form)
    try:
        passkey = verify_registration(proof, registration_challenge(token), rp_id=console.rp_id, origin=console.origin)
        name, done = await enrolment_records.register(
            audit, await console.enrolments(), token, passkey, now=console.clock()
        )
    except (NotProvenError, ApprovalError) as error:
        problem = f"The registration {error}" if isinstance(error, NotProvenError) else str(error)
        await enrolment_records.refused(audit, console.org_id, "unknown", problem, action="enrol")
        raise Problem(409, "Not registered", f"{problem} Nothing was changed.") from None
    if done:
        return started(console, request, name, passkey, "/")
    return go("/enrolled", request)


async def enrolled_page(console: Console, request: Request) -> Response:
    """Inform a new reviewer that another one has to confirm them."""
    return page(
        console,
        "problem.html",
        None,
        title="Registered",
        text="Your passkey is registered. Another reviewer has to confirm you on the page “Reviewers” before your "
        "decisions count; then sign in.",
    )


async def reviewers_page(console: Console, request: Request) -> Response:
    """Show the reviewers, and the candidates that wait for a confirmation."""
    session = await signed_in(console, request)
    return page(console, "reviewers.html", session, title="Reviewers", enrolments=await console.enrolments(), link=None)


async def invite(console: Console, request: Request) -> Response:
    """Create an invitation and show its link, once."""
    form = await submitted(request)
    session = await signed_in_post(console, request, form)
    enrolments = await console.enrolments()
    name, user = str(form.get("name") or "").strip(), str(form.get("user") or "").strip() or None
    try:
        token = await enrolment_records.invite(console.backends.audit, enrolments, name, by=session.reviewer, user=user)
    except ApprovalError as error:
        raise Problem(400, "No one was invited", str(error)) from None
    link = {"name": name, "url": f"{console.origin}/enrol/{token}"}
    return page(console, "reviewers.html", session, title="Reviewers", enrolments=enrolments, link=link)


async def confirm_options(console: Console, request: Request) -> Response:
    """Return the options with which a passkey signs the confirmation of a reviewer."""
    form = await submitted(request)
    session = await signed_in_post(console, request, form)
    candidate = await _candidate(console, form)
    at = console.clock().isoformat(timespec="seconds")
    statement = enrolment_statement(console.org_id, candidate, by=session.reviewer, at=at)
    return await options(console, session.reviewer, statement, {"at": at})


async def confirm(console: Console, request: Request) -> Response:
    """Confirm a registered reviewer."""
    form = await submitted(request)
    session = await signed_in_post(console, request, form)
    candidate = await _candidate(console, form)
    try:
        await enrolment_records.confirm(
            console.backends.audit,
            await console.enrolments(),
            candidate,
            by=session.reviewer,
            at=str(form.get("at")),
            proof=proof_of(form),
        )
    except ApprovalError as error:
        raise Problem(409, "Not confirmed", str(error)) from None
    return go("/reviewers", request)


async def remove_options(console: Console, request: Request) -> Response:
    """Return the options with which a passkey signs the removal of a reviewer."""
    form = await submitted(request)
    session = await signed_in_post(console, request, form)
    found = (await console.enrolments()).reviewers.enrolled.get(str(form.get("name")))
    if found is None:
        raise Problem(404, "No such reviewer", "No reviewer of that name was enrolled. Nothing was changed.")
    at = console.clock().isoformat(timespec="seconds")
    statement = removal_statement(console.org_id, found, by=session.reviewer, at=at)
    return await options(console, session.reviewer, statement, {"at": at})


async def remove(console: Console, request: Request) -> Response:
    """Remove a reviewer: their sessions end, and their unused decisions no longer count."""
    form = await submitted(request)
    session = await signed_in_post(console, request, form)
    name = str(form.get("name"))
    try:
        await enrolment_records.remove(
            console.backends.audit,
            await console.enrolments(),
            name,
            by=session.reviewer,
            at=str(form.get("at")),
            proof=proof_of(form),
        )
    except ApprovalError as error:
        raise Problem(409, "No reviewer was removed", str(error)) from None
    return go("/reviewers", request)


_DEAD: Final = (
    "It is unknown, was used, or is older than ten minutes. Ask the person who sent it for another one: "
    "`arx-pagerduty reviewers invite NAME`."
)


def own_path(text: str | None) -> str:
    """Return the requested path when it is one of the console's; otherwise the first page."""
    plain = text and text.startswith("/") and not text.startswith("//") and text.isascii() and "\\" not in text
    return text if plain and text and text.isprintable() else "/"


async def _candidate(console: Console, form: Mapping[str, Any]) -> Candidate:
    found = (await console.enrolments()).candidates.get(str(form.get("invitation")))
    if found is None:
        raise Problem(404, "No one to confirm", "This candidate no longer waits for confirmation. Nothing was changed.")
    return found


def _limited(console: Console, request: Request) -> None:
    host = request.client.host if request.client else "unknown"
    if not console.sign_ins.allows(host):
        raise Problem(429, "Too many attempts", "Wait a minute, and try again. Nothing was changed.")
