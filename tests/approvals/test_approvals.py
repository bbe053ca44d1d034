"""The rules: bound to one call, given by somebody else, in time, used once."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing

import psycopg
import pytest

from arx_wrapper import approvals
from arx_wrapper.approvals.request import stamp
from arx_wrapper.approvals.sql import SELECT
from arx_wrapper.approvals.store import _where
from arx_wrapper.errors import (
    ApprovalDeniedError,
    ApprovalError,
    ApprovalExpiredError,
    ApprovalPendingError,
    ConfigError,
)
from arx_wrapper.model import Effect, Risk
from tests.approvals.conftest import terms
from tests.support import PATIENCE


async def test_an_approval_is_asked_for_given_and_used(store):
    asked = await store.request(**terms())
    assert (asked.state, asked.decisions) == ("pending", ())
    decided = await store.decide(asked.id, "alice", True, "go ahead")
    assert decided.state == "approved"
    [review] = decided.decisions
    assert (review.reviewer, review.verdict, review.note) == ("alice", "approved", "go ahead")
    used = await store.consume(asked.id, asked.call_digest)
    assert used.state == "consumed"
    assert await store.get(asked.id) == used


async def test_what_the_reviewer_sees_comes_back_unchanged(store):
    asked = await store.request(**terms(target={"name": "Checkout", "status": "active"}, min_approvals=2))
    assert await store.get(asked.id) == asked
    assert asked.params == terms()["params"].decode()
    assert asked.effects == (Effect(operation="maintenance:create", risk=Risk.HIGH),)
    assert (asked.expires_at - asked.created_at).total_seconds() == 3600


@pytest.mark.parametrize(
    "changed",
    [
        {"agent_id": "agent-002"},
        {"org_id": "org-other"},
        {"account": "e" * 64},
        {"connector": "opsgenie"},
        {"operation": "maintenance:delete"},
        {"params": b'{"service_ids":["PXYZ789"],"start_time":"2025-06-15T02:00:00Z"}'},
        {"policy": "other"},
        {"target": {"status": "active"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_an_approval_does_not_hold_for_a_call_that_differs_in(store, changed):
    asked = await store.request(**terms())
    await store.decide(asked.id, "alice", True)
    other = await store.request(**terms(**changed))
    assert other.call_digest != asked.call_digest
    with pytest.raises(ApprovalDeniedError, match="another call"):
        await store.consume(asked.id, other.call_digest)
    assert (await store.consume(asked.id, asked.call_digest)).state == "consumed"


def test_parts_of_a_call_cannot_be_shifted_between_fields():
    def digest(**changed):
        wanted = "agent_id", "org_id", "account", "connector", "operation", "params", "policy"
        return approvals.call_digest(**{name: terms(**changed)[name] for name in wanted})

    assert digest(agent_id="a", org_id="b|c") != digest(agent_id="a|b", org_id="c")
    assert digest(policy=None) != digest(policy="None")


async def test_an_approval_is_used_once(store):
    asked = await store.request(**terms())
    await store.decide(asked.id, "alice", True)
    await store.consume(asked.id, asked.call_digest)
    with pytest.raises(ApprovalDeniedError, match="used already"):
        await store.consume(asked.id, asked.call_digest)


async def test_a_pending_request_cannot_be_used(store):
    asked = await store.request(**terms())
    with pytest.raises(ApprovalPendingError, match="still waits") as caught:
        await store.consume(asked.id, asked.call_digest)
    assert caught.value.approval_id == asked.id


async def test_a_denial_decides_for_good_and_names_the_reviewer(store):
    asked = await store.request(**terms())
    await store.decide(asked.id, "alice", False, "not today")
    with pytest.raises(ApprovalDeniedError, match="denied by alice"):
        await store.consume(asked.id, asked.call_digest)
    with pytest.raises(ApprovalError, match="denied already by alice"):
        await store.decide(asked.id, "bob", True)


async def test_an_approval_that_nobody_asked_for_does_not_exist(store):
    with pytest.raises(ApprovalDeniedError, match="no approval"):
        await store.consume("0" * 16, "0" * 64)
    with pytest.raises(ApprovalError, match="no approval request"):
        await store.decide("0" * 16, "alice", True)
    with pytest.raises(ApprovalError, match="no approval request"):
        await store.wait("0" * 16)


@pytest.mark.parametrize(
    ("agent", "reviewer"),
    [
        ("agent-001", "agent-001"),
        ("agent-001", "Agent-001"),
        ("cli:alice", "alice"),
        ("cli:alice", "cli:alice"),
        ("alice", "cli:alice"),
        ("alice", "slack:ALICE"),
        ("\uff41lice", "alice"),  # full-width a
        ("ali\u200bce", "alice"),
    ],
)
async def test_the_requester_cannot_approve_under_any_spelling(store, agent, reviewer):
    asked = await store.request(**terms(agent_id=agent))
    with pytest.raises(ApprovalError, match="another reviewer"):
        await store.decide(asked.id, reviewer, True)
    assert (await store.get(asked.id)).state == "pending"


@pytest.mark.parametrize("name", ["", " ", ":", "cli:", "al\u0456ce", "alice\n", "\u202eecila", "a" * 129])
async def test_a_reviewer_needs_a_plain_name(store, name):
    asked = await store.request(**terms())
    with pytest.raises(ApprovalError, match="reviewer's name"):
        await store.decide(asked.id, name, True)


async def test_two_approvals_take_two_people(store):
    asked = await store.request(**terms(min_approvals=2))
    assert (await store.decide(asked.id, "alice", True)).state == "pending"
    for again in ("alice", "ALICE", "cli:alice"):
        with pytest.raises(ApprovalError, match=r"decided .* already"):
            await store.decide(asked.id, again, True)
    assert (await store.decide(asked.id, "bob", True)).state == "approved"


async def test_one_denial_outweighs_an_approval(store):
    asked = await store.request(**terms(min_approvals=2))
    await store.decide(asked.id, "alice", True)
    assert (await store.decide(asked.id, "bob", False)).state == "denied"


async def test_an_approval_is_not_enough_once_policy_wants_two(store):
    asked = await store.request(**terms())
    await store.decide(asked.id, "alice", True)
    with pytest.raises(ApprovalDeniedError, match="1 of the 2"):
        await store.consume(asked.id, asked.call_digest, min_approvals=2)


async def test_nothing_is_decided_or_used_after_it_expired(store, clock):
    undecided = await store.request(**terms())
    approved = await store.request(**terms(operation="services:delete"))
    await store.decide(approved.id, "alice", True)
    clock.move(3600)
    assert (await store.get(undecided.id)).state == "expired"
    with pytest.raises(ApprovalExpiredError, match="expired at 2026-01-02T04:04:05"):
        await store.decide(undecided.id, "alice", True)
    for request in (undecided, approved):
        with pytest.raises(ApprovalExpiredError, match="expired"):
            await store.consume(request.id, request.call_digest)
    assert {request.id for request in await store.list("expired")} == {undecided.id, approved.id}
    assert await store.list("pending") == ()


async def test_equal_calls_wait_as_one_request(store):
    first = await store.request(**terms())
    assert await store.request(**terms()) == first
    assert len(await store.list("pending")) == 1


async def test_an_expired_request_is_not_merged_into(store, clock):
    first = await store.request(**terms())
    clock.move(3600)
    assert (await store.request(**terms())).id != first.id


@pytest.mark.parametrize("changed", [{"min_approvals": 2}, {"risk": Risk.HIGH}])
async def test_stricter_terms_replace_a_waiting_request(store, changed):
    first = await store.request(**terms(risk=Risk.MEDIUM))
    second = await store.request(**terms(**{"risk": Risk.MEDIUM, **changed}))
    assert second.id != first.id
    assert (await store.get(first.id)).state == "stale"


async def test_a_flood_is_capped_per_agent_and_others_are_still_heard(url, clock):
    store = approvals.open(url, clock=clock, pending_cap=20, proof="name")
    answers = await asyncio.gather(
        *(store.request(**terms(params=b'{"n":%d}' % number)) for number in range(1000)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, ApprovalError)]
    assert len(refused) == 980
    assert "20 requests of this agent already wait" in str(refused[0])
    assert (await store.request(**terms(agent_id="agent-002"))).state == "pending"
    clock.move(3600)
    assert (await store.request(**terms())).state == "pending"
    await store.aclose()


async def test_a_withdrawn_request_is_neither_decided_nor_used(store):
    asked = await store.request(**terms())
    await store.decide(asked.id, "alice", True)
    assert (await store.mark_stale(asked.id)).state == "stale"
    with pytest.raises(ApprovalDeniedError, match="withdrawn"):
        await store.consume(asked.id, asked.call_digest)
    with pytest.raises(ApprovalError, match="stale already"):
        await store.mark_stale(asked.id)


async def test_waiting_ends_with_the_decision_of_another_connection(store, url, clock):
    asked = await store.request(**terms())
    waiting = asyncio.create_task(store.wait(asked.id, poll=0.01))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    other = approvals.open(url, clock=clock, proof="name")
    await other.decide(asked.id, "alice", True)
    await other.aclose()
    async with asyncio.timeout(PATIENCE):
        assert (await waiting).state == "approved"


async def test_waiting_ends_when_the_request_expires(url):
    store = approvals.open(url, ttl=0.2, proof="name")
    asked = await store.request(**terms())
    async with asyncio.timeout(PATIENCE):
        assert (await store.wait(asked.id, poll=60)).state == "expired"
    await store.aclose()


async def test_cancelling_a_wait_leaves_the_request_to_be_resumed(store):
    asked = await store.request(**terms())
    for delay in (0, 0.001, 0.01, 0.03):
        waiting = asyncio.create_task(store.wait(asked.id, poll=0.01))
        await asyncio.sleep(delay)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await store.decide(asked.id, "alice", True)
    assert (await store.consume(asked.id, asked.call_digest)).state == "consumed"


async def test_requests_are_listed_newest_first_by_state_organisation_and_agent(store, clock):
    ids = []
    for agent, org in (("a", "x"), ("b", "x"), ("a", "y")):
        ids.append((await store.request(**terms(agent_id=agent, org_id=org))).id)
        clock.move(1)
    await store.decide(ids[0], "alice", True)

    async def listed(*args, **filters):
        return [request.id for request in await store.list(*args, **filters)]

    assert await listed() == ids[::-1]
    assert await listed("pending") == [ids[2], ids[1]]
    assert await listed("approved") == [ids[0]]
    assert await listed(agent_id="a") == [ids[2], ids[0]]
    assert await listed(org_id="x", agent_id="a") == [ids[0]]
    assert await listed(limit=1) == [ids[2]]
    with pytest.raises(ApprovalError, match="no state"):
        await store.list("done")


@pytest.mark.parametrize(
    "change",
    ["body = replace(body, 'PABC123', 'PXYZ789')", "body = '[]'", "body = 'no JSON'", "created_at = 'yesterday'"],
)
async def test_an_altered_call_is_refused_rather_than_shown(store, edit, change):
    asked = await store.request(**terms())
    await store.decide(asked.id, "alice", True)
    edit(f"UPDATE approval_requests_v2 SET {change}")  # noqa: S608 - the changes above
    for act in (store.get(asked.id), store.list(), store.consume(asked.id, asked.call_digest)):
        with pytest.raises(ApprovalError, match="altered"):
            await act


async def test_all_database_work_is_done_by_one_thread(store):
    await store.request(**terms())
    before = set(threading.enumerate())
    await asyncio.gather(*(store.list() for _ in range(50)))
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:", "mysql://x", "", "postgres"])
def test_an_address_that_will_not_do_is_refused_at_once(address):
    with pytest.raises(ConfigError, match="ARX_APPROVALS_URL"):
        approvals.open(address)


async def test_a_closed_store_says_so(store):
    await store.aclose()
    await store.aclose()
    with pytest.raises(ApprovalError, match="closed"):
        await store.list()


async def test_a_note_has_a_limit(store):
    asked = await store.request(**terms())
    with pytest.raises(ApprovalError, match="2000 characters"):
        await store.decide(asked.id, "alice", True, "x" * 2001)


_DECIDED = """
INSERT INTO approval_requests_v2 (id, digest, call_digest, org_id, agent_id, state, created_at, expires_at, body)
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 5000)
SELECT 'd' || n, '', 'c' || n, 'org-acme', 'agent', 'consumed', '2020-01-01', '2020-01-02', '{}' FROM number
"""


async def test_waiting_requests_are_listed_without_reading_those_that_are_decided(store, edit, url, clock):
    asked = await store.request(**terms())
    edit(_DECIDED)
    edit("ANALYZE approval_requests_v2")
    where, args = _where(clock(), state="pending", org_id="org-acme")
    statement = f"{SELECT} WHERE {where} ORDER BY created_at DESC, id LIMIT 100"
    values = (stamp(clock()), *args)
    if url.startswith("postgresql:"):
        with psycopg.connect(url) as connection:
            plan = str(connection.execute(f"EXPLAIN {statement}".replace("?", "%s").encode(), values).fetchall())
    else:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            plan = str(connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall())
    assert "approval_requests_v2_waiting" in plan or "approval_requests_v2_state" in plan, plan
    assert [one.id for one in await store.list("pending", org_id="org-acme")] == [asked.id]
    assert await store.count("pending", org_id="org-acme") == 1
