"""Derive an organisation's reviewers from the audit log: invited, registered, confirmed by another reviewer, removed.

The log is the only store of enrolments. `Enrolments` applies an organisation's records in order. The first reviewer
needs no confirmation, unless reviewers' keys are configured. Each later reviewer and each removal needs another
reviewer's signature. A record whose proof is invalid is ignored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from attrs import evolve, frozen

from arx_wrapper.approvals.audit_evidence import Record
from arx_wrapper.approvals.passkeys import NotProvenError, Passkey
from arx_wrapper.approvals.request import identity
from arx_wrapper.approvals.signatures import Enrolled, Reviewers

INVITATION_SECONDS: Final = 600
_ENROLS = b"arx-wrapper reviewer enrolled v1\n"
_REMOVES = b"arx-wrapper reviewer removed v1\n"
_REGISTERS = b"arx-wrapper passkey registration v1\n"


@frozen(kw_only=True)
class Invitation:
    """An invitation that can still be used.

    Attributes:
        id: SHA-256 of the link's token, as hex.
        reviewer: The invited name.
        user: The person's id in PagerDuty, when it was given.
        expires_at: The time after which the link is not accepted; aware.
    """

    id: str
    reviewer: str
    user: str | None
    expires_at: datetime


@frozen(kw_only=True)
class Candidate:
    """A registered passkey that waits for a reviewer's confirmation.

    Attributes:
        reviewer, user: The invited name, and the person's id in PagerDuty.
        passkey: The registered passkey.
        invitation: The invitation's id.
        since: The time of registration.
    """

    reviewer: str
    user: str | None
    passkey: Passkey
    invitation: str
    since: str


class Enrolments:
    """An organisation's reviewers, its open invitations, and the candidates that wait for confirmation.

    Args:
        org_id: The organisation.
        configured: The reviewers whose keys are configured.
    """

    def __init__(self, org_id: str, configured: Reviewers | None) -> None:
        self.org_id = org_id
        self._configured = configured or Reviewers({})
        self._members: dict[str, Enrolled] = {}
        self._invitations: dict[str, Invitation] = {}
        self._taken: set[str] = set()
        self._credentials: set[str] = set()
        self._public_keys: set[str] = set()
        self.candidates: dict[str, Candidate] = {}
        self.reviewers = self._configured

    def add(self, record: Record) -> None:
        """Apply the next record; a record whose proof is invalid changes nothing."""
        metadata = record.metadata
        if record.status == "error":
            return
        try:
            if record.action_type == "reviewer.removed":
                self._remove(metadata)
            elif metadata["step"] == "invited":
                self._invite(record)
            elif metadata["step"] == "registered":
                self._register(record)
            elif metadata["step"] == "confirmed":
                self._confirm(metadata)
        except (KeyError, TypeError, ValueError, NotProvenError):
            return

    def invitation(self, token: str, now: datetime) -> Invitation | None:
        """Return the invitation of a link's token; None when it is unknown, used or expired."""
        found = self._invitations.get(invitation_id(token))
        return found if found and found.id not in self._taken and now < found.expires_at else None

    def passkeys(self) -> tuple[Passkey, ...]:
        """Return the passkeys of all reviewers and candidates."""
        members = (passkey for each in self._members.values() for passkey in each.passkeys)
        return (*members, *(candidate.passkey for candidate in self.candidates.values()))

    def other_name_of(self, user: str | None, name: str) -> str | None:
        """Return the other name by which a person of PagerDuty is a reviewer already; None when there is none.

        Args:
            user: The person's id in PagerDuty; None where it is not known.
            name: The name by which they are to be a reviewer.
        """
        if user is None:
            return None
        others = (each.name for each in self._members.values() if (each.user or "").casefold() == user.casefold())
        return next((other for other in others if other != name), None)

    @property
    def first(self) -> bool:
        """Return True while there is no reviewer: the first to register needs no confirmation."""
        return not self.reviewers

    def _invite(self, record: Record) -> None:
        metadata = record.metadata
        self._invitations[str(metadata["invitation"])] = Invitation(
            id=str(metadata["invitation"]),
            reviewer=str(metadata["reviewer"]),
            user=metadata.get("user"),
            expires_at=datetime.fromisoformat(record.created_at) + timedelta(seconds=INVITATION_SECONDS),
        )

    def _register(self, record: Record) -> None:
        metadata = record.metadata
        invitation = self._invitations[str(metadata["invitation"])]
        passkey = Passkey(**{name: str(metadata[name]) for name in ("credential_id", "public_key", "rp_id", "origin")})
        late = datetime.fromisoformat(record.created_at) >= invitation.expires_at
        known = passkey.credential_id in self._credentials or passkey.public_key in self._public_keys
        if late or invitation.id in self._taken or known:
            return
        self._taken.add(invitation.id)
        self._credentials.add(passkey.credential_id)
        self._public_keys.add(passkey.public_key)
        candidate = Candidate(
            reviewer=invitation.reviewer,
            user=invitation.user,
            passkey=passkey,
            invitation=invitation.id,
            since=record.created_at,
        )
        if self._other_spelling(candidate.reviewer) or self.other_name_of(candidate.user, candidate.reviewer):
            return
        if self.first:
            self._admit(candidate, None)
        else:
            self.candidates[candidate.invitation] = candidate

    def _confirm(self, metadata: Mapping[str, Any]) -> None:
        candidate, by = self.candidates[str(metadata["invitation"])], str(metadata["by"])
        if by == candidate.reviewer:
            raise NotProvenError("a reviewer cannot confirm themselves")
        if self.other_name_of(candidate.user, candidate.reviewer):
            raise NotProvenError("the person is a reviewer by another name")
        statement = enrolment_statement(self.org_id, candidate, by=by, at=str(metadata["at"]))
        self.reviewers.prove(by, statement, str(metadata["proof"]))
        self._admit(candidate, by)

    def _remove(self, metadata: Mapping[str, Any]) -> None:
        name, by = str(metadata["reviewer"]), str(metadata["by"])
        if by == name:
            raise NotProvenError("a reviewer cannot remove themselves")
        statement = removal_statement(self.org_id, self._members[name], by=by, at=str(metadata["at"]))
        self.reviewers.prove(by, statement, str(metadata["proof"]))
        del self._members[name]
        self.reviewers = self._configured.with_enrolled(list(self._members.values()))

    def _admit(self, candidate: Candidate, by: str | None) -> None:
        self.candidates.pop(candidate.invitation, None)
        known = self._members.get(candidate.reviewer)
        self._members[candidate.reviewer] = (
            evolve(known, passkeys=(*known.passkeys, candidate.passkey), user=known.user or candidate.user)
            if known
            else Enrolled(
                name=candidate.reviewer,
                passkeys=(candidate.passkey,),
                user=candidate.user,
                since=candidate.since,
                confirmed_by=by,
            )
        )
        self.reviewers = self._configured.with_enrolled(list(self._members.values()))

    def _other_spelling(self, name: str) -> bool:
        """Return True when a reviewer has another spelling of the name, or a key has the same name."""
        return any(
            identity(known) == identity(name) and (known != name or known in self._configured)
            for known in self.reviewers
        )


def invitation_id(token: str) -> str:
    """Return the id under which a link's token is recorded."""
    return hashlib.sha256(token.encode()).hexdigest()


def registration_challenge(token: str) -> bytes:
    """Return the WebAuthn challenge for registering a passkey with a link's token."""
    return hashlib.sha256(_REGISTERS + token.encode()).digest()


def enrolment_statement(org_id: str, candidate: Candidate, *, by: str, at: str) -> bytes:
    """Return the statement that a reviewer signs to confirm another reviewer."""
    members = {
        "at": at,
        "by": by,
        "credential_id": candidate.passkey.credential_id,
        "invitation": candidate.invitation,
        "org": org_id,
        "origin": candidate.passkey.origin,
        "public_key": candidate.passkey.public_key,
        "reviewer": candidate.reviewer,
        "rp_id": candidate.passkey.rp_id,
        "user": candidate.user,
    }
    return _ENROLS + msgspec.json.encode(members, order="sorted")


def removal_statement(org_id: str, reviewer: Enrolled, *, by: str, at: str) -> bytes:
    """Return the statement that a reviewer signs to remove another reviewer."""
    members = {
        "at": at,
        "by": by,
        "credentials": [passkey.credential_id for passkey in reviewer.passkeys],
        "org": org_id,
        "reviewer": reviewer.name,
    }
    return _REMOVES + msgspec.json.encode(members, order="sorted")
