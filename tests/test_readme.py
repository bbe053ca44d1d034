"""The README, and the tables that it refers to, are held to the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from arx_wrapper.config.sources import KEYS
from arx_wrapper.pagerduty.operations import OPERATIONS
from tests.docs.reference import pages

README = Path(__file__).parent.parent / "README.md"
SETTINGS = README.parent / "docs" / "settings.md"


def test_the_documentation_lists_every_operation_with_its_risk() -> None:
    page = pages()["reference/operations.md"]
    for row in OPERATIONS.values():
        anchor = row.name.replace(":", "-").replace("_", "-")
        request = f"`{row.method} {row.path}`"
        assert f"| [`{row.name}`](#{anchor}) | {row.risk.name} | {request} | `{row.function}()` |" in page
        assert f"### `{row.name}`" in page


def test_every_link_of_the_readme_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", README.read_text("utf-8"))
    assert len(targets) > 15
    assert [target for target in targets if not (README.parent / target).exists()] == []


def test_the_readme_names_only_make_targets_that_exist() -> None:
    makefile = (README.parent / "Makefile").read_text("utf-8")
    for target in re.findall(r"make ([a-z]+)", README.read_text("utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_settings_page_names_every_setting_and_every_variable() -> None:
    readme = SETTINGS.read_text("utf-8")
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


def test_the_settings_page_says_what_every_package_and_extra_is_for() -> None:
    project = tomllib.loads((README.parent / "pyproject.toml").read_text("utf-8"))["project"]
    install = SETTINGS.read_text("utf-8").partition("## Packages")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| ([^|]+) \|", install, re.MULTILINE)
    said = {name for cell in cells for name in re.findall(r"[\w-]+", cell)} - {"package", "extra", "---"}
    packages = {re.split("[<>=]", package)[0] for package in project["dependencies"]}
    assert said == packages | set(project["optional-dependencies"])
