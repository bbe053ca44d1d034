"""Check that `generated/` matches `spec/`, and that it contains all of `spec/`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from codegen.generate import GENERATED, covers, render
from codegen.trim import TRIMMED, stale


def drift(generated: Path = GENERATED, spec: Path = TRIMMED) -> list[str]:
    """List the differences between `spec/` and its lock, and between the files and a fresh generation.

    Raises:
        CodegenError: the generation fails, or omits a part of the document.
    """
    with tempfile.TemporaryDirectory() as folder:
        package = render(spec, Path(folder))
        covers(spec, package)
        fresh, committed = _files(package), _files(generated)
    lines = stale()
    lines += [f"missing: {name}" for name in sorted(fresh.keys() - committed.keys())]
    lines += [f"stale: {name}" for name in sorted(committed.keys() - fresh.keys())]
    both = fresh.keys() & committed.keys()
    return lines + [f"changed: {name}" for name in sorted(both) if fresh[name] != committed[name]]


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
