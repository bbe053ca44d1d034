"""The command's streams: closed, full, or a pipe whose reader leaves; the status tells, and nothing else is written."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import POLICIES, Command
from tests.support import PATIENCE

pytestmark = pytest.mark.skipif(
    not os.path.exists("/dev/full"),
    reason="SKIPPED: the system has no /dev/full, so no closed or full stream was tried",
)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARX_", "PAGERDUTY_", "COLUMNS"))}
    policy = str(POLICIES / "pd-full-admin.yaml")
    return {**kept, "HOME": str(tmp_path), "ARX_SANDBOX": "1", "ARX_POLICY": policy, "ARX_APPROVALS_MODE": "raise"}


def shell(line: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, in which `$A` is the command."""
    done = subprocess.run(  # noqa: S603 - bash of this machine
        ["/bin/bash", "-c", f"A() {{ {sys.executable} -m arx_wrapper.cli \"$@\"; }}; {line}"],
        env=environ, cwd=environ["HOME"], capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "Unexpected" not in done.stderr
    return done


@pytest.mark.parametrize("words", ["incidents list -o json", "--version"])
def test_a_full_disk_behind_stdout_is_said_with_where_to_look(environ: dict[str, str], words: str) -> None:
    done = shell(f"A {words} >/dev/full", environ)
    assert done.returncode == 1
    assert "The result cannot be written to stdout: No space left on device." in done.stderr
    assert "`arx-pagerduty audit tail` shows them. Look there before you repeat a change." in done.stderr


def test_a_full_disk_behind_stderr_leaves_the_status(environ: dict[str, str]) -> None:
    environ["ARX_POLICY"] = str(POLICIES / "pd-oncall-readonly.yaml")
    done = shell("A incidents ack P1234AB 2>/dev/full", environ)
    assert (done.returncode, done.stdout) == (3, "")


def test_a_closed_stream_gives_no_other_file_its_number(environ: dict[str, str], tmp_path: Path) -> None:
    assert shell("A call incidents:acknowledge incident_id=P1234AB <&- >&- 2>&-", environ).returncode == 0
    (log,) = tmp_path.rglob("*.db")
    with closing(sqlite3.connect(log)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    done = shell("A audit verify -o json", environ)
    assert (done.returncode, '"ok":true' in done.stdout) == (0, True)


def test_a_closed_stdin_is_an_empty_one(environ: dict[str, str]) -> None:
    assert "stdin holds no ids" in shell("A incidents show - <&-", environ).stderr


def test_a_pipe_whose_reader_leaves_ends_the_command_quietly(environ: dict[str, str], tmp_path: Path) -> None:
    ids = " ".join(["P1234AB"] + [f"PNONE{number:02}" for number in range(99)])
    shell(f"A incidents show {ids} >/dev/null", environ)
    done = shell('A audit export | head -1 >/dev/null; echo "${PIPESTATUS[0]}"', environ)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_an_export_to_a_full_disk_says_that_it_is_not_whole(sandboxed: Command) -> None:
    assert sandboxed("call", "incidents:read").status == 0
    for form in ("jsonl", "csv", "ocsf"):
        done = sandboxed("audit", "export", "--format", form, "--file", "/dev/full")
        assert (done.status, done.out) == (2, "")
        assert "/dev/full cannot be written: No space left on device. It does not hold all records." in done.err
