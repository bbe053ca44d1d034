"""Decisions that count for an entry that names people, groups or the people on call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from arx_wrapper import approvals
from arx_wrapper.approvals import ApprovalRequest, Review, Reviewers
from arx_wrapper.approvals.signatures import Enrolled
from arx_wrapper.core.reviewer_checks import Judge, Levels, require_all, require_one
from arx_wrapper.errors import ApprovalDeniedError
from arx_wrapper.model import OnCall, ReviewerRule
from tests.approvals.conftest import Clock, terms

LEVELS = {1: frozenset({"ada1", "ada@example.com"}), 2: frozenset({"bo1"}), 3: frozenset({"cy1"})}
PEOPLE = Reviewers({}, [Enrolled(name="bob", passkeys=(), user="BO1"), Enrolled(name="carol", passkeys=())])


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[ApprovalRequest]:
    store = approvals.open(f"sqlite:///{tmp_path}/approvals.db", clock=Clock())
    terms_: dict[str, Any] = terms()
    yield await store.request(**terms_)
    await store.aclose()


def judge(asked: ApprovalRequest, *decisions: Review) -> Judge:
    async def on_call(escalation_policy: str) -> Levels:
        assert escalation_policy == "PESC123"
        return LEVELS

    return Judge(
        request=evolve(asked, decisions=decisions), reviewers=PEOPLE, groups={"sre": ("carol",)}, ask_on_call=on_call
    )


def decision(asked: ApprovalRequest, name: str, *, approve: bool = True, after: float = 0) -> Review:
    return Review(reviewer=name, approve=approve, at=asked.created_at + timedelta(seconds=after))


async def counts(asked: ApprovalRequest, rule: ReviewerRule, name: str, after: float = 0) -> bool:
    return (await judge(asked).standing(rule, decision(asked, name, after=after))).counts


def on_call(**more: Any) -> ReviewerRule:
    return ReviewerRule(policy="p", on_call=(OnCall(escalation_policy="PESC123", **more),))


@pytest.mark.parametrize(
    ("name", "counting"),
    [("bob", True), ("ADA@example.com", True), ("Ada1", True), ("carol", False), ("BO1x", False), ("dora", False)],
)
async def test_somebody_on_call_is_known_by_their_user_or_by_their_name(
    asked: ApprovalRequest, name: str, counting: bool
) -> None:
    assert await counts(asked, on_call(), name) is counting


@pytest.mark.parametrize(
    ("levels", "after", "counting"),
    [
        ((1,), 0, [1]),
        ((3, 1), 0, [1, 3]),
        ((), 0, [1, 2, 3]),
        ((1, 2), -1, [1]),
        ((1, 2), 299, [1]),
        ((1, 2), 300, [1, 2]),
        ((3, 1), 299, [3]),
        ((), 300, [1, 2]),
        ((1, 2), 10_000, [1, 2]),
    ],
)
async def test_the_levels_that_count_are_the_rules_and_widen_while_nobody_decides(
    asked: ApprovalRequest, levels: tuple[int, ...], after: float, counting: list[int]
) -> None:
    rule = on_call(levels=levels, escalate_after=300 if after else None)
    names = {1: "ada1", 2: "bob", 3: "cy1"}
    assert [level for level, name in names.items() if await counts(asked, rule, name, after)] == counting


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ({"people": ("alice",)}, ["alice"]),
        ({"groups": ("sre",)}, ["carol"]),
        ({"groups": ("none",)}, []),
        (
            {"people": ("alice",), "groups": ("sre",), "on_call": on_call(levels=(2,)).on_call},
            ["alice", "bob", "carol"],
        ),
    ],
)
async def test_any_way_of_being_named_is_enough(asked: ApprovalRequest, rule: dict[str, Any], names: list[str]) -> None:
    whole = ReviewerRule(policy="p", **rule)
    assert [name for name in ("alice", "bob", "carol", "dora") if await counts(asked, whole, name)] == names


async def test_a_decision_counts_when_one_rule_names_its_reviewer(asked: ApprovalRequest) -> None:
    rules = [ReviewerRule(policy=f"of {name}", people=(name,)) for name in ("alice", "bob")]
    await require_one(judge(asked), rules, decision(asked, "bob"))
    await require_one(judge(asked), [], decision(asked, "dora"))
    with pytest.raises(ApprovalDeniedError, match="of alice: dora is none of its reviewers; of bob: dora"):
        await require_one(judge(asked), rules, decision(asked, "dora"))


async def test_every_rule_has_its_own_number_of_approvals_by_its_own_people(asked: ApprovalRequest) -> None:
    two = ReviewerRule(policy="two", people=("alice", "bob", "carol"), min_approvals=2)
    one = ReviewerRule(policy="one", people=("dora",))
    alice, bob, dora = [decision(asked, name) for name in ("alice", "bob", "dora")]
    found = await require_all(judge(asked, alice, bob, dora), [two, one])
    assert [(each["policy"], each["reviewer"], each["counts"]) for each in found] == [
        ("two", "alice", True), ("two", "bob", True), ("two", "dora", False),
        ("one", "alice", False), ("one", "bob", False), ("one", "dora", True),
    ]  # fmt: skip
    for decisions, match in (
        ((alice, dora), "1 of the 2 approvals that two"),
        ((alice, evolve(bob, approve=False), dora), "1 of the 2 approvals that two"),
        ((alice, bob), "0 of the 1 approvals that one"),
        ((), "none decided"),
    ):
        with pytest.raises(ApprovalDeniedError, match=match):
            await require_all(judge(asked, *decisions), [two, one])
