"""Every fault under every kind of call: the right class, the right record, and never two effects of one write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest
from attrs import frozen

from tests.resilience.conftest import Outcomes
from tests.resilience.harness import KEY, Outcome
from tests.resilience.matrix import CELLS, Cell

pytestmark = pytest.mark.timeout(300)  # the first one waits for all cells

MOST = 5


@frozen
class Expected:
    """The outcome that a cell must have: the error and its claim, the record's status, tries, effects."""

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
OVERDUE: Final = Expected("RateLimitError", "error")

# Group → pattern → what comes of the read, the acknowledgement and the creation.
EXPECTED: Final[Mapping[str, Mapping[str, tuple[Expected, Expected, Expected]]]] = {
    "fair": {"always": (ok(), DONE, DONE)},
    "no connection": {
        "once": (READ_ANEW, ok(2, 1), ok(2, 1)),
        "always": (UNREACHED, UNREACHED, UNREACHED),
    },
    "lost before": {
        "once": (READ_ANEW, Expected(LOST, "unknown"), NOT_SENT),
        "always": (READ_LOST, Expected(LOST, "unknown"), Expected(LOST, "unknown")),
    },
    "lost after": {
        "once": (READ_ANEW, DONE, DONE),
        "always": (READ_LOST, Expected(LOST, "unknown", 1, 1), Expected(LOST, "unknown", 1, 1)),
    },
    "limited": {
        "once": (READ_ANEW, ok(2, 1), ok(2, 1)),
        "always": (LIMITED, LIMITED, LIMITED),
    },
    "failed before": {
        "once": (READ_ANEW, Expected("ServerError", "unknown"), Expected("ServerError", "error")),
        "always": (
            Expected("ServerError", "error", MOST),
            Expected("ServerError", "unknown"),
            Expected("ServerError", "unknown"),
        ),
    },
    "failed after": {
        "once": (READ_ANEW, DONE, DONE),
        "always": (
            Expected("ServerError", "error", MOST),
            Expected("ServerError", "unknown", 1, 1),
            Expected("ServerError", "unknown", 1, 1),
        ),
    },
    "unreadable": {
        "once": (Expected(LOST, "error"), DONE, DONE),
        "always": (Expected(LOST, "error"), Expected(LOST, "unknown", 1, 1), Expected(LOST, "unknown", 1, 1)),
    },
    "deadline": {
        "once": (NOT_SENT, DONE, DONE),
        "always": (NOT_SENT, Expected(LOST, "unknown", 1, 1), Expected(LOST, "unknown", 1, 1)),
    },
    "limited for long": {
        "once": (OVERDUE, OVERDUE, OVERDUE),
        "always": (OVERDUE, OVERDUE, OVERDUE),
    },
    "refused": {
        "once": (NOT_SENT, NOT_SENT, NOT_SENT),
        "always": (NOT_SENT, NOT_SENT, NOT_SENT),
    },
}
_PLACE: Final = {"read": 0, "acknowledge": 1, "create": 2}


@pytest.fixture(params=CELLS, ids=str)
def cell(request: pytest.FixtureRequest) -> Cell:
    found: Cell = request.param
    return found


@pytest.fixture
def outcome(cell: Cell, outcomes: Outcomes) -> Outcome:
    found = outcomes[str(cell)]
    if isinstance(found, BaseException):
        raise found
    return found


def test_error_record_and_effect_are_what_the_fault_calls_for(cell: Cell, outcome: Outcome) -> None:
    expected = EXPECTED[cell.case.group][cell.pattern][_PLACE[cell.call]]
    assert (outcome.error, outcome.status, outcome.effects) == (expected.error, expected.status, expected.effects)
    if cell.case.once_endpoint and cell.pattern == "once":
        assert outcome.attempts >= expected.tries, "as often as it takes until somebody listens"
    else:
        assert outcome.attempts == expected.tries


def test_record_and_error_tell_the_truth_about_the_server(cell: Cell, outcome: Outcome) -> None:
    assert outcome.most <= 1, "two effects of one write"
    assert (outcome.error is None) == (outcome.status == "success") == (outcome.recorded is None)
    if cell.call != "read":
        assert outcome.status == "unknown" or (outcome.effects == 1) == (outcome.status == "success")
        assert not (outcome.error or "").endswith("not_sent") or outcome.effects == 0
    assert outcome.action == "connector.completed", "a permitted call was refused"
    if outcome.sent:
        assert outcome.attempts >= outcome.sent, "the server saw more than the record admits"
    if cell.case.group == "limited":
        assert outcome.took >= 1, "the limit was not waited out"
    assert KEY not in outcome.message
