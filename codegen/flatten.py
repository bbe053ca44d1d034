"""Replace `allOf`, and keywords beside a `$ref`, by one schema, because the generator drops what it cannot merge."""

from __future__ import annotations

from functools import partial
from typing import Final

from codegen.dialect import known
from codegen.document import JSON, body, operations, referenced, success
from codegen.errors import CodegenError
from codegen.select import DEFAULT, PROSE

# Further values that a response may hold.
ELSE: Final = "x-else"
# Beside a reference these keywords describe its use, so the reference is kept.
_ANNOTATIONS: Final = frozenset(
    {
        "$ref",
        "nullable",
        "readOnly",
        "writeOnly",
        "deprecated",
        "uniqueItems",
        "description",
        PROSE,
        DEFAULT,
        "x-class",
        "x-request",
    }
)


_INHERITED: Final = (
    "type", "properties", "required", "oneOf", "anyOf", "items", "enum", "format", "pattern", "minimum", "maximum",
    "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "additionalProperties", ELSE,
)  # fmt: skip


def flatten(document: JSON) -> JSON:
    """Return a copy in which every reachable schema is flat. A child's keywords override those of its parents."""
    done: JSON = {}
    schemas = document["components"]["schemas"]
    flat = partial(_flat, schemas, done, ())
    paths: JSON = {path: dict(item) for path, item in document["paths"].items()}
    for path, method, operation in operations(document):
        changed = dict(operation)
        if (media := body(operation)) is not None:
            changed["requestBody"] = {"required": True, "content": _json(flat(media["schema"]))}
        status = next(iter(operation["responses"]))
        answer = success(operation)
        response = {"description": "Success.", **({"content": _json(flat(answer))} if answer else {})}
        changed["responses"] = {status: response}
        paths[path][method] = changed
    return {**document, "paths": paths, "components": {"schemas": done}}


def _json(schema: JSON) -> JSON:
    return {"application/json": {"schema": schema}}


def _flat(schemas: JSON, done: JSON, above: tuple[str, ...], schema: JSON) -> JSON:
    name = referenced(schema)
    if name is not None and schema.keys() <= _ANNOTATIONS:
        component = _component(schemas, done, name)
        if component and not _holds_members(component):  # a named value: only objects become classes
            return {**component, **{key: value for key, value in schema.items() if key != "$ref"}}
        return schema
    parts = [{"$ref": schema["$ref"]}] if name is not None else []
    parts += schema.get("allOf", [])
    own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
    if len(parts) == 1 and referenced(parts[0]) and own.keys() <= _ANNOTATIONS | {"type"}:
        annotations = {key: value for key, value in own.items() if key != "type"}
        return _flat(schemas, done, above, {**parts[0], **annotations})
    if not parts:
        return _members(schemas, done, above, own)
    merged: JSON = {}
    for part in [*parts, own]:
        merged = _merged(merged, _expanded(schemas, done, above, part))
    return merged


def _component(schemas: JSON, done: JSON, name: str) -> JSON:
    known(schemas, name)
    if name not in done:
        done[name] = {}  # a schema may contain itself
        done[name].update(_flat(schemas, done, (name,), schemas[name]))
    flat: JSON = done[name]
    return flat


def _expanded(schemas: JSON, done: JSON, above: tuple[str, ...], part: JSON) -> JSON:
    """Return a part of an `allOf`, flat, with a reference replaced by its target."""
    name = referenced(part)
    if name is None or not part.keys() <= _ANNOTATIONS:
        return _flat(schemas, done, above, part)
    if name in above:
        raise CodegenError(name, "builds upon itself through allOf", "correct it in spec/overlay.yaml")
    known(schemas, name)
    return _flat(schemas, done, (*above, name), schemas[name])


def _merged(parent: JSON, child: JSON) -> JSON:
    # Keywords that describe the parent itself (description, class, read-only) do not apply to the child.
    inherited: JSON = {key: parent[key] for key in _INHERITED if key in parent}
    merged: JSON = {**inherited, **child}
    if "properties" in parent or "properties" in child:
        inherited_members = parent.get("properties", {})
        merged["properties"] = inherited_members | {
            name: _redefined(inherited_members.get(name, {}), member)
            for name, member in child.get("properties", {}).items()
        }
    if "required" in parent or "required" in child:
        merged["required"] = sorted({*parent.get("required", []), *child.get("required", [])})
    return merged


def _redefined(parent: JSON, child: JSON) -> JSON:
    """Return a child's member. A response may also hold the parent's listed values that the child does not exclude."""
    values, more = child.get("enum"), parent.get("enum")
    if values and more and not set(values) <= set(more):
        return {**child, ELSE: [value for value in more if value not in values]}
    return child


def _members(schemas: JSON, done: JSON, above: tuple[str, ...], schema: JSON) -> JSON:
    flat = partial(_flat, schemas, done, above)
    result = dict(schema)
    if "properties" in schema:
        result["properties"] = {name: flat(member) for name, member in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        result["items"] = flat(schema["items"])
    for union in ("oneOf", "anyOf"):
        if union in schema:
            result[union] = [flat(member) for member in schema[union]]
    return result


def _holds_members(schema: JSON) -> bool:
    """Return True for an object, or for a union that may hold objects."""
    if any(key in schema for key in ("properties", "additionalProperties")) or schema.get("type") == "object":
        return True
    return any("type" not in each or _holds_members(each) for key in ("oneOf", "anyOf") for each in schema.get(key, []))
