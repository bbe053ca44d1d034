"""Define a request for approval, its decisions, and the digests that bind both to one exact call."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import msgspec
from attrs import asdict, evolve, field, frozen

from arx_wrapper.errors import ApprovalError
from arx_wrapper.model import Effect, Risk

State = Literal["pending", "approved", "denied", "expired", "consumed", "stale", "revoked"]
STATES: tuple[str, ...] = get_args(State)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@:/+-]{0,127}")
_DOMAIN = b"arx-wrapper approval v2\n"
_CALL_DOMAIN = b"arx-wrapper approved call v2\n"
_TARGET_DOMAIN = b"arx-wrapper approval target v1\n"
# The digest covers every member except these: those that change while a request waits, and the digest itself.
_NOT_COVERED = frozenset({"digest", "state", "decisions"})


@frozen(kw_only=True)
class Review:
    """One reviewer's decision.

    Attributes:
        reviewer: The reviewer's name.
        approve: True for an approval, False for a denial.
        note: The reviewer's note; may be empty.
        at: The time of the decision, in UTC.
        signature: Ed25519 signature as base64, or a passkey's assertion as JSON; None for a decision by name alone.
    """

    reviewer: str
    approve: bool
    note: str = ""
    at: datetime
    signature: str | None = None

    @property
    def verdict(self) -> str:
        return "approved" if self.approve else "denied"


@frozen(kw_only=True)
class ApprovalRequest:
    """One call that waits for reviewers, with everything that they are shown.

    Attributes:
        id: Id of the request, for reviewers and for a call that resumes.
        digest: SHA-256 over every member except `state` and `decisions`: all that a reviewer is shown and agrees to.
        call_digest: SHA-256 over the call alone, equal for equal calls; see `call_digest`.
        org_id, agent_id: The organisation, and the agent that requests the approval.
        account: Fingerprint of the credentials that the call will use.
        requester: The e-mail address sent as `From` with a write; None when the API needs none.
        connector, operation: The operation called.
        sentence: The call in plain words.
        effects: The operations that the call performs, itself first.
        risk: The risk at which it was judged.
        params: The parameters as canonical JSON, exactly as they will be sent.
        policy, policy_source, reason: The policy entry that requires approval, its `file:line`, and the reason.
        reviewers: The people, groups or on-call rules that the policy entry names; empty for every reviewer.
        channel: The channel on which reviewers are notified.
        target: State of the objects that the call changes, read before the request; None when it was not read.
        min_approvals: How many different people must agree.
        created_at, expires_at: In UTC. Past `expires_at` it can neither be decided nor used.
        state: `pending`, `approved`, `denied`, `expired`, `consumed` (used, for good), `stale` (its target changed) or
            `revoked` (withdrawn by a person).
        decisions: The decisions so far, oldest first.
    """

    id: str
    digest: str
    call_digest: str
    org_id: str
    agent_id: str
    account: str
    requester: str | None = None
    connector: str
    operation: str
    sentence: str = ""
    effects: tuple[Effect, ...]
    risk: Risk
    params: str = field(repr=False)
    policy: str | None = None
    policy_source: str | None = None
    reason: str = ""
    reviewers: tuple[Any, ...] = ()
    channel: str | None = None
    target: Mapping[str, Any] | None = field(default=None, repr=False)
    min_approvals: int = 1
    created_at: datetime
    expires_at: datetime
    state: State = "pending"
    decisions: tuple[Review, ...] = ()

    def expected_digest(self) -> str:
        """Compute the digest of the request's members. It differs from `digest` when the store was altered."""
        shown = asdict(self, filter=lambda attribute, _: attribute.name not in _NOT_COVERED)
        shown |= {"created_at": stamp(self.created_at), "expires_at": stamp(self.expires_at)}
        return hashlib.sha256(_DOMAIN + msgspec.json.encode(shown, order="sorted")).hexdigest()

    def expected_call_digest(self) -> str:
        """Compute the digest of the call from the request's members."""
        return call_digest(
            agent_id=self.agent_id,
            org_id=self.org_id,
            account=self.account,
            requester=self.requester,
            connector=self.connector,
            operation=self.operation,
            params=self.params,
            effects=self.effects,
            sentence=self.sentence,
            policy=self.policy,
            target=self.target,
        )

    @property
    def unaltered(self) -> bool:
        """Return True when the request's members match its digests."""
        return self.digest == self.expected_digest() and self.call_digest == self.expected_call_digest()


def sealed(request: ApprovalRequest) -> ApprovalRequest:
    """Return a new request with the digests of its members."""
    with_call = evolve(request, call_digest=request.expected_call_digest())
    return evolve(with_call, digest=with_call.expected_digest())


def call_digest(
    *,
    agent_id: str,
    org_id: str,
    account: str,
    connector: str,
    operation: str,
    params: bytes | str,
    policy: str | None,
    requester: str | None = None,
    effects: Sequence[Effect] = (),
    sentence: str = "",
    target: Mapping[str, Any] | None = None,
) -> str:
    """Return the digest of one exact call, as hex. An approval does not cover a call of which any argument differs.

    Args:
        agent_id, org_id: The agent that calls, and its organisation.
        account: Fingerprint of the credentials.
        requester: The e-mail address sent as `From` with a write.
        connector, operation: The operation called.
        params: The canonical JSON of the parameters.
        effects: The operations that the call performs.
        sentence: The call in plain words.
        policy: Name of the policy entry that requires approval.
        target: State of the objects that the call changes, when it was shown to the reviewer.
    """
    state = None
    if target is not None:
        state = hashlib.sha256(_TARGET_DOMAIN + msgspec.json.encode(target, order="sorted")).hexdigest()
    subject = {
        "account": account,
        "agent": agent_id,
        "connector": connector,
        "effects": [[effect.operation, effect.risk, effect.count] for effect in effects],
        "operation": operation,
        "org": org_id,
        "params": params.decode() if isinstance(params, bytes) else params,
        "policy": policy,
        "requester": requester,
        "sentence": sentence,
        "target": state,
    }
    return hashlib.sha256(_CALL_DOMAIN + msgspec.json.encode(subject, order="sorted")).hexdigest()


def require_reviewer(request: ApprovalRequest, name: str) -> None:
    """Refuse a reviewer who is the requester.

    Raises:
        ApprovalError: it is not a plain name, or it is the requesting agent's.
    """
    plain_name(name)
    if is_requester(request, name):
        raise ApprovalError(
            f"{name!r} requested this approval, so another reviewer has to decide it. Nothing was decided."
        )


def is_requester(request: ApprovalRequest, name: str) -> bool:
    """Return True when a name is the requesting agent's, who may not decide."""
    return identity(name) == identity(request.agent_id)


def has_decided(request: ApprovalRequest, name: str) -> bool:
    """Return True when a reviewer has decided a request, and may not decide it again."""
    return any(identity(review.reviewer) == identity(name) for review in request.decisions)


def plain_name(name: str) -> str:
    """Return a reviewer's name, if it is plain ASCII text.

    Raises:
        ApprovalError: it is not.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not identity(name):
        raise ApprovalError(
            "A reviewer's name must be 1 to 128 ASCII letters, digits, spaces or ._@:/+- and start with a "
            "letter or digit. Nothing was decided."
        )
    return name


def identity(name: str) -> str:
    """Reduce a name to the person that it identifies: `cli:alice`, `Alice` and `alice` are one person.

    Case, width and any prefix up to the last colon are ignored. Refusing a person who shares the requester's name only
    costs a second reviewer; accepting the requester would defeat the control.
    """
    plain = unicodedata.normalize("NFKC", name).casefold().rpartition(":")[2]
    return "".join(character for character in plain if character.isalnum() or character in "._@/+-")


def stamp(moment: datetime) -> str:
    """Return a time as text that sorts by time: `2026-01-31T23:59:59.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """Parse the text that `stamp` made."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
