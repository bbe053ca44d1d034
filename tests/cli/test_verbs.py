"""Verbs: the same operations by shorter names; names, numbers, `me`, stdin and relative times become parameters."""

from __future__ import annotations

import io
import json
import os
import shlex
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from arx_wrapper.cli.bars import draw, timeline
from arx_wrapper.cli.completion import among, complete_approvals, complete_incidents, complete_names
from arx_wrapper.cli.execution import open_pages
from arx_wrapper.cli.times import duration, is_relative, iso, moment
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import run_in_thread
from tests.cli.conftest import Command, Done

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
POLICY = '- {name: all, connector: pagerduty, operations: ["*"], risk_max: high, approval: none}\n'


@pytest.fixture
def account() -> Iterator[Sandbox]:
    """An account of the test's own, served, whose clock stands still."""
    sandbox = Sandbox(clock=lambda: NOW)
    with run_in_thread(sandbox) as served:
        sandbox.served = served.url  # type: ignore[attr-defined]  # for the fixture below
        yield sandbox


@pytest.fixture
def pd(command: Command, account: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command with that account and a policy that permits everything."""
    (here / "policy.yaml").write_text(POLICY)
    for name, value in {
        "ARX_POLICY": "policy.yaml",
        "PAGERDUTY_BASE_URL": account.served,
        "PAGERDUTY_API_KEY": account.token,
        "PAGERDUTY_REQUESTER_EMAIL": "ada.nkemelu@example.com",
    }.items():
        monkeypatch.setenv(name, value)
    return command


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def operations(pd: Command) -> list[str]:
    """The operations on record, in their order."""
    lines = [json.loads(line) for line in pd("audit", "export").out.splitlines()]
    return [line["operation"] for line in lines if line["action_type"] == "connector.called"]


def sent(account: Sandbox) -> list[tuple[str, str, Any]]:
    return [(seen.method, seen.path, seen.body) for seen in account.requests if seen.method != "GET"]


def test_the_scenario_of_a_responder(pd: Command) -> None:
    assert [row["id"] for row in pd("incidents", "list").json["incidents"]] == [
        "P1234AB",
        "Q5SDUTHU3DG5TI",
        "QHB6DPDBLEK9I2",
    ]
    assert pd("incidents", "show", "41").json["incident"]["id"] == "P1234AB"
    assert pd("incidents", "ack", "P1234AB").json["incident"]["status"] == "acknowledged"
    assert pd("incidents", "note", "P1234AB", "failing over").json["note"]["content"] == "failing over"
    pending = pd("incidents", "snooze", "P1234AB", "1h").json["incident"]["pending_actions"]
    assert [action["type"] for action in pending] == ["unacknowledge"]
    assert {row["user"]["summary"] for row in pd("oncall").json["oncalls"]} >= {"Ada Nkemelu", "Bram Visser"}
    window = pd("windows", "open", "Orders Database", "--for", "2h", "-d", "disks").json["maintenance_window"]
    assert (window["description"], [service["id"] for service in window["services"]]) == ("disks", ["PABC123"])
    begins, ends = (datetime.fromisoformat(window[name]) for name in ("start_time", "end_time"))
    assert ends - begins >= timedelta(hours=2)
    resolved = pd("incidents", "resolve", "P1234AB", "-m", "failed over").json["incident"]
    assert resolved["status"] == "resolved"
    assert pd("windows", "end", window["id"]).status == 0
    assert operations(pd) == [
        *("incidents:read", "incidents:read_detail", "incidents:acknowledge", "incidents:add_note"),
        *("incidents:snooze", "schedules:read_oncall", "services:read", "maintenance:create"),
        *("incidents:resolve", "maintenance:delete"),
    ]


@pytest.mark.parametrize(
    ("arguments", "operation"),
    [
        (("services", "list", "orders"), "services:read"),
        (("services", "show", "PABC123"), "services:read_detail"),
        (("schedules", "list"), "schedules:read"),
        (("schedules", "show", "PCD0CAO", "--since", "now", "--until", "7d"), "schedules:read_detail"),
        (("users", "list"), "users:read"),
        (("users", "show", "PS7DTZT"), "users:read_detail"),
        (("teams", "list"), "teams:read"),
        (("teams", "show", "P41PJSO"), "teams:read_detail"),
        (("windows", "list", "--when", "all"), "maintenance:read"),
        (("analytics", "--by", "service"), "analytics:services"),
        (("analytics", "--by", "week", "--since", "60d"), "analytics:read"),
    ],
)
def test_each_verb_is_one_call_of_its_operation(pd: Command, arguments: tuple[str, ...], operation: str) -> None:
    done = pd(*arguments)
    assert (done.status, done.err) == (0, "")
    assert done.json
    assert operations(pd) == [operation]


def test_a_verb_is_denied_where_its_operation_is(pd: Command, here: Path) -> None:
    (here / "policy.yaml").write_text(POLICY + "- {name: no, connector: pagerduty, deny: ['incidents:resolve']}\n")
    done = pd("incidents", "resolve", "P1234AB")
    assert (done.status, done.out) == (3, "")
    assert "Next: arx-pagerduty policy explain incidents:resolve incident_id=P1234AB\n" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("incidents", "resolve", "P1234AB", "-m", "it's done; $HOME"),
        ("incidents", "reassign", "P1234AB", "--to", "PS7DTZT", "--to", "P8UQX97"),
        ("incidents", "resolve", "P1234AB", "QHB6DPDBLEK9I2", "-m", "null"),
    ],
)
def test_a_denial_suggests_the_command_that_explains_this_very_call(
    pd: Command, here: Path, arguments: tuple[str, ...]
) -> None:
    denied = "- {name: no, connector: pagerduty, deny: ['incidents:*'], agents: ['bob the 2nd']}\n"
    (here / "policy.yaml").write_text(POLICY + denied)
    done = pd("--agent", "bob the 2nd", *arguments)
    assert done.status == 3
    (command,) = [line for line in done.err.splitlines() if line.startswith("Next: ")]
    explained = pd(*shlex.split(command.removeprefix("Next: arx-pagerduty ")))
    assert (explained.status, explained.json["policy"]) == (3, "no")
    assert {row["of"] for row in explained.json["entries"]} == {"incident_id P1234AB"}


def test_a_denial_of_a_long_text_suggests_the_operation_alone(pd: Command, here: Path) -> None:
    (here / "policy.yaml").write_text("- {name: no, connector: pagerduty, deny: ['incidents:*']}\n")
    for text in ("x" * 1_000, "two\nlines"):
        done = pd("incidents", "note", "P1234AB", text)
        assert done.err.endswith("Next: arx-pagerduty policy explain incidents:add_note\n")


def test_a_stale_approval_says_what_changed_and_to_repeat_the_call_without_it(
    pd: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "policy.yaml").write_text(
        POLICY.replace("approval: none", "approval: {low: none, medium: none, high: hitl}")
    )
    for name, value in {"ARX_APPROVALS_MODE": "raise", "ARX_APPROVALS_PROOF": "name"}.items():
        monkeypatch.setenv(name, value)
    delete = ("call", "services:delete", "service_id=PABC123")
    assert pd(*delete).status == 4
    (asked,) = pd("approvals", "list", "-o", "json").json
    assert pd("approvals", "approve", asked["id"], "--reviewer", "alice").status == 0
    assert pd("call", "services:update", "service_id=PABC123", "name=Renamed").status == 0
    stale = pd(*delete, "--approval", asked["id"])
    assert stale.status == 4
    assert "has changed since: name. Nothing was sent. To ask anew, repeat the call without --approval." in stale.err
    assert "Next:" not in stale.err


def test_a_snooze_takes_its_length_like_a_window_does(pd: Command, account: Sandbox) -> None:
    assert pd("incidents", "snooze", "P1234AB", "--for", "1h").status == 0
    ((_, path, body),) = sent(account)
    assert (path, body["duration"]) == ("/incidents/P1234AB/snooze", 3600)
    assert "--for: 'soon' is no duration" in pd("incidents", "snooze", "P1234AB", "--for", "soon").err


def test_acknowledge_is_ack(pd: Command) -> None:
    assert pd("incidents", "acknowledge", "P1234AB").json["incident"]["status"] == "acknowledged"
    assert "acknowledge " not in pd("incidents", "--help").out.partition("Commands:")[2].replace("Acknowledge ", "")


def test_an_output_option_before_the_command_is_told_where_it_goes(pd: Command) -> None:
    done = pd("-o", "json", "incidents", "list")
    assert (done.status, done.out) == (2, "")
    assert "-o goes after the command: arx-pagerduty incidents ... -o json" in done.err


def test_me_and_names_stand_for_ids(pd: Command, account: Sandbox) -> None:
    arguments = ("--to", "me", "--to", "bram.visser@example.com", "--to", "chiara")
    assert pd("incidents", "reassign", "P1234AB", *arguments).status == 0
    ((_, _, body),) = sent(account)
    assert [item["assignee"]["id"] for item in body["incident"]["assignments"]] == ["PS7DTZT", "P8UQX97", "P8GEH27"]
    mine = pd("incidents", "list", "--mine").json["incidents"]
    assert "P1234AB" in [row["id"] for row in mine]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("services", "show", "e"), "fits 5 services: "),
        (
            ("services", "show", "nothing of the kind"),
            "no service is called 'nothing of the kind'",
        ),
        (("services", "show", " "), "without a name"),
        (("incidents", "snooze", "P1234AB"), "then how long"),
        (("incidents", "snooze", "P1234AB", "soon"), "'soon' is no duration; a duration is like 30m"),
        (("incidents", "note", "P1234AB"), "then the note's text"),
        (("incidents", "list", "--since", "yesterdayish"), "--since: 'yesterdayish' is no time"),
        (("incidents", "list", "--status", "open"), "'triggered', 'acknowledged', 'resolved'"),
        (("windows", "open", "PABC123", "--for", "x"), "--for: 'x' is no duration"),
        (("incidents", "akc", "P1"), "Did you mean 'ack'?"),
        (("incidnets", "list"), "Did you mean 'incidents'"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(pd: Command, arguments: tuple[str, ...], said: str) -> None:
    done = pd(*arguments)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


def test_a_name_that_looks_like_an_id_is_said_to_be_one(pd: Command) -> None:
    created = pd("call", "services:create", "name=PAYMENT", "escalation_policy_id=PC5Z6QY").json["service"]["id"]
    assert pd("services", "show", "PAYMENT").status == 1
    assert pd("services", "show", "name:PAYMENT").json["service"]["id"] == created


def test_an_exact_name_is_meant_before_a_part_of_others(pd: Command) -> None:
    pd("call", "services:create", "name=Orders Database 2", "escalation_policy_id=PC5Z6QY")
    assert pd("services", "show", "orders database").json["service"]["id"] == "PABC123"
    assert pd("services", "show", "orders data").status == 2


@pytest.mark.parametrize(
    "text",
    [
        "P1234AB\nQ5SDUTHU3DG5TI\n",
        "id\tstatus\nP1234AB\ttriggered\nQ5SDUTHU3DG5TI\ttriggered\n",
        '{"incidents": [{"id": "P1234AB", "service": {"id": "PABC123"}}, {"id": "Q5SDUTHU3DG5TI"}], "more": false}',
        '[{"id": "P1234AB"}, {"incident": {"id": "Q5SDUTHU3DG5TI"}}]',
    ],
    ids=["lines", "tsv", "a response", "responses"],
)
def test_ids_come_from_stdin(pd: Command, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    typed(monkeypatch, text)
    done = pd("incidents", "ack", "-")
    assert [body["incident"]["id"] for body in done.json] == ["P1234AB", "Q5SDUTHU3DG5TI"]


def test_an_empty_stdin_is_a_usage_error(pd: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "\n")
    done = pd("incidents", "ack", "-")
    assert (done.status, "stdin holds no ids" in done.err) == (2, True)


def test_of_several_calls_a_refusal_is_told_and_the_others_are_made(pd: Command) -> None:
    done = pd("incidents", "ack", "NOSUCH1", "P1234AB")
    assert (done.status, [body["incident"]["id"] for body in done.json]) == (1, ["P1234AB"])
    assert "NOSUCH1: incidents:acknowledge: PagerDuty answered 404" in done.err
    assert "1 of 2 were not done." in done.err


def test_of_several_calls_none_follows_one_that_found_no_server(pd: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGERDUTY_BASE_URL", "http://127.0.0.1:1")
    done = pd("incidents", "ack", "P1234AB", "Q5SDUTHU3DG5TI")
    assert (done.status, done.out) == (1, "")
    assert operations(pd) == ["incidents:acknowledge"]
    assert "Next: arx-pagerduty doctor" in done.err


def test_a_call_that_waits_for_a_reviewer_says_so(sandboxed: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARX_APPROVALS_MODE", "wait")
    monkeypatch.setenv("ARX_APPROVALS_TTL", "1")
    done = sandboxed("windows", "open", "PABC123", "--for", "2h")
    assert done.status == 4
    assert done.err.startswith("A reviewer has to approve this within 1 s: ")


@pytest.mark.parametrize(
    ("repeated", "status"),
    [
        (("--for", "2h"), 0),
        (("--for", "3h"), 4),
        (("--for", "2h", "--start", "2030-01-01"), 4),
        (("--for", "2h", "--start", "in 3h"), 4),
    ],
)
def test_a_window_from_now_on_is_opened_as_it_was_approved(
    sandboxed: Command, here: Path, monkeypatch: pytest.MonkeyPatch, repeated: tuple[str, ...], status: int
) -> None:
    monkeypatch.setenv("ARX_SANDBOX", str(here / "account.json"))  # so that its clock can be moved
    asked = sandboxed("windows", "open", "Orders Database", "--for", "2h")
    request = sandboxed("approvals", "list", "--state", "pending").json[0]
    assert (asked.status, "execute(" in asked.err) == (4, False)
    assert f"Once it is approved, repeat the call with --approval {request['id']}." in asked.err
    early = sandboxed("windows", "open", "Orders Database", "--for", "2h", "--approval", request["id"])
    assert (early.status, "still waits for a reviewer" in early.err) == (4, True)
    assert sandboxed("approvals", "approve", request["id"], "--reviewer", "ada").status == 0
    account = json.loads((here / "account.json").read_text())
    (here / "account.json").write_text(json.dumps({**account, "advanced": account["advanced"] + 30}))
    done = sandboxed("windows", "open", "Orders Database", *repeated, "--approval", request["id"])
    assert done.status == status, done.err
    if status == 0:
        approved = json.loads(request["params"])
        window = done.json["maintenance_window"]
        assert window["start_time"] > approved["start_time"]  # one in the past begins when it is created
        assert window["end_time"] == approved["end_time"]
    else:
        assert "is a request for another call. Nothing was sent." in done.err


@pytest.mark.parametrize(
    ("start", "end", "status"),
    [
        ("start_time=now", "end_time=in 2h", 0),
        ("start_time=now", "end_time=in 3h", 4),
        ("start_time=in 1h", "end_time=in 2h", 4),
        ("start_time=2026-06-15T02:00:00Z", "end_time=in 2h", 4),
    ],
)
def test_relative_times_of_a_repeated_call_are_those_that_were_approved(
    sandboxed: Command, here: Path, monkeypatch: pytest.MonkeyPatch, start: str, end: str, status: int
) -> None:
    monkeypatch.setenv("ARX_SANDBOX", str(here / "account.json"))
    call = ("call", "maintenance:create", "service_ids=PABC123")
    assert sandboxed(*call, "start_time=now", "end_time=in 2h").status == 4
    request = sandboxed("approvals", "list", "--state", "pending").json[0]
    assert sandboxed("approvals", "approve", request["id"], "--reviewer", "ada").status == 0
    account = json.loads((here / "account.json").read_text())
    (here / "account.json").write_text(json.dumps({**account, "advanced": account["advanced"] + 30}))
    done = sandboxed(*call, start, end, "--approval", request["id"])
    assert done.status == status, done.err
    if status == 0:
        assert done.json["maintenance_window"]["end_time"] == json.loads(request["params"])["end_time"]
    else:
        assert "is a request for another call. Nothing was sent." in done.err


def test_an_unknown_approval_of_a_window_is_refused_by_the_call(sandboxed: Command) -> None:
    done = sandboxed("windows", "open", "Orders Database", "--for", "2h", "--approval", "ffffffffffffffff")
    assert (done.status, done.out) == (4, "")
    assert "ffffffffffffffff" in done.err
    assert "maintenance:create" in operations(sandboxed)


def test_a_dry_run_of_a_verb_sends_nothing(pd: Command, account: Sandbox) -> None:
    done = pd("incidents", "create", "Disk full", "--service", "Orders Database", "--dry-run")
    assert (done.status, done.json["verdict"], sent(account)) == (0, "PERMIT", [])
    several = pd("incidents", "resolve", "P1234AB", "Q5SDUTHU3DG5TI", "--dry-run")
    assert [plan["request"]["path"] for plan in several.json] == ["/incidents/P1234AB", "/incidents/Q5SDUTHU3DG5TI"]
    assert sent(account) == []


@pytest.mark.parametrize("way", ["file", "stdin", "inline"])
def test_further_parameters_come_as_json(pd: Command, here: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    document = '{"incident_key": "k-1"}'
    (here / "more.json").write_text(document)
    typed(monkeypatch, document)
    given = {"file": "@more.json", "stdin": "-", "inline": document}[way]
    created = pd("incidents", "create", "Disk full", "-s", "PABC123", "--json", given).json["incident"]
    assert created["incident_key"] == "k-1"


@pytest.mark.parametrize(("given", "said"), [("@none.json", "none.json cannot be read"), ("[]", "must be an object")])
def test_parameters_that_cannot_be_read_are_a_usage_error(pd: Command, given: str, said: str) -> None:
    done = pd("incidents", "create", "Disk full", "-s", "PABC123", "--json", given)
    assert (done.status, said in done.err) == (2, True)


def test_what_belongs_to_an_incident_is_listed_by_its_number(pd: Command) -> None:
    assert pd("incidents", "note", "41", "failing over").status == 0
    assert "failing over" in [note["content"] for note in pd("incidents", "notes", "41").json["notes"]]
    assert len(pd("incidents", "alerts", "P1234AB").json["alerts"]) == 2
    kinds = [entry["type"] for entry in pd("incidents", "log", "41", "--all").json["log_entries"]]
    assert kinds[0] == "annotate_log_entry"
    assert pd("incidents", "notes", "NOSUCH1").status == 1


def test_the_text_of_a_note_comes_from_stdin(pd: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "first line\nsecond\n")
    assert pd("incidents", "note", "41", "-").json["note"]["content"] == "first line\nsecond"
    both = pd("incidents", "note", "-", "-")
    assert (both.status, "not both" in both.err) == (2, True)
    typed(monkeypatch, "\n")
    none = pd("incidents", "note", "41", "-")
    assert (none.status, "holds no text" in none.err) == (2, True)


def test_fields_choose_what_is_shown(pd: Command) -> None:
    assert pd("incidents", "list", "-n", "1", "--fields", "id,service.id").json == [
        {"id": "P1234AB", "service.id": "PABC123"}
    ]
    assert pd("incidents", "show", "41", "--fields", "id").json == {"id": "P1234AB"}
    assert pd("incidents", "show", "41", "--fields", "id", "-o", "tsv").out == "id\nP1234AB\n"
    assert pd("call", "users:read", "--columns", "email", "-o", "tsv").out.splitlines()[0] == "email"
    assert pd("incidents", "show", "41", "--fields", "number,assignees").json == {
        "number": 41,
        "assignees": ["Ada Nkemelu"],
    }  # columns of the table, by their names there


def test_a_field_that_no_record_has_is_named_with_those_that_there_are(pd: Command) -> None:
    done = pd("incidents", "list", "--fields", "id,numbr")
    assert done.json[0] == {"id": "P1234AB", "numbr": None}
    assert "No record has numbr." in done.err
    assert "number" in done.err
    assert "No record" not in pd("incidents", "list", "--fields", "id,service.nothing").err


def test_call_takes_relative_times_as_well(pd: Command, account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pd("call", "incidents:read", "--since", "30d").status == 0
    (request,) = account.requests
    since = datetime.fromisoformat(dict(parse_qsl(request.query))["since"])
    assert timedelta(days=29) < datetime.now(UTC) - since < timedelta(days=31)


def test_watching_repeats_a_governed_call_until_it_is_stopped(
    pd: Command, monkeypatch: pytest.MonkeyPatch, account: Sandbox
) -> None:
    def stop_after_three() -> Any:
        seen = len(account.requests)
        if seen >= 3:
            raise KeyboardInterrupt
        return NOW

    monkeypatch.setattr(account.clock, "_source", stop_after_three)
    done = pd("incidents", "list", "--watch", "--every", "0.5")
    assert done.status in (1, 130)
    assert done.out.count("P1234AB") >= 2


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were opened in a browser that only takes notes."""
    import webbrowser

    found: list[str] = []
    browser = webbrowser.GenericBrowser(["true", "%s"])
    monkeypatch.setattr(browser, "open", lambda url, *_: found.append(url) or True)
    monkeypatch.setattr(webbrowser, "_tryorder", ["notes"])
    monkeypatch.setitem(webbrowser._browsers, "notes", [None, browser])  # type: ignore[attr-defined]  # its registry
    return found


def test_a_page_is_opened_in_the_browser(pd: Command, opened: list[str]) -> None:
    assert pd("incidents", "show", "P1234AB", "-w").status == 0
    assert opened == ["https://sandbox.example.com/incidents/P1234AB"]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "--new-window", None])
def test_what_is_no_page_of_the_web_is_not_opened(
    url: str | None, opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    open_pages("incidents:read_detail", {"incident": {"id": "P1", "html_url": url}})
    assert opened == []
    assert "cannot be opened" in capsys.readouterr().err


def test_what_was_listed_is_completed_without_a_call(pd: Command, account: Sandbox) -> None:
    pd("incidents", "list")
    pd("services", "list")
    seen = len(account.requests)
    assert complete_incidents("P12") == [("P1234AB", "Orders Database: replication lag above 30 s")]
    assert complete_names("services")("ord") == [("Orders Database", "PABC123")]
    assert complete_names("services")("PABC") == [("PABC123", "Orders Database")]
    assert complete_names("users")("A") == []
    assert len(account.requests) == seen
    kept = Path(os.environ["XDG_STATE_HOME"]) / "arx" / "completion.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.write_text("not JSON")
    assert complete_incidents("P") == []


def test_a_week_and_bars_are_drawn_below_the_table(sandboxed: Command) -> None:
    week = sandboxed("oncall", "--week", "-o", "table").out
    assert "AAAA" in week
    assert "A Ada Nkemelu  B Bram Visser" in week
    bars = sandboxed("analytics", "-o", "table").out
    assert "█ 8" in bars
    assert "█" not in sandboxed("analytics", "-o", "tsv").out


def test_days_and_weeks_without_calls_are_in_the_timeline() -> None:
    assert timeline({"2025-06-01": 2, "2025-06-03": 1}) == [("2025-06-01", 2), ("2025-06-02", 0), ("2025-06-03", 1)]
    weeks = timeline({"2025-01-01": 2, "2025-06-01": 1})
    assert (weeks[0], weeks[-1], len(weeks)) == (("2025-W01", 2), ("2025-W22", 1), 22)
    assert timeline({}) == []


def test_a_timeline_of_several_days_is_drawn(sandboxed: Command, capsys: pytest.CaptureFixture[str]) -> None:
    sandboxed("teams", "list")
    assert "█" not in sandboxed("audit", "stats", "-o", "table").out  # one day is no timeline
    draw(timeline({"2025-06-01": 40, "2025-06-02": 1}))
    assert capsys.readouterr().out.splitlines()[1:] == [f"2025-06-01  {'█' * 40} 40", "2025-06-02  █ 1"]


def test_values_of_options_are_completed() -> None:
    assert [value for value, _ in among("high", "low")("h")] == ["high"]


def test_requests_that_wait_are_completed(sandboxed: Command) -> None:
    assert sandboxed("call", "services:delete", "service_id=PABC123").status == 4
    (waiting,) = sandboxed("approvals", "list").json
    assert complete_approvals(waiting["id"][:4]) == [(waiting["id"], "services:delete")]
    assert complete_approvals("zzz") == []


def test_agents_are_listed_with_their_calls(pd: Command) -> None:
    assert pd("agents", "list", "-o", "table").out.startswith("No agent is on record")
    pd("--agent", "a-1", "teams", "list")
    pd("--agent", "a-1", "call", "nothing:here")
    pd("agents", "suspend", "a-2", "--reason", "noise")
    listed = pd("agents", "list").json
    assert [(row["agent"], row["calls"], row["refused"], row["suspended"]) for row in listed] == [
        ("a-1", 1, 1, None),
        ("a-2", 0, 0, "noise"),
    ]


def test_the_nearest_operation_is_one_that_begins_so(pd: Command) -> None:
    done: Done = pd("call", "incidents:ack")
    assert "Did you mean 'incidents:acknowledge'?" in done.err
    assert "Next: arx-pagerduty call incidents:acknowledge --help" in done.err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172_800), ("1W", 604_800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "1.5h", "-1h", "1 h", "1y", "999999999w999999999w"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("2h ago", NOW - timedelta(hours=2)),
        ("30d", NOW - timedelta(days=30)),
        ("in 10m", NOW + timedelta(minutes=10)),
        ("+10m", NOW + timedelta(minutes=10)),
        ("2025-05-01", datetime(2025, 5, 1, tzinfo=UTC)),
        ("2025-05-01T10:00+02:00", datetime(2025, 5, 1, 8, tzinfo=UTC)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    assert moment(text, NOW) == expected
    assert is_relative(text) == (not text.startswith("2025"))
    assert datetime.fromisoformat(iso(moment(text, NOW))) == expected


def test_a_bare_duration_may_count_from_now_on() -> None:
    assert moment("2h", NOW, ahead=True) == NOW + timedelta(hours=2)


ENDS = ["0001-01-01T00:00+14:00", "0001-01-01", "9999-12-31T23:59-14:00", "9999-12-31"]


@pytest.mark.parametrize("text", ["", "soon", "ago", "in", "2025-13-01", "999999999d ago", "999999w", *ENDS])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|calendar|too long"):
        moment(text, NOW)
