"""Parameters as they go on the wire: lists that are lists, no defaults, no headers that the client sets itself."""

from __future__ import annotations

import re
from typing import Final

from codegen.document import JSON, CodegenError, operations, resolve

# The client sends these with every request; as parameters they would be noise in every signature.
_OURS: Final = frozenset({"Accept", "Content-Type"})
_PLACEHOLDER: Final = re.compile(r"{(\w+)}")


def normalise(document: JSON) -> JSON:
    """A copy with every parameter inline and corrected, under the path that the overlay's `x-path` gives.

    Raises:
        CodegenError: the new path has other placeholders than the old one, or the parameters are not the path's.
    """
    paths: JSON = {}
    for path, item in document["paths"].items():
        renamed = item.get("x-path", path)
        paths[renamed] = {method: operation for method, operation in item.items() if method != "x-path"}
    result = {**document, "paths": paths}
    renames = {item.get("x-path", path): _renames(path, item) for path, item in document["paths"].items()}
    for path, method, operation in operations(result):
        parameters = [_inline(document, parameter) for parameter in operation.get("parameters", [])]
        corrected = [_corrected(p, renames[path]) for p in parameters if p["name"] not in _OURS]
        placed = sorted(p["name"] for p in corrected if p["in"] == "path")
        if placed != sorted(_PLACEHOLDER.findall(path)):
            raise CodegenError(f"{method.upper()} {path} has the path parameters {placed}")
        paths[path][method] = {**operation, "parameters": corrected}
    return {**result, "components": {"schemas": document["components"]["schemas"]}}


def _renames(path: str, item: JSON) -> dict[str, str]:
    old, new = _PLACEHOLDER.findall(path), _PLACEHOLDER.findall(item.get("x-path", path))
    if len(old) != len(new):
        raise CodegenError(f"{path} cannot be renamed to {item['x-path']}: the placeholders differ in number")
    return dict(zip(old, new, strict=True))


def _inline(document: JSON, parameter: JSON) -> JSON:
    inline: JSON = resolve(document, parameter["$ref"]) if "$ref" in parameter else parameter
    return inline


def _corrected(parameter: JSON, renames: dict[str, str]) -> JSON:
    name, place = parameter["name"], parameter["in"]
    kept = {"in": place, "required": place == "path", "schema": _scalar(parameter["schema"])}
    if place == "path":
        return {**kept, "name": renames.get(name, name)}
    if name.endswith("[]"):
        # Declared as one value, sent repeated.
        return {**kept, "name": name, "schema": _list(parameter["schema"]), "explode": True}
    if parameter.get("explode") is False:
        return {**kept, "name": name, "schema": _list(parameter["schema"]), "explode": False}
    return {**kept, "name": name}


def _list(schema: JSON) -> JSON:
    items = schema["items"] if schema.get("type") == "array" else schema
    bounds = {"maxItems": schema["maxItems"]} if "maxItems" in schema else {}
    return {"type": "array", "items": _scalar(items), **bounds}


def _scalar(schema: JSON) -> JSON:
    kept: JSON = {key: schema[key] for key in ("type", "enum", "minimum", "maximum") if key in schema}
    if schema.get("format") == "date-time":
        kept["format"] = "date-time"
    return kept
