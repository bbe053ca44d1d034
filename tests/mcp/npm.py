"""Packages of npm, installed once into pytest's cache: what the slow tests run against."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def installed(config: pytest.Config, package: str, version: str) -> Path:
    """Return the folder in which a package is installed; skips where it cannot be."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip(f"needs node and npm, for {package}")
    folder = Path(config.cache.mkdir(f"npm-{package.replace('/', '-').strip('@')}-{version}")) if config.cache else None
    assert folder is not None
    if not (folder / "node_modules" / package / "package.json").exists():
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), f"{package}@{version}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
        if done.returncode:
            pytest.skip(f"npm does not install {package}@{version}: {done.stderr.strip()[-200:]}")
    return folder
