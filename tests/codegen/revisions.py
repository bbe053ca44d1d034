"""Run successive revisions of the published document through `update`, unattended: `python -m tests.codegen.revisions`.

    git clone https://github.com/PagerDuty/api-schema    (nothing of it is committed here)
    python -m tests.codegen.revisions ../api-schema --count 30 > table.md

Revision by revision, oldest first: the overlay and the classification are what a reviewer had after the revision before
(today's, without what was not published then). The update to the next revision runs with `--prune` and nobody looks.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from codegen import correction, overlay, secrets, select, surface, trim, update
from codegen.document import text
from codegen.errors import CodegenError
from codegen.report import Report
from codegen.tree import TREE, Tree

PATH = "reference/REST/openapiv3.json"


def git(repository: str, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", repository, *arguments], capture_output=True, check=True)  # noqa: S603, S607
    return done.stdout.decode("utf-8")


def reviewed(root: Path, published: dict[str, Any]) -> Tree:
    """A checkout as a reviewer left it after a revision: with today's corrections as far as they applied to it."""
    tree = Tree(root)
    tree.generated.parent.mkdir(parents=True)
    shutil.copytree(TREE.generated, tree.generated)
    shutil.copytree(TREE.root / "tests" / "client", root / "tests" / "client")
    (root / "tests" / "__init__.py").touch()
    tree.spec.mkdir()
    corrections = trim.load_overlay()
    for _ in range(5):  # an action may rest on another one
        stale = overlay.examine(select.select(published), corrections, published=published).stale
        if not stale:
            break
        corrections = applying(corrections, stale)
    tree.overlay.write_text("overlay: 1.0.0\nextends: x\nactions:\n" + dumped(corrections), encoding="utf-8")
    members = secrets.load(TREE.members)
    for _ in range(20):
        try:
            trimmed = trim.trim(published, corrections, members=members)
            break
        except CodegenError as error:
            members = without(members, error)
    tree.members.write_text(json.dumps(members), encoding="utf-8")
    tree.words.write_text(json.dumps({"parameters": {}, "members": {}}), encoding="utf-8")
    tree.trimmed.write_text(text(trimmed), encoding="utf-8")
    tree.surface.write_text(surface.text(surface.published(published)), encoding="utf-8")
    tree.lock.write_text(
        json.dumps(trim.load_lock() | {"url": None, "commit": None} | tree.digests()), encoding="utf-8"
    )
    return tree


def applying(corrections: Any, stale: list[overlay.Stale]) -> Any:
    """The corrections without the targets and the values that do not apply."""
    kept = []
    for index, action in enumerate(corrections["actions"]):
        own = [each for each in stale if each.index == index]
        changed = action
        for each in own:
            gone = [update.evolve(each, fixed=True, instead=None)]
            changed = correction.corrected(changed, gone, fixed_only=True) if changed is not None else None
        if changed is not None and not (own and changed == action):
            kept.append(changed)
    return {"overlay": "1.0.0", "actions": kept}


def without(members: Any, error: CodegenError) -> Any:
    """The classification without the entries that an error says are about nothing."""
    gone = {fault.place.partition("(")[2].rstrip(")") for fault in error.faults if "spec/members.yaml" in fault.place}
    if not gone:
        raise error
    left = {name: {m: k for m, k in own.items() if f"{name}.{m}" not in gone} for name, own in members.items()}
    return {name: own for name, own in left.items() if name not in gone and own}


def dumped(corrections: Any) -> str:
    loaded = correction.load(f"actions: {json.dumps(corrections['actions'])}", "x")
    return "".join(f"  - {json.dumps(action)}\n" for action in loaded["actions"])


def row(number: int, revision: str, made: Report, seconds: float) -> str:
    """A line of the table."""
    sha, date = revision.split()
    breaking = sum(each.level == "breaking" for each in made.published)
    outcome = f"{len(made.faults)} causes" if made.faults else f"green, {made.step}"
    cause = "; ".join(dict.fromkeys(f"{fault.place.partition(' (')[0]}" for fault in made.faults))[:200]
    return (
        f"| {number} | `{sha[:12]}` {date} | {len(made.published)} ({breaking} breaking) | {len(made.client)} "
        f"| {len(made.pruned)} | {outcome} | {cause} | {seconds:.0f} s |"
    )


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--until", default="HEAD")
    given = parser.parse_args()
    history = git(
        given.repository, "log", "--format=%H %as", f"-{given.count + 1}", given.until, "--", PATH
    ).splitlines()
    say("| # | revision | PagerDuty changed | the client changes | pruned | outcome | causes | time |")
    say("|---|---|---|---|---|---|---|---|")
    documents = [(each, git(given.repository, "show", f"{each.split()[0]}:{PATH}")) for each in reversed(history)]
    for number, ((_, before), (revision, after)) in enumerate(itertools.pairwise(documents), 1):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            source = root / "published.json"
            source.write_text(after, encoding="utf-8")
            began = time.monotonic()
            tree = reviewed(root / "checkout", json.loads(before))
            made = update.Update(source=str(source), prune=True, tree=tree).run()
            say(row(number, revision, made, time.monotonic() - began))
    return 0


if __name__ == "__main__":
    sys.exit(main())
