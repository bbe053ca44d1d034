"""Records written past the checks of inviting and registering: the reader of the chain passes them over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from arx_wrapper.approvals import Enrolments

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
