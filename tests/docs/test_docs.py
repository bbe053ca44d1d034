"""The documentation: it builds without a warning, and every code block in it runs."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import errors, policy
from arx_wrapper.config import Config
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy.editor_schema import MEANINGS
from arx_wrapper.policy.entry_reader import KEYS
from tests.docs import site
from tests.docs.blocks import DOCS, ROOT, blocks
from tests.docs.keystrokes import SCENARIO, rows
from tests.docs.recording import SCENES
from tests.docs.reference import pages

EVERYTHING = '- {name: all, connector: pagerduty, operations: ["*"], risk_max: medium, approval: none}\n'


def of(language: str) -> list[Any]:
    return [pytest.param(block.text, id=block.name) for block in blocks(language)]


def shell_pages() -> list[Any]:
    """Each page's shell blocks as one script: a reader pastes them one after the other."""
    found: dict[str, list[str]] = {}
    for block in blocks("sh"):
        found.setdefault(block.name.rpartition("-")[0], []).append(block.text)
    del found["README"]  # its two commands set up a checkout and run these tests
    return [pytest.param("".join(texts), id=page) for page, texts in found.items()]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@pytest.mark.parametrize("block", of("python"))
async def test_every_python_block_runs_in_the_sandbox(
    block: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "all.yaml").write_text(EVERYTHING)
    monkeypatch.setenv("ARX_SANDBOX", "1")
    monkeypatch.setenv("ARX_POLICY", "all.yaml")
    if "asyncio.run(" in block:  # a whole program
        (elsewhere / "program.py").write_text(block)
        program = await asyncio.create_subprocess_exec(sys.executable, "program.py")
        assert await program.wait() == 0
        return
    code = compile(block, "docs", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, {"__name__": "docs"})  # noqa: S307 - our own page
    if inspect.iscoroutine(running):
        await running


@pytest.mark.slow
@pytest.mark.parametrize("block", shell_pages())
def test_the_shell_blocks_of_a_page_run_in_their_order(block: str, elsewhere: Path) -> None:
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-euc", block], env=environ, capture_output=True, text=True, check=False)  # noqa: S603, S607
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", of("yaml"))
def test_every_policy_loads(block: str, elsewhere: Path) -> None:
    (elsewhere / "policy.yaml").write_text(block)
    assert policy.load(elsewhere / "policy.yaml", registry=RISKS, connector="pagerduty").entries


@pytest.mark.parametrize("block", of("toml"))
def test_every_setting_is_known(block: str, elsewhere: Path) -> None:
    assert tomllib.loads(block)
    (elsewhere / "arx.toml").write_text(block)
    assert Config.load({}, elsewhere)


@pytest.mark.parametrize("block", of("json"))
def test_every_piece_of_json_is_json(block: str) -> None:
    assert json.loads(block)


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert {block.language for block in blocks()} <= {"python", "sh", "yaml", "toml", "json", "text"}


def test_troubleshooting_lists_every_class_of_error() -> None:
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    assert {name for name in errors.__all__ if f"| `{name}` |" not in page} == set()


def test_every_key_of_a_policy_has_a_meaning() -> None:
    assert list(MEANINGS) == list(KEYS)


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_every_link_leads_somewhere(testrun_uid: str) -> None:
    site.build_once(testrun_uid)
    operations = (site.SITE / "reference" / "operations.html").read_text("utf-8")
    assert all(name in operations for name in RISKS)
    python = (site.SITE / "reference" / "python.html").read_text("utf-8")
    assert all(name in python for name in ("possible_verdicts", "iterate", "aclose"))


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE))
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")} | set(pages())
    assert there - named == {page for page in there if re.match(r"decisions/\d", page)}  # its index lists them
    assert named <= there


def test_the_index_of_decisions_lists_each_once() -> None:
    folder = DOCS / "decisions"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "index.md").read_text("utf-8"))
    assert listed == sorted(page.name for page in folder.glob("0*.md"))


def test_the_glossary_has_twelve_terms() -> None:
    assert len(re.findall(r"^:   ", (DOCS / "glossary.md").read_text("utf-8"), re.MULTILINE)) == 12


def test_the_keys_of_the_responders_scenario_are_counted_right() -> None:
    assert rows() in (DOCS / "responders.md").read_text("utf-8")


def test_the_recorded_scenario_is_the_one_whose_keys_are_counted() -> None:
    recorded = [re.split(" --(fields|week)", line)[0] for scene in SCENES.values() for line in scene]
    assert recorded == [step.here for step in SCENARIO]
