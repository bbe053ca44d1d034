"""Add descriptions of members and parameters (meaning, unit, time zone, shape) for the generated docstrings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from codegen.document import JSON, nearest, operations, read
from codegen.errors import CodegenError, Fault
from codegen.select import DEPRECATED

_FILE: Final = "spec/descriptions.yaml"
_EVERYWHERE: Final = "any class"
_DEPRECATED: Final = "Deprecated by PagerDuty."
DESCRIPTIONS: Final = "x-descriptions"


def load(file: Path) -> JSON:
    """Read the descriptions.

    Raises:
        CodegenError: the file does not map parameters and classes to descriptions.
    """
    try:
        loaded: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise CodegenError(_FILE, f"is not YAML: {' '.join(str(error).split())}", "correct it there") from None
    maps = isinstance(loaded, dict) and all(isinstance(loaded.get(key), dict) for key in ("parameters", "members"))
    if not maps or not all(isinstance(own, dict) for own in loaded["members"].values()):
        raise CodegenError(
            _FILE, "holds no parameters and members", "write `parameters: {name: text}` and `members: …`"
        )
    texts: JSON = loaded
    return texts


def described(spec: Path) -> JSON:
    """Read a trimmed document, and add the descriptions from the file beside it.

    Raises:
        CodegenError: as `load` and `describe` do.
    """
    beside = spec.with_name("descriptions.yaml")
    return describe(read(spec), load(beside) if beside.exists() else {"parameters": {}, "members": {}})


def describe(document: JSON, texts: JSON) -> JSON:
    """Return a copy of the trimmed document with the descriptions of its members and parameters.

    Raises:
        CodegenError: entries describe nothing in the document; it names all of them.
    """
    schemas: JSON = document["components"]["schemas"]
    if faults := [*_unknown(document, texts)]:
        raise CodegenError.of(faults)
    described = {name: _with(schema, _members(schema, name, texts["members"])) for name, schema in schemas.items()}
    paths: JSON = {path: dict(item) for path, item in document["paths"].items()}
    for path, method, operation in operations(document):
        found = {p["name"]: _text(texts["parameters"].get(p["name"]), p) for p in operation["parameters"]}
        paths[path][method] = _with(operation, {name: text for name, text in found.items() if text})
    return {**document, "paths": paths, "components": {"schemas": described}}


def _members(schema: JSON, name: str, members: JSON) -> dict[str, str]:
    own, every = members.get(name, {}), members.get(_EVERYWHERE, {})
    deprecated = schema.get(DEPRECATED, [])
    found = {m: _text(own.get(m, every.get(m)), {"deprecated": m in deprecated}) for m in schema.get("properties", {})}
    return {member: text for member, text in found.items() if text}


def _text(text: str | None, node: JSON) -> str:
    return " ".join(each for each in (text, _DEPRECATED if node.get("deprecated") else None) if each)


def _with(node: JSON, found: dict[str, str]) -> JSON:
    return {**node, DESCRIPTIONS: found} if found else node


def _unknown(document: JSON, texts: JSON) -> Iterator[Fault]:
    schemas = document["components"]["schemas"]
    every = {member for schema in schemas.values() for member in schema.get("properties", {})}
    parameters = {p["name"] for _, _, operation in operations(document) for p in operation["parameters"]}
    known = [("parameters", texts["parameters"], parameters)]
    for name, own in texts["members"].items():
        members = every if name == _EVERYWHERE else set(schemas.get(name, {}).get("properties", {}))
        known.append((name, own, members))
    for name, own, names in known:
        for each in own:
            if each not in names:
                yield Fault(
                    place=f"{_FILE} ({name}: {each})",
                    cause=f"is about nothing{nearest(each, sorted(names))}",
                    remedy="correct or remove it: it was renamed or removed",
                )
