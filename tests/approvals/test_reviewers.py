"""A signed decision holds for one request and one verdict, and an edited database cannot make one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from arx_wrapper import approvals
from arx_wrapper.approvals import Review, Reviewers, sign_decision, verify_decision
from arx_wrapper.errors import ApprovalDeniedError, ApprovalError, ApprovalExpiredError, ConfigError
from tests.approvals.conftest import terms

KEYS = {name: Ed25519PrivateKey.generate() for name in ("alice", "bob")}


def public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


REVIEWERS = Reviewers({name: public(key) for name, key in KEYS.items()})


@pytest.fixture
async def store(url, clock):
    opened = approvals.open(url, clock=clock, reviewers=REVIEWERS)
    yield opened
    await opened.aclose()


def signature(asked, clock, key=KEYS["alice"], **changed):
    decision = {"request_id": asked.id, "digest": asked.digest, "approve": True, "note": "ok", "at": clock()}
    return sign_decision(key, **{**decision, **changed})


async def test_a_signed_decision_counts_and_is_verified_offline(store, clock):
    asked = await store.request(**terms())
    at = clock()
    signed = signature(asked, clock)
    clock.move(60)
    await store.decide(asked.id, "alice", True, "ok", signed, at=at)
    kept = await store.get(asked.id)
    verify_decision(kept, kept.decisions[0], REVIEWERS)
    assert kept.decisions[0].at == at
    assert (await store.consume(asked.id, asked.call_digest)).state == "consumed"


async def test_an_unsigned_decision_does_not_count(store):
    asked = await store.request(**terms())
    with pytest.raises(ApprovalDeniedError, match="has to sign"):
        await store.decide(asked.id, "alice", True)
    assert (await store.get(asked.id)).state == "pending"


@pytest.mark.parametrize(
    "changed",
    [
        {"request_id": "0" * 16},
        {"digest": "0" * 64},
        {"approve": False},
        {"note": "other"},
        {"at": datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)},
        {"key": KEYS["bob"]},
        {"key": Ed25519PrivateKey.generate()},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_a_signature_over_another_decision_does_not_count(store, clock, changed):
    asked = await store.request(**terms())
    with pytest.raises(ApprovalDeniedError, match="does not match"):
        await store.decide(asked.id, "alice", True, "ok", signature(asked, clock, **changed), at=clock())


@pytest.mark.parametrize("rubbish", ["", "x", "AAAA", "é"])
async def test_a_malformed_signature_does_not_count(store, clock, rubbish):
    asked = await store.request(**terms())
    with pytest.raises(ApprovalDeniedError, match="does not match"):
        await store.decide(asked.id, "alice", True, "ok", rubbish, at=clock())


async def test_a_signature_with_other_characters_in_it_does_not_count(store, clock):
    asked = await store.request(**terms())
    signed = signature(asked, clock)
    with pytest.raises(ApprovalDeniedError, match="does not match"):
        await store.decide(asked.id, "alice", True, "ok", f"{signed[:9]}\n{signed[9:]}", at=clock())


async def test_a_signature_is_for_now(store, clock):
    asked = await store.request(**terms())
    at, signed = clock(), signature(asked, clock)
    clock.move(301)
    for time in (at, None):
        with pytest.raises(ApprovalError, match="five minutes"):
            await store.decide(asked.id, "alice", True, "ok", signed, at=time)
    ahead = clock() + timedelta(seconds=301)
    with pytest.raises(ApprovalError, match="five minutes"):
        await store.decide(asked.id, "alice", True, "ok", signature(asked, clock, at=ahead), at=ahead)


async def test_somebody_without_a_registered_key_cannot_decide(store, clock):
    asked = await store.request(**terms())
    with pytest.raises(ApprovalDeniedError, match="not a registered reviewer"):
        await store.decide(asked.id, "mallory", True, "ok", signature(asked, clock), at=clock())


async def test_a_registered_requester_cannot_approve_even_with_a_signature(store, clock):
    asked = await store.request(**terms(agent_id="cli:alice"))
    with pytest.raises(ApprovalError, match="another reviewer"):
        await store.decide(asked.id, "alice", True, "ok", signature(asked, clock), at=clock())


async def test_an_approval_written_into_the_database_is_not_used(store, edit):
    asked = await store.request(**terms())
    edit("UPDATE approval_requests_v2 SET state = 'approved'")
    edit(
        "INSERT INTO approval_reviews_v2 (request_id, person, seq, reviewer, approve, note, at) "
        "SELECT id, 'alice', 0, 'alice', 1, '', '2026-01-02T03:04:05.000000Z' FROM approval_requests_v2"
    )
    with pytest.raises(ApprovalDeniedError, match="has to sign"):
        await store.consume(asked.id, asked.call_digest)


async def test_a_state_written_into_the_database_is_not_enough(store, edit):
    asked = await store.request(**terms())
    edit("UPDATE approval_requests_v2 SET state = 'approved'")
    with pytest.raises(ApprovalDeniedError, match="0 of the 1"):
        await store.consume(asked.id, asked.call_digest)


async def test_moving_the_expiry_in_the_database_does_not_keep_a_signed_approval_alive(store, clock, edit):
    asked = await store.request(**terms())
    await store.decide(asked.id, "alice", True, "ok", signature(asked, clock), at=clock())
    edit("UPDATE approval_requests_v2 SET expires_at = '2099-01-01T00:00:00.000000Z'")
    with pytest.raises(ApprovalError, match="altered"):
        await store.consume(asked.id, asked.call_digest)


async def test_a_signature_is_too_old_after_the_time_that_the_using_process_allows(store, url, clock):
    asked = await store.request(**terms())
    await store.decide(asked.id, "alice", True, "ok", signature(asked, clock), at=clock())
    clock.move(60 + 301)
    stricter = approvals.open(url, clock=clock, reviewers=REVIEWERS, ttl=60)
    with pytest.raises(ApprovalExpiredError, match="too long ago"):
        await stricter.consume(asked.id, asked.call_digest)
    await stricter.aclose()


async def test_an_altered_request_fails_offline_verification(store, clock):
    asked = await store.request(**terms())
    decided = await store.decide(asked.id, "alice", True, "ok", signature(asked, clock), at=clock())
    with pytest.raises(ApprovalDeniedError, match="altered"):
        verify_decision(evolve(decided, operation="services:delete"), decided.decisions[0], REVIEWERS)
    with pytest.raises(ApprovalDeniedError, match="does not match"):
        verify_decision(decided, evolve(decided.decisions[0], approve=False), REVIEWERS)


async def test_the_requesters_own_decision_fails_offline_verification(store, clock):
    asked = await store.request(**terms(agent_id="cli:alice"))
    own = Review(reviewer="alice", approve=True, note="ok", at=clock(), signature=signature(asked, clock))
    with pytest.raises(ApprovalError, match="another reviewer"):
        verify_decision(asked, own, REVIEWERS)


async def test_a_false_signature_does_not_count_where_a_name_is_enough(url, clock):
    store = approvals.open(url, clock=clock, proof="name")
    asked = await store.request(**terms())
    false = store.review("alice", True, "no", signature(asked, clock), at=clock())
    with pytest.raises(ApprovalDeniedError, match="does not match"):
        await store.take(asked.id, false, reviewers=REVIEWERS)
    assert (await store.take(asked.id, store.review("alice", True, ""), reviewers=REVIEWERS)).state == "approved"
    await store.aclose()


@pytest.mark.parametrize("note", ["x" * 2001, "half a pair: \ud83d"])
async def test_a_note_that_no_database_keeps_is_refused(store, note):
    asked = await store.request(**terms())
    with pytest.raises(ApprovalError, match="2000 characters"):
        await store.decide(asked.id, "alice", True, note)


async def test_a_signature_that_nobody_can_verify_is_not_taken(url, clock):
    store = approvals.open(url, clock=clock)
    asked = await store.request(**terms())
    with pytest.raises(ApprovalError, match="cannot be verified"):
        await store.decide(asked.id, "alice", True, "ok", signature(asked, clock), at=clock())
    await store.aclose()


@pytest.mark.parametrize("key", ["x", "AAAA", "", f"!{'A' * 43}=", f"{'A' * 43}=\n"])
def test_a_malformed_key_is_a_configuration_error(key):
    with pytest.raises(ConfigError, match="Ed25519 public key"):
        Reviewers({"alice": key})


def test_one_person_cannot_be_registered_twice():
    alice, bob = public(KEYS["alice"]), public(KEYS["bob"])
    for keys in ({"alice": alice, "alicia": alice}, {"alice": alice, "cli:Alice": bob}):
        with pytest.raises(ConfigError, match="same person"):
            Reviewers(keys)
