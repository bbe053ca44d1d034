"""Every command explains itself, by examples that hold; completion knows operations and parameters."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from arx_wrapper.cli.examples import EXAMPLES, commands
from arx_wrapper.cli.main import app, run
from arx_wrapper.cli.main import command as root
from tests.cli.conftest import Command
from tests.cli.terminal import on_a_terminal

ALL = [path for path, _ in commands(app)]


@pytest.mark.parametrize("path", ALL)
def test_every_command_has_help_with_examples(command: Command, path: str) -> None:
    done = command(*path.split(), "--help")
    assert done.status == 0
    words = " ".join(done.out.split())
    assert f"Usage: arx-pagerduty {path}" in words
    assert words.count(f"arx-pagerduty {path}") > 1, "give it examples in arx_wrapper/cli/examples.py"


@pytest.mark.parametrize("example", [example for examples in EXAMPLES.values() for example in examples])
def test_every_example_parses(example: str) -> None:
    words = shlex.split(example.partition(" > ")[0].partition(" < ")[0])
    level = root()
    while hasattr(level, "commands"):
        level = level.commands[words.pop(0)]
    if "--help" not in words:
        level.make_context("arx-pagerduty", words, resilient_parsing=False).close()


GROUPS = ["", *sorted({path.rpartition(" ")[0] for path in ALL} - {""})]


@pytest.mark.parametrize("path", GROUPS + ALL)
def test_help_fits_80_columns_and_cuts_nothing(command: Command, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = command(*path.split(), "--help").out
    assert max(map(len, shown.splitlines())) <= 80
    commands = shown.partition("Commands:")[2]
    assert "..." not in commands, commands
    assert bool(commands) == (path in GROUPS)


def test_groups_list_their_commands(command: Command) -> None:
    assert "doctor" in command("--help").out
    assert "ARX_VAULT_URL" in command("vault", "--help").out
    assert "VAULT_ROLE_ID" in command("vault", "--help").out
    assert "PAGERDUTY_OAUTH_SCOPE" in command("vault", "--help").out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["call", "incidents:a"], "incidents\\\\:acknowledge"),
        (["call", "incidents:snooze", "--d"], "--duration"),
        (["call", "incidents:read", "--statuses", "t"], "triggered"),
    ],
)
def test_completion_knows_operations_and_their_parameters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], found: str
) -> None:
    monkeypatch.setenv("_ARX_PAGERDUTY_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"{shlex.join(['arx-pagerduty', *words[:-1]])} {words[-1]}")
    assert run([]) == 0
    assert found in capsys.readouterr().out


def test_completion_goes_on_after_a_colon_at_which_bash_breaks_words() -> None:
    environ = {
        **os.environ,
        "_ARX_PAGERDUTY_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(["arx-pagerduty", "call", "incidents", ":", "ac"]),
        "COMP_CWORD": "4",
    }
    command = [sys.executable, "-m", "arx_wrapper.cli"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    assert done.stdout.split() == ["acknowledge"]


def test_completion_can_be_installed(tmp_path: Path) -> None:
    home = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "arx_wrapper.cli", "--install-completion", "bash"]
    done = subprocess.run(command, env=home, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert "_ARX_PAGERDUTY_COMPLETE" in (tmp_path / ".bash_completions" / "arx-pagerduty.sh").read_text()


def test_colours_and_progress_show_on_a_terminal_and_not_with_no_color() -> None:
    policy = str(Path(__file__).parent.parent.parent / "arx_wrapper" / "pagerduty" / "policies" / "pd-full-admin.yaml")
    arguments = ("call", "incidents:read", "--all", "-o", "table")
    coloured = on_a_terminal(*arguments, ARX_SANDBOX="1", ARX_POLICY=policy).text
    assert "\x1b[31mtriggered" in coloured
    assert "0 records" in coloured  # so far
    plain = on_a_terminal(*arguments, ARX_SANDBOX="1", ARX_POLICY=policy, NO_COLOR="1").text
    assert "triggered" in plain
    assert not re.search("\x1b\\[[0-9;]*3[0-9]", plain)


def test_init_asks_three_questions_and_again_when_it_does_not_understand(tmp_path: Path) -> None:
    typed = [
        ("? [env]", "sandbox\n"),
        ("? [readonly]", "all of it\n"),
        ("? [readonly]", "responder\n"),
        ("? [us]", "\n"),
    ]
    shown = on_a_terminal("init", typed=typed, cwd=tmp_path).text
    assert (shown.count("?\r\n"), shown.count("? ")) == (3, 4)
    assert "It is one of readonly, responder, admin." in shown
    assert "sandbox = true" in (tmp_path / "arx.toml").read_text()
    assert "pd-incident-responder" in (tmp_path / "policy.yaml").read_text()
