"""A call that waits says what for; reviewers watch and step through what waits in a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.terminal import on_a_terminal
from tests.cli.test_approvals import DELETE, asked
from tests.support import PATIENCE


@pytest.mark.slow
def test_a_call_that_waits_says_how_to_decide_and_ctrl_c_what_stays_open(sandboxed: Command, here: Path) -> None:
    shown = on_a_terminal(*DELETE, typed=[("--reviewer NAME", "\x03")], width=200, cwd=here, ARX_APPROVALS_MODE="wait")
    assert shown.status == 130
    found = re.search(r"Waits for a reviewer as (\w+), until [\d-]+ [\d:]+ UTC \(\d+ min left\)", shown.text)
    assert found
    request = found[1]
    assert 'Delete service "Orders Database". 2 open incidents would lose their service.' in shown.text
    assert f"To decide: arx-pagerduty approvals approve|deny {request} --reviewer NAME" in shown.text
    assert f"The request {request} stays open until" in shown.text
    assert f"the same command with --approval {request}" in shown.text
    assert sandboxed("approvals", "approve", request, "--reviewer", "ada").status == 0
    assert sandboxed(*DELETE, "--approval", request).status == 0


@pytest.mark.slow
def test_where_decisions_are_proved_the_notice_names_the_console(sandboxed: Command, here: Path) -> None:
    environ = {"ARX_APPROVALS_MODE": "wait", "ARX_APPROVALS_PROOF": "required"}
    shown = on_a_terminal(*DELETE, typed=[("console", "\x03")], width=200, cwd=here, **environ)
    assert "To decide: arx-pagerduty console" in shown.text
    origin = {**environ, "ARX_CONSOLE_ORIGIN": "https://approvals.example.com"}
    shown = on_a_terminal(*DELETE, typed=[("/requests/", "\x03")], width=200, cwd=here, **origin)
    assert "To decide: https://approvals.example.com/requests/" in shown.text


@pytest.mark.slow
def test_reviewers_step_through_what_waits(sandboxed: Command, here: Path) -> None:
    first = asked(sandboxed)
    sandboxed("call", "escalation:delete", "--policy-id", "PC5Z6QY")
    typed = [("[q]uit", "s\n"), ("[q]uit", "x\n")]
    shown = on_a_terminal("approvals", "review", "--reviewer", "ada", typed=typed, width=200, cwd=here)
    assert (shown.status, shown.text.count("Skipped")) == (0, 2)
    typed = [("[q]uit", "d\n"), ("Note to the agent", "not now\n"), ("[q]uit", "q\n")]
    shown = on_a_terminal("approvals", "review", "--reviewer", "ada", typed=typed, width=200, cwd=here)
    assert "Denied." in shown.text
    decided = sandboxed("approvals", "show", first, "-o", "json").json
    assert (decided["state"], decided["decisions"][0]["note"]) == ("denied", "not now")
    assert len(sandboxed("approvals", "list", "--state", "pending", "-o", "json").json) == 1


def test_review_needs_a_terminal_and_a_way_to_prove(sandboxed: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    done = sandboxed("approvals", "review", "--reviewer", "ada")
    assert (done.status, "no terminal" in done.err) == (2, True)
    monkeypatch.setenv("ARX_APPROVALS_PROOF", "required")
    done = sandboxed("approvals", "review", "--reviewer", "ada")
    assert (done.status, "arx-pagerduty console" in done.err) == (2, True)


def test_watch_tells_of_a_request_and_of_its_end(sandboxed: Command) -> None:
    request = asked(sandboxed)
    shown = sandboxed("approvals", "watch", "--lines", "1", "--every", "0.05", "-o", "json").json
    assert (shown["what"], shown["id"], shown["state"]) == ("asked", request, "pending")
    assert shown["sentence"].startswith("Delete service")
    told = sandboxed("approvals", "watch", "--lines", "1", "--every", "0.05", "-o", "table").out
    assert f"asked     {request} HIGH   Delete service" in told


async def test_watch_tells_of_reminders_and_decisions(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import asyncio
    import json

    from arx_wrapper import approvals
    from arx_wrapper.cli.approvals.watching import watch
    from arx_wrapper.cli.output import Output
    from tests.approvals.conftest import terms

    store = approvals.open(f"sqlite:///{tmp_path}/a.db", ttl=200, proof="name")
    short = await store.request(**terms())  # type: ignore[arg-type]
    watching = asyncio.create_task(watch(store, "org-acme", 0.01, Output.JSON, ends=2))
    shown = ""
    async with asyncio.timeout(PATIENCE):
        while '"asked"' not in shown:
            await asyncio.sleep(0.01)
            shown += capsys.readouterr().out
        await store.decide(short.id, "ada", True)
        await watching
    lines = [json.loads(line) for line in (shown + capsys.readouterr().out).splitlines()]
    assert [line["what"] for line in lines] == ["asked", "approved"]
    await store.aclose()
