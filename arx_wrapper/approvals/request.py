"""What a reviewer is asked, what they answered, and the digest that ties both to one exact call."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import msgspec
from attrs import field, frozen

from arx_wrapper.errors import ApprovalError
from arx_wrapper.model import Effect, Risk

State = Literal["pending", "approved", "denied", "expired", "consumed", "stale"]
STATES: tuple[str, ...] = get_args(State)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@:/+-]{0,127}")
_DOMAIN = b"arx-wrapper approval v1\n"
_TARGET_DOMAIN = b"arx-wrapper approval target v1\n"


@frozen(kw_only=True)
class Review:
    """One reviewer's answer.

    Attributes:
        reviewer: Who answered.
        approve: Whether they agreed.
        note: What they added.
        at: When, in UTC.
        signature: Ed25519 signature as base64, when the reviewer has a registered key.
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
    """One call that waits for people, as they see it.

    Attributes:
        id: What reviewers and a resumed call name it by.
        digest: SHA-256 over everything that makes the call what it is; see `call_digest`.
        org_id, agent_id: Who asks, for which organisation.
        account: Fingerprint of the credentials that the call will use.
        connector, operation: What is called.
        effects: What the call amounts to, the operation itself first.
        risk: The risk at which it was judged.
        params: The parameters as canonical JSON: exactly what will be sent.
        policy, policy_source, reason: The policy entry that asks for approval, its `file:line`, and why.
        channel: Where reviewers are asked.
        target: State of what the call changes, as it was when asked; None when it was not read.
        min_approvals: How many different people must agree.
        created_at, expires_at: In UTC. Past `expires_at` it can neither be decided nor used.
        state: `pending`, `approved`, `denied`, `expired`, `consumed` (used, for good) or `stale` (withdrawn).
        decisions: The answers so far, oldest first.
    """

    id: str
    digest: str
    org_id: str
    agent_id: str
    account: str
    connector: str
    operation: str
    effects: tuple[Effect, ...]
    risk: Risk
    params: str = field(repr=False)
    policy: str | None = None
    policy_source: str | None = None
    reason: str = ""
    channel: str | None = None
    target: Mapping[str, Any] | None = field(default=None, repr=False)
    min_approvals: int = 1
    created_at: datetime
    expires_at: datetime
    state: State = "pending"
    decisions: tuple[Review, ...] = ()

    def expected_digest(self) -> str:
        """The digest of what this request shows; unlike `digest` once the store was altered."""
        return call_digest(
            agent_id=self.agent_id,
            org_id=self.org_id,
            account=self.account,
            connector=self.connector,
            operation=self.operation,
            params=self.params,
            policy=self.policy,
            target=self.target,
        )


def call_digest(
    *,
    agent_id: str,
    org_id: str,
    account: str,
    connector: str,
    operation: str,
    params: bytes | str,
    policy: str | None,
    target: Mapping[str, Any] | None = None,
) -> str:
    """The digest that an approval is bound to, as hex: change any argument and the approval does not hold.

    Args:
        agent_id, org_id: Who calls, for which organisation.
        account: Fingerprint of the credentials.
        connector, operation: What is called.
        params: The canonical JSON of the parameters.
        policy: Name of the policy entry that asked for approval.
        target: State of what the call changes, when it was shown to the reviewer.
    """
    state = None
    if target is not None:
        state = hashlib.sha256(_TARGET_DOMAIN + msgspec.json.encode(target, order="sorted")).hexdigest()
    subject = {
        "account": account,
        "agent": agent_id,
        "connector": connector,
        "operation": operation,
        "org": org_id,
        "params": params.decode() if isinstance(params, bytes) else params,
        "policy": policy,
        "target": state,
    }
    return hashlib.sha256(_DOMAIN + msgspec.json.encode(subject, order="sorted")).hexdigest()


def checked_reviewer(name: str, *, agent_id: str) -> str:
    """A reviewer's name, if it may stand for a person who did not ask.

    Raises:
        ApprovalError: it is not a plain name, or it is the requester.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not identity(name):
        raise ApprovalError(
            "A reviewer's name must be 1 to 128 ASCII letters, digits, spaces or ._@:/+- and start with a "
            "letter or digit. Nothing was decided."
        )
    if identity(name) == identity(agent_id):
        raise ApprovalError(
            f"{name!r} asked for this approval and cannot give it: somebody else has to. Nothing was decided."
        )
    return name


def identity(name: str) -> str:
    """Whom a name stands for: `cli:alice`, `Alice` and `alice` are one person.

    Refusing somebody who shares the requester's name costs a second reviewer; accepting the requester costs
    the control. So case, width and any prefix up to the last colon do not count.
    """
    plain = unicodedata.normalize("NFKC", name).casefold().rpartition(":")[2]
    return "".join(character for character in plain if character.isalnum() or character in "._@/+-")


def stamp(moment: datetime) -> str:
    """A moment as text that sorts by time: `2026-01-31T23:59:59.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """The reverse of `stamp`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
