"""The matrix is run once, for all its tests, and shown at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from tests.reporting import section
from tests.resilience import matrix
from tests.resilience.harness import Outcome

Outcomes = Mapping[str, Outcome | BaseException]
_PATTERNS = ("once", "always")
_LEGEND = (
    "once: the fault strikes once; always: it strikes everything, also what looks for a lost write's effect",
    "ok x2: at the second try; found: the answer was lost, and its effect was found by looking; not done: an error,",
    "and nothing was changed; unknown: an error that says so; 500: the status. No write ever had two effects.",
)


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Run the matrix and return the outcome of every cell."""
    found = matrix.run(tmp_path_factory.mktemp("resilience"))
    section(request.config, "fault matrix").extend(_table(found))
    return found


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines about what a test measured, shown at the end."""
    return section(request.config, "resilience")


def _table(outcomes: Outcomes) -> Iterable[str]:
    columns = [(pattern, call) for pattern in _PATTERNS for call in matrix.CALLS]
    yield f"{'':34}" + "".join(f"{f'{pattern}: {call}':20}" for pattern, call in columns)
    for case in matrix.CASES:
        cells = (outcomes.get(str(matrix.Cell(case, call, pattern))) for pattern, call in columns)
        yield f"{case.name:34}" + "".join(f"{_brief(outcome):20}" for outcome in cells)
    yield from _LEGEND


def _brief(outcome: Outcome | BaseException | None) -> str:
    if outcome is None:
        return "-"
    if not isinstance(outcome, Outcome):
        return f"! {type(outcome).__name__}"
    tries = f" x{outcome.attempts}" if outcome.attempts > 1 else ""
    if outcome.error is None:
        return "found" if outcome.settled == "found" else f"ok{tries}"
    status = (outcome.recorded or "").partition(" ")[2].partition("/")[0]
    outcome_text = "unknown" if outcome.status == "unknown" else "not done"
    return f"{status} {outcome_text}{tries}".strip()
