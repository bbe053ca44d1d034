"""Enrol and remove reviewers by records in the audit log, and read the present reviewers from it."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import datetime
from heapq import merge
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from arx_wrapper.audit import AuditLog, Entry
from arx_wrapper.errors import ApprovalError, AuditError

if TYPE_CHECKING:
    from arx_wrapper.approvals import Enrolments, Passkey, Reviewers
    from arx_wrapper.approvals.enrolment_rules import Candidate
    from arx_wrapper.audit import AuditRecord
    from arx_wrapper.audit.record import ActionType, Status
    from arx_wrapper.audit.store import Reader

_ACTIONS: tuple[ActionType, ...] = ("reviewer.enrolled", "reviewer.removed")


class _Read:
    """The enrolments from the part of a log that has been read."""

    def __init__(self, enrolments: Enrolments) -> None:
        self.enrolments, self.seq = enrolments, 0


_KNOWN: WeakKeyDictionary[AuditLog, dict[tuple[str, tuple[tuple[str, str], ...]], _Read]] = WeakKeyDictionary()


async def enrolments_of(log: AuditLog, org_id: str, configured: Reviewers | None) -> Enrolments:
    """Read an organisation's reviewers: those whose keys are configured, and those who were enrolled.

    Records that were read before are not read again.

    Args:
        log: The audit log.
        org_id: The organisation.
        configured: The reviewers whose keys are configured in this process.

    Raises:
        AuditError: the log cannot be read, or holds a record that its key did not write.
    """
    from arx_wrapper.approvals import Enrolments
    from arx_wrapper.audit.store import Query

    key = (org_id, tuple(sorted(configured.keys.items())) if configured else ())
    known = _KNOWN.setdefault(log, {}).setdefault(key, _Read(Enrolments(org_id, configured)))

    def read(reader: Reader) -> list[AuditRecord]:
        found = (reader.select(Query(action_type=action, after_seq=known.seq)) for action in _ACTIONS)
        return [require_intact(record, reader) for record in merge(*found, key=lambda record: record.seq)]

    for record in await log.read(read):
        if record.seq > known.seq:
            known.seq = record.seq
            if record.org_id == org_id:
                known.enrolments.add(record)
    return known.enrolments


def require_intact(record: AuditRecord, reader: Reader) -> AuditRecord:
    """Return a record, after checking that it was written with the log's key.

    A damaged record is not ignored: it may be the one that removes a reviewer, or that withdraws or uses an approval.

    Raises:
        AuditError: it was altered, or inserted without the key.
    """
    if record.holds(reader.digest):
        return record
    raise AuditError(
        f"Record {record.seq} of the audit log was altered or inserted, so approvals cannot be checked. "
        "Nothing was sent. Run `arx-pagerduty audit verify`, and find out who can write to the log."
    )


async def invite(log: AuditLog, enrolments: Enrolments, reviewer: str, *, by: str, user: str | None = None) -> str:
    """Record an invitation and return the token of its link, which works once, for ten minutes.

    Args:
        log, enrolments: The audit log, and the present reviewers.
        reviewer: The name of the invited person.
        by: The person who invites.
        user: The invited person's id in PagerDuty, which on-call rules compare.

    Raises:
        ApprovalError: it is not a plain name, or another spelling of a reviewer's, or the person is a reviewer by
            another name.
        AuditError: it cannot be recorded.
    """
    from arx_wrapper.approvals.enrolment_rules import INVITATION_SECONDS, invitation_id
    from arx_wrapper.approvals.request import identity, plain_name

    plain_name(reviewer)
    for known in enrolments.reviewers:
        if identity(known) == identity(reviewer) and known != reviewer:
            raise ApprovalError(f"{reviewer!r} is another spelling of the reviewer {known!r}. Nothing was changed.")
    require_one_name(enrolments, user, reviewer)
    token = secrets.token_urlsafe(32)
    metadata = {"step": "invited", "reviewer": reviewer, "user": user, "by": by, "seconds": INVITATION_SECONDS}
    await log.append(_entry(enrolments.org_id, "in_progress", {**metadata, "invitation": invitation_id(token)}))
    return token


async def register(
    log: AuditLog, enrolments: Enrolments, token: str, passkey: Passkey, *, now: datetime
) -> tuple[str, bool]:
    """Record the passkey that a link's holder registered.

    Args:
        log, enrolments: The audit log, and the present reviewers.
        token: The link's token.
        passkey: The passkey.
        now: The time, aware.

    Returns:
        The person's name, and True when they are a reviewer now; otherwise another reviewer has to confirm them.

    Raises:
        ApprovalError: the link is unknown, expired or used, or the passkey is registered already.
        AuditError: it cannot be recorded.
    """
    invitation = enrolments.invitation(token, now)
    if invitation is None:
        raise ApprovalError("This link is unknown, was used, or is older than ten minutes. Ask for another one.")
    if _is_taken(enrolments, passkey):
        raise ApprovalError("This passkey is a reviewer's already, or waits to be confirmed. Nothing was changed.")
    require_one_name(enrolments, invitation.user, invitation.reviewer)
    metadata = {
        "step": "registered",
        "reviewer": invitation.reviewer,
        "user": invitation.user,
        "invitation": invitation.id,
        "kind": "passkey",
        "credential_id": passkey.credential_id,
        "public_key": passkey.public_key,
        "rp_id": passkey.rp_id,
        "origin": passkey.origin,
        "first": enrolments.first,
    }
    await log.append(_entry(enrolments.org_id, "success" if enrolments.first else "escalated", metadata))
    after = await enrolments_of(log, enrolments.org_id, _configured(enrolments))
    return invitation.reviewer, after.reviewers.owner_of(passkey.credential_id) == invitation.reviewer


async def confirm(log: AuditLog, enrolments: Enrolments, candidate: Candidate, *, by: str, at: str, proof: str) -> None:
    """Record that a reviewer confirms a registered one.

    Args:
        log, enrolments, candidate: The audit log, the present reviewers, and the person to confirm.
        by: The reviewer who confirms; not the candidate.
        at: The time that was signed, ISO 8601.
        proof: The reviewer's signature over `enrolment_statement`, or their passkey's assertion.

    Raises:
        ApprovalError: the proof is invalid, or they confirm themselves. The attempt is recorded; nothing was changed.
            Or the person is a reviewer by another name by now.
        AuditError: it cannot be recorded.
    """
    from arx_wrapper.approvals.enrolment_rules import enrolment_statement

    require_one_name(enrolments, candidate.user, candidate.reviewer)
    statement = enrolment_statement(enrolments.org_id, candidate, by=by, at=at)
    metadata = {
        "step": "confirmed",
        "reviewer": candidate.reviewer,
        "invitation": candidate.invitation,
        "by": by,
        "at": at,
    }
    await _proved(log, enrolments, "reviewer.enrolled", candidate.reviewer, metadata, statement, proof)


async def remove(log: AuditLog, enrolments: Enrolments, reviewer: str, *, by: str, at: str, proof: str) -> None:
    """Record that a reviewer removes another one, whose decisions no longer count from then on.

    Args:
        log, enrolments: The audit log, and the present reviewers.
        reviewer: The reviewer to remove.
        by: The reviewer who removes them; not themselves.
        at: The time that was signed, ISO 8601.
        proof: That reviewer's signature over `removal_statement`, or their passkey's assertion.

    Raises:
        ApprovalError: there is no such enrolled reviewer, the proof is invalid, or they remove themselves. The attempt
            is recorded; nothing was changed.
        AuditError: it cannot be recorded.
    """
    from arx_wrapper.approvals.enrolment_rules import removal_statement

    found = enrolments.reviewers.enrolled.get(reviewer)
    if found is None:
        raise ApprovalError(
            f"No reviewer {reviewer!a} was enrolled. Nothing was changed. Remove configured keys from arx.toml."
        )
    statement = removal_statement(enrolments.org_id, found, by=by, at=at)
    metadata = {"reviewer": reviewer, "by": by, "at": at}
    await _proved(log, enrolments, "reviewer.removed", reviewer, metadata, statement, proof)


def require_one_name(enrolments: Enrolments, user: str | None, name: str) -> None:
    """Refuse a second name for a person of PagerDuty: `min_approvals` would count them twice.

    Raises:
        ApprovalError: they are a reviewer by another name.
    """
    if other := enrolments.other_name_of(user, name):
        raise ApprovalError(
            f"PagerDuty's user {user!a} is the reviewer {other!r} already, and cannot be {name!r} as well. "
            "Nothing was changed."
        )


async def refused(log: AuditLog, org_id: str, reviewer: str, problem: str, **more: Any) -> None:
    """Record a refused attempt to enrol, confirm or sign in."""
    metadata = {"step": "refused", "reviewer": reviewer[:128], **more}
    await log.append(_entry(org_id, "error", metadata, reason=problem, error="ApprovalError"))


async def signed_in(log: AuditLog, org_id: str, reviewer: str) -> None:
    """Record that a reviewer signed in."""
    await log.append(_entry(org_id, "success", {"step": "signed in", "reviewer": reviewer}))


async def _proved(
    log: AuditLog,
    enrolments: Enrolments,
    action: ActionType,
    reviewer: str,
    metadata: dict[str, Any],
    statement: bytes,
    proof: str,
) -> None:
    from arx_wrapper.approvals.passkeys import NotProvenError
    from arx_wrapper.approvals.request import identity

    by = str(metadata["by"])
    try:
        if identity(by) == identity(reviewer):
            raise NotProvenError("is their own: another reviewer has to do this")
        enrolments.reviewers.prove(by, statement, proof)
    except NotProvenError as error:
        problem = f"The proof of {by!a} {error}. Nothing was changed."
        await refused(log, enrolments.org_id, reviewer, problem, by=by)
        raise ApprovalError(problem) from None
    await log.append(_entry(enrolments.org_id, "success", {**metadata, "proof": proof}, action))


def _is_taken(enrolments: Enrolments, passkey: Passkey) -> bool:
    """Return True when a reviewer or a candidate has this passkey, or its key in another credential or key file."""
    import base64

    from arx_wrapper.approvals.passkeys import NotProvenError, key_material

    known = enrolments.passkeys()
    if any(each.credential_id == passkey.credential_id for each in known):
        return True
    keys = {base64.b64decode(key).lstrip(b"\0") for key in enrolments.reviewers.keys.values()}
    for each in known:
        with suppress(NotProvenError):  # a record that a later release wrote
            keys.add(key_material(each.public_key))
    return key_material(passkey.public_key) in keys


def _configured(enrolments: Enrolments) -> Reviewers | None:
    from arx_wrapper.approvals import Reviewers

    return Reviewers(enrolments.reviewers.keys) if enrolments.reviewers.keys else None


def _entry(
    org_id: str, status: Status, metadata: dict[str, Any], action_type: ActionType = "reviewer.enrolled", **more: Any
) -> Entry:
    return Entry(
        action_type=action_type, status=status, org_id=org_id, agent_id="*", connector="*", metadata=metadata, **more
    )
