"""The engine against the oracle, over random policies, calls and times."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import load
from tests.policy.oracle import matches, verdict
from tests.policy.random_cases import call, case, entries
from tests.policy.support import NOW

CASES, AT_ONCE = 10_000, 1_000


def agree(numbers: range) -> None:
    for number in numbers:
        found = case(number)
        said = found.loaded.decide(found.call, NOW).verdict
        assert said is verdict(found.entries, found.call, NOW), f"case {number}: {found.entries}, {found.call}"


def test_the_engine_agrees_with_the_oracle() -> None:
    agree(range(AT_ONCE))


@pytest.mark.slow
def test_the_engine_agrees_with_the_oracle_in_ten_thousand_cases() -> None:
    agree(range(AT_ONCE, CASES))


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_the_engine_agrees_with_the_oracle_in_cases_that_no_run_has_seen(random: Random) -> None:
    written, asked = entries(random), call(random)
    engine = load(written, registry=RISKS, connector="pagerduty")
    assert engine.decide(asked, NOW).verdict is verdict(written, asked, NOW)


@given(st.text("ab:*", max_size=6), st.text("ab:", max_size=6))
def test_globs_match_whole_names_as_the_oracle_does(pattern: str, name: str) -> None:
    from arx_wrapper.policy.entry import glob

    assert bool(glob(pattern).fullmatch(name)) == matches(pattern, name)
