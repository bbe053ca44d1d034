"""Verify reviewers' signatures: by an Ed25519 key from the configuration, or a passkey enrolled in the audit log.

A decision's signature covers the request's digest, the verdict, the note and the time. It can be verified later,
offline, with the public key alone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec
from attrs import frozen

from arx_wrapper.approvals.passkeys import NotProvenError, Passkey, credential_of, verify_assertion
from arx_wrapper.approvals.request import ApprovalRequest, Review, identity, require_reviewer, stamp
from arx_wrapper.errors import ApprovalDeniedError, ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_DOMAIN = b"arx-wrapper decision v1\n"
Kind = Literal["ed25519", "passkey"]


@frozen(kw_only=True)
class Enrolled:
    """A reviewer who was enrolled in the audit log.

    Attributes:
        name: The reviewer's name.
        passkeys: Their passkeys, oldest first.
        user: Their id in PagerDuty, which on-call rules compare; None when it was not given.
        since: Time of the enrolment's record.
        confirmed_by: The reviewer who confirmed it; None for the first one.
    """

    name: str
    passkeys: tuple[Passkey, ...]
    user: str | None = None
    since: str = ""
    confirmed_by: str | None = None


class Reviewers:
    """The people who may decide, each with an Ed25519 public key or passkeys.

    Args:
        keys: Reviewer's name → Ed25519 public key, the 32 bytes as base64; from the configuration.
        enrolled: Reviewers who were enrolled in the audit log.

    Raises:
        ConfigError: a name or key is malformed, two names identify one person, or two reviewers share a key.
    """

    def __init__(self, keys: Mapping[str, str], enrolled: Sequence[Enrolled] = ()) -> None:
        self.keys = dict(keys)
        self.enrolled = {each.name: each for each in enrolled}
        self._keys = {name: _public_key(name, key) for name, key in keys.items()}
        people = {identity(name) for name in keys}
        raw = {key.public_bytes_raw() for key in self._keys.values()}
        if not len(people) == len(raw) == len(keys):
            raise ConfigError("Two registered reviewers are the same person or share a key. Nothing was sent.")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._keys, *self.enrolled]))

    def __contains__(self, name: object) -> bool:
        return name in self._keys or name in self.enrolled

    def __bool__(self) -> bool:
        return bool(self._keys or self.enrolled)

    def with_enrolled(self, enrolled: Sequence[Enrolled]) -> Reviewers:
        """Return reviewers with the same configured keys and these enrolled ones."""
        return Reviewers(self.keys, enrolled)

    def passkeys(self, name: str) -> tuple[Passkey, ...]:
        """Return a reviewer's passkeys; empty when the name is unknown or has a configured key instead."""
        found = self.enrolled.get(name)
        return found.passkeys if found else ()

    def owner_of(self, credential_id: str) -> str | None:
        """Return the name of the reviewer who owns a credential; None when no reviewer does."""
        for name, found in self.enrolled.items():
            if any(passkey.credential_id == credential_id for passkey in found.passkeys):
                return name
        return None

    def verify(self, request: ApprovalRequest, review: Review) -> None:
        """Check that a registered reviewer, who is not the requester, signed exactly this decision.

        Raises:
            ApprovalDeniedError: the reviewer is not registered, or the signature is missing or invalid.
            ConfigError: a package that the proof needs is not installed.
        """
        require_reviewer(request, review.reviewer)
        if review.reviewer not in self:
            raise _rejected(request, review, "is not a registered reviewer")
        if review.signature is None:
            raise _rejected(request, review, "has to sign the decision (a passkey does at `arx-pagerduty console`)")
        try:
            self.prove(review.reviewer, decision_statement(request, review), review.signature)
        except NotProvenError as error:
            raise _rejected(request, review, f"did not sign this: the signature {error}") from None

    def prove(self, name: str, statement: bytes, proof: str) -> Kind:
        """Check that a reviewer signed a statement, and return the kind of signature.

        Args:
            name: The reviewer.
            statement: The statement that must have been signed.
            proof: An Ed25519 signature as base64, or a passkey's assertion as JSON.

        Raises:
            NotProvenError: the signature is invalid.
            ConfigError: a package that the proof needs is not installed.
        """
        if proof.lstrip().startswith("{"):
            credential = credential_of(proof)
            for passkey in self.passkeys(name):
                if passkey.credential_id == credential:
                    verify_assertion(proof, statement, passkey)
                    return "passkey"
            raise NotProvenError("does not match: it belongs to none of their passkeys")
        from cryptography.exceptions import InvalidSignature

        key = self._keys.get(name)
        try:
            if key is None:
                raise ValueError
            key.verify(base64.b64decode(proof, validate=True), statement)
        except (InvalidSignature, binascii.Error, ValueError):
            raise NotProvenError("does not match") from None
        return "ed25519"


def verify_decision(request: ApprovalRequest, review: Review, reviewers: Reviewers) -> None:
    """Verify offline that a request is unaltered and that its reviewer signed the decision.

    Raises:
        ApprovalDeniedError: the request does not match its digest, or the signature is invalid.
    """
    if not request.unaltered:
        raise ApprovalDeniedError(
            f"Approval request {request.id} does not match its digest: it was altered.", approval_id=request.id
        )
    reviewers.verify(request, review)


def sign_decision(
    key: Ed25519PrivateKey, *, request_id: str, digest: str, approve: bool, note: str = "", at: datetime
) -> str:
    """Sign a decision for `Approvals.decide`.

    Args:
        key: The reviewer's private key.
        request_id, digest: The request, as the reviewer saw it.
        approve, note: The decision.
        at: The time of signing, aware; `decide` must receive it within five minutes.

    Returns:
        The signature as base64.
    """
    return base64.b64encode(key.sign(_statement(request_id, digest, approve=approve, note=note, at=at))).decode()


def decision_statement(request: ApprovalRequest, review: Review) -> bytes:
    """Return the statement that a reviewer signs: the request's digest, the verdict, the note and the time."""
    return _statement(request.id, request.digest, approve=review.approve, note=review.note, at=review.at)


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
