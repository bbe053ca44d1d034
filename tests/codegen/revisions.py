"""Run successive revisions of the published document through `update`, unattended: `python -m tests.codegen.revisions`.

    git clone https://github.com/PagerDuty/api-schema    (nothing of it is committed here)
    python -m tests.codegen.revisions ../api-schema --count 30 > table.md

The run begins at the oldest revision that today's corrections can build, as far as they apply to it. Each update starts
from the checkout that the one before left, and runs with `--prune` while nobody looks; the client is generated and
tested even where nothing changed. After a report, the reviewer's answer is put in place: today's corrections and
classifications, as far as they apply to that revision. Then the revision is built again, which has to succeed, and the
chain goes on from there.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from codegen import correction, overlay, secrets, select, surface, trim, update
from codegen.checkout_paths import TREE, Tree
from codegen.document import text
from codegen.errors import CodegenError
from codegen.update_report import Report

PATH = "reference/REST/openapiv3.json"
HEAD = (
    "| # | revision | PagerDuty changed | the client changes | pruned | unattended | causes | answered | time |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
# The client's tests that a revision fails are about members that it did not have yet; a checkout of its time would not
# have had them.
CONFTEST = """

def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if item.nodeid not in {later!r}]


collect_ignore = [name.rpartition("/")[2] for name in {later!r} if "::" not in name]
"""


class Revision(NamedTuple):
    """One commit that changed the published document."""

    sha: str
    date: str


class Published:
    """The history of the published document in a clone of its repository."""

    def __init__(self, repository: str) -> None:
        self._repository = repository

    def revisions(self, until: str) -> list[Revision]:
        """Return every revision of the document, the oldest first."""
        lines = self._git("log", "--reverse", "--format=%H %as", until, "--", PATH).splitlines()
        return [Revision(*line.split()) for line in lines]

    def at(self, revision: Revision) -> str:
        """Return the document's text."""
        return self._git("show", f"{revision.sha}:{PATH}")

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", self._repository, *arguments]
        return subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8")  # noqa: S603


class Checkout:
    """A copy of what `update` reads and replaces."""

    def __init__(self, root: Path) -> None:
        self.tree = Tree(root)
        self._later: set[str] = set()
        self.tree.spec.mkdir(parents=True)
        self.tree.generated.parent.mkdir()
        shutil.copytree(TREE.generated, self.tree.generated)
        shutil.copytree(TREE.fixtures, self.tree.fixtures, ignore=shutil.ignore_patterns("__pycache__"))
        (root / "tests" / "__init__.py").touch()
        self._conftest = self.tree.fixtures / "conftest.py"
        self._own = self._conftest.read_text("utf-8") if self._conftest.exists() else ""

    def update(self, content: str) -> Report:
        """Run an update to a published document with nobody looking."""
        source = self.tree.root / "published.json"
        source.write_text(content, encoding="utf-8")
        return update.Update(source=str(source), prune=True, tree=self.tree, always=True).run()

    def build(self, content: str) -> Report:
        """Put the reviewer's answer to a document in place, and update to it.

        Tests that fail are left out once, and from now on: they are about what the document does not have yet.
        """
        self.answer(json.loads(content))
        made = self.update(content)
        if made.faults and all(fault.place == "the client's tests" for fault in made.faults):
            causes = "\n".join(fault.cause for fault in made.faults)
            self._later |= set(re.findall(r"(?m)^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", causes))
            self._conftest.write_text(self._own + CONFTEST.format(later=sorted(self._later)), encoding="utf-8")
            made = self.update(content)
        return made

    @property
    def left_out(self) -> int:
        """Return the number of the client's tests that are left out."""
        return len(self._later)

    def answer(self, published: dict[str, Any]) -> None:
        """Write `spec/` as a reviewer left it after a revision: today's corrections as far as they apply to it."""
        corrections = trim.load_overlay()
        for _ in range(8):  # an action may rest on another one
            stale = overlay.examine(select.select(published), corrections, published=published).stale
            if not stale:
                break
            corrections = applying(corrections, stale)
        members = secrets.load(TREE.members)
        for _ in range(20):
            try:
                trimmed = trim.trim(published, corrections, members=members)
                break
            except CodegenError as error:
                members = without(members, error)
        written = {
            self.tree.overlay: "overlay: 1.0.0\nextends: x\nactions:\n" + dumped(corrections),
            self.tree.members: json.dumps(members),
            self.tree.descriptions: json.dumps({"parameters": {}, "members": {}}),
            self.tree.trimmed: text(trimmed),
            self.tree.surface: surface.text(surface.published(published)),
        }
        for file, content in written.items():
            file.write_text(content, encoding="utf-8")
        lock = trim.load_lock() | {"url": None, "commit": None} | self.tree.digests()
        self.tree.lock.write_text(json.dumps(lock), encoding="utf-8")


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


def oldest(history: Published, revisions: list[Revision], folder: Path) -> tuple[int, Checkout]:
    """Return the place of the oldest revision that can be built, and the checkout that building it left."""
    for index, revision in enumerate(revisions):
        content = history.at(revision)
        try:
            select.select(json.loads(content))
            checkout = Checkout(folder / revision.sha)
            made = checkout.build(content)
        except CodegenError as error:
            log(f"{revision.sha[:12]} {revision.date}: {said(error.faults)}")
            continue
        if not made.faults:
            return index, checkout
        log(f"{revision.sha[:12]} {revision.date}: {said(made.faults)}")
    raise SystemExit("no revision can be built with today's corrections")


def chain(history: Published, revisions: list[Revision], checkout: Checkout) -> Iterator[str]:
    """Update from revision to revision, and yield a line of the table for each."""
    for number, revision in enumerate(revisions, 1):
        content, began = history.at(revision), time.monotonic()
        made = checkout.update(content)
        answered = ""
        if made.faults:
            try:
                again = checkout.build(content)
                answered = said(again.faults) or "green"
            except CodegenError as error:
                answered = said(error.faults)
        yield row(number, revision, made, answered, time.monotonic() - began)


def row(number: int, revision: Revision, made: Report, answered: str, seconds: float) -> str:
    breaking = sum(each.level == "breaking" for each in made.published)
    outcome = f"report, {len(made.faults)} causes" if made.faults else f"green, {made.step}"
    return (
        f"| {number} | `{revision.sha[:12]}` {revision.date} | {len(made.published)} ({breaking} breaking) "
        f"| {len(made.client)} | {len(made.pruned)} | {outcome} | {said(made.faults)} | {answered} | {seconds:.0f} s |"
    )


def said(faults: Any) -> str:
    """Each fault's place and the beginning of its cause."""
    lines = [f"{f.place.partition(' (')[0]}: {' '.join(f.cause.split())[:90]}" for f in faults]
    return "; ".join(dict.fromkeys(lines)).replace("|", "\\|")[:600]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def log(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--until", default="HEAD")
    parser.add_argument("--first", default="", help="begin the search for a usable revision at this commit")
    given = parser.parse_args()
    history = Published(given.repository)
    revisions = history.revisions(given.until)
    start = next((i for i, each in enumerate(revisions) if given.first and each.sha.startswith(given.first)), 0)
    with tempfile.TemporaryDirectory() as folder:
        found, checkout = oldest(history, revisions[start:], Path(folder))
        first = start + found
        say(f"Begins at `{revisions[first].sha[:12]}` {revisions[first].date}, {checkout.left_out} tests left out.\n")
        say(HEAD)
        for line in chain(history, revisions[first + 1 : first + 1 + given.count], checkout):
            say(line)
        log(f"{checkout.left_out} of the client's tests left out at the end")
    return 0


if __name__ == "__main__":
    sys.exit(main())
