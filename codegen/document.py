"""Read and write the document, resolve pointers into it, and iterate over its operations."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from codegen.errors import CodegenError

JSON = dict[str, Any]

METHODS: Final = ("get", "put", "post", "delete", "patch")
SCHEMAS: Final = "#/components/schemas/"
MEDIA: Final = "application/json"


def resolve(document: JSON, pointer: str) -> Any:
    """Return the value that a local JSON pointer (`#/components/schemas/Tag/allOf/0`) names."""
    if not pointer.startswith("#/"):
        raise CodegenError(pointer, "is a reference into another document", "correct it in spec/overlay.yaml")
    node: Any = document
    for key in steps(pointer)[1:]:
        try:
            node = node[int(key)] if isinstance(node, list) else node[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise CodegenError(
                pointer, f"names nothing: there is no {key!r}{nearest(key, node)}", "correct it in spec/overlay.yaml"
            ) from None
    return node


def steps(pointer: str) -> list[str]:
    """Return a pointer's steps, `#` first, decoded: a reference is a URI, so they may be percent-encoded."""
    return [unquote(part).replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]


def nearest(name: str, known: Iterable[str] | Any) -> str:
    """Return `, the nearest is 'x'`, or an empty text when no known name is similar."""
    names = [each for each in known if isinstance(each, str)] if isinstance(known, dict | list | set | tuple) else []
    close = difflib.get_close_matches(name, names, n=1)
    return f", the nearest is {close[0]!r}" if close else ""


def reference(name: str) -> JSON:
    """Return a reference to a named schema."""
    return {"$ref": SCHEMAS + name}


def referenced(schema: Any) -> str | None:
    """Return the name of the schema that a reference names, None for any other schema."""
    pointer = schema.get("$ref") if isinstance(schema, dict) else None
    return pointer.removeprefix(SCHEMAS) if isinstance(pointer, str) else None


def operations(document: JSON) -> Iterator[tuple[str, str, JSON]]:
    """Yield every operation as path, method and its object, in the document's order."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def success(operation: JSON) -> JSON:
    """Return the schema of the operation's success body; empty when there is none."""
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            schema: JSON = response.get("content", {}).get(MEDIA, {}).get("schema", {})
            return schema
    return {}


def body(operation: JSON) -> JSON | None:
    """Return the media type object of the operation's JSON body; None when it has none."""
    media: JSON | None = operation.get("requestBody", {}).get("content", {}).get(MEDIA)
    return media


def walk(node: Any) -> Iterator[JSON]:
    """Yield every object below a node, the node included."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def text(document: JSON) -> str:
    """Return the document as text, sorted, so that the text changes only when the meaning does."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read(path: Path) -> JSON:
    """Load a document."""
    loaded: JSON = json.loads(path.read_text(encoding="utf-8"))
    return loaded
