"""The command in this process, for the many cases; `test_command.py` runs it as processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from arx_wrapper.cli.main import run
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.clock import system_time
from arx_wrapper.sandbox.server import run_in_thread
from tests.support import CANARY

POLICIES = Path(__file__).parent.parent.parent / "arx_wrapper" / "pagerduty" / "policies"


@frozen
class Done:
    """A command's end."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture(autouse=True)
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No width to fit, wherever the tests run."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, here: Path) -> Command:
    monkeypatch.setenv("NO_COLOR", "1")

    def runner(*arguments: str) -> Done:
        capsys.readouterr()
        status = run(list(arguments))
        out, err = capsys.readouterr()
        assert CANARY not in out + err
        assert "Unexpected" not in err
        return Done(status, out, err)

    return runner


@pytest.fixture
def sandboxed(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command with the embedded sandbox, everything permitted but HIGH operations."""
    monkeypatch.setenv("ARX_SANDBOX", "1")
    monkeypatch.setenv("ARX_POLICY", str(POLICIES / "pd-full-admin.yaml"))
    monkeypatch.setenv("ARX_APPROVALS_MODE", "raise")
    monkeypatch.setenv("ARX_AGENT_ID", "agent-7")
    return command


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, Sandbox]]:
    """A sandbox that is served, in this machine's time."""
    sandbox = Sandbox(clock=system_time)
    with run_in_thread(sandbox) as served:
        yield served.url, sandbox
