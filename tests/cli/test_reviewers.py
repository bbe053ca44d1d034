"""`reviewers`: links that work once, confirmations with a key, and decisions that are verified without the database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.approvals.authenticator import Authenticator
from tests.approvals.deployment import Deployment
from tests.cli.conftest import Command
from tests.cli.test_approvals import make_key


def test_an_invitation_is_a_link_to_the_console_and_on_record(sandboxed: Command) -> None:
    made = sandboxed("reviewers", "invite", "alice", "-o", "json").json
    link = urlsplit(made["link"])
    assert (link.scheme, link.netloc, made["first"]) == ("http", "localhost:8788", True)
    token = link.path.removeprefix("/enrol/")
    assert len(token) >= 40
    records = sandboxed("audit", "export").out
    assert "reviewer.enrolled" in records
    assert token not in records
    assert sandboxed("reviewers", "list", "-o", "json").json == []
    assert "Nobody can approve yet" in sandboxed("reviewers", "list", "-o", "table").out


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("http://approvals.example.com", "no passkeys"),
        ("https://10.0.0.1", "no passkeys"),
        ("http://127.0.0.1:8788", "http://localhost:PORT"),
        ("https://approvals.example.com/path", "without a path"),
    ],
)
def test_an_origin_without_passkeys_is_explained(sandboxed: Command, origin: str, said: str) -> None:
    done = sandboxed("reviewers", "invite", "alice", "--origin", origin)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandboxed: Command) -> tuple[Deployment, Command]:
    """A deployment outside the sandbox that the command line works on, with a reviewer `robot` who has a key."""
    monkeypatch.setenv("ARX_SANDBOX", "0")
    _, public = make_key(sandboxed, "robot")
    Path("arx.toml").write_text(f'[approvals.reviewers]\nrobot = "{public}"\n')
    deployment = Deployment(tmp_path, reviewers={"robot": public})
    monkeypatch.setenv("ARX_AUDIT_URL", deployment.url)
    monkeypatch.setenv("ARX_ORG_ID", "org-acme")
    return deployment, sandboxed


def in_loop(work: object) -> object:
    return asyncio.run(work)  # type: ignore[arg-type]


def test_a_reviewer_with_a_key_confirms_and_removes_others(deployed: tuple[Deployment, Command]) -> None:
    deployment, command = deployed

    async def register() -> None:
        async with deployment.pd:
            assert await deployment.register("alice") is False

    in_loop(register())
    rows = command("reviewers", "list", "-o", "json").json
    assert [(row["reviewer"], row["state"]) for row in rows] == [
        ("robot", "configured"),
        ("alice", "waits for confirmation"),
    ]
    stranger = command("reviewers", "confirm", "carol", "--key", "robot.key")
    assert (stranger.status, "Nobody called 'carol'" in stranger.err) == (4, True)
    assert command("reviewers", "confirm", "alice", "--key", "robot.key", "-o", "table").out == "alice: enrolled\n"
    assert command("reviewers", "list", "-o", "json").json[1]["confirmed_by"] == "robot"
    unknown = command("reviewers", "remove", "carol", "--key", "robot.key")
    assert (unknown.status, "No reviewer 'carol'" in unknown.err) == (4, True)
    assert command("reviewers", "remove", "alice", "--key", "robot.key", "-o", "table").out == "alice: removed\n"
    assert [row["reviewer"] for row in command("reviewers", "list", "-o", "json").json] == ["robot"]


def test_a_passkeys_decision_is_verified_with_the_public_key_alone(
    deployed: tuple[Deployment, Command], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deployment, command = deployed
    monkeypatch.delenv("ARX_REVIEWER_KEY", raising=False)

    async def register() -> None:
        async with deployment.pd:
            await deployment.register("alice")

    async def decide() -> str:
        again = Deployment.__new__(Deployment)
        again.__dict__.update(deployment.__dict__)
        again.pd = deployment.connector()
        async with again.pd:
            asked = await again.ask()
            await again.decide(asked, "alice", note="go")
            return asked.id

    in_loop(register())
    command("reviewers", "confirm", "alice", "--key", "robot.key")
    request = str(in_loop(decide()))
    assert command("approvals", "verify", request).status == 0
    Path("request.json").write_text(command("approvals", "show", request, "-o", "json").out)
    Path("reviewers.json").write_text(command("reviewers", "list", "-o", "json").out)
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{tmp_path}/another/machine.db")
    Path("arx.toml").unlink()
    offline = ("approvals", "verify", "--file", "request.json", "--reviewers", "reviewers.json", "-o", "json")
    found = command(*offline)
    assert (found.status, found.json["ok"], found.json["decisions"][0]["reviewer"]) == (0, True, "alice")
    assert not (tmp_path / "another").exists()

    altered = json.loads(Path("request.json").read_text())
    altered["decisions"][0]["note"] = "never"
    Path("request.json").write_text(json.dumps(altered))
    assert command(*offline).status == 4
    others = json.loads(Path("reviewers.json").read_text())
    others[1]["credential_id"] = Authenticator().id.hex()
    Path("reviewers.json").write_text(json.dumps(others))
    assert command(*offline).status == 4
    Path("reviewers.json").write_text("{}")
    assert command(*offline).status == 2


def test_slack_buttons_are_not_served_where_decisions_are_proved(deployed: tuple[Deployment, Command]) -> None:
    _, command = deployed
    Path("arx.toml").write_text('[approvals.slack]\nchannel = "#ops"\nusers = {U1 = "alice"}\n')
    done = command("approvals", "serve")
    assert (done.status, "arx-pagerduty console" in done.err) == (2, True)


def test_doctor_and_policy_check_warn_where_a_name_is_enough(
    sandboxed: Command, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    monkeypatch.setenv("ARX_SANDBOX", "0")
    monkeypatch.setenv("PAGERDUTY_API_KEY", "k")
    monkeypatch.setenv("PAGERDUTY_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ARX_WEBHOOK_URL", "https://hooks.example.com/x")
    monkeypatch.setenv("ARX_WEBHOOK_SECRET", "s" * 32)
    warned = "approves under any name"
    assert warned not in sandboxed("doctor", "-o", "json").out
    before = sandboxed("policy", "check", "-o", "json").out
    assert warned not in before
    monkeypatch.setenv("ARX_APPROVALS_PROOF", "name")
    assert warned in sandboxed("doctor", "-o", "json").out
    found = sandboxed("policy", "check", "--strict", "-o", "json")
    assert (found.status, warned in found.out) == (1, True)
