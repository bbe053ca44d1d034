"""`vault`: what it stores is encrypted or elsewhere, what it shows is no secret, what it cannot do it explains."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.support import CANARY
from tests.vault.kv_server import StandIn, running

OLD, NEW = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{CANARY}\n".encode())))


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ARX_VAULT_URL", f"file://{tmp_path}/vault")
    monkeypatch.setenv("ARX_VAULT_KEY", OLD)
    return tmp_path / "vault"


@pytest.mark.usefixtures("piped")
def test_a_file_is_set_shown_and_rotated(command: Command, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("vault", "set", "--email", "bot@example.com").status == 0
    before = command("vault", "status", "-o", "json").json
    assert (before["requester_email"], before["orgs"], before["key_source"]) == (
        "bot@example.com",
        ["*"],
        "ARX_VAULT_KEY",
    )
    assert (file.stat().st_mode & 0o777, CANARY.encode() in file.read_bytes()) == (0o600, False)
    monkeypatch.setenv("ARX_VAULT_NEW_KEY", NEW)
    rotated = command("vault", "rotate")
    assert rotated.status == 0
    assert NEW not in rotated.out
    assert command("vault", "status").status == 2  # the old key no longer opens it
    monkeypatch.setenv("ARX_VAULT_KEY", NEW)
    after = command("vault", "status", "-o", "json").json
    assert (after["account"], after["key_id"] != before["key_id"]) == (before["account"], True)


@pytest.mark.usefixtures("piped")
def test_a_key_may_be_for_one_organisation(command: Command, file: Path) -> None:
    assert command("--org", "acme", "vault", "set", "-o", "json").json["org_id"] == "acme"
    assert command("--org", "acme", "vault", "status").status == 0
    other = command("--org", "other", "vault", "status")
    assert (other.status, "no credentials for 'other'" in other.err) == (2, True)


@pytest.mark.usefixtures("piped")
def test_hashicorp_vault_is_set_and_shown(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    server = StandIn()
    with running(server) as address:
        for name, value in {
            "VAULT_ADDR": address,
            "VAULT_TOKEN": "root",
            "ARX_VAULT_URL": "hashicorp://secret/arx/{org_id}",
            "ARX_ORG_ID": "acme",
        }.items():
            monkeypatch.setenv(name, value)
        assert command("vault", "status").status == 2
        assert command("vault", "set", "--email", "bot@example.com").status == 0
        assert server.secrets == {"secret/arx/acme": {"api_key": CANARY, "requester_email": "bot@example.com"}}
        assert command("vault", "status", "-o", "json").json["source"] == "hashicorp://secret/arx/acme"
        refused = command("vault", "rotate")
        assert (refused.status, "vault set" in refused.err) == (2, True)


@pytest.mark.parametrize(("url", "said"), [("env:", "PAGERDUTY_API_KEY"), ("oauth:", "PAGERDUTY_OAUTH_CLIENT_SECRET")])
@pytest.mark.parametrize("what", ["set", "rotate"])
def test_what_is_set_elsewhere_says_where(
    command: Command, monkeypatch: pytest.MonkeyPatch, url: str, said: str, what: str
) -> None:
    monkeypatch.setenv("ARX_VAULT_URL", url)
    done = command("vault", what)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


@pytest.mark.usefixtures("file")
def test_a_malformed_key_is_refused_and_not_shown(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{CANARY} {CANARY}\n".encode())))
    done = command("vault", "set")
    assert (done.status, "contains a space" in done.err) == (2, True)
