"""The documentation: it builds without a warning, and every code block in it runs."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import errors, policy
from arx_wrapper.config import Config
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy.entry import KEYS
from arx_wrapper.policy.schema import MEANINGS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EVERYTHING = '- {name: all, connector: pagerduty, operations: ["*"], risk_max: medium, approval: none}\n'


def blocks(language: str) -> Iterator[Any]:
    for page in sorted(DOCS.glob("*.md")):
        for number, (found, text) in enumerate(_BLOCK.findall(page.read_text("utf-8")), 1):
            if found == language and not text.startswith("--8<--"):  # an example, which tests/examples runs
                yield pytest.param(text, id=f"{page.stem}-{number}")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@pytest.mark.parametrize("block", list(blocks("python")))
async def test_every_python_block_runs_in_the_sandbox(
    block: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "all.yaml").write_text(EVERYTHING)
    monkeypatch.setenv("ARX_SANDBOX", "1")
    monkeypatch.setenv("ARX_POLICY", "all.yaml")
    code = compile(block, "docs", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, {"__name__": "docs"})  # noqa: S307 - our own page
    if inspect.iscoroutine(running):
        await running


@pytest.mark.parametrize("block", list(blocks("sh")))
def test_every_shell_block_runs(block: str, elsewhere: Path) -> None:
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-euc", block], env=environ, capture_output=True, text=True, check=False)  # noqa: S603, S607
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", list(blocks("yaml")))
def test_every_policy_loads(block: str, elsewhere: Path) -> None:
    (elsewhere / "policy.yaml").write_text(block)
    assert policy.load(elsewhere / "policy.yaml", registry=RISKS, connector="pagerduty").entries


@pytest.mark.parametrize("block", list(blocks("toml")))
def test_every_setting_is_known(block: str, elsewhere: Path) -> None:
    assert tomllib.loads(block)
    (elsewhere / "arx.toml").write_text(block)
    assert Config.load({}, elsewhere)


@pytest.mark.parametrize("block", list(blocks("json")))
def test_every_piece_of_json_is_json(block: str) -> None:
    assert json.loads(block)


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    kinds = {kind for page in DOCS.glob("*.md") for kind, _ in _BLOCK.findall(page.read_text("utf-8"))}
    assert kinds <= {"python", "sh", "yaml", "toml", "json", "text"}


def test_troubleshooting_lists_every_class_of_error() -> None:
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    assert {name for name in errors.__all__ if f"| `{name}` |" not in page} == set()


def test_every_key_of_a_policy_has_a_meaning() -> None:
    assert list(MEANINGS) == list(KEYS)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environ = {**os.environ, "DISABLE_MKDOCS_2_WARNING": "true", "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    operations = (tmp_path / "site" / "operations.html").read_text("utf-8")
    assert all(name in operations for name in RISKS)
