"""The import contracts hold the structure: imports that would undo it are refused, type-only ones as well."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parents[1]
PLANTED = {
    "arx_wrapper.sandbox.clock": "arx_wrapper.core.connector",
    "arx_wrapper.audit.log": "arx_wrapper.sandbox",
    "arx_wrapper.transport.transport": "arx_wrapper.pagerduty.target_state",
    "arx_wrapper.core.connector": "arx_wrapper.pagerduty.lost_response_lookups",
    "arx_wrapper.core.dispatch": "pagerduty_client",
    "arx_wrapper.vault.env": "arx_wrapper.config",
    "arx_wrapper.approvals.request": "arx_wrapper.audit",
    "arx_wrapper.params": "arx_wrapper.policy",
    "arx_wrapper.model.call": "arx_wrapper.cli.main",
    "arx_wrapper.errors": "arx_wrapper.credentials",
    "pagerduty_client.types": "arx_wrapper.model",
}


@pytest.mark.slow
def test_each_planted_import_is_refused_where_only_type_checkers_see_it_too(tmp_path: Path) -> None:
    _copy(tmp_path)
    assert _lint(tmp_path).returncode == 0
    for importer, imported in PLANTED.items():
        _plant(tmp_path, importer, f"import {imported}")
    done = _lint(tmp_path)
    assert done.returncode == 1
    refused = done.stdout.split()
    for importer, imported in PLANTED.items():
        chains = zip(refused, refused[1:], refused[2:], strict=False)
        assert (importer, "->", imported) in chains, (importer, imported, done.stdout)


@pytest.mark.slow
def test_a_module_outside_the_layers_and_a_cycle_are_refused(tmp_path: Path) -> None:
    _copy(tmp_path)
    _plant(tmp_path, "arx_wrapper.core.dispatch", "import arx_wrapper.core.connector")
    assert "No cycles are allowed in arx_wrapper.core." in _lint(tmp_path).stdout
    (tmp_path / "arx_wrapper/newcomer.py").touch()
    assert "newcomer" in _lint(tmp_path).stdout


def _copy(folder: Path) -> None:
    skipped = shutil.ignore_patterns("__pycache__", "*.yaml")
    for package in ("arx_wrapper", "codegen", "generated/pagerduty_client"):
        shutil.copytree(ROOT / package, folder / Path(package).name, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", folder)


def _plant(folder: Path, module: str, statement: str) -> None:
    path = folder / f"{module.replace('.', '/')}.py"
    head, future, rest = path.read_text("utf-8").partition("from __future__ import annotations\n")
    assert future
    guarded = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {statement}\n"
    path.write_text(head + future + guarded + rest, "utf-8")


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own environment's tool
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_module_uses_another_modules_private_names() -> None:
    """Its own, and those that a class inherits, are used through `self` or `cls`."""
    found = []
    for path in sorted((ROOT / "arx_wrapper").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_self(node.value)}
        own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        own |= {node.target.id for node in ast.walk(tree) if isinstance(node, ast.AnnAssign) and _is_name(node.target)}
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Attribute) and not _is_self(node.value) and node.attr not in own:
                names = [node.attr]
            found += [
                f"{path.relative_to(ROOT)}:{node.lineno}: {name}"
                for name in names
                if name.startswith("_") and not name.startswith("__") and name not in _PUBLIC
            ]
    assert found == []


# Public for all their underscore: a NamedTuple's members, the version's module, and a class that typeshed alone names.
_PUBLIC = frozenset({"_fields", "_asdict", "_replace", "_make", "_version", "_Decompress"})


def _is_self(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id in ("self", "cls")) or (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
    )


def _is_name(node: ast.expr) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name)
