"""Records written past the checks of inviting and registering: the reader of the chain passes them over."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve, fields, frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from arx_wrapper.approvals import Enrolments, Reviewers
from arx_wrapper.approvals.enrolment_rules import (
    Candidate,
    enrolment_statement,
    registration_challenge,
    removal_statement,
)
from arx_wrapper.approvals.passkeys import Passkey, challenge_of, verify_registration
from arx_wrapper.approvals.signatures import Enrolled
from tests.approvals.authenticator import Authenticator

PASSKEY = {"rp_id": "localhost", "origin": "http://localhost:8788"}


@frozen(kw_only=True)
class Record:
    """A record of an enrolment, as the log gives it."""

    action_type: str = "reviewer.enrolled"
    status: str = "success"
    created_at: str = "2026-01-01T00:00:00+00:00"
    metadata: Mapping[str, Any]


def invited(name: str, invitation: str, user: str | None = None) -> Record:
    return Record(metadata={"step": "invited", "reviewer": name, "invitation": invitation, "user": user})


def registered(
    invitation: str, credential: str, at: str = "2026-01-01T00:09:59+00:00", public_key: str | None = None
) -> Record:
    said = {"step": "registered", "invitation": invitation, "credential_id": credential, **PASSKEY}
    said["public_key"] = public_key or f"key of {credential}"
    return Record(created_at=at, metadata=said)


def read(*records: Record) -> Enrolments:
    enrolments = Enrolments("org-acme", None)
    for record in records:
        enrolments.add(record)
    return enrolments


def test_the_first_to_register_is_a_reviewer_and_the_second_is_a_candidate() -> None:
    found = read(invited("alice", "1"), registered("1", "a"), invited("bob", "2"), registered("2", "b"))
    assert list(found.reviewers) == ["alice"]
    assert [candidate.reviewer for candidate in found.candidates.values()] == ["bob"]


def test_an_invitation_is_taken_up_once() -> None:
    found = read(invited("alice", "1"), registered("1", "a"), registered("1", "b"))
    assert [passkey.credential_id for passkey in found.reviewers.passkeys("alice")] == ["a"]
    assert found.candidates == {}


def test_a_registration_after_ten_minutes_is_too_late() -> None:
    found = read(invited("alice", "1"), registered("1", "a", at="2026-01-01T00:10:00+00:00"))
    assert (list(found.reviewers), found.candidates) == ([], {})


def test_nobody_registers_as_another_spelling_of_a_reviewer() -> None:
    found = read(invited("alice", "1"), registered("1", "a"), invited("cli:Alice", "2"), registered("2", "b"))
    assert found.candidates == {}


def test_a_passkey_is_enrolled_once() -> None:
    found = read(invited("alice", "1"), registered("1", "a"), invited("bob", "2"), registered("2", "a"))
    assert found.candidates == {}


def test_a_key_is_enrolled_once_whatever_its_credential_is_called() -> None:
    first, second = registered("1", "a", public_key="k"), registered("2", "b", public_key="k")
    assert read(invited("alice", "1"), first, invited("bob", "2"), second).candidates == {}


def test_a_person_of_pagerduty_is_a_reviewer_by_one_name() -> None:
    records = [invited("alice", "1", user="PU1"), registered("1", "a")]
    again = [invited("bob", "2", user="pu1"), registered("2", "b")]
    assert read(*records, *again).candidates == {}
    assert len(read(*records, invited("alice", "2", user="PU1"), registered("2", "b")).candidates) == 1
    assert len(read(*records, invited("bob", "2"), registered("2", "b")).candidates) == 1


def test_a_registration_without_an_invitation_does_not_count() -> None:
    assert list(read(registered("1", "a")).reviewers) == []


def test_a_refused_attempt_changes_nothing() -> None:
    refused = Record(status="error", metadata=invited("alice", "1").metadata)
    assert list(read(refused, registered("1", "a")).reviewers) == []


def test_a_record_that_is_no_enrolment_at_all_is_passed_over() -> None:
    for metadata in ({}, {"step": "registered"}, {"step": "confirmed", "invitation": 7}, {"step": "invited"}):
        assert list(read(Record(metadata=metadata)).reviewers) == []
        assert list(read(Record(action_type="reviewer.removed", metadata=metadata)).reviewers) == []


KEYS = {name: Ed25519PrivateKey.generate() for name in ("robot", "android")}
AT = "2026-01-01T00:05:00+00:00"


def reviewers(*names: str) -> Reviewers:
    public = {name: KEYS[name].public_key().public_bytes_raw() for name in names}
    return Reviewers({name: base64.b64encode(key).decode() for name, key in public.items()})


def confirmed(enrolments: Enrolments, invitation: str, by: str = "robot", key: str = "robot") -> Record:
    statement = enrolment_statement("org-acme", enrolments.candidates[invitation], by=by, at=AT)
    proof = base64.b64encode(KEYS[key].sign(statement)).decode()
    return Record(metadata={"step": "confirmed", "invitation": invitation, "by": by, "at": AT, "proof": proof})


def removed(enrolments: Enrolments, name: str, by: str = "robot", key: str = "robot") -> Record:
    [reviewer] = [each for each in enrolments.reviewers.enrolled.values() if each.name == name]
    proof = base64.b64encode(KEYS[key].sign(removal_statement("org-acme", reviewer, by=by, at=AT))).decode()
    said = {"reviewer": name, "by": by, "at": AT, "proof": proof}
    return Record(action_type="reviewer.removed", metadata=said)


def with_keys(*records: Record) -> Enrolments:
    """The enrolments of an organisation that has two reviewers with keys."""
    enrolments = Enrolments("org-acme", reviewers("robot", "android"))
    for record in records:
        enrolments.add(record)
    return enrolments


def test_a_credential_is_enrolled_once_whatever_its_key() -> None:
    first, second = registered("1", "a"), registered("2", "a", public_key="another")
    assert read(invited("alice", "1"), first, invited("bob", "2"), second).candidates == {}


def test_a_reviewer_with_a_key_gets_no_passkey_by_the_same_name() -> None:
    assert with_keys(invited("robot", "1"), registered("1", "a")).candidates == {}


def test_a_second_passkey_does_not_change_who_somebody_is_in_pagerduty() -> None:
    found = with_keys(invited("alice", "1", user="PU1"), registered("1", "a"))
    found.add(confirmed(found, "1"))
    for record in (invited("alice", "2", user="PU2"), registered("2", "b")):
        found.add(record)
    found.add(confirmed(found, "2"))
    assert (found.reviewers.enrolled["alice"].user, len(found.reviewers.passkeys("alice"))) == ("PU1", 2)


@pytest.mark.parametrize(("by", "key"), [("alice", "robot"), ("stranger", "robot"), ("android", "robot")])
def test_a_removal_without_the_proof_of_another_reviewer_removes_nobody(by: str, key: str) -> None:
    found = with_keys(invited("alice", "1"), registered("1", "a"))
    found.add(confirmed(found, "1"))
    found.add(removed(found, "alice", by=by, key=key))
    assert "alice" in found.reviewers
    found.add(removed(found, "alice"))
    assert "alice" not in found.reviewers


def test_nobody_removes_themselves_with_a_true_proof() -> None:
    alice = Authenticator()
    challenge = registration_challenge("token")
    passkey = verify_registration(alice.register(challenge), challenge, **PASSKEY)
    said = {"step": "registered", "invitation": "1", **{n: getattr(passkey, n) for n in (*PASSKEY, "credential_id")}}
    found = read(invited("alice", "1"), Record(metadata={**said, "public_key": passkey.public_key}))
    statement = removal_statement("org-acme", found.reviewers.enrolled["alice"], by="alice", at=AT)
    proof = alice.sign(challenge_of(statement))
    found.reviewers.prove("alice", statement, proof)
    said = {"reviewer": "alice", "by": "alice", "at": AT, "proof": proof}
    found.add(Record(action_type="reviewer.removed", metadata=said))
    assert "alice" in found.reviewers


def test_a_confirmation_signs_all_that_makes_a_reviewer() -> None:
    passkey = Passkey(credential_id="a", public_key="k", rp_id="localhost", origin="http://localhost")
    base = Candidate(reviewer="bob", user="PU1", passkey=passkey, invitation="1", since=AT)
    changed = [
        *(evolve(base, **{name: "other"}) for name in ("reviewer", "user", "invitation")),
        *(evolve(base, passkey=evolve(passkey, **{field.name: "other"})) for field in fields(Passkey)),
    ]
    statements = {enrolment_statement("org", each, by="alice", at=AT) for each in (base, *changed)}
    statements |= {enrolment_statement(*how, by=by, at=at) for *how, by, at in (
        ("other", base, "alice", AT), ("org", base, "carol", AT), ("org", base, "alice", "2027-01-01T00:00:00+00:00"),
    )}  # fmt: skip
    assert len(statements) == 1 + len(changed) + 3


def test_a_removal_signs_whom_it_removes_and_is_no_other_statement() -> None:
    passkey = Passkey(credential_id="a", public_key="k", rp_id="localhost", origin="http://localhost")
    bob = Enrolled(name="bob", passkeys=(passkey,))
    signed = {
        removal_statement(org, who, by=by, at=at)
        for org, who, by, at in (
            ("org", bob, "alice", AT),
            ("other", bob, "alice", AT),
            ("org", evolve(bob, name="carol"), "alice", AT),
            ("org", evolve(bob, passkeys=(evolve(passkey, credential_id="b"),)), "alice", AT),
            ("org", bob, "dora", AT),
            ("org", bob, "alice", "2027-01-01T00:00:00+00:00"),
        )
    }
    assert len(signed) == 6
    candidate = Candidate(reviewer="bob", user=None, passkey=passkey, invitation="1", since=AT)
    confirmation = enrolment_statement("org", candidate, by="alice", at=AT)
    assert len({each.partition(b"\n")[0] for each in (confirmation, *signed)}) == 2
