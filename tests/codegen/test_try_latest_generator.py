"""Changes by the generator's newest release are told file by file; the workflow runs what the Makefile has."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from codegen import try_latest_generator
from codegen.checkout_paths import TREE


def test_an_output_like_the_committed_one_is_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = Path(shutil.copytree(TREE.generated, tmp_path / "package", ignore=shutil.ignore_patterns("*.pyc")))
    assert try_latest_generator._compared(package) == 0
    assert capsys.readouterr().out.startswith("0 of ")
    (package / "models" / "incident.py").write_text("# another\n", encoding="utf-8")
    (package / "models" / "brand_new.py").write_text("X = 1\n", encoding="utf-8")
    (package / "wire.py").unlink()
    assert try_latest_generator._compared(package) == 1
    told = capsys.readouterr().out
    assert all(f"+++ {name}" in told for name in ("models/incident.py", "models/brand_new.py", "wire.py"))
    assert re.search(r"^3 of \d+ files differ", told, re.MULTILINE)


def test_the_weekly_workflow_runs_a_target_that_the_makefile_has() -> None:
    workflow = yaml.safe_load((TREE.root / ".github" / "workflows" / "update-spec.yml").read_text(encoding="utf-8"))
    commands = "\n".join(step.get("run", "") for step in workflow["jobs"]["update"]["steps"])
    targets = re.findall(r"\bmake ([a-z-]+)", commands)
    makefile = (TREE.root / "Makefile").read_text(encoding="utf-8")
    assert targets == ["update-spec"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    assert "--prune --report build/update" in commands


def test_the_weekly_workflow_commits_all_that_an_update_puts_in_place() -> None:
    workflow = (TREE.root / ".github" / "workflows" / "update-spec.yml").read_text(encoding="utf-8")
    added = re.search(r"(?m)^ *git add (.+)$", workflow)
    assert added
    paths = [TREE.root / name for name in added[1].split()]
    for replaced in (TREE.spec, TREE.generated, TREE.fixtures, TREE.methods):
        assert any(replaced == path or path in replaced.parents for path in paths), replaced
