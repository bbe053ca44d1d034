"""`doctor` names cause and remedy in every set-up that is broken, and finds nothing in one that is not."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.faults import Fault
from arx_wrapper.sandbox.server import run_in_thread
from tests.cli.conftest import POLICIES, Command, Done
from tests.support import CANARY, sqlite_at

VAULT_KEY = base64.b64encode(bytes(32)).decode()
ENTRY = "- name: all\n  connector: pagerduty\n  operations: ['*']\n"


@pytest.fixture
def sound(command: Command, server: tuple[str, Sandbox], monkeypatch: pytest.MonkeyPatch) -> Command:
    """A set-up with nothing wrong: a served account, its key and requester, a policy."""
    url, sandbox = server
    monkeypatch.setenv("PAGERDUTY_BASE_URL", url)
    monkeypatch.setenv("PAGERDUTY_API_KEY", sandbox.token)
    monkeypatch.setenv("PAGERDUTY_REQUESTER_EMAIL", sandbox.email)
    monkeypatch.setenv("ARX_POLICY", str(POLICIES / "pd-incident-responder.yaml"))
    monkeypatch.setenv("ARX_AGENT_ID", "agent-7")
    return command


def test_nothing_is_wrong_with_a_sound_set_up(sound: Command) -> None:
    done = sound("doctor", "-o", "json")
    assert (done.status, done.json["ok"]) == (0, True), done.out
    assert [check["check"] for check in done.json["checks"]] == [
        *("configuration", "files", "policy", "audit log", "approvals", "vault", "server", "clock", "key", "requester")
    ]
    assert {check["state"] for check in done.json["checks"]} == {"ok"}
    assert "Nothing is wrong." in sound("doctor", "-o", "table").out


class Break:
    """Each method breaks one thing; its docstring: the check that names it, words of the cause, words of the remedy."""

    def __init__(self, sound: Command, here: Path, patch: pytest.MonkeyPatch) -> None:
        self.sound, self.here, self.set = sound, here, patch.setenv
        self.unset = patch.delenv

    def misspelt_setting(self) -> None:
        """configuration | did you mean 'approvals.mode' | Correct the file"""
        (self.here / "arx.toml").write_text('[approvals]\nmod = "wait"\n')

    def secret_in_the_file(self) -> None:
        """configuration | 'pagerduty.api_key' is a secret | Correct the file"""
        (self.here / "arx.toml").write_text(f'[pagerduty]\napi_key = "{CANARY}"\n')

    def no_policy(self) -> None:
        """policy | no policy is configured | arx-pagerduty init"""
        self.unset("ARX_POLICY")

    def policy_that_does_not_load(self) -> None:
        """policy | policy.yaml:3: | policy check"""
        (self.here / "policy.yaml").write_text("- name: a\n  connector: pagerduty\n  operatoins: ['*']\n")
        self.set("ARX_POLICY", "policy.yaml")

    def policy_for_somebody_else(self) -> None:
        """policy | permits nothing to agent 'agent-7' | policy explain"""
        (self.here / "policy.yaml").write_text(ENTRY + "  agents: [agent-8]\n  risk_max: low\n  approval: none\n")
        self.set("ARX_POLICY", "policy.yaml")

    def audit_log_nowhere(self) -> None:
        """audit log | cannot | ARX_AUDIT_URL"""
        self.set("ARX_AUDIT_URL", "sqlite:////proc/nowhere/audit.db")
        self.set("ARX_APPROVALS_URL", f"sqlite:///{self.here}/approvals.db")

    def audit_log_tampered_with(self) -> None:
        """audit log | chain is broken | copy as evidence"""
        assert self.sound("call", "users:read").status == 0
        log = Path(os.environ["XDG_STATE_HOME"]) / "arx" / "audit.db"
        with sqlite_at(log) as database:
            database.executescript("DROP TRIGGER audit_no_delete; DELETE FROM audit WHERE seq = 2;")
        database.close()

    def slack_without_its_token(self) -> None:
        """approvals | SLACK_BOT_TOKEN is not set | approvals in arx.toml"""
        (self.here / "arx.toml").write_text('[approvals.slack]\nchannel = "#ops"\n')

    def no_key(self) -> None:
        """vault | PAGERDUTY_API_KEY is not set | export PAGERDUTY_API_KEY"""
        self.unset("PAGERDUTY_API_KEY")

    def key_with_a_line_break(self) -> None:
        """vault | line break | as the PagerDuty console shows it"""
        self.set("PAGERDUTY_API_KEY", CANARY + "\n")

    def vault_that_others_may_read(self) -> None:
        """vault | others may read it | vault set"""
        vault = self.here / "vault"
        vault.write_text("{}")
        vault.chmod(0o644)
        self.set("ARX_VAULT_URL", f"file://{vault}")
        self.set("ARX_VAULT_KEY", VAULT_KEY)

    def hashicorp_without_a_way_in(self) -> None:
        """vault | No login to the vault | VAULT_ADDR"""
        self.set("ARX_VAULT_URL", "hashicorp://secret/pagerduty")
        self.set("VAULT_ADDR", "https://vault.example:8200")

    def server_that_is_not_there(self) -> None:
        """server | the connection is refused | firewall"""
        self.set("PAGERDUTY_BASE_URL", "http://127.0.0.1:1")

    def server_without_tls(self) -> None:
        """server | the API key would be readable | https://api.pagerduty.com"""
        self.set("PAGERDUTY_BASE_URL", "http://api.example.com")

    def key_that_was_revoked(self) -> None:
        """key | 401 | Integrations, API Access Keys"""
        self.set("PAGERDUTY_API_KEY", "revoked")

    def agent_that_is_suspended(self) -> None:
        """key | paged everybody | agents resume"""
        assert self.sound("agents", "suspend", "agent-7", "--reason", "paged everybody").status == 0

    def no_requester(self) -> None:
        """requester | no requester's email | PAGERDUTY_REQUESTER_EMAIL"""
        self.unset("PAGERDUTY_REQUESTER_EMAIL")

    def requester_of_another_account(self) -> None:
        """requester | no user nobody@example.com | one of its users"""
        self.set("PAGERDUTY_REQUESTER_EMAIL", "nobody@example.com")


@pytest.mark.parametrize("how", [name for name in vars(Break) if not name.startswith("_")])
def test_a_broken_set_up_is_named_with_cause_and_remedy(
    sound: Command, here: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    expected, cause, remedy = getattr(Break, how).__doc__.split(" | ")
    getattr(Break(sound, here, monkeypatch), how)()
    done = sound("doctor", "--output", "json")
    assert (done.status, done.json["ok"], done.err) == (1, False, "")
    (wrong,) = [check for check in done.json["checks"] if check["state"] == "wrong"]
    assert wrong["check"] == expected
    assert cause in wrong["found"]
    assert remedy in wrong["remedy"]


@contextmanager
def clock_behind(answer: bytes) -> Iterator[str]:
    """A server whose time stands still, long ago."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return "Sun, 01 Jun 2025 12:00:00 GMT"

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as stand_in:
        thread = threading.Thread(target=stand_in.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{stand_in.server_address[1]}"
        finally:
            stand_in.shutdown()
            thread.join()


def test_a_clock_that_is_off_is_named(sound: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with clock_behind(b'{"users": [], "services": []}') as url:
        monkeypatch.setenv("PAGERDUTY_BASE_URL", url)
        checks = {check["check"]: check for check in sound("doctor", "-o", "json").json["checks"]}
    assert checks["clock"]["state"] == "wrong"
    assert "ahead of the server's" in checks["clock"]["found"]
    assert "NTP" in checks["clock"]["remedy"]


@pytest.mark.parametrize("answer", [b'{"users": [null], "services": []}', b'{"users": [{}]}', b'{"users": 5}', b"{}"])
def test_a_server_that_is_not_pagerduty_is_named(
    sound: Command, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    with clock_behind(answer) as url:
        monkeypatch.setenv("PAGERDUTY_BASE_URL", url)
        checks = {check["check"]: check for check in sound("doctor", "-o", "json").json["checks"]}
        assert checks["requester"]["state"] == "wrong"
        assert "its response" in checks["requester"]["found"]
        for command in (
            ("users", "show", "name:Ada"),
            ("incidents", "show", "41"),
            ("analytics", "-o", "table"),
            ("call", "incidents:create", "title=x", "service_id=P1", "--dry-run", "-o", "json"),
            ("call", "incidents:reassign", "incident_id=P1", "assignee_ids=P2", "--dry-run", "-o", "json"),
            ("call", "incidents:create", "title=x", "service_id=P1", "escalation_policy_id=P1", "--dry-run"),
        ):
            assert "Unexpected" not in sound(*command).err, command


def test_a_certificate_that_nobody_vouches_for_is_named(sound: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_in_thread(Sandbox(), tls=True) as served:
        monkeypatch.setenv("PAGERDUTY_BASE_URL", served.url)
        checks = {check["check"]: check for check in sound("doctor", "-o", "json").json["checks"]}
        assert checks["server"]["found"].endswith("its certificate is not trusted here")
        assert "SSL_CERT_FILE" in checks["server"]["remedy"]
        monkeypatch.setenv("SSL_CERT_FILE", str(served.ca_file))
        checks = {check["check"]: check for check in sound("doctor", "-o", "json").json["checks"]}
        assert (checks["server"]["state"], checks["key"]["state"]) == ("ok", "ok")


def test_the_database_password_is_not_shown(sound: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARX_APPROVALS_URL", f"postgresql://arx:{CANARY}@127.0.0.1:1/arx")
    assert sound("doctor").status == 1  # the fixture searches its output for the password


@pytest.mark.parametrize(
    ("path", "state", "status"), [("/services", "warning", 0), ("/*", "wrong", 1)], ids=["one read", "every read"]
)
def test_what_the_key_may_not_read_is_named(
    sound: Command, server: tuple[str, Sandbox], path: str, state: str, status: int
) -> None:
    faults = server[1].faults
    faults.add(Fault(path=path, status=403, times=None, body={"error": {"code": 2010, "message": "Access Denied"}}))
    try:
        done = sound("doctor", "-o", "json")
    finally:
        faults.clear()
    key = next(check for check in done.json["checks"] if check["check"] == "key")
    assert (done.status, key["state"]) == (status, state)
    assert "services:read" in key["found"]
    assert "users:read" in key["found"] or state == "warning"
    assert "take these out of the policy" in key["remedy"]


def test_it_changes_nothing_and_its_reads_are_on_record(sound: Command, server: tuple[str, Sandbox]) -> None:
    seen = len(server[1].requests)
    assert sound("doctor").status == 0
    assert {request.method for request in server[1].requests[seen:]} == {"GET"}
    records = [json.loads(line) for line in sound("audit", "export").out.splitlines()]
    assert {record["operation"] for record in records if record["operation"]} >= {"users:read", "services:read"}


def test_configuration_that_others_can_change_is_named(
    sound: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = here / "policy.yaml"
    policy.write_bytes(Path(os.environ["ARX_POLICY"]).read_bytes())
    policy.chmod(0o666)
    monkeypatch.setenv("ARX_POLICY", str(policy))
    (found,) = [check for check in sound("doctor", "-o", "json").json["checks"] if check["check"] == "files"]
    assert (found["state"], f"{policy} is writable by every user" in found["found"]) == ("warning", True)
    assert "chmod go-w" in found["remedy"]


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("hi", "holds no certificate")])
def test_a_file_of_certificates_that_cannot_be_used_is_named(
    sound: Command, here: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, said: str
) -> None:
    file = here / "ca.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    done = sound("doctor", "-o", "json")
    checks = {check["check"]: check for check in done.json["checks"]}
    for found in (checks["files"], checks["server"]):
        assert (done.status, found["state"], said in found["found"]) == (1, "wrong", True)
        assert "SSL_CERT_FILE" in found["remedy"]


def test_a_password_in_the_base_url_is_not_shown(sound: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGERDUTY_BASE_URL", f"https://user:{CANARY}@api.pagerduty.com")
    done = sound("doctor")
    assert (done.status, "holds a user or password" in done.out) == (1, True)
    assert CANARY not in done.out + done.err


def by_name(done: Done) -> dict[str, dict[str, str]]:
    return {check["check"]: check for check in done.json["checks"]}


def test_every_path_in_use_is_printed(sound: Command, here: Path) -> None:
    (here / "arx.toml").write_text('[audit]\nurl = "sqlite:///log/audit.db"\n')
    checks = by_name(sound("doctor", "-o", "json"))
    assert f"settings from {here / 'arx.toml'}" in checks["configuration"]["found"]
    assert str(POLICIES / "pd-incident-responder.yaml") in checks["files"]["found"]
    assert f"{here / 'log' / 'audit.db'}: " in checks["audit log"]["found"]
    assert f"its key: {here / 'log' / 'audit.db.key'}" in checks["audit log"]["found"]
    assert f"{here / 'log' / 'audit.db'}: 0 requests wait" in checks["approvals"]["found"]


@pytest.fixture
def asking(sound: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A policy that asks reviewers, of whom a name is proof enough."""
    monkeypatch.setenv("ARX_POLICY", str(POLICIES / "pd-full-admin.yaml"))
    monkeypatch.setenv("ARX_APPROVALS_PROOF", "name")
    monkeypatch.setenv("ARX_APPROVALS_MODE", "raise")
    return sound


def test_reviewers_whom_nothing_notifies_are_a_warning(asking: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asking("--agent", "agent-8", "call", "services:delete", "service_id=PABC123").status == 4
    found = by_name(asking("doctor", "-o", "json"))["approvals"]
    assert found["state"] == "warning"
    assert "1 request waits; policy asks reviewers for 4 operations, and nothing notifies them" in found["found"]
    assert "under any name" in found["found"], "one fault does not hide the other"
    monkeypatch.setenv("ARX_WEBHOOK_URL", "https://hooks.example.com/arx")
    monkeypatch.setenv("ARX_WEBHOOK_SECRET", "a secret of at least 32 characters")
    told = by_name(asking("doctor", "-o", "json"))["approvals"]
    assert "1 request waits, 0 of this agent" in told["found"]
    assert "nothing notifies" not in told["found"]
    assert (told["state"], "under any name" in told["found"]) == ("warning", True), (
        "approvals.proof = name outside the sandbox"
    )


@pytest.mark.parametrize(
    ("sandbox", "policy", "said"),
    [
        ("", "pd-oncall-readonly", "no reviewer is enrolled, and none is needed"),
        ("1", "pd-oncall-readonly", "no reviewer is enrolled, and none is needed"),  # where a name is proof enough
        ("1", "pd-full-admin", "reviewers by name"),
    ],
)
def test_names_are_said_to_count_where_policy_asks_for_reviewers_alone(
    sound: Command, monkeypatch: pytest.MonkeyPatch, sandbox: str, policy: str, said: str
) -> None:
    monkeypatch.setenv("ARX_POLICY", str(POLICIES / f"{policy}.yaml"))
    monkeypatch.setenv("ARX_WEBHOOK_URL", "https://hooks.example.com/arx")
    monkeypatch.setenv("ARX_WEBHOOK_SECRET", "a secret of at least 32 characters")
    if sandbox:
        monkeypatch.setenv("ARX_SANDBOX", sandbox)
    found = by_name(sound("doctor", "-o", "json"))["approvals"]
    assert found["state"] == "ok"
    assert found["found"].endswith(f"; {said}")


def test_a_policy_that_asks_reviewers_where_none_is_enrolled_is_a_warning(
    asking: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARX_APPROVALS_PROOF", "required")
    found = by_name(asking("doctor", "-o", "json"))["approvals"]
    assert (found["state"], "none is enrolled" in found["found"]) == ("warning", True)
    assert "reviewers invite" in found["remedy"]


def test_a_log_that_is_younger_than_its_key_may_have_replaced_a_removed_one(
    sound: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{here}/audit.db")
    assert sound("call", "teams:read").status == 0
    assert check_of(sound("doctor", "-o", "json"), "audit log")["state"] == "ok"
    (here / "audit.db").unlink()
    os.utime(here / "audit.db.key", (time.time() - 48 * 3600, time.time() - 48 * 3600))
    assert sound("call", "teams:read").status == 0
    found = check_of(sound("doctor", "-o", "json"), "audit log")
    assert found["state"] == "warning"
    assert "the first is 48 h younger than the log's key" in found["found"]
    assert "an earlier log was removed: restore it" in found["remedy"]


def check_of(done: Done, name: str) -> dict[str, str]:
    return next(check for check in done.json["checks"] if check["check"] == name)
