"""Update from a file, from a branch and from a commit: `python -m tests.codegen.sources --upstream FILE --check`.

Each source is tried in a copy of the tree of its own; branch and commit are addresses on this machine, as GitHub's raw
files have them. The files that the update changed are named. With `--check`, `make check` runs in the copy, with
environments of its own; of copies that came out alike, in one. It takes minutes for each.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from codegen import trim
from tests.codegen.walkthrough import copied

SHA = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def served(content: bytes) -> Iterator[str]:
    """Serve a document at every address of a server on this machine, and yield where it is."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def digests(tree: Path) -> dict[str, str]:
    """The digest of each file that a commit would hold."""
    files = (file for file in tree.rglob("*") if file.is_file() and ".venv" not in str(file.relative_to(tree)))
    ignored = (".git", "__pycache__", "build", ".mypy_cache", ".ruff_cache", ".pytest_cache")
    return {
        str(file.relative_to(tree)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if not any(part in ignored or part.endswith(".egg-info") for part in file.relative_to(tree).parts)
    }


def updated(tree: Path, source: str) -> list[str]:
    """Update a copy of the tree, and return the files that changed."""
    before = digests(copied(tree))
    for arguments in (["init", "-q"], ["add", "-A"]):  # some tests ask git what there is
        subprocess.run(["git", *arguments], cwd=tree, check=True)  # noqa: S603, S607
    command = [sys.executable, "-m", "codegen", "update", "--upstream", source]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"update from {source} failed:\n{done.stdout}{done.stderr}")
    after = digests(tree)
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True, type=Path, metavar="FILE")
    parser.add_argument("--folder", required=True, type=Path, help="where the copies go")
    parser.add_argument("--check", action="store_true", help="run `make check` in the copies")
    given = parser.parse_args()
    lock = trim.load_lock()
    seen: dict[str, str] = {}
    failed = 0
    with served(given.upstream.read_bytes()) as address:
        place = f"{address}/{lock['repository']}"
        sources = {
            "commit": f"{place}/{SHA}/{lock['path']}",
            "branch": f"{place}/main/{lock['path']}",
            "file": str(given.upstream.resolve()),
        }
        for name, source in sources.items():
            changed = updated(given.folder / name, source)
            result = repr(sorted(digests(given.folder / name).items()))
            say(f"{name}: {', '.join(changed) or 'no file'} changed; the result is {seen.setdefault(result, name)}'s")
    for name in seen.values() if given.check else ():
        with (given.folder / f"{name}.log").open("w") as log:
            make = subprocess.run(["make", "check"], cwd=given.folder / name, stdout=log, stderr=log, check=False)  # noqa: S607
        say(f"{name}: make check ended with {make.returncode}; see {log.name}")
        failed += make.returncode != 0
    return 1 if failed else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
