"""Build the documentation: `docs/` and the reference pages from the code, put together by Zensical.

`python -m tests.docs.site` writes the site to `build/docs`.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.reference import pages

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "build" / "docs-source"
SITE = ROOT / "build" / "docs"


def write_source() -> None:
    """Copy `docs/` to the build folder, and write the reference pages beside it."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "docs", SOURCE)
    for path, text in pages().items():
        file = SOURCE / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.rstrip() + "\n", "utf-8")


def build() -> subprocess.CompletedProcess[str]:
    """Build the site; a warning is an error."""
    write_source()
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603


def build_once(run: str) -> None:
    """Build the site unless this test run has built it: its processes read the same folder, one of them builds it."""
    stamp = ROOT / "build" / "docs-built-by"
    stamp.parent.mkdir(exist_ok=True)
    with stamp.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if file.read() == run:
            return
        done = build()
        assert done.returncode == 0, done.stdout + done.stderr
        file.truncate(0)
        file.write(run)


if __name__ == "__main__":
    done = build()
    sys.stdout.write(done.stdout + done.stderr)
    sys.exit(done.returncode)
