"""On a terminal: the demo asks, a denial is shown, Ctrl-C ends every prompt; other locales lose nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import POLICIES, Command
from tests.cli.terminal import on_a_terminal

ADMIN = {"ARX_SANDBOX": "1", "ARX_POLICY": str(POLICIES / "pd-full-admin.yaml"), "ARX_AGENT_ID": "agent-7"}
CTRL_C = "\x03"


def test_a_denial_in_the_demo_is_shown_with_its_record_and_the_log_verifies() -> None:
    done = on_a_terminal("demo", typed=[("Approve?", "n\n")], width=120)
    assert done.status == 0, done.text
    assert "connector.refused, blocked, ApprovalDeniedError" in done.text
    assert "Not sent. " in done.text
    assert "records: the chain holds" in done.text


def test_an_approval_in_the_demo_sends_the_call() -> None:
    done = on_a_terminal("demo", typed=[("Approve?", "y\n")], width=120)
    assert done.status == 0, done.text
    assert "Not sent" not in done.text
    assert "connector.refused" not in done.text


@pytest.mark.parametrize(
    ("arguments", "prompt", "environ"),
    [
        (["demo"], "Approve?", {}),
        (["init"], "? [env]", {}),
        (["vault", "set"], "API key", {"ARX_VAULT_URL": "file:///proc/none", "ARX_VAULT_KEY": "A" * 43 + "="}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_ctrl_c_ends_every_prompt(arguments: list[str], prompt: str, environ: dict[str, str], tmp_path: Path) -> None:
    done = on_a_terminal(*arguments, typed=[(prompt, CTRL_C)], cwd=tmp_path, **environ)
    assert (done.status, "Stopped." in done.text) == (130, True), done.text
    assert list(tmp_path.glob("*.*")) == []


def test_ctrl_c_ends_a_signature_that_waits_for_a_yes(sandboxed: Command, here: Path) -> None:
    made = sandboxed("approvals", "keygen", "--reviewer", "ada", "--file", "ada.key", "-o", "json").json
    (here / "arx.toml").write_text(f'[approvals.reviewers]\nada = "{made["public_key"]}"\n')
    sandboxed("call", "services:delete", "service_id=PABC123")
    (request,) = sandboxed("approvals", "list", "-o", "json").json
    arguments = ("approvals", "approve", request["id"], "--key", "ada.key")
    done = on_a_terminal(*arguments, typed=[("as ada?", CTRL_C)], cwd=here)
    assert done.status == 130, done.text
    assert sandboxed("approvals", "show", request["id"], "-o", "json").json["state"] == "pending"


def test_ctrl_c_ends_the_mcp_server_on_a_terminal() -> None:
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    done = on_a_terminal("mcp", typed=[("", hello + "\n"), ('"result"', CTRL_C)], **ADMIN)
    assert done.status == 0, done.text
    assert '"id":1' in done.text


@pytest.mark.parametrize(("locale", "output"), [("C", "json"), ("POSIX", "table")])
def test_a_locale_without_utf8_loses_no_character(locale: str, output: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "arx_wrapper.cli", "call", "incidents:create", "service_id=PABC123"]
    environ = {**os.environ, **ADMIN, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(  # noqa: S603
        [*command, "title=Brücke 漢 😀", "-o", output], cwd=tmp_path, env=environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Brücke 漢 😀" in done.stdout.decode("utf-8")


def test_a_command_line_in_no_encoding_is_a_usage_error(tmp_path: Path) -> None:
    command = [os.fsencode(sys.executable), b"-m", b"arx_wrapper.cli", b"call", b"incidents:create", b"title=\xff"]
    environ = {**os.environ, **ADMIN, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"not UTF-8. Nothing was sent." in done.stderr
