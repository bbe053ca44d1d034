"""The matrix is run once, for all its tests, and shown at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from tests.resilience import matrix
from tests.resilience.sky import Fate

Fates = Mapping[str, Fate | BaseException]
_FATES: pytest.StashKey[Fates] = pytest.StashKey()
_FIGURES: pytest.StashKey[list[str]] = pytest.StashKey()
_SPELLS = ("gust", "storm")
_LEGEND = (
    "gust: the fault strikes once; storm: it strikes everything, also what looks for a lost write's effect",
    "ok x2: at the second try; found: the answer was lost, and its effect was found by looking; not done: an error,",
    "and nothing was changed; unknown: an error that says so; 500: the status. No write ever had two effects.",
)


@pytest.fixture(scope="session")
def fates(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fates:
    """What became of every cell."""
    found = matrix.run(tmp_path_factory.mktemp("weather"))
    request.config.stash[_FATES] = found
    return found


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines about what a test measured, shown at the end."""
    return request.config.stash.setdefault(_FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    fates = config.stash.get(_FATES, None)
    for title, lines in (("fault matrix", _table(fates) if fates else ()), ("weather", config.stash.get(_FIGURES, ()))):
        for number, line in enumerate(lines):
            if not number:
                terminalreporter.section(title)
            terminalreporter.write_line(line)


def _table(fates: Fates) -> Iterable[str]:
    columns = [(spell, call) for spell in _SPELLS for call in matrix.CALLS]
    yield f"{'':34}" + "".join(f"{f'{spell}: {call}':20}" for spell, call in columns)
    for case in matrix.CASES:
        cells = (fates.get(str(matrix.Cell(case, call, spell))) for spell, call in columns)
        yield f"{case.name:34}" + "".join(f"{_brief(fate):20}" for fate in cells)
    yield from _LEGEND


def _brief(fate: Fate | BaseException | None) -> str:
    if fate is None:
        return "-"
    if not isinstance(fate, Fate):
        return f"! {type(fate).__name__}"
    tries = f" x{fate.attempts}" if fate.attempts > 1 else ""
    if fate.error is None:
        return "found" if fate.settled == "found" else f"ok{tries}"
    status = (fate.recorded or "").partition(" ")[2].partition("/")[0]
    fate_text = "unknown" if fate.status == "unknown" else "not done"
    return f"{status} {fate_text}{tries}".strip()
