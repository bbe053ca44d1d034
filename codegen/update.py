"""Update the client to PagerDuty's newest document: build and test it in a separate folder, then install all of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import define, evolve, field

from codegen import (
    compare,
    correction,
    examples,
    generate,
    impact,
    methods,
    overlay,
    secrets,
    select,
    surface,
    trim,
    update_report,
    upstream,
)
from codegen.checkout_paths import PACKAGE, TREE, Tree
from codegen.document import JSON, text
from codegen.endpoints import ENDPOINTS
from codegen.errors import CodegenError, Fault
from codegen.update_report import Report

REPORTS: Final = TREE.root / "build" / "update"
_FIXTURES: Final = "fixtures"
TESTED: Final = ("tests/__init__.py", "tests/serving.py", "tests/client")
"""The files of the client's tests, which import no other module of the tests."""


@define(kw_only=True)
class Update:
    """One update of the client.

    Attributes:
        source: The published document's file or address; None for the newest commit's.
        prune: Whether to remove the overlay entries that PagerDuty has fixed.
        tree: The checkout that is updated.
        endpoints: The endpoints for which the client is generated.
        thorough: Whether to check the client's types and run its tests.
        always: Whether to generate and test even when the trimmed document is the same.
        newest: Finds the newest document's address.
        connector: Returns the connector's operations and sandbox routes.
        derive: Returns the text of the connector's methods, given the checkout, the folder of the new package, and the
            new document.
    """

    source: str | None = None
    prune: bool = False
    tree: Tree = TREE
    endpoints: tuple[str, ...] = ENDPOINTS
    thorough: bool = True
    always: bool = False
    newest: Callable[[JSON], str] = upstream.newest
    connector: Callable[[], JSON] = impact.connector
    derive: Callable[[Tree, Path, Path], str] = methods.render
    _steps: list[tuple[str, str]] = field(factory=list, init=False)
    _pruned: list[str] = field(factory=list, init=False)

    def run(self, install: bool = True) -> Report:
        """Build the client from a published document, and install it when every step has passed.

        Raises:
            CodegenError: the document cannot be read.
        """
        before = trim.load_lock(self.tree)
        source = self.source or self._did("find the newest commit", lambda: self.newest(before))
        raw = self._did("read the document", lambda: upstream.load(source))
        published = upstream.parse(raw, source)
        lock = upstream.locked(before, source, raw)
        made = Report(source=source, before=before, after=lock)
        with tempfile.TemporaryDirectory(dir=self.tree.root, prefix=".update-") as name:
            folder = Path(name)
            try:
                made = evolve(made, published=self._published(published))
                made = self._make(folder, published, lock, made)
                if install:
                    self._did("put in place", lambda: install_all(self.tree, folder))
            except CodegenError as error:
                made = evolve(made, faults=error.faults)
        touched = impact.of(made.published, self.connector())
        return evolve(made, pruned=tuple(self._pruned), steps=tuple(self._steps), impact=touched)

    def _published(self, published: JSON) -> tuple[compare.Change, ...]:
        new = self._did("read its surface", lambda: surface.published(published, self.endpoints))
        old = json.loads(self.tree.surface.read_text(encoding="utf-8"))
        return tuple(compare.compare(old, new))

    def _make(self, folder: Path, published: JSON, lock: JSON, made: Report) -> Report:
        overlay_text = self._overlay(published)
        corrections = correction.load(overlay_text, "spec/overlay.yaml")
        members = secrets.load(self.tree.members)
        trimmed = self._did("trim", lambda: self._trimmed(published, corrections, members))
        old = json.loads(self.tree.trimmed.read_text(encoding="utf-8"))
        made = evolve(made, client=tuple(compare.compare(surface.of(old), surface.of(trimmed))))
        spec = folder / "spec"
        self._write_spec(spec, trimmed, published, upstream.extending(overlay_text, lock), lock)
        fixtures = self._fixtures(folder, published, trimmed)
        same = trimmed == old and all(_same(self.tree.fixtures / each.name, each) for each in fixtures)
        if same and not self.always:
            self._steps.append(("generate", "not needed: the trimmed document and its examples are the same"))
            return made
        document = spec / self.tree.trimmed.name
        package = self._did("generate", lambda: generate.render(document, folder))
        self._did("check that nothing is lost", lambda: generate.covers(document, package))
        if self.tree.methods.exists():
            derived = self._did("derive the connector's methods", lambda: self.derive(self.tree, folder, document))
            (folder / self.tree.methods.name).write_text(derived, encoding="utf-8")
        if self.thorough:
            self._did("check its types", lambda: generate.typed(package, folder))
            self._did("run the client's tests", lambda: _tested(self.tree.root, folder))
        return made

    def _fixtures(self, folder: Path, published: JSON, trimmed: JSON) -> list[Path]:
        """Write the published examples that the client's tests use into a folder."""
        (folder / _FIXTURES).mkdir()
        found = []
        for name, content in examples.texts(published, trimmed, self.endpoints).items():
            found.append(folder / _FIXTURES / name)
            found[-1].write_text(content, encoding="utf-8")
        return found

    def _overlay(self, published: JSON) -> str:
        """Return the overlay's text; with `prune`, without the entries that PagerDuty has fixed."""
        overlay_text = self.tree.overlay.read_text(encoding="utf-8")
        if self.prune:
            # Once is enough: a part that is fixed changes nothing, so that no other part depends on it.
            loaded = correction.load(overlay_text, "spec/overlay.yaml")
            found = overlay.examine(select.select(published, self.endpoints), loaded, published=published)
            overlay_text, self._pruned = correction.prune(overlay_text, found.stale)
            self._steps.append(("prune the overlay", f"{len(self._pruned)} taken out"))
        return overlay_text

    def _trimmed(self, published: JSON, corrections: JSON, members: JSON) -> JSON:
        """Return the trimmed document. When the overlay does not apply, the error also lists later faults."""
        try:
            return trim.trim(published, corrections, self.endpoints, members)
        except CodegenError as error:
            try:
                found = overlay.examine(select.select(published, self.endpoints), corrections, published=published)
            except CodegenError:
                raise error from None
            if not found.stale:
                raise
            try:
                trim.trim(published, corrected(corrections, found.stale), self.endpoints, members)
            except CodegenError as more:
                later = [f for f in more.faults if f not in error.faults and not f.place.startswith("overlay action")]
                raise CodegenError.of([*error.faults, *map(_later, later)]) from None
            raise error from None

    def _write_spec(self, folder: Path, trimmed: JSON, published: JSON, overlay_text: str, lock: JSON) -> None:
        """Write all of `spec/` into a folder."""
        folder.mkdir()
        found = surface.published(published, self.endpoints)
        for file in (self.tree.members, self.tree.descriptions):
            shutil.copyfile(file, folder / file.name)
        (folder / self.tree.trimmed.name).write_text(text(trimmed), encoding="utf-8")
        (folder / self.tree.surface.name).write_text(surface.text(found), encoding="utf-8")
        (folder / self.tree.overlay.name).write_text(overlay_text, encoding="utf-8")
        full = json.dumps(lock | self.tree.digests(folder), indent=2) + "\n"
        (folder / self.tree.lock.name).write_text(full, encoding="utf-8")

    def _did(self, step: str, do: Callable[[], Any]) -> Any:
        try:
            result = do()
        except CodegenError as error:
            self._steps.append((step, f"{len(error.faults)} faults"))
            raise
        self._steps.append((step, "passed"))
        return result


def corrected(corrections: JSON, stale: list[overlay.Stale]) -> JSON:
    """Return an overlay without the parts that do not apply, with the nearest names, to find later faults."""
    actions = []
    for index, action in enumerate(corrections["actions"]):
        own = [each for each in stale if each.index == index]
        changed = correction.corrected(action, own, fixed_only=False) if own else action
        if changed is not None and (not own or changed != action):
            actions.append(changed)
    return {"overlay": "1.0.0", "actions": actions}


def _later(fault: Fault) -> Fault:
    return evolve(fault, cause=f"(once the overlay is corrected) {fault.cause}")


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.read_bytes() == other.read_bytes()


def install_all(tree: Tree, made: Path) -> None:
    """Replace the old files: `spec/`, the examples, and the package and the methods if they were generated.

    Raises:
        CodegenError: a file cannot be replaced; all of the old ones are back.
    """
    new = {tree.spec / file.name: file for file in (made / "spec").iterdir()}
    new |= {tree.fixtures / file.name: file for file in (made / _FIXTURES).iterdir()}
    if (made / tree.methods.name).exists():
        new[tree.methods] = made / tree.methods.name
    kept = {file: file.read_bytes() if file.exists() else None for file in new}
    try:
        for target in sorted(new):
            os.replace(new[target], target)
        if (made / PACKAGE).exists():
            generate.replace(tree.generated, made / PACKAGE)
    except OSError as error:
        for file, content in kept.items():
            if content is None:
                file.unlink(missing_ok=True)
            else:
                file.write_bytes(content)
        raise CodegenError(
            str(error.filename),
            f"cannot be replaced: {error.strerror}",
            "free it, and run the update again; nothing changed",
        ) from error


def _tested(root: Path, folder: Path) -> None:
    """Run the client's tests against the new package, in a copy.

    Raises:
        CodegenError: tests fail; the error lists the failures.
    """
    for name in TESTED:
        source, target = root / name, folder / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    for file in (folder / _FIXTURES).iterdir():
        shutil.copyfile(file, folder / "tests" / "client" / file.name)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", encoding="utf-8")
    command = [
        sys.executable,
        "-X",
        "utf8",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=line",
        "tests/client",
    ]
    paths = os.pathsep.join(map(str, (folder, root, TREE.root)))  # the tests import codegen from its own checkout
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(  # noqa: S603 - our own
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        said = "\n".join(failed or done.stdout.splitlines()[-20:])
        raise CodegenError(
            "the client's tests", f"fail:\n{said}\n", "correct spec/overlay.yaml, the templates or the tests"
        )


def save(made: Report, folder: Path) -> None:
    """Write a report as Markdown and JSON into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(update_report.markdown(made), encoding="utf-8")
    plain = json.dumps(update_report.as_json(made), indent=1, ensure_ascii=False) + "\n"
    (folder / "report.json").write_text(plain, encoding="utf-8")
