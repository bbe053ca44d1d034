"""An option at the wrong place is told where it goes, for every command and every global option."""

from __future__ import annotations

from typing import Any

import pytest

from arx_wrapper.cli.examples import commands
from arx_wrapper.cli.main import app
from arx_wrapper.cli.main import command as root
from arx_wrapper.cli.misplaced_options import GLOBAL
from tests.cli.conftest import Command

ALL = [path for path, _ in commands(app)]
GROUPS = sorted({path.rpartition(" ")[0] for path in ALL} - {""})


def of(path: str) -> Any:
    level: Any = root()
    for word in path.split():
        level = level.commands[word]
    return level


def names_of(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts if option.startswith("-")}


def test_the_global_options_are_those_of_the_command_itself() -> None:
    shown = {name for parameter in root().params if not getattr(parameter, "hidden", False) for name in parameter.opts}
    assert set(GLOBAL) == {name for name in shown if "install" not in name and "completion" not in name} - {"--help"}


@pytest.mark.parametrize(
    ("path", "option"),
    [
        (path, option)
        for path in [*ALL, *GROUPS]
        for option in ("--agent", "--org", "--config")
        if path != "call" and option not in names_of(of(path))
    ],
)
def test_a_global_option_after_the_command_is_told_to_go_before_it(command: Command, path: str, option: str) -> None:
    for given in ([option, "x"], [f"{option}=x"], [option]):
        done = command(*path.split(), *given)
        assert done.status == 2
        assert f"{option} goes before the command: arx-pagerduty {option} {GLOBAL[option]} {path} ..." in done.err


@pytest.mark.parametrize("option", ["--agent", "--org", "--config"])
@pytest.mark.parametrize("before", [[], ["incidents:read"], ["incidents:read", "limit=1"]])
def test_call_tells_a_global_option_from_a_parameter(sandboxed: Command, before: list[str], option: str) -> None:
    for given in ([option, "x"], [f"{option}=x"]):
        done = sandboxed("call", *before, *given)
        assert done.status == 2
        path = " ".join(["call", *before[:1]])
        assert f"{option} goes before the command: arx-pagerduty {option} {GLOBAL[option]} {path} ..." in done.err


def test_a_value_that_is_spelt_like_a_global_option_is_a_value(sandboxed: Command) -> None:
    done = sandboxed("call", "incidents:add_note", "--incident-id", "P1234AB", "--content", "--agent", "-o", "json")
    assert done.status == 0, done.err
    assert done.json["note"]["content"] == "--agent"


def test_the_version_goes_without_a_command(sandboxed: Command) -> None:
    for words in (["ops"], ["policy", "check"], ["call", "incidents:read"], ["call"]):
        done = sandboxed(*words, "--version")
        assert done.status == 2
        assert "--version goes without a command: arx-pagerduty --version" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--dry-run", "incidents", "ack", "P1"],
            "after the command: arx-pagerduty COMMAND ... --dry-run",
        ),
        (["incidents", "--dry-run", "ack", "P1"], "arx-pagerduty incidents COMMAND ... --dry-run"),
        (["incidents", "-o", "json", "list"], "-o goes after the command: arx-pagerduty incidents COMMAND ... -o"),
        (["call", "--statuses", "triggered", "incidents:read"], "arx-pagerduty call OPERATION --statuses"),
        (["--nonsense", "ops"], "No such option: --nonsense"),
        (["ops", "--nonsense"], "No such option: --nonsense"),
    ],
)
def test_a_commands_own_option_before_it_is_told_to_go_after_it(command: Command, words: list[str], said: str) -> None:
    done = command(*words)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


def test_a_global_option_before_the_command_is_taken(sandboxed: Command) -> None:
    assert sandboxed("--agent", "other", "incidents", "list", "-o", "json").status == 0
