"""Reviewers with registered keys: their decisions are signed, and anybody can verify them later, offline.

Without a registry a reviewer is whoever can write to the database. With one, nobody who merely edits the database can
approve a call; what they could still do is make a used approval usable again, until its signature is too old. The
audit log, which is chained, shows such a second use.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from arx_wrapper.approvals.request import ApprovalRequest, Review, checked_reviewer, identity, stamp
from arx_wrapper.errors import ApprovalDeniedError, ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_DOMAIN = b"arx-wrapper decision v1\n"


class Reviewers:
    """Who may decide, each with an Ed25519 public key.

    Args:
        keys: Reviewer's name → public key, the 32 bytes as base64.

    Raises:
        ConfigError: a name or key is malformed, or two names are one person or share a key.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = {name: _public_key(name, key) for name, key in keys.items()}
        people = {identity(name) for name in keys}
        raw = {key.public_bytes_raw() for key in self._keys.values()}
        if not len(people) == len(raw) == len(keys):
            raise ConfigError("Two registered reviewers are the same person or share a key. Nothing was sent.")

    def verify(self, request: ApprovalRequest, review: Review) -> None:
        """Check that a registered reviewer, who is not the requester, signed exactly this decision.

        Raises:
            ApprovalDeniedError: it is not so.
        """
        from cryptography.exceptions import InvalidSignature

        checked_reviewer(review.reviewer, agent_id=request.agent_id)
        key = self._keys.get(review.reviewer)
        if key is None:
            raise _rejected(request, review, "is not a registered reviewer")
        if review.signature is None:
            raise _rejected(request, review, "has to sign the decision")
        statement = _statement(request.id, request.digest, approve=review.approve, note=review.note, at=review.at)
        try:
            key.verify(base64.b64decode(review.signature, validate=True), statement)
        except (InvalidSignature, binascii.Error, ValueError):
            raise _rejected(request, review, "did not sign this: the signature does not match") from None


def verify_decision(request: ApprovalRequest, review: Review, reviewers: Reviewers) -> None:
    """Verify one decision of a request offline: that the request is unaltered, and who agreed to it.

    Raises:
        ApprovalDeniedError: the request does not match its digest, or the signature does not hold.
    """
    if request.expected_digest() != request.digest:
        raise ApprovalDeniedError(
            f"Approval request {request.id} does not match its digest: it was altered.", approval_id=request.id
        )
    reviewers.verify(request, review)


def sign_decision(
    key: Ed25519PrivateKey, *, request_id: str, digest: str, approve: bool, note: str = "", at: datetime
) -> str:
    """Sign a decision, as `Approvals.decide` takes it.

    Args:
        key: The reviewer's private key.
        request_id, digest: The request, as the reviewer saw it.
        approve, note: The decision.
        at: When, aware; at most five minutes from the time it is handed in.

    Returns:
        The signature as base64.
    """
    return base64.b64encode(key.sign(_statement(request_id, digest, approve=approve, note=note, at=at))).decode()


def _statement(request_id: str, digest: str, *, approve: bool, note: str, at: datetime) -> bytes:
    verdict = "approved" if approve else "denied"
    decision = {"at": stamp(at), "digest": digest, "id": request_id, "note": note, "verdict": verdict}
    return _DOMAIN + msgspec.json.encode(decision, order="sorted")


def _public_key(name: str, key: str) -> Ed25519PublicKey:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise ConfigError(
            "Signed decisions need cryptography: pip install 'arx-pagerduty[crypto]'. Nothing was sent."
        ) from None
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        raise ConfigError(
            f"The key of reviewer {name!a} is not an Ed25519 public key (32 bytes as base64). Nothing was sent."
        ) from None


def _rejected(request: ApprovalRequest, review: Review, problem: str) -> ApprovalDeniedError:
    return ApprovalDeniedError(
        f"{request.id}: {review.reviewer!a} {problem}. The decision does not count.", approval_id=request.id
    )
