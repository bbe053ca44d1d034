"""Columns: every response has some, they lead somewhere, and the values a person asks for are in every read's table."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import msgspec
import pagerduty_client.models
import pytest

from arx_wrapper.cli.output import Output
from arx_wrapper.cli.response_output import show, text
from arx_wrapper.core.column_selection import name, path_of, project, records_of, value
from arx_wrapper.pagerduty.operations import TABLE
from tests.cli.golden import READS, WIDTHS, file, responses, table

# What a person reads each of these for, as the sandbox's account has it.
ASKED: Mapping[str, tuple[str, ...]] = {
    "incidents:read": ("triggered", "high", "Orders Database: replication lag above 30 s", "P1234AB", "Ada Nkemelu"),
    "incidents:read_detail": ("P1234AB", "41", "Orders Database", "Data Escalation", "https://", "Ada Nkemelu"),
    "incidents:read_alerts": ("PZPKSN3", "critical", "monitor.example.com", "Prometheus"),
    "incidents:read_log": ("Note added by Oncall Bot.", "looking at it", "2025-06-01T"),
    "incidents:read_notes": ("Failover candidate is healthy.", "Bram Visser", "looking at it"),
    "alerts:read": ("PZPKSN3", "critical", "Orders Database: replication lag above 30 s"),
    "services:read": ("PABC123", "Orders Database", "critical", "Data Escalation"),
    "services:read_detail": ("PABC123", "14400", "1800", "Prometheus"),
    "services:read_integrations": ("P2NV42X", "Prometheus", "events_api_v2_inbound_integration"),
    "escalation:read": ("PC5Z6QY", "Data On-Call, Ada Nkemelu", "15, 30", "Event Pipeline"),
    "escalation:read_detail": ("PC5Z6QY", "Data On-Call, Ada Nkemelu", "15, 30", "if_has_services"),
    "schedules:read": ("PCD0CAO", "Ada Nkemelu, Bram Visser", "Etc/UTC"),
    "schedules:read_detail": ("Layer 1", "Bram Visser", "2025-06-04T09:00:00Z"),
    "schedules:read_oncall": ("Ada Nkemelu", "PS7DTZT", "Data Escalation", "2025-06-04T09:00:00Z", "Data On-Call"),
    "users:read": ("PS7DTZT", "ada.nkemelu@example.com", "Director of Engineering"),
    "users:read_detail": ("PS7DTZT", "ada.nkemelu@example.com", "Work, Mobile", "Platform"),
    "users:read_contact": ("ada.nkemelu@example.com", "Work", "email_contact_method"),
    "users:read_notification": ("high", "0", "5", "Mobile", "sms_contact_method"),
    "users:read_me": ("PS7DTZT", "ada.nkemelu@example.com", "owner"),
    "priorities:read": ("P1", "P5"),
    "audit:read": ("create", "new disks", "api_token", "127.0.0.1", "cret", "2025-06-01T12:00:00Z"),
    "teams:read": ("P41PJSO", "Databases and pipelines"),
    "teams:read_detail": ("P41PJSO", "Data", "manager"),
    "maintenance:read": ("2026-06-15T02:00:00Z", "2026-06-15T04:00:00Z", "Orders Database", "new disks"),
    "rules:read": ("PZGF067", "db-", "route", "PABC123"),
    "analytics:read": ("incidents", "41", "441", "8235", "34"),
    "analytics:services": ("Checkout", "PN1R5VQ", "434", "9509"),
}


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """Each read's response, from one account."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield asyncio.run(responses())


def test_every_response_has_columns_and_no_two_have_one_name() -> None:
    for row in TABLE.values():
        assert bool(row.columns) == (row.returns is not None), row.name
        names = [name(column) for column in row.columns]
        assert len(names) == len(set(names)), row.name


@pytest.mark.parametrize("operation", READS)
def test_the_values_that_a_person_asks_for_are_in_the_table(
    operation: str, bodies: dict[str, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    show(TABLE[operation], bodies[operation], Output.TABLE)
    shown = capsys.readouterr().out
    assert ASKED[operation]
    for wanted in ASKED[operation]:
        assert wanted in shown, wanted


@pytest.mark.parametrize("row", [row for row in TABLE.values() if row.returns], ids=lambda row: row.name)
def test_a_column_begins_with_a_member_of_its_record(row: Any, bodies: dict[str, dict[str, Any]]) -> None:
    model = (row.records or row.returns).model
    known = {field.name for field in attrs.fields(getattr(pagerduty_client.models, model))}
    for other in map(TABLE.__getitem__, READS):  # responses hold more than the specification says
        returns = other.records or other.returns
        if returns and returns.model == model:
            known |= {member for record in records_of(other, bodies[other.name])[0] for member in record}
    for column in row.columns:
        assert path_of(column).partition(".")[0] in known, column


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("operation", READS)
def test_a_table_at_this_width_is_as_it_was(operation: str, width: int, bodies: dict[str, dict[str, Any]]) -> None:
    """After a change that is meant: `python -m tests.cli.golden`, and look at the difference."""
    assert table(operation, bodies[operation], width) == file(operation, width).read_text("utf-8")


@pytest.mark.parametrize("width", [40, *WIDTHS])
@pytest.mark.parametrize("operation", READS)
def test_a_table_fits_shows_every_record_and_breaks_no_word(
    operation: str, width: int, bodies: dict[str, dict[str, Any]]
) -> None:
    row = TABLE[operation]
    shown = table(operation, bodies[operation], width).partition("Not shown: ")[0]
    assert max(len(line) for line in shown.splitlines()) <= width
    records, _ = records_of(row, bodies[operation])
    picked = [project(row, record) for record in records]
    if row.columns[0] == "id":
        assert all(record["id"] in shown for record in picked)
    cells = [name for record in picked for name in record] + [
        text(item) for record in picked for item in record.values()
    ]
    known = {word for cell in cells for word in re.split(r"\s+", cell)}
    broken = {word for word in shown.split() if word not in known}
    long = [word for word in known if len(word) > 40]
    assert {word for word in broken if not any(word in whole for whole in long)} == set()


def test_an_incident_of_a_list_fits_350_bytes_of_json(bodies: dict[str, dict[str, Any]]) -> None:
    row = TABLE["incidents:read"]
    records, is_list = records_of(row, bodies["incidents:read"])
    assert is_list
    for record in records:
        assert len(msgspec.json.encode(project(row, record))) <= 350


def test_no_column_shows_a_key() -> None:
    shown = {path_of(column) for row in TABLE.values() for column in row.columns}
    assert not shown & {"integration_key", "external_id"}


@pytest.mark.parametrize(
    ("record", "path", "expected"),
    [
        ({"service": {"id": "P1", "summary": "Orders"}}, "service", "Orders"),
        ({"service": {"id": "P1"}}, "service", "P1"),
        ({"service": None}, "service", None),
        ({}, "service.id", None),
        ({"service": "text"}, "service.id", None),
        ({"a": [{"b": [{"summary": "x"}, {"id": "y"}]}, {"b": None}]}, "a.b", ["x", "y"]),
        ({"rule": ["and", ["contains", "x"]]}, "rule", ["and", ["contains", "x"]]),
        ({"window": {"from": 1}}, "window", {"from": 1}),
        ({"window": {}}, "window", None),
    ],
)
def test_a_path_leads_to_a_reference_by_its_summary(record: dict[str, Any], path: str, expected: object) -> None:
    assert value(record, path) == expected


def test_a_reference_is_shown_as_its_summary_or_without_one_as_its_id() -> None:
    record = {"teams": [{"id": "P1", "summary": "Data"}, {"id": "P2"}]}
    assert value(record, "teams") == ["Data", "P2"]


def test_a_cell_shows_every_kind_of_value() -> None:
    cells = {None: "", True: "yes", False: "no", 3: "3", "a": "a"}
    assert {item: text(item) for item in cells} == cells
    assert text(["a", 1, True]) == "a, 1, yes"
    assert text([["route", "P1"]]) == '[["route","P1"]]'
