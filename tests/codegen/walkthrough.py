"""The operations that CONTRIBUTING adds: their steps, their cost in lines, and the part of the document they need.

`python -m tests.codegen.walkthrough --upstream FILE` takes the steps in a copy of the tree, trims the whole published
document there, and writes what each endpoint adds to `spec/pagerduty.json` into `walkthrough.json`. The test works with
that, because the published document is not here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).parents[2]
TEXTS = (ROOT / "CONTRIBUTING.md", ROOT / "tests" / "codegen" / "walkthroughs.md")
FRAGMENTS = ROOT / "tests" / "codegen" / "walkthrough.json"
MOST = 25
_STEP = re.compile(
    r'<!-- walk (?P<walk>\S+): (?P<file>\S+), (?:(?P<place>after|before|replace) "(?P<line>[^\n]*)"|at the end) -->\n'
    r"```\w+\n(?P<text>.*?)```\n",
    re.DOTALL,
)


@frozen
class Step:
    """One edit of one file.

    Attributes:
        file: The file, relative to the tree.
        place: On which side of a line, or instead of it; None for the end of the file.
        line: The line, which the file has once.
        text: What is written there.
    """

    file: str
    place: str | None
    line: str | None
    text: str

    def take(self, tree: Path) -> None:
        """Edit the file in a tree."""
        file = tree / self.file
        text = file.read_text("utf-8")
        if self.line is None:
            file.write_text(text + self.text, "utf-8")
            return
        assert text.count(f"{self.line}\n") == 1, f"{self.file} has no single line {self.line!r}"
        new = {
            "after": f"{self.line}\n{self.text}",
            "before": f"{self.text}{self.line}\n",
            "replace": self.text,
        }[str(self.place)]
        file.write_text(text.replace(f"{self.line}\n", new), "utf-8")


def walks() -> dict[str, list[Step]]:
    """Return the steps of each operation that is added."""
    found: dict[str, list[Step]] = {}
    for text in TEXTS:
        for step in _STEP.finditer(text.read_text("utf-8")):
            found.setdefault(step["walk"], []).append(Step(step["file"], step["place"], step["line"], step["text"]))
    return found


def cost(steps: list[Step]) -> Counter[str]:
    """Return the hand-written lines by file, blank ones included; the changelog's line comes besides."""
    lines: Counter[str] = Counter()
    for step in steps:
        lines[step.file] += step.text.count("\n")
    return lines


def copied(tree: Path) -> Path:
    """Copy what git tracks here into a folder."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    return tree


def run(tree: Path, *arguments: str) -> str:
    """Run Python in a copy of the tree, on the copy's own code.

    Raises:
        AssertionError: with what it said, when it failed.
    """
    environ = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'generated'}"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=tree, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, f"{arguments}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def added(old: Any, new: Any) -> Any:
    """Return what one trimmed document has that another one lacks: operations and schemas."""
    paths = {
        path: {method: each for method, each in item.items() if method not in old["paths"].get(path, {})}
        for path, item in new["paths"].items()
    }
    before, after = old["components"]["schemas"], new["components"]["schemas"]
    return {
        "paths": {path: item for path, item in paths.items() if item},
        "schemas": {name: schema for name, schema in after.items() if name not in before},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True, metavar="FILE-OR-URL")
    source = parser.parse_args().upstream
    old, fragments = json.loads((ROOT / "spec" / "pagerduty.json").read_text("utf-8")), {}
    for name, steps in walks().items():
        with tempfile.TemporaryDirectory() as folder:
            tree = copied(Path(folder))
            for step in steps:
                step.take(tree)
            where = str(Path(source).resolve()) if Path(source).exists() else source
            run(tree, "-m", "codegen", "trim", "--upstream", where)
            fragments[name] = added(old, json.loads((tree / "spec" / "pagerduty.json").read_text("utf-8")))
        lines = cost(steps)
        sys.stdout.write(f"{name}: {lines.total()} lines in {len(lines)} files {dict(lines)}\n")
    FRAGMENTS.write_text(json.dumps(fragments, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
