"""Try the newest release of the generator in a separate environment (`make codegen-latest`).

Nothing is changed. It reports whether the build works with the newest release, and how its output differs from the
committed one.
"""

from __future__ import annotations

import difflib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from codegen import generate
from codegen.checkout_paths import PACKAGE, TREE

_GENERATOR: Final = "openapi-python-client"
_NEEDED: Final = ("attrs", "httpx", "jinja2", "mypy", "PyYAML", "jsonpath-rfc9535", "pydantic")
_SHOWN: Final = 40
_RENDER: Final = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from importlib.metadata import version
from codegen import generate
from codegen.errors import CodegenError
generate.PINNED["openapi-python-client"] = version("openapi-python-client")
try:
    package = generate.render(Path(sys.argv[2]), Path(sys.argv[3]))
    generate.covers(Path(sys.argv[2]), package)
    generate.typed(package, Path(sys.argv[3]))
except CodegenError as error:
    sys.exit(f"{error}")
"""


def main(wanted: str | None = None) -> int:
    """Build with the newest release, or a given one; return 0 when its output equals the committed one, else 1."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = _environment(folder / "environment", wanted)
        version = _run(python, "-c", f"from importlib.metadata import version; print(version({_GENERATOR!r}))").strip()
        pinned = generate.PINNED[_GENERATOR]
        _say(f"{_GENERATOR} {version} is {'asked for' if wanted else 'the newest release'}, {pinned} is pinned")
        if version == pinned:
            return 0
        made = folder / "made"
        made.mkdir()
        command = [str(python), "-c", _RENDER, str(TREE.root), str(TREE.trimmed), str(made)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")  # noqa: S603 - our own
        if done.returncode:
            _say(f"The build breaks with it:\n{done.stderr}")
            return 1
        return _compared(made / PACKAGE)


def _environment(folder: Path, wanted: str | None) -> Path:
    _run(Path(sys.executable), "-m", "venv", str(folder))
    python = folder / "bin" / "python"
    release = f"{_GENERATOR}=={wanted}" if wanted else _GENERATOR
    _run(python, "-m", "pip", "install", "--quiet", "--upgrade", release, *_NEEDED, f"ruff=={generate.PINNED['ruff']}")
    return python


def _compared(package: Path) -> int:
    """Print how a package differs from the committed one; return 1 if it does."""
    files = {path.relative_to(package) for path in package.rglob("*") if path.is_file()}
    files |= {path.relative_to(TREE.generated) for path in TREE.generated.rglob("*.py")}
    differing = 0
    for file in sorted(files):
        old, new = (_lines(root / file) for root in (TREE.generated, package))
        if old != new:
            differing += 1
            told = list(difflib.unified_diff(old, new, str(file), str(file), lineterm=""))
            _say("\n".join(told[:_SHOWN]))
    _say(f"{differing} of {len(files)} files differ; the package is complete and well-typed")
    return 1 if differing else 0


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _say(text: str) -> None:
    print(text)  # noqa: T201 - a command's output


def _run(python: Path, *arguments: str) -> str:
    done = subprocess.run([str(python), *arguments], capture_output=True, encoding="utf-8", errors="replace")  # noqa: S603
    if done.returncode:
        sys.exit(f"{' '.join(arguments[:3])} failed:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
