"""`call`: parameters as options, every page, and what a dry run tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arx_wrapper import PagerDutyConnector
from arx_wrapper.cli.arguments import parse
from arx_wrapper.cli.main import command as root
from arx_wrapper.core.param_model import ParamModel, param_model
from arx_wrapper.pagerduty.operations import OPERATIONS
from arx_wrapper.params import NULL
from tests.cli.conftest import Command

CREATE = ("call", "incidents:create", "--title", "Disk full", "--service-id", "PABC123")


def model(operation: str) -> ParamModel:
    return param_model(operation, getattr(PagerDutyConnector, OPERATIONS[operation].function))


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        (["--statuses", "triggered", "--statuses", "acknowledged"], {"statuses": ["triggered", "acknowledged"]}),
        (["--statuses=triggered,acknowledged"], {"statuses": ["triggered", "acknowledged"]}),
        (["--limit", "5", "offset=3"], {"limit": 5, "offset": 3}),
        (["--total", "--limit", "5"], {"total": True, "limit": 5}),
        (["--no-total"], {"total": False}),
        (["--incident-key", "--starts-with-dashes"], {"incident_key": "--starts-with-dashes"}),
        (["--incident-key", "a=b"], {"incident_key": "a=b"}),
    ],
)
def test_options_are_read_as_their_types_want_them(arguments: list[str], read: dict[str, object]) -> None:
    assert parse(model("incidents:read"), arguments, None) == read


@pytest.mark.parametrize(
    ("operation", "arguments", "document", "read"),
    [
        ("incidents:update", ["priority_id=null"], None, {"priority_id": NULL}),
        ("services:update", ["description=null"], None, {"description": NULL}),
        (
            "services:update",
            [],
            '{"fields": {"acknowledgement_timeout": null, "a": [null]}}',
            {"fields": {"acknowledgement_timeout": NULL, "a": [NULL]}},
        ),
        (
            "services:update",
            ['fields={"auto_resolve_timeout": null}'],
            None,
            {"fields": {"auto_resolve_timeout": NULL}},
        ),
        (
            "incidents:manage",
            [],
            '{"incidents": [{"id": "P1", "priority_id": null}]}',
            {"incidents": [{"id": "P1", "priority_id": NULL}]},
        ),
        ("incidents:update", [], '{"title": "null"}', {"title": "null"}),
    ],
)
def test_a_null_is_a_null_wherever_it_stands(
    operation: str, arguments: list[str], document: str | None, read: dict[str, object]
) -> None:
    assert parse(model(operation), arguments, document) == read


def test_a_null_that_is_not_accepted_is_refused_and_never_the_text(sandboxed: Command) -> None:
    done = sandboxed("call", "incidents:update", "incident_id=P1234AB", "title=null")
    assert (done.status, done.out) == (2, "")
    assert "null is not accepted" in done.err


def test_no_parameter_has_the_name_of_an_option_of_the_command() -> None:
    own = root().commands["call"]
    options = {option for parameter in own.params for option in parameter.opts if option.startswith("--")}
    names = {f"--{name.replace('_', '-')}" for operation in OPERATIONS for name in model(operation).names}
    assert options
    assert not options & names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["incidents:create", "--titel", "x"], "did you mean --title?"),
        (["incidents:create", "--title"], "--title needs a value"),
        (["incidents:create", "-x", "1"], "neither"),
        (["users:read", "--limit", "many"], "1 to 100"),
        (["users:read_detail", "--user-id", "P1", "--all"], "does not list"),
        (["users:read", "--all", "--dry-run"], "--all goes with"),
        (["users:read", "--max-items", "3"], "--all goes with"),
        (["nothing:here", "--help"], "no operation"),
        ([], "name an operation"),
        (["users:read", "--json", "[" * 100_000], "nested deeper"),
        (["users:read", "--json", f'{{"query": {"[" * 700}1{"]" * 700}}}'], "nested deeper"),
        (["users:read", f"query={'[' * 9_000}"], "Expected"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(sandboxed: Command, arguments: list[str], said: str) -> None:
    done = sandboxed("call", *arguments)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


def test_options_reach_pagerduty(sandboxed: Command) -> None:
    created = sandboxed(*CREATE, "--urgency", "low").json["incident"]
    assert (created["title"], created["urgency"], created["service"]["id"]) == ("Disk full", "low", "PABC123")


def test_every_page_is_read(sandboxed: Command) -> None:
    page = sandboxed("call", "users:read", "--limit", "2").json
    done = sandboxed("call", "users:read", "--limit", "2", "--all")
    assert (len(page["users"]), page["more"]) == (2, True)
    ids = [user["id"] for user in done.json["users"]]
    assert len(ids) == len(set(ids)) > 2
    assert done.err == ""  # no progress where there is no terminal
    few = sandboxed("call", "users:read", "--all", "--max-items", "3")
    assert [user["id"] for user in few.json["users"]] == ids[:3]


def test_an_operations_help_lists_its_parameters(sandboxed: Command) -> None:
    done = sandboxed("call", "incidents:snooze", "--help")
    assert done.status == 0
    assert "--duration" in done.out
    assert "1 to 604,800 seconds" in done.out


def test_a_dry_run_tells_whom_a_new_incident_would_page(sandboxed: Command) -> None:
    done = sandboxed(*CREATE, "--dry-run")
    pages = done.json["pages"]
    assert done.status == 0
    assert "escalation policy PC5Z6QY" in pages["how"]
    assert pages["people"][0]["level"] == 1
    assert pages["people"][0]["name"]
    assert pages["read"] == ["services:read_detail", "schedules:read_oncall"]
    # The reads are on record, as any other; the call is not.
    recorded = {
        line.split('"operation":"')[1].split('"')[0]
        for line in sandboxed("audit", "export", "--operation", "*:*").out.splitlines()
    }
    assert recorded == {"services:read_detail", "schedules:read_oncall"}
    assert "Disk full" not in sandboxed("call", "incidents:read", "--all").out


def test_a_dry_run_tells_whom_a_reassignment_would_page(sandboxed: Command) -> None:
    user = sandboxed("call", "users:read", "--limit", "1").json["users"][0]
    done = sandboxed(
        "call", "incidents:reassign", "--incident-id", "P1234AB", "--assignee-ids", user["id"], "--dry-run"
    )
    assert done.json["pages"]["people"] == [{"level": None, "id": user["id"], "name": user["summary"]}]
    shown = sandboxed(
        "call",
        "incidents:reassign",
        "--incident-id",
        "P1234AB",
        "--assignee-ids",
        user["id"],
        "--dry-run",
        "-o",
        "table",
    )
    assert user["summary"] in shown.out


def test_a_dry_run_says_so_where_policy_keeps_it_from_looking(
    sandboxed: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = here / "create.yaml"
    policy.write_text(
        "- name: create\n  connector: pagerduty\n  operations: ['incidents:create']\n  risk_max: high\n"
        "  approval: none\n"
    )
    monkeypatch.setenv("ARX_POLICY", str(policy))
    pages = sandboxed(*CREATE, "--dry-run").json["pages"]
    assert (pages["people"], pages["read"]) == ([], [])
    assert pages["how"].startswith("not known: policy does not permit services:read_detail")
    assert sandboxed("audit", "export").out == ""


def test_a_dry_run_of_what_is_denied_exits_as_the_call_would(
    sandboxed: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARX_POLICY", "")
    done = sandboxed(*CREATE, "--dry-run")
    assert (done.status, done.json["verdict"], "pages" in done.json) == (3, "DENY", False)


def test_a_table_fits_the_width_that_it_is_given(sandboxed: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (("call", "incidents:read", "-o", "table"), ("ops", "-o", "table"), ("doctor", "-o", "table")):
        wide = "".join(sandboxed(*arguments).out.split())
        for width in (40, 80, 120):
            monkeypatch.setenv("COLUMNS", str(width))
            lines = sandboxed(*arguments).out.splitlines()
            assert len(lines) > 5
            assert max(map(len, lines)) <= width
        assert len(wide) > 400


def test_a_dry_run_tells_whom_each_entry_of_a_bulk_change_and_a_new_level_would_page(sandboxed: Command) -> None:
    entries = [{"id": "P1234AB", "escalation_policy_id": "PC5Z6QY"}, {"id": "P1234AB", "escalation_level": 2}]
    done = sandboxed("call", "incidents:manage", "--json", json.dumps({"incidents": entries}), "--dry-run")
    pages = done.json["pages"]
    assert "on call for escalation policy PC5Z6QY; on call at level 2 for escalation policy" in pages["how"]
    assert {person["level"] for person in pages["people"]} == {1, 2}
    assert "incidents:read_detail" in pages["read"]
