"""Code that readers copy is typed: mypy and pyright accept every Python block and example."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks

pytestmark = pytest.mark.slow

WRONG = """
from app.connectors.pagerduty import PagerDutyConnector
async with PagerDutyConnector("agent", "org") as pd:
    await pd.acknowledge_incident(41)
    async for user in pd.iterate("users:read"):
        print(user.nmae)
"""


MAPPINGS = """
from arx_wrapper import NULL, PagerDutyConnector

pd = PagerDutyConnector("agent-001", "org-acme")
rule = {"escalation_delay_in_minutes": 5, "targets": [{"id": "PU", "type": "user_reference"}]}
await pd.manage_incidents([{"id": "P1", "status": "resolved"}, {"id": "P2", "assignee_ids": ["PU"]}])
await pd.create_escalation_policy("Data", [rule])
await pd.update_escalation_policy("PE", rules=[rule])
await pd.create_incident("Disk full", "PS", conference_bridge={"conference_url": "https://meet.example.com/1"})
await pd.update_service("PS", fields={"auto_resolve_timeout": NULL})
await pd.create_event_rule({"condition": ["and"], "actions": [["route", "PS"]]})
"""
"""Type checkers accept literals where the methods take mappings."""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of modules: each block in a coroutine of its own, and the examples as they are."""
    folder = tmp_path_factory.mktemp("blocks")
    for block in blocks("python"):
        write(folder, block.name, block.text)
    write(folder, "mappings", MAPPINGS)
    for example in sorted((ROOT / "examples").glob("*.py")):
        (folder / example.name).write_text(example.read_text("utf-8"), "utf-8")
    return folder


def write(folder: Path, name: str, text: str) -> None:
    file = folder / f"{re.sub(r'[^a-zA-Z0-9]+', '_', name)}.py"
    code = f"async def block() -> None:\n{textwrap.indent(text, '    ')}"
    ast.parse(code)
    file.write_text(code, "utf-8")


def mypy(folder: Path) -> subprocess.CompletedProcess[str]:
    settings = folder / "mypy.ini"
    settings.write_text(f"[mypy]\nstrict = true\nmypy_path = {ROOT}:{ROOT / 'generated'}\nnamespace_packages = true\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), *map(str, sorted(folder.glob("*.py")))]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603


def pyright(folder: Path) -> subprocess.CompletedProcess[str]:
    settings = {
        "include": ["."],
        "extraPaths": [str(ROOT), str(ROOT / "generated")],
        "typeCheckingMode": "standard",
        "reportPrivateUsage": "error",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603


@pytest.mark.timeout(300)
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_every_block_and_example_is_accepted(copied: Path, checker: object) -> None:
    done = checker(copied)  # type: ignore[operator]  # one of the two above
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_what_is_wrong_is_seen_through_the_alias(tmp_path: Path, checker: object) -> None:
    write(tmp_path, "wrong", WRONG)
    done = checker(tmp_path)  # type: ignore[operator]  # one of the two above
    assert done.returncode != 0
    assert "nmae" in done.stdout
    assert "41" in done.stdout or "int" in done.stdout
