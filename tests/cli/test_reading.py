"""Every place that reads what a person names: too much, no text, a folder, nothing; each ends with a sentence."""

from __future__ import annotations

import io
import json
import re
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
