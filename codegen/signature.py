"""Collect facts about endpoints that the templates need and the generator does not provide."""

from __future__ import annotations

import json

from codegen.descriptions import DESCRIPTIONS
from codegen.document import JSON, operations
from codegen.parameters import STYLE, python_name
from codegen.select import SCOPE

_BOUNDED = {
    "string": ("Text", "minLength", "maxLength", "pattern"),
    "integer": ("Integer", "minimum", "maximum"),
    "number": ("Number", "minimum", "maximum"),
}
_CHECKS = {"integer": "shapes.INTEGER", "number": "shapes.NUMBER", "boolean": "shapes.BOOLEAN"}


def jinja(document: JSON) -> str:
    """Return a template that sets `OPERATIONS`: by operationId, the scopes, the deprecation and every parameter."""
    found = {operation["operationId"]: facts(operation) for _, _, operation in operations(document)}
    return "{% set OPERATIONS = " + json.dumps(found, sort_keys=True) + " %}\n"


def scopes(document: JSON) -> str:
    """Return a module that lists every endpoint's OAuth scopes, so that reading them does not import all endpoints."""
    found = {f"{each['tags'][0]}.{each['operationId']}": each.get(SCOPE, []) for _, _, each in operations(document)}
    rows = "".join(f"    {name!r}: {tuple(found[name])!r},\n" for name in sorted(found))
    return (
        '"""The OAuth scopes that each endpoint needs; none where PagerDuty states none."""\n\n'
        "from __future__ import annotations\n\nfrom collections.abc import Mapping\nfrom typing import Final\n\n"
        f"SCOPES: Final[Mapping[str, tuple[str, ...]]] = {{\n{rows}}}\n"
    )


def facts(operation: JSON) -> JSON:
    """Return the facts about one endpoint that the templates need."""
    return {
        "scopes": operation.get(SCOPE, []),
        "deprecated": bool(operation.get("deprecated")),
        "descriptions": {python_name(name): text for name, text in operation.get(DESCRIPTIONS, {}).items()},
        "parameters": {f"{p['in']}:{p['name']}": _parameter(p) for p in operation["parameters"]},
    }


def _parameter(parameter: JSON) -> JSON:
    schema = parameter["schema"]
    item = schema["items"] if schema.get("type") == "array" else schema
    checked = check(item)
    if not checked and schema.get("type") == "array" and "enum" not in item:
        checked = _CHECKS.get(item.get("type", ""), "")
    more = [f"shape={checked}"] if checked else []
    more += [f"least={schema['minItems']}"] if schema.get("minItems", 0) > 1 else []
    more += [f"most={schema['maxItems']}"] if "maxItems" in schema else []
    return {
        "python": python_name(parameter["name"]),
        "style": parameter.get(STYLE, ""),
        "required": parameter["required"],
        "deprecated": bool(parameter.get("deprecated")),
        "exploded": bool(parameter.get("explode")),
        "kind": item.get("type", ""),
        "shape": checked,
        "more": "".join(f", {each}" for each in more),
    }


def check(schema: JSON) -> str:
    """Return the code of the shape that checks a value's bounds; empty when it has none."""
    name, *keys = _BOUNDED.get(schema.get("type", ""), ("",))
    given = [schema.get(key) for key in keys]
    if not any(value is not None for value in given) or given == [0, None, None]:
        return ""
    while given[-1] is None:
        given.pop()
    if name == "Text" and given[0] is None:
        given[0] = 0
    return f"shapes.{name}({', '.join(map(repr, given))})"
