"""`audit report`: its figures are those of the log, it says what it cannot know, and it opens in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.bench.report import fill
from tests.cli.conftest import Command
from tests.effort import calls_of
from tests.reporting import section
from tests.support import sqlite_at


@pytest.fixture
def used(sandboxed: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A log with reads, writes, an error, refusals, an approval that was used and one that was denied."""
    sandboxed("incidents", "list")
    sandboxed("incidents", "ack", "P1234AB")
    sandboxed("incidents", "note", "P1234AB", "<script>alert(1)</script>")
    sandboxed("incidents", "ack", "NOSUCH1")
    sandboxed("call", "nothing:here")
    for decision in ("approve", "deny"):
        sandboxed("call", "services:delete", "service_id=PABC123")
        (waiting,) = sandboxed("approvals", "list", "--state", "pending").json
        sandboxed("approvals", decision, waiting["id"], "--reviewer", "ada", "--note", f"{decision} <it>")
        sandboxed("call", "services:delete", "service_id=PABC123", "--approval", waiting["id"])
    sandboxed("agents", "suspend", "agent-9", "--reason", "noise")
    sandboxed("reviewers", "invite", "bob")
    return sandboxed


def log_lines(command: Command) -> list[dict[str, Any]]:
    return [json.loads(line) for line in command("audit", "export").out.splitlines()]


def written(command: Command, *options: str) -> dict[str, Any]:
    assert command("audit", "report", "--file", "report.json", *options).status == 0
    loaded: dict[str, Any] = json.loads(Path("report.json").read_text())
    return loaded


def recomputed(lines: list[dict[str, Any]]) -> dict[str, int]:
    """The totals, by another way than the report's: from the outcomes back to what asked for them."""
    intents = {line["id"]: line for line in lines if line["action_type"] == "connector.called"}
    refusals = [line for line in lines if line["action_type"] == "connector.refused"]
    refused = {line["metadata"].get("intent") for line in refusals} - {None}
    sent = [line for key, line in intents.items() if key not in refused]
    ended = {line["metadata"]["intent"]: line for line in lines if line["action_type"] == "connector.completed"}
    writes = [line for line in sent if line["method"] != "GET"]
    unknown = [line for line in sent if line["id"] not in ended or ended[line["id"]]["status"] == "unknown"]
    return {
        "records": len(lines),
        "calls": len(intents) + sum("intent" not in line["metadata"] for line in refusals),
        "writes": len(writes),
        "writes_succeeded": sum(ended.get(line["id"], {}).get("status") == "success" for line in writes),
        "reads": len(sent) - len(writes),
        "refused": len(refusals),
        "unknown": len(unknown),
        "approvals": len({line["approval_id"] for line in lines if line["action_type"].startswith("approval.")}),
    }


def test_its_figures_are_those_of_the_log(used: Command) -> None:
    report = written(used)
    assert report["totals"] == recomputed(log_lines(used))
    assert report["verification"]["ok"] is True
    by_status = Counter(call["status"] for call in report["writes"])
    assert by_status == {"success": 3, "error": 1}


def test_it_says_who_did_what_to_what_agreed_to_by_whom(used: Command) -> None:
    report = written(used)
    (deletion,) = [call for call in report["writes"] if call["operation"] == "services:delete"]
    assert (deletion["agent"], deletion["objects"], deletion["verdict"]) == ("agent-7", ["PABC123"], "ESCALATE")
    approval = next(item for item in report["approvals"] if item["id"] == deletion["approval"])
    assert [(d["reviewer"], d["decision"], d["proof"], d["counts"]) for d in approval["decisions"]] == [
        ("ada", "approved", "name", True)
    ]
    assert {call["operation"] for call in report["refused"]} == {"'nothing:here'", "services:delete"}
    assert [(change["what"], change["of"], change["why"]) for change in report["changes"]] == [
        ("agent suspended", "agent-9", "noise"),
        ("reviewer invited", "bob", None),  # who has not enrolled yet
    ]
    (policy,) = {item["digest"]: item for item in report["policies"]}.values()
    assert "pd-full-admin" in policy["text"]


def test_an_intent_without_an_outcome_is_unknown(used: Command) -> None:
    with sqlite_at(Path(os.environ["XDG_STATE_HOME"]) / "arx" / "sandbox.db") as database:
        last = database.execute("SELECT max(seq) FROM audit").fetchone()[0]
    lines = log_lines(used)
    cut = next(line["seq"] for line in lines if line["action_type"] == "connector.called" and line["method"] == "PUT")
    until = next(line["created_at"] for line in lines if line["seq"] == cut + 1)
    report = written(used, "--until", until)
    assert report["last_seq"] == cut < last
    assert [(call["status"], call["outcome_seq"]) for call in report["unknown"]] == [("in_progress", None)]


def test_the_page_is_one_file_that_shows_text_as_text(used: Command) -> None:
    assert used("audit", "report").status == 0
    page = Path("report.html").read_text("utf-8")
    assert stat.S_IMODE(Path("report.html").stat().st_mode) == 0o600
    assert "<script" not in page
    assert "approve &lt;it&gt;" in page
    assert not re.search(r"(?:src|href)\s*=|url\(|@import", page)
    shown = dict(re.findall(r'data-figure="(\w+)"><b>(\d+)</b>', page))
    assert {name: int(value) for name, value in shown.items()} == written(used)["totals"]
    assert "No checkpoint was compared" in page


def test_it_is_compared_with_a_checkpoint(used: Command) -> None:
    key = used("audit", "keygen", "audit.example.com/pd", "--file", "signer.key").out.strip()
    assert used("audit", "checkpoint", "--signing-key", "signer.key", "--place", "checkpoints").status == 0
    report = written(used, "--checkpoint", "checkpoints", "--key", key)
    assert report["verification"]["checkpoint"]["origin"] == "audit.example.com/pd"
    assert used("audit", "report", "--checkpoint", "checkpoints").status == 2


def test_a_log_that_does_not_verify_says_so_and_exits_with_5(used: Command) -> None:
    with sqlite_at(Path(os.environ["XDG_STATE_HOME"]) / "arx" / "sandbox.db") as database:
        database.executescript("DROP TRIGGER audit_no_delete; DELETE FROM audit WHERE seq = 5;")
    done = used("audit", "report")
    assert done.status == 5
    assert "does not verify" in Path("report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--since", "lately"), "no time"), (("--file", "none/report.html"), "cannot be written")],
)
def test_what_cannot_be_is_a_usage_error(used: Command, arguments: tuple[str, ...], said: str) -> None:
    done = used("audit", "report", *arguments)
    assert (done.status, said in done.err) == (2, True)


def test_nothing_on_record_makes_a_report_too(command: Command) -> None:
    command("--agent", "a", "call", "teams:read")
    done = command("audit", "report", "--since", "now", "--file", "-")
    assert done.status == 0
    assert '<p class="nothing">None.</p>' in done.out


def test_twice_the_records_are_twice_the_work(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    effort = []
    for calls in (500, 1_000):
        fill(tmp_path / f"{calls}.db", calls)
        monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{tmp_path}/{calls}.db")
        command("audit", "report")  # whose imports do not count
        effort.append(calls_of(lambda: command("audit", "report")))
    assert effort[1] < 2.1 * effort[0]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_report_of_a_hundred_thousand_records_opens_in_a_browser(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fill(tmp_path / "big.db", 50_000)
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{tmp_path}/big.db")
    began = time.process_time()
    assert command("audit", "report").status == 0
    took = time.process_time() - began
    section(request.config, "audit report").append(f"100,000 records: {took:.1f} s of this process")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium to open the report in")
    page = Path("report.html").absolute()
    opened = subprocess.run(  # noqa: S603
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert opened.stdout.count("<tr>") >= 50_000
    assert "<b>100000</b> records" in opened.stdout
