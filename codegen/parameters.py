"""Correct parameters to the form that is sent: real lists, no defaults, no headers that the client sets itself."""

from __future__ import annotations

import keyword
import re
from typing import Final

from codegen import dialect
from codegen.dialect import json_media, schema_of, value_schema
from codegen.document import JSON, operations
from codegen.errors import CodegenError

# The client sends these headers with every request, so no signature needs them.
_OURS: Final = frozenset({"accept", "content-type", "authorization"})
# The connector takes it from the vault, so no signature requires it.
_LATER: Final = "From"
_PLACEHOLDER: Final = re.compile(r"{([^{}]+)}")
_BOUNDS: Final = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern")
STYLE: Final = "x-style"


def normalise(document: JSON) -> JSON:
    """Return a copy with every parameter inline and corrected, under the path that the overlay's `x-path` gives.

    Raises:
        CodegenError: the new path's placeholders differ in number, or the path's parameters are not declared.
    """
    paths: JSON = {}
    for path, item in document["paths"].items():
        renamed = item.get("x-path", path)
        if renamed in paths:
            raise CodegenError(
                path, f"cannot be renamed to {renamed}: another path has it", "correct x-path in spec/overlay.yaml"
            )
        paths[renamed] = {method: operation for method, operation in item.items() if method != "x-path"}
    result = {**document, "paths": paths}
    renames = {item.get("x-path", path): _renames(path, item) for path, item in document["paths"].items()}
    for path, method, operation in operations(result):
        place = f"{method.upper()} {path}"
        parameters = [dialect.parameter(document, each, place) for each in operation.get("parameters", [])]
        wanted = [p for p in parameters if not (p["in"] == "header" and p["name"].lower() in _OURS)]
        schemas = document["components"]["schemas"]
        corrected = [_corrected(p, renames[path], schemas, place) for p in wanted]
        placed = sorted(p["name"] for p in corrected if p["in"] == "path")
        if placed != sorted(_PLACEHOLDER.findall(path)):
            raise CodegenError(
                place, f"has the path parameters {placed}", "declare what stands in the path in spec/overlay.yaml"
            )
        _distinct(corrected, place)
        paths[path][method] = {**operation, "parameters": corrected}
    return {**result, "components": {"schemas": document["components"]["schemas"]}}


def python_name(name: str) -> str:
    """Return a parameter's name in Python: `statuses` for `statuses[]`, `x_early_access` for `X-EARLY-ACCESS`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.removesuffix("[]"))
    snake = re.sub(r"\W+", "_", snake).strip("_").lower()
    return f"{snake}_" if keyword.iskeyword(snake) else snake


def _renames(path: str, item: JSON) -> dict[str, str]:
    old, new = _PLACEHOLDER.findall(path), _PLACEHOLDER.findall(item.get("x-path", path))
    if len(old) != len(new):
        raise CodegenError(
            path,
            f"cannot be renamed to {item['x-path']}: the placeholders differ in number",
            "correct x-path in spec/overlay.yaml",
        )
    return dict(zip(old, new, strict=True))


def _distinct(parameters: list[JSON], place: str) -> None:
    seen: dict[str, str] = {}
    for parameter in parameters:
        name = python_name(parameter["name"])
        if not name.isidentifier():
            raise CodegenError(
                place, f"has the parameter {parameter['name']!r}, which is no name", "rename it in spec/overlay.yaml"
            )
        if name in seen or name in ("body", "client"):
            raise CodegenError(
                place,
                f"has the parameters {seen.get(name, name)!r} and {parameter['name']!r}, both {name} in Python",
                "leave one out in spec/overlay.yaml",
            )
        seen[name] = parameter["name"]


def _corrected(parameter: JSON, renames: dict[str, str], schemas: JSON, place: str) -> JSON:
    name, where = parameter["name"], parameter["in"]
    place = f"{place}: {name}"
    if where not in ("path", "query", "header", "cookie"):
        raise CodegenError(place, f"is a parameter in {where!r}", "correct it in spec/overlay.yaml")
    required = where == "path" or (bool(parameter.get("required")) and name != _LATER)
    kept: JSON = {"in": where, "name": name, "required": required}
    if parameter.get("deprecated"):
        kept["deprecated"] = True
    if "content" in parameter:
        if json_media(parameter["content"]) is None:
            raise CodegenError(place, "carries no JSON", "correct it in spec/overlay.yaml")
        return {**kept, "schema": {}, STYLE: "json"}
    schema = value_schema(schemas, schema_of(parameter.get("schema", {}), place), place)
    if where == "path":
        return {**kept, "name": renames.get(name, name), "schema": {"type": "string"}}
    if parameter.get("style") == "deepObject" or _is_object(schema):
        return {**kept, "schema": {}, STYLE: "deepObject" if parameter.get("style") == "deepObject" else "json"}
    if where == "query" and name.endswith("[]"):
        # Declared as one value, sent repeated.
        return {**kept, "schema": _list(schema, place), "explode": True}
    if where == "query" and parameter.get("explode") is False:
        return {**kept, "schema": _list(schema, place), "explode": False}
    if schema.get("type") == "array":
        return {**kept, "schema": _list(schema, place), "explode": where == "query"}
    return {**kept, "schema": _scalar(schema, place)}


def _is_object(schema: JSON) -> bool:
    return schema.get("type") == "object" or "properties" in schema


def _list(schema: JSON, place: str) -> JSON:
    items = schema.get("items", {}) if schema.get("type") == "array" else schema
    bounds: JSON = {key: schema[key] for key in ("minItems", "maxItems") if key in schema}
    return {"type": "array", "items": _scalar(items, place), **bounds}


def _scalar(schema: JSON, place: str) -> JSON:
    """Return the schema of a value in a query. A union is text, because a query has no other type."""
    kept: JSON = {key: schema[key] for key in ("type", "enum", *_BOUNDS) if key in schema}
    if "enum" in kept:
        kept["enum"] = [value for value in kept["enum"] if value is not None]
    if schema.get("format") == "date-time":
        kept["format"] = "date-time"
    if kept.get("type") not in ("string", "integer", "number", "boolean"):
        kept["type"] = "string"
    if "pattern" in kept:
        check_pattern(kept["pattern"], place)
    return kept


def check_pattern(pattern: str, place: str) -> None:
    """Check that a pattern is valid in Python.

    Raises:
        CodegenError: it is not.
    """
    try:
        re.compile(pattern)
    except re.error as error:
        raise CodegenError(
            place,
            f"has the pattern {pattern!r}, which is not Python's: {error}",
            "give one that is in spec/overlay.yaml",
        ) from None
