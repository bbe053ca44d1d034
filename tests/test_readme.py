"""The README is held to the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from arx_wrapper.config.sources import KEYS
from arx_wrapper.pagerduty.operations import OPERATIONS

README = Path(__file__).parent.parent / "README.md"
_BLOCK = re.compile(r"(<!-- operations:.*?-->\n)(.*?)(<!-- /operations -->)", re.DOTALL)


def operations_table() -> str:
    rows = [
        f"| `{row.name}` | {row.method} | `{row.path}` | {row.risk.name} | {row.summary} |"
        for row in OPERATIONS.values()
    ]
    return "\n".join(["| operation | method | path | risk | description |", "|---|---|---|---|---|", *rows, ""])


def test_the_readme_lists_every_operation_with_its_risk() -> None:
    block = _BLOCK.search(README.read_text("utf-8"))
    assert block is not None
    assert block[2] == operations_table(), "write operations_table() between the markers"


def test_the_readme_names_only_make_targets_that_exist() -> None:
    makefile = (README.parent / "Makefile").read_text("utf-8")
    for target in re.findall(r"make ([a-z]+)", README.read_text("utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_readme_names_every_setting_and_every_variable() -> None:
    readme = README.read_text("utf-8")
    sources = [
        (README.parent / "arx_wrapper" / name).read_text("utf-8")
        for name in (
            "config/model.py",
            "config/sources.py",
            "core/backends.py",
            "vault/keys.py",
            "vault/env.py",
            "vault/oauth.py",
            "vault/hashicorp_client.py",
        )
    ]
    variables = {name for text in sources for name in re.findall(r'"((?:ARX|PAGERDUTY|SLACK|VAULT)_[A-Z0-9_]+)"', text)}
    assert len(variables) > 25
    # A log's key is explained with the log, not with the settings.
    assert {name for name in variables if f"`{name}`" not in readme} <= {"ARX_AUDIT_KEY"}
    assert {key for key in KEYS if f"`{key}`" not in readme} == set()


def test_the_readme_says_what_every_package_and_extra_is_for() -> None:
    project = tomllib.loads((README.parent / "pyproject.toml").read_text("utf-8"))["project"]
    install = README.read_text("utf-8").partition("## Install")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| ([^|]+) \|", install, re.MULTILINE)
    said = {name for cell in cells for name in re.findall(r"[\w-]+", cell)} - {"package", "extra", "---"}
    packages = {re.split("[<>=]", package)[0] for package in project["dependencies"]}
    assert said == packages | set(project["optional-dependencies"])
