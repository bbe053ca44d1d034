"""Render the generated package's README: a description, an example for each resource, and a table of endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from codegen.document import JSON, operations, referenced, success
from codegen.parameters import python_name
from codegen.select import SCOPE

_TEXT: Final = Path(__file__).parent / "runtime" / "README.md"


def render(document: JSON) -> str:
    """Return the README of a trimmed document's package."""
    text = _TEXT.read_text(encoding="utf-8")
    tags = {operation["tags"][0] for _, _, operation in operations(document)}
    start, _, rest = text.partition("<!-- examples -->\n")
    examples, _, end = rest.partition("<!-- endpoints -->\n")
    kept = [each for each in examples.split("\n### ") if not each.strip() or each.partition("\n")[0] in tags]
    return start + "\n### ".join(kept).lstrip("\n") + "\n".join(_table(document)) + "\n" + end


def _table(document: JSON) -> Iterator[str]:
    yield "| endpoint | function | returns | OAuth scope |"
    yield "|---|---|---|---|"
    for path, method, operation in sorted(
        operations(document), key=lambda each: (each[2]["tags"], each[2]["operationId"])
    ):
        name = f"{operation['tags'][0]}.{operation['operationId']}"
        required = [python_name(p["name"]) for p in operation["parameters"] if p["required"]]
        required += ["body"] if "requestBody" in operation else []
        answer = f"`{own}`" if (own := referenced(success(operation))) else "nothing"
        scopes = ", ".join(f"`{scope}`" for scope in operation.get(SCOPE, [])) or "unknown"
        note = " (deprecated)" if operation.get("deprecated") else ""
        yield f"| `{method.upper()} {path}`{note} | `{name}({', '.join(required)})` | {answer} | {scopes} |"
