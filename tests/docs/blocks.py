"""The code blocks of README and documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^([ ]*)```(\w+)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@frozen
class Block:
    """A fenced block.

    Attributes:
        name: Its page and its number there, for a test's id.
        language: What the fence says.
        text: The code, without indentation of the fence's own.
    """

    name: str
    language: str
    text: str


def pages() -> list[Path]:
    """Return README and every page of the documentation."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(language: str | None = None) -> Iterator[Block]:
    """Yield the blocks in a language, or all; without those that only include an example."""
    for page in pages():
        named = page.relative_to(ROOT).with_suffix("").as_posix().replace("/", "-").removeprefix("docs-")
        for number, (indent, found, text) in enumerate(_BLOCK.findall(page.read_text("utf-8")), 1):
            plain = re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
            if language in (None, found) and not plain.startswith("--8<--"):
                yield Block(f"{named}-{number}", found, plain)
