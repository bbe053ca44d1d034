"""Which configuration file counts: the one that is named, else the working directory's, which servers do not read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command

PLANTED = 'nonsense = "planted by an agent"\n'


def test_a_file_is_named_by_an_option_or_a_variable(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "arx.toml").write_text(PLANTED)
    assert "'nonsense' is not a setting" in command("policy", "check").err
    named = here / "elsewhere" / "arx.toml"
    named.parent.mkdir()
    named.write_text('policy = "policy.yaml"\nsandbox = true\n')
    (named.parent / "policy.yaml").write_text("- {name: a, connector: pagerduty, operations: [nonsense]}\n")
    monkeypatch.delenv("ARX_POLICY", raising=False)
    for done in (
        command("--config", str(named), "policy", "check"),
        command("--config", "elsewhere/arx.toml", "policy", "check"),
    ):
        assert str(named.parent / "policy.yaml") in done.err + done.out
    monkeypatch.setenv("ARX_CONFIG", str(named))
    assert str(named.parent / "policy.yaml") in command("policy", "check").err
    gone = command("--config", "gone.toml", "policy", "check")
    assert (gone.status, "no configuration file 'gone.toml'" in gone.err) == (2, True)


def test_a_server_reads_nothing_from_the_folder_it_is_started_in(command: Command, here: Path) -> None:
    (here / "arx.toml").write_text(PLANTED)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ARX_", "PAGERDUTY_"))}
    started = subprocess.run(
        [sys.executable, "-m", "arx_wrapper.cli", "mcp"],
        env={**environ, "HOME": str(here / "home"), "PYTHONSAFEPATH": "1"},
        cwd=here,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    assert "This command does not read arx.toml in the working directory" in started.stderr
    told = command("--config", "arx.toml", "mcp")
    assert (told.status, "'nonsense' is not a setting" in told.err) == (2, True)


@pytest.mark.parametrize("server", ["mcp", "console"])
def test_a_server_takes_no_relative_path_from_its_environment(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setenv("ARX_POLICY", "policy.yaml")
    done = command(server)
    assert (done.status, "ARX_POLICY is a relative path" in done.err) == (2, True)
