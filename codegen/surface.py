"""Reduce a document to its surface: all that callers can notice, without prose, as a value that can be compared.

`spec/surface.json` is the surface of the published document from which the client was made, before any correction. From
it `update` reports what PagerDuty changed, although the published document itself is not stored.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from codegen import dialect, flatten, hoist, select
from codegen.document import JSON, operations, referenced
from codegen.endpoints import ENDPOINTS
from codegen.errors import CodegenError
from codegen.parameters import STYLE
from codegen.select import DEFAULT, DEPRECATED, PROSE, SCOPE, STATUSES

_FACTS: Final = (
    "type", "format", "enum", "nullable", "readOnly", "writeOnly", "deprecated", "minimum", "maximum", "minLength",
    "maxLength", "minItems", "maxItems", "uniqueItems", "pattern",
)  # fmt: skip


def published(document: JSON, endpoints: tuple[str, ...] = ENDPOINTS) -> JSON:
    """Return the surface of a published document, for the listed endpoints that it has.

    Raises:
        CodegenError: it cannot be read.
    """
    paths = document.get("paths", {}) if isinstance(document, dict) else {}
    found = tuple(each for each in endpoints if select.split(each)[0] in paths.get(select.split(each)[1], {}))
    if not found:
        raise CodegenError("the published document", "has none of the endpoints", "give the address of openapiv3.json")
    chosen = hoist.reach(select.select(document, found))
    select.validate(chosen)
    unified = dialect.unify(hoist.unfold(chosen))
    schemas = unified["components"]["schemas"]
    for path, method, operation in operations(unified):
        place = f"{method.upper()} {path}"
        operation["parameters"] = [
            _valued(dialect.parameter(unified, each, place), schemas, place) for each in operation.get("parameters", [])
        ]
    return of(flatten.flatten(hoist.prune(hoist.hoist(unified))))


def of(document: JSON) -> JSON:
    """Return the surface of a flat document: a partly processed published one, or the trimmed one."""
    found = {f"{method.upper()} {path}": _operation(each) for path, method, each in operations(document)}
    schemas = document["components"]["schemas"]
    return {"operations": found, "schemas": {name: _schema(schema) for name, schema in schemas.items()}}


def _valued(parameter: JSON, schemas: JSON, place: str) -> JSON:
    if "schema" not in parameter:
        return parameter
    place = f"{place}: {parameter['name']}"
    schema = dialect.value_schema(schemas, dialect.schema_of(parameter["schema"], place), place)
    return {**parameter, "schema": schema}


def _operation(operation: JSON) -> JSON:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    answers = operation["responses"]
    status = next(iter(answers))
    answer = answers[status].get("content", {}).get("application/json", {})
    found: JSON = {
        "deprecated": bool(operation.get("deprecated")),
        "scopes": operation.get(SCOPE, []),
        "statuses": operation.get(STATUSES, sorted(answers)),
        "prose": _digest(operation),
        "parameters": {f"{p['in']} {p['name']}": _parameter(p) for p in operation["parameters"]},
        "request": _schema(body["schema"]) if body else None,
        "response": _schema(answer["schema"]) if answer else None,
    }
    return found


def _parameter(parameter: JSON) -> JSON:
    found = _schema(parameter.get("schema", {})) | {"required": bool(parameter.get("required"))}
    for key in ("style", "explode", "deprecated", STYLE):
        if parameter.get(key) is not None:
            found[key] = parameter[key]
    return found | ({"prose": _digest(parameter)} if PROSE in parameter else {})


def _schema(schema: JSON) -> JSON:
    """Reduce a schema to its meaning, with members by name; a reference is kept."""
    found: JSON = {key: schema[key] for key in _FACTS if schema.get(key) is not None and schema[key] is not False}
    if "enum" in found:
        found["enum"] = sorted((value for value in found["enum"] if value is not None), key=str)
    if DEFAULT in schema:
        found["default"] = schema[DEFAULT]
    if PROSE in schema:
        found["prose"] = _digest(schema)
    if own := referenced(schema):
        return found | {"ref": own}
    if "properties" in schema:
        required = schema.get("required", [])
        deprecated = schema.get(DEPRECATED, [])
        found["members"] = {
            str(name): _schema(each)
            | ({"required": True} if name in required else {})
            | ({"deprecated": True} if name in deprecated else {})
            for name, each in schema["properties"].items()
        }
    if isinstance(schema.get("items"), dict):
        found["items"] = _schema(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        found["values"] = _schema(schema["additionalProperties"])
    variants = [*schema.get("oneOf", []), *schema.get("anyOf", [])]
    if null := [each for each in variants if each.get("type") == "null"]:
        variants = [each for each in variants if each not in null]
        found["nullable"] = True
    if isinstance(found.get("type"), list):
        found |= {"type": next(each for each in found["type"] if each != "null"), "nullable": True}
    if len(variants) == 1 and null:
        return _schema(variants[0]) | found
    if variants:
        found["variants"] = {referenced(each) or f"variant {i + 1}": _schema(each) for i, each in enumerate(variants)}
    return found


def _digest(node: Any) -> str:
    return hashlib.sha256(str(node.get(PROSE, "")).encode()).hexdigest()[:8]


def text(surface: JSON) -> str:
    """Return the surface as text, with one line for each endpoint, parameter and member."""
    return _lines(surface, "") + "\n"


def _lines(node: Any, margin: str) -> str:
    """Return JSON with each object on one line, unless it holds further names."""
    opened = isinstance(node, dict) and any(key in node for key in ("members", "parameters", "schemas"))
    if not opened and not (isinstance(node, dict) and node and len(margin) == 1):
        return json.dumps(node, sort_keys=True, ensure_ascii=False)
    inner = margin + " "
    rows = (
        f"{inner}{json.dumps(key, ensure_ascii=False)}: {_named(key, node[key], inner)}"
        for key in sorted(node, key=str)
    )
    return "{\n" + ",\n".join(rows) + f"\n{margin}}}"


def _named(key: str, node: Any, margin: str) -> str:
    if key not in ("members", "parameters") or not node:
        return _lines(node, margin)
    inner = margin + " "
    rows = (f"{inner}{json.dumps(name, ensure_ascii=False)}: {_lines(node[name], inner)}" for name in sorted(node))
    return "{\n" + ",\n".join(rows) + f"\n{margin}}}"
