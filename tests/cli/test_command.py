"""The command as it is used: a process, its stdout, its exit status."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from arx_wrapper import EXTENSIONS, OPERATIONS
from tests.cli.conftest import POLICIES, Command
from tests.support import CANARY, PATIENCE, sqlite_at

Run = Callable[..., "subprocess.CompletedProcess[str]"]
WINDOW = ["start_time=2025-06-15T02:00:00Z", "end_time=2025-06-15T04:00:00Z", "service_ids=PABC123"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ARX_", "PAGERDUTY_", "COLUMNS"))},
        "HOME": str(tmp_path),
        "ARX_SANDBOX": "1",
        "ARX_POLICY": str(POLICIES / "pd-full-admin.yaml"),
        "ARX_APPROVALS_MODE": "raise",
        "ARX_AGENT_ID": "agent-7",
        "NO_COLOR": "1",
    }


@pytest.fixture
def process(environ: dict[str, str], tmp_path: Path) -> Run:
    def runner(*arguments: str, env: dict[str, str] | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "arx_wrapper.cli", *arguments],
            env={**environ, **(env or {})},
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stdout + done.stderr
        assert CANARY not in done.stdout + done.stderr
        return done

    return runner


@pytest.fixture
def run(sandboxed: Command, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this process, with variables and a stdin of its own for one run."""

    def runner(*arguments: str, env: dict[str, str] | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            done = sandboxed(*arguments)
        return subprocess.CompletedProcess(arguments, done.status, done.out, done.err)

    return runner


def test_the_demo_runs_approves_and_verifies(process: Run) -> None:
    done = process("demo", "--yes")
    assert done.returncode == 0, done.stderr
    for said in ("list_incidents", "ESCALATE at HIGH", "approved by demo-reviewer", "the chain holds"):
        assert said in done.stdout


def test_the_demo_without_a_terminal_approves_as_its_own_reviewer_and_says_so(run: Run) -> None:
    done = run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    for said in ("There is no terminal to ask on: approved by demo-reviewer", "the chain holds"):
        assert said in done.stdout


def test_ops_lists_what_policy_says(run: Run) -> None:
    rows = json.loads(run("ops", "--output", "json").stdout)
    assert [row["operation"] for row in rows] == [*OPERATIONS, *EXTENSIONS]
    assert {row["verdict"] for row in rows if row["risk"] == "HIGH"} == {"ESCALATE"}
    assert "incidents:merge" in run("ops", "incidents:*").stdout
    assert run("ops", "nothing:*").returncode == 2


def test_call_prints_json_and_nothing_else(run: Run) -> None:
    done = run(
        "call", "incidents:read", "statuses=triggered,acknowledged", "limit=2", "total=true", "sort_by=created_at:desc"
    )
    assert done.returncode == 0
    body = json.loads(done.stdout)
    assert (len(body["incidents"]), body["limit"]) == (2, 2)


def test_call_takes_parameters_as_json_and_shows_tables(run: Run) -> None:
    done = run("call", "incidents:read_detail", "--json", '{"incident_id": "P1234AB"}', "--output", "table")
    assert "P1234AB" in done.stdout
    many = run("call", "users:read", "--output", "table").stdout.splitlines()
    assert len(many) > 5


def test_a_dry_run_sends_nothing_and_records_nothing(run: Run) -> None:
    done = run("call", "incidents:update", "incident_id=P1234AB", "status=resolved", "--dry-run")
    plan = json.loads(done.stdout)
    assert (plan["verdict"], plan["request"]["path"]) == ("PERMIT", "/incidents/P1234AB")
    assert ["incidents:resolve", "MEDIUM", 1] in plan["effects"]
    assert run("audit", "export").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "env", "status", "said"),
    [
        (["call", "incidents:read_detail", "incident_id=NOSUCHONE"], {}, 1, "404"),
        (
            ["call", "users:read"],
            {"ARX_SANDBOX": "0", "PAGERDUTY_API_KEY": "k", "PAGERDUTY_BASE_URL": "http://127.0.0.1:1"},
            1,
            "Nothing",
        ),
        (["call", "incidents:reslove", "incident_id=P1"], {}, 2, "incidents:resolve"),
        (["call", "incidents:resolve"], {}, 2, "incident_id"),
        (["call", "incidents:read", "limit=many"], {}, 2, "1 to 100"),
        (["call", "incidents:read", "limit"], {}, 2, "key=value"),
        (["call", "incidents:read", "--json", "["], {}, 2, "JSON"),
        (["call", "users:read"], {"ARX_SANDBOX": "0"}, 2, "PAGERDUTY_API_KEY"),
        (["call", "users:read"], {"ARX_SANDBOX": "0", "PAGERDUTY_API_KEY": CANARY + "\n"}, 2, "line break"),
        (["call", "users:read"], {"ARX_POLICY": "missing.yaml"}, 2, "missing.yaml"),
        (["call", "users:read"], {"ARX_APPROVALS_MODE": "ask"}, 2, "ARX_APPROVALS_MODE"),
        (["nonsense"], {}, 2, "nonsense"),
        (["call", "rules:read"], {"ARX_POLICY": str(POLICIES / "pd-incident-responder.yaml")}, 3, "rules:read"),
        (["call", "users:read"], {"ARX_POLICY": ""}, 3, "ARX_POLICY"),
        (["call", "maintenance:create", *WINDOW], {}, 4, "waits for a reviewer"),
        (["approvals", "show", "none"], {}, 4, "none"),
        (["call", "users:read"], {"ARX_AUDIT_URL": "sqlite:////proc/nowhere/audit.db"}, 5, "audit log"),
    ],
)
def test_every_way_to_end_has_its_exit_status(
    sandboxed: Command,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    env: dict[str, str],
    status: int,
    said: str,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    done = sandboxed(*arguments)
    assert (done.status, done.out) == (status, "")
    assert said in done.err


def test_an_approval_is_given_in_another_process_and_used_once(process: Run, run: Run) -> None:
    assert process("call", "maintenance:create", *WINDOW).returncode == 4
    (request,) = json.loads(run("approvals", "list", "--state", "pending", "--output", "json").stdout)
    assert (request["operation"], request["agent_id"], request["risk"]) == ("maintenance:create", "agent-7", "HIGH")
    assert "PABC123" in run("approvals", "show", request["id"]).stdout
    own = run("approvals", "approve", request["id"], "--reviewer", "agent-7")
    assert own.returncode == 4
    assert run("approvals", "approve", request["id"], "--reviewer", "ada", "--note", "go").returncode == 0
    assert process("call", "maintenance:create", *WINDOW, "--approval", request["id"]).returncode == 0
    assert run("call", "maintenance:create", *WINDOW, "--approval", request["id"]).returncode == 4
    records = [json.loads(line) for line in run("audit", "export").stdout.splitlines()]
    reviewed = [record["status"] for record in records if record["action_type"] == "approval.reviewed"]
    assert reviewed == ["error", "success", "success"], "what did not count is on record as well, and that it was used"
    assert run("audit", "verify").returncode == 0


def test_a_process_ends_with_its_status(process: Run) -> None:
    assert process("call", "incidents:read_detail", "incident_id=NOSUCHONE").returncode == 1
    assert process("call", "rules:read", env={"ARX_POLICY": ""}).returncode == 3


def test_a_denied_approval_denies(run: Run) -> None:
    run("call", "maintenance:create", *WINDOW)
    (request,) = json.loads(run("approvals", "list", "--output", "json").stdout)
    assert run("approvals", "deny", request["id"], "--reviewer", "ada").returncode == 0
    assert run("call", "maintenance:create", *WINDOW, "--approval", request["id"]).returncode == 4


def test_the_kill_switch_stops_an_agent_in_its_next_call(run: Run) -> None:
    assert run("call", "users:read").returncode == 0
    assert run("agents", "suspend", "agent-7", "--reason", "paged everybody").returncode == 0
    stopped = run("call", "users:read")
    assert stopped.returncode == 3
    assert "paged everybody" in stopped.stderr
    assert run("--agent", "another", "call", "users:read").returncode == 0
    assert run("agents", "resume", "agent-7").returncode == 0
    assert run("call", "users:read").returncode == 0


def test_policy_is_checked_and_explained(run: Run, tmp_path: Path) -> None:
    assert "4 entries, valid" in run("policy", "check", str(POLICIES), "-o", "table").stdout
    broken = tmp_path / "broken.yaml"
    broken.write_text("- name: a\n  connector: pagerduty\n  denny: []\n")
    done = run("policy", "check", str(broken))
    assert done.returncode == 2
    assert f"{broken}:3" in done.stderr
    assert "'deny'" in done.stderr
    explained = json.loads(run("policy", "explain", "services:delete", "-o", "json").stdout)
    assert (explained["verdict"], explained["policy"]) == ("ESCALATE", "pd-full-admin")
    assert explained["source"].endswith("pd-full-admin.yaml:2")
    assert run("policy", "explain", "rules:read", env={"ARX_POLICY": ""}).returncode == 3
    assert json.loads(run("policy", "schema").stdout)["type"] == "array"


def test_the_audit_log_is_shown_verified_and_exported(run: Run, tmp_path: Path) -> None:
    run("call", "users:read")
    run("call", "teams:read")
    assert "teams:read" in run("audit", "tail", "-n", "1").stdout
    assert run("audit", "verify", "-o", "json").stdout.startswith('{"ok":true')
    exported = tmp_path / "out.csv"
    assert run("audit", "export", "--format", "csv", "--file", str(exported)).returncode == 0
    header, *rows = exported.read_text().splitlines()
    assert header.startswith("id,seq,created_at")
    assert len(rows) == 6
    assert len(run("audit", "export", "--operation", "users:*").stdout.splitlines()) == 2


def test_a_broken_chain_is_an_audit_failure(run: Run, tmp_path: Path) -> None:

    run("call", "users:read")
    with sqlite_at(Path(os.environ["XDG_STATE_HOME"]) / "arx" / "sandbox.db") as database:
        database.executescript("DROP TRIGGER audit_no_delete; DELETE FROM audit WHERE seq = 2;")
    done = run("audit", "verify")
    assert done.returncode == 5
    assert "record 2" in done.stderr


def test_a_key_is_stored_encrypted_and_never_shown(run: Run, tmp_path: Path) -> None:
    env = {
        "ARX_SANDBOX": "0",
        "ARX_VAULT_URL": f"file://{tmp_path}/vault",
        "ARX_VAULT_KEY": base64.b64encode(bytes(32)).decode(),
    }
    stored = run("vault", "set", "--email", "bot@example.com", env=env, stdin=f"{CANARY}\n")
    assert stored.returncode == 0, stored.stderr
    assert "bot@example.com" in run("vault", "status", env=env).stdout
    assert all(CANARY.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_the_sandbox_is_served_until_it_is_stopped(environ: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "arx_wrapper.cli", "sandbox", "--output", "json"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as served:  # noqa: S603
        assert served.stdout
        found: dict[str, Any] = json.loads(served.stdout.readline())
        answer = httpx.get(
            f"{found['url']}/users",
            headers={"Authorization": f"Token token={found['token']}"},
            trust_env=False,
            timeout=PATIENCE,
        )
        assert answer.status_code == 200
        assert "@example.com" in found["email"]
        served.send_signal(signal.SIGTERM)
        assert served.wait(60) in (0, -signal.SIGTERM)


def test_a_reader_that_goes_away_is_no_error(environ: dict[str, str], tmp_path: Path) -> None:
    command = f"{sys.executable} -m arx_wrapper.cli ops --output json | head -c 10"
    done = subprocess.run(command, shell=True, env=environ, capture_output=True, text=True, timeout=60)  # noqa: S602
    assert "Traceback" not in done.stderr
