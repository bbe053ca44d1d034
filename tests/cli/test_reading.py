"""Every place that reads what a person names: too much, no text, a folder, nothing; each ends with a sentence."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from arx_wrapper.files import LARGEST
from tests.cli.conftest import Command

# The words of each command, with {} for the file.
PLACES = {
    "parameters of call": ["call", "incidents:read", "--json", "@{}"],
    "parameters of a verb": ["incidents", "list", "--json", "@{}"],
    "parameters to explain": ["policy", "explain", "incidents:read", "--json", "@{}"],
    "settings": ["--config", "{}", "ops"],
    "a policy": ["policy", "check", "{}"],
    "a policy's tests": ["policy", "test", "{}"],
    "a policy to test": ["policy", "test", "cases.yaml", "--policy", "{}"],
    "a proposed policy": ["policy", "simulate", "--policy", "{}"],
    "a request": ["approvals", "verify", "--file", "{}", "--reviewers", "reviewers.json"],
    "reviewers": ["approvals", "verify", "--file", "request.json", "--reviewers", "{}"],
    "a signing key": ["audit", "checkpoint", "--signing-key", "{}", "--place", "places"],
    "a proof": ["audit", "verify-proof", "{}", "--key", "KEY"],
    "a seed": ["sandbox", "--seed-file", "{}"],
}


@pytest.fixture
def files(here: Path) -> Path:
    (here / "holes").touch()
    with (here / "holes").open("wb") as made:
        made.truncate(LARGEST + 1)
    (here / "latin").write_bytes("# a note: caf\xe9\n{}\n".encode("cp1252"))
    (here / "folder").mkdir()
    (here / "cases.yaml").write_text("- {operation: incidents:read, expect: DENY}\n")
    (here / "request.json").write_text("{}")
    (here / "reviewers.json").write_text(
        json.dumps([{"reviewer": "alice", "public_key": "A" * 43 + "=", "state": "configured"}])
    )
    return here


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("holes", r"larger than"),
        ("latin", r"not UTF-8|is no |not a proof|not JSON|no proof"),
        ("folder", r"it is a folder|no configuration file|holds no \*\.yaml"),
        ("missing", r"No such file|no configuration file"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_at_each_place(
    sandboxed: Command, files: Path, place: str, name: str, said: str
) -> None:
    key = sandboxed("audit", "keygen", "audit.example.com/pd", "--file", "signer.key").out.strip()
    done = sandboxed(*(word.replace("{}", name).replace("KEY", key) for word in PLACES[place]))
    assert done.status in (2, 5), done.err
    assert re.search(said, done.err), done.err
    assert name in done.err
    assert "[Errno" not in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["call", "incidents:read", "--json", "-"],
        ["incidents", "list", "--json", "-"],
        ["incidents", "show", "-"],
        ["incidents", "note", "P1234AB", "-"],
        ["approvals", "verify", "--file", "-", "--reviewers", "reviewers.json"],
    ],
)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"7" * (LARGEST + 1), "it holds more than 4,000,000 bytes"),
        (b"\nP\xe9\n", "not UTF-8 text: byte 0xE9 in line 2"),
    ],
)
def test_stdin_is_read_up_to_a_limit(
    sandboxed: Command, files: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], content: bytes, said: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    done = sandboxed(*words)
    assert done.status == 2
    assert "stdin" in done.err
    assert said in done.err
    assert "P1234AB" not in done.out


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_what_is_named(sandboxed: Command, here: Path) -> None:
    (here / "params.json").write_bytes(b'\xef\xbb\xbf{\r\n"limit": 1\r\n}\r\n')
    done = sandboxed("call", "incidents:read", "--json", "@params.json", "-o", "json")
    assert (done.status, len(done.json["incidents"])) == (0, 1)
    (here / "policy.yaml").write_bytes(
        b'\xef\xbb\xbf- name: a\r\n  connector: pagerduty\r\n  operations: ["incidents:read"]\r\n  risk_max: low\r\n'
        b"  approval: none\r\n"
    )
    assert sandboxed("policy", "check", "policy.yaml").status == 0
    (here / "arx.toml").write_bytes(b'\xef\xbb\xbforg_id = "acme"\r\npolicy = "policy.yaml"\r\n')
    assert sandboxed("--config", "arx.toml", "ops").status == 0


def test_ids_on_stdin_may_begin_with_a_byte_order_mark(sandboxed: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfP1234AB\r\n")))
    assert sandboxed("incidents", "show", "-", "-o", "json").json["incident"]["id"] == "P1234AB"


def test_a_proof_that_cannot_be_written_is_said(sandboxed: Command, here: Path) -> None:
    key = sandboxed("audit", "keygen", "audit.example.com/pd", "--file", "signer.key").out.strip()
    assert sandboxed("call", "incidents:read").status == 0
    done = sandboxed("audit", "checkpoint", "--signing-key", "signer.key", "--place", "places")
    assert done.status == 0, done.err
    done = sandboxed("audit", "prove", "1", "--place", "places", "--key", key, "--file", "none/proof")
    assert (done.status, done.out) == (2, "")
    assert "none/proof cannot be written: No such file or directory. Name another --file." in done.err


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5_000])
def test_a_name_that_no_file_can_have_is_said(sandboxed: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable, status in (("ARX_POLICY", 2), ("ARX_CONFIG", 2)):
        with monkeypatch.context() as patch:
            patch.setenv(variable, name)
            for words in (["incidents", "list"], ["ops"]):
                done = sandboxed(*words)
                assert (done.status, done.out) == (status, "")
                assert "cannot be read: File name too long" in done.err
            if variable == "ARX_POLICY":
                assert "cannot be read: File name too long" in sandboxed("doctor", "-o", "json").out


def test_a_null_character_in_the_file_of_settings_names_no_file(
    sandboxed: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARX_POLICY")
    (here / "arx.toml").write_text('policy = "a\\u0000b"\n')
    done = sandboxed("--config", "arx.toml", "incidents", "list")
    assert done.status == 2
    assert "its name holds a null character" in done.err


OTHER_USER = """
import os, sys
from arx_wrapper.cli.main import run
from arx_wrapper.config import Config
run(["policy", "check", sys.argv[2]])  # imports all that it needs
os.environ["HOME"] = os.environ["XDG_STATE_HOME"] = sys.argv[1] + "/own"
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(54321); os.setuid(54321)
sys.stderr.write("--\\n")
for given in ([f"{sys.argv[1]}/closed"], [f"{sys.argv[1]}/closed/policy.yaml"], [f"{sys.argv[1]}/secret.yaml"]):
    print(run(["policy", "check", *given]))
print(run(["--config", f"{sys.argv[1]}/closed/arx.toml", "ops"]))
os.environ["XDG_CONFIG_HOME"] = sys.argv[1] + "/closed"
print(run(["ops"]))
sys.stdout.flush()
os._exit(0)
"""


def test_what_this_user_may_not_read_is_said_and_passes_for_nothing_else(here: Path) -> None:
    policy = "- {name: a, connector: pagerduty, operations: ['incidents:read'], risk_max: low, approval: none}\n"
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        place = Path(made)
        place.chmod(0o755)
        (place / "closed").mkdir()
        (place / "own").mkdir()
        (place / "own").chmod(0o777)
        (place / "closed" / "policy.yaml").write_text(policy)
        (place / "secret.yaml").write_text(policy)
        (place / "open.yaml").write_text(policy)
        (place / "secret.yaml").chmod(0o000)
        (place / "closed").chmod(0o000)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ARX_")}
        ran = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-c", OTHER_USER, made, str(place / "open.yaml")],
            capture_output=True, text=True, timeout=60, cwd="/", env={**environ, "ARX_SANDBOX": "1"},
        )  # fmt: skip
        (place / "closed").chmod(0o700)
    said = ran.stderr.partition("--\n")[2]
    assert "Traceback" not in said
    assert "Unexpected" not in said
    assert said.count("cannot be read: Permission denied") >= 2
    assert ran.stdout.splitlines()[-2:] == ["2", "2"]
