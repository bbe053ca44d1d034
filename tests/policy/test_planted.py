"""The differential test finds bugs: each of these engines has one, and is told from the oracle within a run's cases.

`python -m pytest tests/policy/test_planted.py -s` prints after how many.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

import pytest
from attrs import evolve

from arx_wrapper import Call, Decision, Verdict
from arx_wrapper.policy import PolicyEntry, PolicySet
from tests.policy.oracle import verdict
from tests.policy.random_cases import case
from tests.policy.support import NOW
from tests.policy.test_differential import AT_ONCE


class DenyUpToRiskMax(PolicySet):
    """A deny that does not hold above its entry's risk_max."""

    def decide(self, call: Call, now: datetime) -> Decision:
        kept = [entry if entry.risk_max >= call.risk else evolve(entry, deny=()) for entry in self.entries]
        return PolicySet(kept, connector="pagerduty").decide(call, now)


class FirstApprovalWins(PolicySet):
    """The first matching entry's approval instead of the strictest."""

    def decide(self, call: Call, now: datetime) -> Decision:
        found = super().decide(call, now)
        alone = (PolicySet([entry], connector="pagerduty").decide(call, now) for entry in self.entries)
        first = next((said for said in alone if said.verdict is not Verdict.DENY), found)
        return found if found.verdict is Verdict.DENY else first


class OnlyTheName(PolicySet):
    """The call's name is judged, not its effects."""

    def decide(self, call: Call, now: datetime) -> Decision:
        return super().decide(evolve(call, effects=call.effects[:1]), now)


class ExpiresAMomentLate(PolicySet):
    """An entry that still matches at the moment when it expires."""

    def decide(self, call: Call, now: datetime) -> Decision:
        return super().decide(call, now - timedelta(microseconds=1))


class AnyOrganisation(PolicySet):
    """Entries for other organisations match too."""

    def decide(self, call: Call, now: datetime) -> Decision:
        everybodys = [evolve(entry, orgs=("*",)) for entry in self.entries]
        return PolicySet(everybodys, connector="pagerduty").decide(call, now)


class PermitsByDefault(PolicySet):
    """A call that no entry names is permitted."""

    def decide(self, call: Call, now: datetime) -> Decision:
        found = super().decide(call, now)
        return evolve(found, verdict=Verdict.PERMIT) if found.policy is None else found


class EnforcesWhatObserves(PolicySet):
    """`enforce: false` is enforced."""

    def decide(self, call: Call, now: datetime) -> Decision:
        enforced = [evolve(entry, enforce=True) for entry in self.entries]
        return PolicySet(enforced, connector="pagerduty").decide(call, now)


class ConditionsHold(PolicySet):
    """A condition is taken to hold."""

    def decide(self, call: Call, now: datetime) -> Decision:
        unconditional: list[PolicyEntry] = [evolve(entry, when=None) for entry in self.entries]
        return PolicySet(unconditional, connector="pagerduty").decide(call, now)


class OneCallOneSetOfParameters(PolicySet):
    """Every effect is judged with the parameters of the operation that was called."""

    def decide(self, call: Call, now: datetime) -> Decision:
        alike = tuple(evolve(effect, params=(call.params,)) for effect in call.effects)
        return super().decide(evolve(call, effects=alike), now)


def first_difference(engine: type[PolicySet]) -> int | None:
    """Return after how many cases of the differential test an engine and the oracle disagree; None when they agree."""
    for number in range(AT_ONCE):
        found = case(number)
        said = engine(found.loaded.entries, connector="pagerduty").decide(found.call, NOW).verdict
        if said is not verdict(found.entries, found.call, NOW):
            return number + 1
    return None


@pytest.mark.parametrize("bug", PolicySet.__subclasses__(), ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: type[PolicySet]) -> None:
    after = first_difference(bug)
    assert after is not None, "within a tenth of the differential test's cases, with room to spare"
    sys.stdout.write(f"\n{bug.__doc__} Found after {after} cases.")
