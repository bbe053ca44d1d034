"""State that follows from the chain is the same as from counting every record anew, and begins anew after a fork."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from arx_wrapper import audit
from arx_wrapper.audit.chain_state import ChainState, Usage, Window, stamp
from arx_wrapper.audit.record import Details, Outline
from tests.audit.conftest import entry, everything

START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOWS = (1.0, 60.0, 3_600.0, 86_400.0)


def called(at: datetime, count: int, seq: int = 1) -> Outline:
    counted = Details(counted={"op": count})
    return Outline("x", seq, stamp(at), "org", "agent", "connector.called", "op", None, None, None, "s", "", counted)


@given(
    st.lists(st.tuples(st.floats(-30, 4_000), st.integers(1, 5), st.booleans()), max_size=60),
    st.lists(st.tuples(st.floats(0, 90_000), st.integers(1, 5)), max_size=20),
)
def test_a_window_holds_exactly_the_uses_in_it(
    steps: list[tuple[float, int, bool]], old: list[tuple[float, int]]
) -> None:
    now = START
    uses = sorted((START - timedelta(seconds=age), count) for age, count in old)
    usage = Usage(lambda key, since: [(stamp(at), count) for at, count in uses if stamp(at) > since])
    for seconds in WINDOWS:
        usage.used(Window("org", "agent", "op", seconds), now)
    for step, count, asked in steps:
        now += timedelta(seconds=step)  # clocks jump, backwards too
        uses.append((now, count))
        usage.apply(called(now, count))
        if asked:
            for seconds in WINDOWS:
                start = stamp(now - timedelta(seconds=seconds))
                expected = sum(count for at, count in uses if stamp(at) > start)
                assert usage.used(Window("org", "agent", "op", seconds), now) == expected


def test_uses_are_forgotten_once_no_limit_looks_back_to_them() -> None:
    usage, now = Usage(lambda key, since: []), START
    window = Window("org", "agent", "op", 60.0)
    assert usage.used(window, now) == 0
    for number in range(1, 20_001):
        now += timedelta(seconds=30)
        usage.apply(called(now, 1))
        if number % 50 == 0:
            assert usage.used(window, now) == 2
    assert len(usage._series["org", "agent", "op"]._uses) < 12_000


def test_a_seal_carries_the_suspensions_over() -> None:
    state = ChainState()
    for action, details in (
        ("agent.suspended", Details()),
        ("log.sealed", Details(suspended={"agent": "why", "another": "because"})),
        ("agent.resumed", Details()),
    ):
        state.apply(Outline("x", 1, "", "org", "agent", action, None, None, "why", None, "s", "", details))
    assert state.suspended == {"another": "because"}


def test_the_child_of_a_fork_begins_anew_and_leaves_its_parents_log_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/audit.db"
    log = audit.open(url)

    async def one() -> None:
        await log.append(entry(action_type="connector.refused"))

    asyncio.run(one())
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            asyncio.run(one())
            asyncio.run(log.aclose())
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    asyncio.run(one())

    async def look() -> list[int]:
        assert (await log.verify()).ok
        return [record.seq for record in await everything(log)]

    assert asyncio.run(look()) == [1, 2, 3]
    asyncio.run(log.aclose())


def test_uses_are_counted_by_their_time_after_a_clock_jumped_back() -> None:
    usage, window = Usage(lambda key, since: []), Window("org", "agent", "op", 1.0)
    assert usage.used(window, START) == 0
    for seconds in (0.0, -10.0, 0.5):
        now = START + timedelta(seconds=seconds)
        usage.apply(called(now, 1))
        usage.used(window, now)
    assert usage.used(window, START + timedelta(seconds=0.5)) == 2


def test_a_longer_window_that_comes_later_finds_the_uses_of_a_day() -> None:
    usage, now = Usage(lambda key, since: []), START
    short, day = Window("org", "agent", "op", 60.0), Window("org", "agent", "op", 86_400.0)
    assert usage.used(short, now) == 0
    for _ in range(20_000):
        now += timedelta(seconds=30)
        usage.apply(called(now, 1))
    assert usage.used(short, now) == 2
    assert usage.used(day, now) == 2_880
