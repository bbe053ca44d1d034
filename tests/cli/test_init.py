"""`init` writes what `doctor` finds nothing wrong with, asks three questions, and overwrites nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from arx_wrapper import Config
from tests.cli.conftest import Command


def test_what_it_writes_for_the_sandbox_works_at_once(command: Command, here: Path) -> None:
    done = command("init", "--yes", "--key", "sandbox", "--policy", "responder", "-o", "json")
    assert (done.status, done.json["files"]) == (0, ["arx.toml", "policy.yaml"])
    assert command("doctor").status == 0
    assert command("call", "incidents:read", "--limit", "1").status == 0
    assert command("call", "maintenance:create", "--service-ids", "P1", "--json", "{}").status == 2
    assert command("policy", "explain", "maintenance:create").status == 3


@pytest.mark.parametrize("key", ["env", "file", "hashicorp", "sandbox"])
@pytest.mark.parametrize("policy", ["readonly", "responder", "admin"])
@pytest.mark.parametrize("region", ["us", "eu"])
def test_every_answer_makes_files_that_load(command: Command, here: Path, key: str, policy: str, region: str) -> None:
    assert command("init", "--key", key, "--policy", policy, "--region", region).status == 0
    config = Config.load(folder=here)
    assert config.base_url == {"us": "https://api.pagerduty.com", "eu": "https://api.eu.pagerduty.com"}[region]
    assert config.vault_url.partition(":")[0] == {"sandbox": "env"}.get(key, key)
    assert config.sandbox == (key == "sandbox")
    assert command("policy", "check").status == 0


@pytest.mark.parametrize("there", ["arx.toml", "policy.yaml"])
def test_it_overwrites_nothing(command: Command, here: Path, there: str) -> None:
    (here / there).write_text("mine")
    done = command("init", "--yes")
    assert (done.status, done.out) == (2, "")
    assert "exists already" in done.err
    assert [file.name for file in here.iterdir()] == [there]
    assert (here / there).read_text() == "mine"


def test_without_a_terminal_it_says_what_to_give(command: Command, here: Path) -> None:
    done = command("init", "--key", "env")
    assert (done.status, list(here.iterdir())) == (2, [])
    assert "--yes" in done.err


def test_a_folder_that_cannot_be_written_is_named(command: Command) -> None:
    done = command("init", "--yes", "--folder", "/proc/nowhere")
    assert done.status == 2
    assert "/proc/nowhere/policy.yaml: cannot be written" in done.err
