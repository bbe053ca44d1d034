"""Rewrite the document in one dialect of OpenAPI 3.0: one form for each construct, including those of 3.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from codegen.document import JSON, MEDIA, METHODS, nearest, referenced, resolve
from codegen.errors import CodegenError

Change = Callable[[JSON, str], JSON]

_MAPS: Final = ("properties", "patternProperties")
_LISTS: Final = ("allOf", "oneOf", "anyOf")
# Media types of successful responses that are not JSON, and so have no model.
_UNTYPED: Final = frozenset({"text/plain", "text/csv", "text/html", "application/octet-stream", "application/pdf"})


def unify(document: JSON) -> JSON:
    """Return a copy with inline JSON bodies, in which every schema states type, null and values in the same form.

    Raises:
        CodegenError: a body is not JSON, or a reference has no target.
    """
    paths = {path: _item(document, path, item) for path, item in document["paths"].items()}
    components = dict(document["components"])
    components["schemas"] = {
        name: schema_of(schema, f"components.schemas.{name}") for name, schema in components["schemas"].items()
    }
    return {**document, "paths": paths, "components": {k: components[k] for k in ("schemas", "parameters")}}


def _item(document: JSON, path: str, item: JSON) -> JSON:
    changed = dict(item)
    for method in METHODS:
        if method in item:
            changed[method] = _operation(document, item[method], f"{method.upper()} {path}")
    return changed


def _operation(document: JSON, operation: JSON, place: str) -> JSON:
    changed = dict(operation)
    if "requestBody" in operation:
        described = inline(document, operation["requestBody"])
        media = json_media(described.get("content", {}))
        if media is None and described.get("content"):
            kinds = ", ".join(described["content"])
            raise CodegenError(
                place,
                f"takes a body of {kinds}, and only JSON is known",
                "leave it out of ENDPOINTS in codegen/endpoints.py",
            )
        if media is None or "schema" not in media:
            del changed["requestBody"]
        else:
            changed["requestBody"] = {**described, "content": _content(media, f"{place} request")}
    responses: JSON = {}
    for status, response in operation.get("responses", {}).items():
        described = inline(document, response)
        media = json_media(described.get("content", {}))
        if media is None and (unknown := described.get("content", {}).keys() - _UNTYPED):
            raise CodegenError(
                place,
                f"returns {', '.join(sorted(unknown))}, and only JSON is known",
                "correct it in spec/overlay.yaml",
            )
        content = _content(media, f"{place} {status}") if media and media.get("schema") is not None else {}
        responses[str(status)] = {"content": content} if content else {}
    if not responses:
        raise CodegenError(place, "has no response that means success", "declare one in spec/overlay.yaml")
    changed["responses"] = responses
    return changed


def _content(media: JSON, place: str) -> JSON:
    return {MEDIA: {**media, "schema": schema_of(media["schema"], place)}}


def inline(document: JSON, described: JSON) -> JSON:
    """Resolve a reference to a shared response, request body, parameter or header; return any other node unchanged."""
    seen: list[str] = []
    while "$ref" in described:
        pointer = described["$ref"]
        if pointer in seen:
            raise CodegenError(pointer, "refers to itself", "correct it in spec/overlay.yaml")
        seen.append(pointer)
        described = resolve(document, pointer)
    return described


def parameter(document: JSON, described: JSON, place: str) -> JSON:
    """Return a parameter, inline.

    Raises:
        CodegenError: it has no `name` or no `in`.
    """
    found = inline(document, described)
    if not isinstance(found.get("name"), str) or not isinstance(found.get("in"), str):
        pointer = described.get("$ref", found)
        raise CodegenError(place, f"has a parameter that is none: {pointer}", "correct it in spec/overlay.yaml")
    return found


def json_media(content: JSON) -> JSON | None:
    """Return the media type object for JSON, whatever parameters or suffix its name has."""
    for kind, media in content.items():
        name = kind.partition(";")[0].strip().lower()
        if name == MEDIA or (name.startswith("application/") and name.endswith("+json")):
            found: JSON = media
            return found
    return None


def schema_of(schema: Any, place: str) -> JSON:
    """Return a schema, with all schemas below it, in the one dialect."""
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        raise CodegenError(place, f"is {schema!r}, not a schema", "correct it in spec/overlay.yaml")
    changed = dict(schema)
    if isinstance(changed.get("required"), bool):  # JSON Schema draft 3's form, which has no meaning here
        del changed["required"]
    for key in _MAPS:
        if key in changed:
            changed[key] = {name: schema_of(each, f"{place}.{name}") for name, each in changed[key].items()}
    for key in _LISTS:
        if key in changed:
            changed[key] = [schema_of(each, f"{place}.{key}[{i}]") for i, each in enumerate(changed[key])]
    if isinstance(changed.get("items"), dict):
        changed["items"] = schema_of(changed["items"], f"{place}[]")
    for rule in (_const, _types, _null_variants, _null_values, _implied_type, _exclusive):
        changed = rule(changed, place)
    return changed


def _const(schema: JSON, place: str) -> JSON:
    if "const" not in schema:
        return schema
    return {**{key: value for key, value in schema.items() if key != "const"}, "enum": [schema["const"]]}


def _types(schema: JSON, place: str) -> JSON:
    kinds = schema.get("type")
    if not isinstance(kinds, list):
        return schema
    rest = {key: value for key, value in schema.items() if key != "type"}
    left = [kind for kind in kinds if kind != "null"]
    if len(left) < len(kinds):
        rest["nullable"] = True
    if len(left) == 1:
        return {**rest, "type": left[0]}
    return {**rest, "oneOf": [{"type": kind} for kind in left]} if left else rest


def _null_variants(schema: JSON, place: str) -> JSON:
    """Rewrite a union with null as a nullable schema, and a union with one variant as that variant."""
    changed = schema
    for key in ("oneOf", "anyOf"):
        variants = changed.get(key)
        if variants is None:
            continue
        kept = [each for each in variants if each.get("type") != "null" and each != {"nullable": True}]
        nulls = {"nullable": True} if len(kept) < len(variants) else {}
        rest = {name: value for name, value in changed.items() if name != key}
        one = nulls and len(kept) == 1
        changed = {**kept[0], **rest, **nulls} if one else {**rest, key: kept, **nulls}
    return changed


def _null_values(schema: JSON, place: str) -> JSON:
    return {**schema, "nullable": True} if None in (schema.get("enum") or ()) else schema


def _implied_type(schema: JSON, place: str) -> JSON:
    if schema.get("type") == "array" and "items" not in schema:
        return {**schema, "items": {}}
    if "type" in schema or "$ref" in schema:
        return schema
    if "items" in schema:
        return {**schema, "type": "array"}
    if "properties" in schema and not any(key in schema for key in _LISTS):
        return {**schema, "type": "object"}
    kinds = {type(value) for value in schema.get("enum") or () if value is not None}
    if kinds and kinds <= {str}:
        return {**schema, "type": "string"}
    return {**schema, "type": "integer"} if kinds == {int} else schema


def _exclusive(schema: JSON, place: str) -> JSON:
    """Rewrite exclusive bounds of whole numbers as inclusive ones."""
    changed = dict(schema)
    for key, inclusive, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        given = changed.pop(key, None)
        if given is None or given is False:
            continue
        bound = changed.get(inclusive) if given is True else given
        if schema.get("type") != "integer" or bound is None:
            raise CodegenError(
                place, f"has the bound {key}, which is known of integers only", "set it in spec/overlay.yaml"
            )
        changed[inclusive] = bound + step
    return changed


def known(schemas: JSON, name: str) -> None:
    """Check that a schema exists."""
    if name not in schemas:
        raise CodegenError(
            f"#/components/schemas/{name}", f"names nothing{nearest(name, schemas)}", "correct it in spec/overlay.yaml"
        )


def value_schema(schemas: JSON, schema: JSON, place: str) -> JSON:
    """Return a schema without references and `allOf`, because values in a query have no classes."""
    merged: JSON = {}
    seen: list[str] = []
    while own := referenced(schema):
        if own in seen:
            raise CodegenError(place, f"has a schema that is only itself ({own})", "correct it in spec/overlay.yaml")
        seen.append(own)
        known(schemas, own)
        schema = {**schemas[own], **{key: value for key, value in schema.items() if key != "$ref"}}
    for part in schema.get("allOf", []):
        merged |= value_schema(schemas, part, place)
    merged |= {key: value for key, value in schema.items() if key != "allOf"}
    if isinstance(merged.get("items"), dict):
        merged["items"] = value_schema(schemas, merged["items"], place)
    return merged
