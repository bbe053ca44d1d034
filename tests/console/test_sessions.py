"""Sessions, challenges and rate limits at times that the tests set."""

from __future__ import annotations

import pytest

from arx_wrapper.console import sessions
from arx_wrapper.console.sessions import Challenges, RateLimit, Sessions
from tests.approvals.conftest import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_session_ends_after_15_minutes_without_use_and_after_an_hour_in_any_case(clock: Clock) -> None:
    opened = Sessions(clock)
    idle, used = opened.start("alice", "a"), opened.start("bob", "b")
    for minute in range(10, 60, 10):
        clock.move(600)
        assert opened.find(used), minute
    assert opened.find(idle) is None
    clock.move(600)
    assert opened.find(used) is None


def test_tokens_are_not_kept(clock: Clock) -> None:
    opened = Sessions(clock)
    token = opened.start("alice", "a")
    assert token not in str(vars(opened))


def test_ended_sessions_and_old_challenges_take_no_memory(clock: Clock) -> None:
    opened, challenges = Sessions(clock), Challenges(clock)
    for _ in range(5):
        opened.start("alice", "a")
        challenges.issue()
        clock.move(3600)
    assert (len(opened._open), len(challenges._open)) == (1, 1)


def test_the_oldest_are_forgotten_beyond_a_number(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_MOST", 2)
    opened, challenges, limit = Sessions(clock), Challenges(clock), RateLimit(1, clock)
    tokens = [opened.start("alice", "a") for _ in range(3)]
    assert [bool(opened.find(token)) for token in tokens] == [False, True, True]
    names = [challenges.issue()[0] for _ in range(3)]
    assert [bool(challenges.take(name)) for name in names] == [False, True, True]
    assert [limit.allows(key) for key in ("a", "b", "c", "c", "a")] == [True, True, True, False, True]


def test_a_challenge_is_taken_once_and_for_five_minutes(clock: Clock) -> None:
    challenges = Challenges(clock)
    (first, value), (second, _), (third, _) = [challenges.issue() for _ in range(3)]
    assert [challenges.take(first), challenges.take(first)] == [value, None]
    clock.move(299)
    assert challenges.take(second)
    clock.move(1)
    assert challenges.take(third) is None
    assert challenges.take(None) is None


def test_attempts_are_limited_in_any_minute_and_refused_ones_do_not_count(clock: Clock) -> None:
    limit = RateLimit(2, clock)
    assert [limit.allows("a") for _ in range(4)] == [True, True, False, False]
    assert limit.allows("b")
    clock.move(59)
    assert not limit.allows("a")
    clock.move(1)
    assert [limit.allows("a") for _ in range(3)] == [True, True, False]


def test_text_that_no_encoding_has_is_no_token(clock: Clock) -> None:
    opened = Sessions(clock)
    opened.start("alice", "a")
    assert opened.find("\udcff") is None
    assert not sessions.same("\udcff", "token")
