"""The effect of a write whose answer was lost is found when it is there, and never taken from what was there before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import ArxError
from arx_wrapper.core.lost_response import PAUSES
from tests.resilience import faults as f
from tests.resilience.harness import connected, last_record, shown
from tests.resilience.server import Asked, Fault, Reply, Server

KEYED = {"title": "Replication lag", "service_id": "PSVC", "incident_key": "replication-lag"}
NOTE = {"incident_id": "P1", "content": "Looking into it."}
SNOOZE = {"incident_id": "P1", "duration": 3600}


def ago(seconds: float) -> str:
    """A time as PagerDuty tells it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds")


# One that should have begun a minute ago, and one that is to begin in half an hour.
WINDOW = {"start_time": ago(60), "end_time": ago(-7200), "service_ids": ["PSVC"]}
PLANNED = {**WINDOW, "start_time": ago(-1800)}


def older_incident(server: Server) -> None:
    server.account.keyed["replication-lag"] = server.account.add("P0", created_at=ago(3600), status="resolved")


def older_note(server: Server) -> None:
    server.account.notes["P1"] = [{"id": "M0", "content": NOTE["content"], "created_at": ago(3600)}]


def acknowledgement_that_runs_out(server: Server) -> None:
    server.account.incidents["P1"]["pending_actions"] = [{"type": "unacknowledge", "at": ago(-1800)}]


def older_window(server: Server) -> None:
    window = {
        "id": "MW0",
        "start_time": ago(3600),
        "end_time": WINDOW["end_time"],
        "description": None,
        "services": [{"id": "PSVC"}],
    }
    server.account.windows.append(window)


def snoozed(server: Server) -> None:
    server.account.incidents["P1"]["pending_actions"] = [{"type": "unacknowledge", "at": ago(-3600)}]


def nothing(server: Server) -> None:
    pass


async def run(
    folder: Path, operation: str, params: dict[str, Any], before: Any, fault: Fault
) -> tuple[str | None, str, str | None]:
    """The error with its claim, the record's status, and how it was settled."""
    server = Server(fault_plan=f.once(fault, writes=True))
    before(server)
    error = None
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with connected(server, folder) as pd:
        pd.backends.sleep = pause
        try:
            await pd.execute(operation, params)
        except ArxError as failure:
            error = failure
        record = await last_record(pd)
    assert sum(asked.writes for asked in server.seen) == 1
    assert tuple(pauses) == PAUSES[: len(pauses)], "by the last lookup the effect would have to be there"
    lookups = record.metadata.get("looks", 0)
    assert len(pauses) == 0 or lookups >= len(pauses)
    if record.metadata.get("settled") == "not found":
        assert tuple(pauses) == PAUSES
    return shown(error), record.status, record.metadata.get("settled")


UNKNOWN = ("TransportError:unknown", "unknown", None)
FOUND = (None, "success", "found")


@pytest.mark.parametrize(
    ("operation", "params", "before", "fault", "expected"),
    [
        ("incidents:create", KEYED, nothing, f.reset_after, FOUND),
        ("incidents:create", KEYED, nothing, f.reset_before, ("TransportError:not_sent", "error", "not found")),
        ("incidents:create", KEYED, older_incident, f.reset_before, UNKNOWN),
        ("incidents:add_note", NOTE, nothing, f.reset_after, FOUND),
        ("incidents:add_note", NOTE, nothing, f.reset_before, UNKNOWN),
        ("incidents:add_note", NOTE, older_note, f.reset_before, UNKNOWN),
        ("incidents:snooze", SNOOZE, snoozed, f.reset_before, FOUND),
        ("incidents:snooze", SNOOZE, acknowledgement_that_runs_out, f.reset_before, UNKNOWN),
        ("incidents:resolve", {"incident_id": "P1"}, nothing, f.reset_after, FOUND),
        ("incidents:resolve", {"incident_id": "P1"}, nothing, f.reset_before, UNKNOWN),
        ("maintenance:create", WINDOW, nothing, f.reset_after, FOUND),
        ("maintenance:create", PLANNED, nothing, f.reset_after, FOUND),
        ("maintenance:create", WINDOW, nothing, f.reset_before, UNKNOWN),
        ("maintenance:create", WINDOW, older_window, f.reset_before, UNKNOWN),
        ("maintenance:create", PLANNED, older_window, f.answering(502), ("ServerError", "unknown", None)),
        ("incidents:update", {"incident_id": "P1", "title": "x"}, nothing, f.reset_before, UNKNOWN),
        (
            "incidents:update",
            {"incident_id": "P1", "title": "x"},
            nothing,
            f.answering(502),
            ("ServerError", "unknown", None),
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None) or (value if isinstance(value, str) else ""),
)
async def test_a_lost_write_is_found_or_known_not_to_be_there_or_unknown(
    tmp_path: Path,
    operation: str,
    params: dict[str, Any],
    before: Any,
    fault: Fault,
    expected: tuple[str | None, str, str | None],
) -> None:
    assert await run(tmp_path, operation, params, before, fault) == expected


async def test_a_look_that_is_refused_does_not_hide_that_the_write_is_unknown(tmp_path: Path) -> None:
    def plan(asked: Asked) -> Fault:
        return f.reset_before if asked.writes else f.answering(401)

    async with connected(Server(fault_plan=plan), tmp_path) as pd:
        with pytest.raises(ArxError) as caught:
            await pd.execute("incidents:create", KEYED)
        record = await last_record(pd)
    assert (shown(caught.value), record.status) == ("TransportError:unknown", "unknown")


async def test_a_look_at_something_odd_does_not_hide_that_the_write_is_unknown(tmp_path: Path) -> None:
    server = Server(lambda asked: Reply.of(200, {"incident": None, "notes": [None], "incidents": "x"}))
    server.fault_plan = f.once(f.reset_before, writes=True)
    async with connected(server, tmp_path) as pd:
        for operation, params in (
            ("incidents:add_note", NOTE),
            ("incidents:snooze", SNOOZE),
            ("incidents:create", KEYED),
        ):
            server.fault_plan = f.once(f.reset_before, writes=True)
            with pytest.raises(ArxError) as caught:
                await pd.execute(operation, params)
            assert shown(caught.value) == "TransportError:unknown"
