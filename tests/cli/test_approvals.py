"""`approvals`: keys that only their owner can read, decisions that hold offline, Slack's presses on record."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.cli.conftest import Command
from tests.support import PATIENCE

DELETE = ("call", "services:delete", "--service-id", "PABC123")
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"  # noqa: S105 - of Slack's published example


def asked(command: Command) -> str:
    assert command(*DELETE).status == 4
    return str(command("approvals", "list", "--state", "pending", "-o", "json").json[0]["id"])


def make_key(command: Command, name: str) -> tuple[Path, str]:
    made = command("approvals", "keygen", "--reviewer", name, "--file", f"{name}.key", "-o", "json").json
    return Path(made["file"]), made["public_key"]


@pytest.fixture
def signed(sandboxed: Command, here: Path) -> Command:
    """Reviewers alice and bob have keys; mallory has one that nobody knows."""
    keys = {name: make_key(sandboxed, name)[1] for name in ("alice", "bob", "mallory")}
    lines = "\n".join(f'{name} = "{key}"' for name, key in keys.items() if name != "mallory")
    (here / "arx.toml").write_text(f"[approvals.reviewers]\n{lines}\n")
    return sandboxed


def test_a_key_is_made_once_for_its_owner_alone(sandboxed: Command) -> None:
    file, public = make_key(sandboxed, "alice")
    assert file.stat().st_mode & 0o777 == 0o600
    content = file.read_text()
    assert "PRIVATE KEY" in content
    again = sandboxed("approvals", "keygen", "--reviewer", "alice", "--file", str(file))
    assert (again.status, again.out, file.read_text()) == (2, "", content)
    key = load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    assert base64.b64decode(public) == key.public_key().public_bytes_raw()
    shown = sandboxed("approvals", "keygen", "--reviewer", "bob", "--file", "bob.key", "-o", "table").out
    assert '[approvals.reviewers]\n"bob" = "' in shown
    assert Path("bob.key").read_text().splitlines()[1] not in shown


def test_a_signed_approval_is_used_and_holds_offline(signed: Command) -> None:
    request = asked(signed)
    given = signed("approvals", "approve", request, "--key", "alice.key", "--note", "go", "--yes", "-o", "json")
    (decision,) = given.json["decisions"]
    assert (given.json["state"], decision["reviewer"], bool(decision["signature"])) == ("approved", "alice", True)
    assert signed("approvals", "verify", request).status == 0
    assert signed(*DELETE, "--approval", request).status == 0
    assert signed(*DELETE, "--approval", request).status == 4
    assert '"signed":true' in signed("audit", "export").out


def test_a_denial_is_signed_too(signed: Command) -> None:
    request = asked(signed)
    assert signed("approvals", "deny", request, "--key", "bob.key", "--yes").status == 0
    assert signed("approvals", "verify", request, "-o", "json").json["decisions"][0]["verdict"] == "denied"
    assert signed(*DELETE, "--approval", request).status == 4


def test_the_key_may_come_from_the_environment_or_its_usual_place(
    signed: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARX_REVIEWER_KEY", "alice.key")
    assert signed("approvals", "deny", asked(signed), "--yes").status == 0
    monkeypatch.delenv("ARX_REVIEWER_KEY")
    usual = Path(os.environ["XDG_CONFIG_HOME"]) / "arx" / "reviewer.key"
    usual.parent.mkdir(parents=True)
    (here / "bob.key").rename(usual)
    request = asked(signed)
    assert signed("approvals", "approve", request, "--yes", "-o", "json").json["decisions"][0]["reviewer"] == "bob"


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--key", "mallory.key", "--yes"], 2, "no registered reviewer's"),
        (["--key", "alice.key", "--reviewer", "bob", "--yes"], 2, "alice's, not bob's"),
        (["--reviewer", "alice", "--yes"], 2, "approvals keygen"),
        (["--key", "readable.key", "--yes"], 2, "others may read"),
        (["--key", "arx.toml", "--yes"], 2, "others may read"),
        (["--key", "public.pem", "--yes"], 2, "not an unencrypted Ed25519 private key"),
        (["--key", "linked.key", "--yes"], 2, "cannot be read"),
        (["--key", "alice.key"], 2, "no terminal to confirm on"),
    ],
)
def test_what_does_not_sign_decides_nothing(
    signed: Command, here: Path, options: list[str], status: int, said: str
) -> None:
    (here / "readable.key").write_bytes((here / "alice.key").read_bytes())
    (here / "readable.key").chmod(0o640)
    (here / "public.pem").write_text("-----BEGIN PUBLIC KEY-----\n")
    (here / "public.pem").chmod(0o600)
    (here / "arx.toml").chmod(0o644)
    (here / "linked.key").symlink_to("alice.key")
    request = asked(signed)
    done = signed("approvals", "approve", request, *options)
    assert (done.status, done.out) == (status, "")
    assert said in done.err
    assert signed("approvals", "show", request, "-o", "json").json["decisions"] == []


def test_a_key_is_no_registered_reviewers_where_none_is_registered(signed: Command, here: Path) -> None:
    request = asked(signed)
    (here / "arx.toml").unlink()
    done = signed("approvals", "approve", request, "--key", "alice.key", "--yes")
    assert (done.status, "no registered reviewer's" in done.err) == (2, True)


def test_verify_finds_what_was_altered_in_the_database(signed: Command) -> None:
    request = asked(signed)
    nobody = signed("approvals", "verify", request, "-o", "table")
    assert (nobody.status, "nobody has decided" in nobody.out) == (4, True)
    signed("approvals", "deny", request, "--key", "alice.key", "--yes")
    database = sqlite3.connect(Path(os.environ["XDG_STATE_HOME"]) / "arx" / "sandbox.db")
    with database:
        database.execute("UPDATE approval_reviews_v2 SET note = 'on second thoughts'")
    database.close()
    altered = signed("approvals", "verify", request, "-o", "json")
    assert (altered.status, altered.json["ok"]) == (4, False)
    assert "does not match" in altered.json["decisions"][0]["problem"]


def test_a_decision_is_verified_without_the_database(
    signed: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(signed)
    signed("approvals", "approve", request, "--key", "alice.key", "--yes")
    shown = signed("approvals", "show", request, "-o", "json").out
    monkeypatch.setenv("ARX_APPROVALS_URL", "sqlite:////proc/nowhere/approvals.db")
    for text, status in (
        (shown, 0),
        (shown.replace("PABC123", "PXYZ987"), 4),
        (shown.replace('"approve":true', '"approve":false'), 4),
        (shown.replace('"reviewer":"alice"', '"reviewer":"bob"'), 4),
        ("[]", 2),
    ):
        (here / "request.json").write_text(text)
        assert signed("approvals", "verify", "--file", "request.json").status == status
    assert signed("approvals", "verify", "--file", "missing.json").status == 2
    assert signed("approvals", "verify").status == 2


def test_verify_needs_keys_to_verify_with(sandboxed: Command) -> None:
    done = sandboxed("approvals", "verify", "none")
    assert (done.status, "approvals.reviewers" in done.err) == (2, True)


def test_without_keys_somebody_has_to_be_named(sandboxed: Command) -> None:
    done = sandboxed("approvals", "approve", asked(sandboxed))
    assert (done.status, "--reviewer NAME" in done.err) == (2, True)


def test_as_many_requests_wait_as_the_configuration_says(sandboxed: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARX_APPROVALS_PENDING_CAP", "1")
    assert sandboxed(*DELETE).status == 4
    full = sandboxed("call", "escalation:delete", "--policy-id", "PC5Z6QY")
    assert full.status == 4
    assert len(sandboxed("approvals", "list", "-o", "json").json) == 1
    assert "no more are taken" in sandboxed("doctor").out


@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        ("", {}, "approvals.slack.channel"),
        ('channel = "#ops"', {}, "approvals.slack.users"),
        ('channel = "#ops"\nusers = {U1 = "ada"}', {}, "SLACK_SIGNING_SECRET is not set"),
        ('channel = "#ops"\nusers = {U1 = "ada"}', {"SLACK_SIGNING_SECRET": "x"}, "SLACK_BOT_TOKEN is not set"),
    ],
)
def test_serve_says_what_it_lacks(
    sandboxed: Command, here: Path, monkeypatch: pytest.MonkeyPatch, text: str, environ: dict[str, str], said: str
) -> None:
    if text:
        (here / "arx.toml").write_text(f"[approvals.slack]\n{text}\n")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    done = sandboxed("approvals", "serve")
    assert (done.status, done.out) == (2, "")
    assert said in done.err


def test_serve_refuses_presses_where_reviewers_sign(signed: Command, here: Path) -> None:
    with (here / "arx.toml").open("a") as file:
        file.write('[approvals.slack]\nchannel = "#ops"\nusers = {U1 = "alice"}\n')
    done = signed("approvals", "serve")
    assert (done.status, "own signature" in done.err) == (2, True)


def test_a_press_in_slack_decides_on_record(sandboxed: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = asked(sandboxed)
    digest = sandboxed("approvals", "show", request, "-o", "json").json["digest"]
    # Nothing answers there: that the card is not updated changes nothing about the decision.
    (here / "arx.toml").write_text('[approvals.slack]\nchannel = "#ops"\nusers = {U1 = "ada"}\n')
    monkeypatch.setenv("ARX_SLACK_URL", "http://127.0.0.1:1/api/")
    environ = {**os.environ, "SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": SIGNING_SECRET}
    command = [sys.executable, "-m", "arx_wrapper.cli", "approvals", "serve", "--port", "0", "-o", "json"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as served:  # noqa: S603
        try:
            assert served.stdout
            url = json.loads(served.stdout.readline())["url"]
            assert press(url, request, digest, secret="not slack's " * 3) == 401
            assert press(url, request, digest, secret=SIGNING_SECRET) == 200
        finally:
            served.send_signal(signal.SIGTERM)
        out, err = served.communicate(timeout=60)
    assert (served.returncode, out) == (0, ""), err
    assert "Traceback" not in err
    assert sandboxed("approvals", "show", request, "-o", "json").json["decisions"][0]["reviewer"] == "ada"
    records = sandboxed("audit", "export").out
    assert "approval.reviewed" in records
    assert "A press of a button in Slack was refused. It is not signed by Slack" in records
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    assert sandboxed(*DELETE, "--approval", request).status == 0


def press(url: str, request: str, digest: str, *, secret: str) -> int:
    payload = {
        "type": "block_actions",
        "user": {"id": "U1"},
        "container": {"channel_id": "C1", "message_ts": "1.2"},
        "actions": [{"action_id": "arx_approve", "value": f"{request} {digest}"}],
    }
    body, now = urlencode({"payload": json.dumps(payload)}).encode(), str(int(time.time()))
    mac = hmac.new(secret.encode(), b"v0:" + now.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {
        "X-Slack-Request-Timestamp": now,
        "X-Slack-Signature": f"v0={mac}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=PATIENCE).status_code


def test_a_store_that_cannot_be_used_is_said_with_its_remedy(
    command: Command, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    (here / "a.db").write_text("no database " * 100)
    monkeypatch.setenv("ARX_APPROVALS_URL", f"sqlite:///{here}/a.db")
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{here}/audit.db")
    for words in (["list"], ["show", "apr_1"], ["approve", "apr_1", "--reviewer", "alice"]):
        done = command("approvals", *words)
        assert (done.status, done.out) == (4, "")
        assert f"The approval store {here}/a.db cannot be used" in done.err
        assert "Nothing was sent. Keep a copy of the file." in done.err
