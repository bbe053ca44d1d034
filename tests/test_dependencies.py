"""The lowest versions that are accepted hold no vulnerability that was known at the release."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
# The first release without them.
FIXED = {
    "aiohttp": ("3.14.3", "CVE-2026-69244, CVE-2026-54273 and others"),
    "cryptography": ("50.0.0", "CVE-2026-69247, CVE-2026-39892, CVE-2026-26007"),
    "h11": ("0.16.0", "CVE-2025-43859: malformed chunks"),
    "orjson": ("3.11.6", "CVE-2025-67221: nesting without a limit"),
    "requests": ("2.32.4", "CVE-2024-47081: .netrc to another host"),
    "starlette": ("1.3.1", "CVE-2025-62727, CVE-2026-48710, CVE-2026-54282 and others"),
}
REQUIRED = [
    Requirement(text)
    for text in [
        *PROJECT["dependencies"],
        *(text for extra in PROJECT["optional-dependencies"].values() for text in extra),
    ]
]


@pytest.mark.parametrize("name", FIXED)
def test_no_floor_admits_a_release_with_a_known_vulnerability(name: str) -> None:
    version, why = FIXED[name]
    floors = [requirement.specifier for requirement in REQUIRED if requirement.name == name]
    assert floors
    for floor in floors:
        lowest = min(Version(part.version) for part in floor if part.operator == ">=")
        assert lowest >= Version(version), f"{name} below {version}: {why}"


def test_every_requirement_has_a_floor() -> None:
    without = [
        str(one)
        for one in REQUIRED
        if one.name != PROJECT["name"] and not any(s.operator == ">=" for s in one.specifier)
    ]
    assert without == []
