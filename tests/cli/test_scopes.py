"""The least OAuth scopes for a policy, what an app lacks of them, and the one that a 403 is about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from arx_wrapper import ForbiddenError, PagerDutyConnector
from arx_wrapper.core.scopes import compared, needed
from arx_wrapper.pagerduty.operations import TABLE
from arx_wrapper.sandbox.faults import Fault
from tests.cli.conftest import POLICIES, Command
from tests.support import EVERYTHING


def test_every_operation_states_its_scopes_but_those_that_pagerduty_does_not_document() -> None:
    without = {row.name for row in TABLE.values() if not row.scopes}
    assert without <= {"rules:read", "rules:create", "rules:update", "users:read_me"}
    assert TABLE["analytics:read"].scopes == ("analytics.write",)
    assert TABLE["incidents:resolve"].scopes == ("incidents.write",)
    assert TABLE["users:read_contact"].scopes == ("users:contact_methods.read",)


def policy_of(here: Path, *operations: str) -> str:
    file = here / "policy.yaml"
    file.write_text(f"- name: p\n  connector: pagerduty\n  operations: {json.dumps(operations)}\n  risk_max: high\n")
    return str(file)


def test_policy_scopes_lists_the_least(command: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARX_POLICY", policy_of(here, "analytics:*", "teams:read"))
    done = command("policy", "scopes", "-o", "json")
    assert done.json == {
        "scopes": ["analytics.write", "teams.read"],
        "needed_by": {"analytics.write": ["analytics:read", "analytics:services"], "teams.read": ["teams:read"]},
    }
    assert "analytics.write" in command("policy", "scopes", "-o", "table").out


def test_a_write_also_needs_to_read_what_it_changes(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARX_POLICY", policy_of(here, "services:update"))
    assert command("policy", "scopes", "-o", "json").json["scopes"] == ["services.read", "services.write"]


def test_a_policy_that_permits_nothing_needs_nothing(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "policy.yaml").write_text("- name: p\n  connector: pagerduty\n  deny: ['*']\n")
    monkeypatch.setenv("ARX_POLICY", str(here / "policy.yaml"))
    assert command("policy", "scopes", "-o", "json").json == {"scopes": [], "needed_by": {}}
    assert "needs no scope" in command("policy", "scopes", "-o", "table").out


def test_what_is_lacking_and_what_is_idle() -> None:
    wanted = needed([TABLE["teams:read"], TABLE["users:read"]])
    assert compared(wanted, ["teams.read", "as_account-us.acme", "services.write"]) == (
        ["users.read"],
        ["services.write"],
    )


class Tokens(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"access_token": "t" * 20, "token_type": "bearer", "expires_in": 600}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def tokens() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Tokens) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/oauth/token"
        server.shutdown()


@pytest.mark.parametrize(
    ("scope", "state", "found"),
    [
        ("as_account-us.acme teams.read users.read", "ok", "2 scopes, as policy needs them"),
        ("as_account-us.acme teams.read", "warning", "lacks users.read, which policy can need for users:read"),
        ("teams.read users.read services.write", "warning", "has services.write, which no permitted operation needs"),
    ],
)
def test_doctor_compares_the_apps_scopes_with_the_policys(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch, tokens: str, scope: str, state: str, found: str
) -> None:
    for name, value in (("CLIENT_ID", "app"), ("CLIENT_SECRET", "s" * 20), ("SCOPE", scope), ("URL", tokens)):
        monkeypatch.setenv(f"PAGERDUTY_OAUTH_{name}", value)
    monkeypatch.setenv("ARX_VAULT_URL", "oauth:")
    monkeypatch.setenv("PAGERDUTY_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ARX_POLICY", policy_of(here, "teams:read", "users:read"))
    checks = {check["check"]: check for check in command("doctor", "-o", "json").json["checks"]}
    assert checks["scopes"]["state"] == state, checks
    assert found in checks["scopes"]["found"]


async def test_a_403_names_the_scope_that_the_call_needs() -> None:
    denied = {"error": {"code": 2010, "message": "Access Denied"}}
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        assert pd.sandbox_account is not None
        pd.sandbox_account.faults.add(Fault(path="/teams", status=403, body=denied))
        with pytest.raises(ForbiddenError, match=r"Access Denied; a key with scopes needs teams\.read") as raised:
            await pd.list_teams()
        assert (raised.value.code, raised.value.operation) == (2010, "teams:read")
        pd.sandbox_account.faults.add(Fault(path="/event_rules", status=403, body=denied))
        with pytest.raises(ForbiddenError) as raised:
            await pd.list_event_rules()
        assert "scope" not in str(raised.value)


def test_the_reference_policies_have_their_scopes(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARX_POLICY", str(POLICIES / "pd-oncall-readonly.yaml"))
    scopes = command("policy", "scopes", "-o", "json").json["scopes"]
    assert "analytics.write" in scopes
    assert all(scope.endswith(".read") for scope in scopes if scope != "analytics.write")
