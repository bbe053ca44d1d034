"""Every fault under every kind of call: the right class, the right record, and never two effects of one write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest
from attrs import frozen

from tests.resilience.conftest import Fates
from tests.resilience.matrix import CELLS, Cell
from tests.resilience.sky import KEY, Fate

MOST = 5


@frozen
class Expected:
    """What must come of a cell: the error and its claim, the record's status, tries, effects."""

    error: str | None
    status: str
    tries: int = 1
    effects: int = 0


def ok(tries: int = 1, effects: int = 0) -> Expected:
    return Expected(None, "success", tries, effects)


READ_ANEW: Final = ok(2)
DONE: Final = ok(effects=1)
LOST: Final = "TransportError:unknown"
NOT_SENT: Final = Expected("TransportError:not_sent", "error")
UNREACHED: Final = Expected("TransportError:not_sent", "error", MOST)
READ_LOST: Final = Expected(LOST, "error", MOST)
LIMITED: Final = Expected("RateLimitError", "error", 2 * MOST)

# Group → spell → what comes of the read, the acknowledgement and the creation.
EXPECTED: Final[Mapping[str, Mapping[str, tuple[Expected, Expected, Expected]]]] = {
    "fair": {"storm": (ok(), DONE, DONE)},
    "no connection": {
        "gust": (READ_ANEW, ok(2, 1), ok(2, 1)),
        "storm": (UNREACHED, UNREACHED, UNREACHED),
    },
    "lost before": {
        "gust": (READ_ANEW, Expected(LOST, "unknown"), NOT_SENT),
        "storm": (READ_LOST, Expected(LOST, "unknown"), Expected(LOST, "unknown")),
    },
    "lost after": {
        "gust": (READ_ANEW, DONE, DONE),
        "storm": (READ_LOST, Expected(LOST, "unknown", 1, 1), Expected(LOST, "unknown", 1, 1)),
    },
    "limited": {
        "gust": (READ_ANEW, ok(2, 1), ok(2, 1)),
        "storm": (LIMITED, LIMITED, LIMITED),
    },
    "failed before": {
        "gust": (READ_ANEW, Expected("ServerError", "unknown"), Expected("ServerError", "error")),
        "storm": (
            Expected("ServerError", "error", MOST),
            Expected("ServerError", "unknown"),
            Expected("ServerError", "unknown"),
        ),
    },
    "failed after": {
        "gust": (READ_ANEW, DONE, DONE),
        "storm": (
            Expected("ServerError", "error", MOST),
            Expected("ServerError", "unknown", 1, 1),
            Expected("ServerError", "unknown", 1, 1),
        ),
    },
    "unreadable": {
        "gust": (Expected(LOST, "error"), DONE, DONE),
        "storm": (Expected(LOST, "error"), Expected(LOST, "unknown", 1, 1), Expected(LOST, "unknown", 1, 1)),
    },
    "deadline": {
        "gust": (NOT_SENT, DONE, DONE),
        "storm": (NOT_SENT, Expected(LOST, "unknown", 1, 1), Expected(LOST, "unknown", 1, 1)),
    },
    "refused": {
        "gust": (NOT_SENT, NOT_SENT, NOT_SENT),
        "storm": (NOT_SENT, NOT_SENT, NOT_SENT),
    },
}
_PLACE: Final = {"read": 0, "acknowledge": 1, "create": 2}


@pytest.fixture(params=CELLS, ids=str)
def cell(request: pytest.FixtureRequest) -> Cell:
    found: Cell = request.param
    return found


@pytest.fixture
def fate(cell: Cell, fates: Fates) -> Fate:
    found = fates[str(cell)]
    if isinstance(found, BaseException):
        raise found
    return found


def test_error_record_and_effect_are_what_the_fault_calls_for(cell: Cell, fate: Fate) -> None:
    expected = EXPECTED[cell.case.group][cell.spell][_PLACE[cell.call]]
    assert (fate.error, fate.status, fate.effects) == (expected.error, expected.status, expected.effects)
    if cell.case.gust_place and cell.spell == "gust":
        assert fate.attempts >= expected.tries, "as often as it takes until somebody listens"
    else:
        assert fate.attempts == expected.tries


def test_record_and_error_tell_the_truth_about_the_server(cell: Cell, fate: Fate) -> None:
    assert fate.most <= 1, "two effects of one write"
    assert (fate.error is None) == (fate.status == "success") == (fate.recorded is None)
    if cell.call != "read":
        assert fate.status == "unknown" or (fate.effects == 1) == (fate.status == "success")
        assert not (fate.error or "").endswith("not_sent") or fate.effects == 0
    assert fate.action == ("connector.refused" if fate.error and not fate.sent else "connector.completed")
    if fate.sent:
        assert fate.attempts >= fate.sent, "the server saw more than the record admits"
    if cell.case.group == "limited":
        assert fate.took >= 1, "the limit was not waited out"
    assert KEY not in fate.message
