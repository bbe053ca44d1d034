"""Rewrite the schemas of requests as closed objects of writable members: misspelt and read-only names are refused."""

from __future__ import annotations

from typing import Final

from codegen.document import JSON, body, operations, reference, referenced
from codegen.errors import CodegenError
from codegen.names import camel
from codegen.parameters import check_pattern
from codegen.select import DEPRECATED

_SCALAR: Final = (
    "type", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "description",
)  # fmt: skip


def tighten(document: JSON) -> JSON:
    """Return a copy whose request bodies use closed schemas of their own, `XWrite` for a response's `X`.

    A read-only member is kept only when it is required, as the id of a reference is. `x-request` names a schema.
    `x-partial` makes all its members optional, because PagerDuty's PUT accepts only the members that change.

    Raises:
        CodegenError: a required name is no member, or a schema allows any object.
    """
    writer = _Writer(document["components"]["schemas"])
    paths: JSON = {path: dict(item) for path, item in document["paths"].items()}
    for path, method, operation in operations(document):
        media = body(operation)
        if media is None:
            continue
        name = f"{camel(operation.get('operationId', f'{method} {path}'))}Body"
        schema = writer.written(media["schema"], name)
        if referenced(schema) is None:
            raise CodegenError(
                f"{method.upper()} {path}",
                "takes a body that is not an object",
                "describe its members in spec/overlay.yaml",
            )
        content = {"application/json": {"schema": schema}}
        paths[path][method] = {**operation, "requestBody": {"required": True, "content": content}}
    return {**document, "paths": paths, "components": {**document["components"], "requests": writer.schemas}}


class _Writer:
    """Collects the written variants by name.

    Attributes:
        schemas: The closed schemas, by class name.
    """

    def __init__(self, published: JSON) -> None:
        self._published = published
        self.schemas: JSON = {}

    def written(self, schema: JSON, place: str) -> JSON:
        """Restrict a schema to what a request may hold; objects become references to closed schemas."""
        name = referenced(schema)
        if name is not None:
            own = _named(schema, name if name.endswith("Reference") else f"{name}Write")
            if own not in self.schemas:
                self.schemas[own] = {}  # a schema may hold itself
                described = {"description": schema["description"]} if "description" in schema else {}
                component = {**self._published[name], **described}
                if _variants(component):
                    component = self._superset({"x-request": own, **component}, own)
                self.schemas[own] = self._closed(component, own)
            return _nullable(reference(own), schema)
        if _variants(schema):
            if not self._has_members(schema):
                return {}  # a union of text, numbers and lists allows any of them
            return self.written(self._superset(schema, place), place)
        if "properties" in schema:
            own = _named(schema, place)
            self._add(own, self._closed(schema, own))
            return _nullable(reference(own), schema)
        if schema.get("type") == "array":
            items = self.written(schema["items"], f"{place}Item") if schema.get("items") else {}
            return _nullable({**_kept(schema), "items": items}, schema)
        if schema.get("type") == "object":
            raise CodegenError(
                place, "takes any object", "say in spec/overlay.yaml what it takes, or that it is readOnly"
            )
        kept = _kept(schema)
        if "pattern" in kept:
            check_pattern(kept["pattern"], place)
        if schema.get("format") == "date-time":
            kept["format"] = "date-time"
        if schema.get("nullable") and "enum" in kept:  # the generator names an inline one `XType1`
            self._add(place, {**kept, "enum": [value for value in kept["enum"] if value is not None]})
            return _nullable(reference(place), schema)
        return _nullable(kept, schema)

    def _has_members(self, schema: JSON) -> bool:
        if name := referenced(schema):
            schema = self._published[name]
        own = "properties" in schema or schema.get("type") == "object"
        return own or any(self._has_members(each) for each in _variants(schema))

    def _add(self, name: str, schema: JSON) -> None:
        if self.schemas.setdefault(name, schema) != schema:
            raise CodegenError(
                name, "is the name of two different request schemas", "name one with x-request in spec/overlay.yaml"
            )

    def _closed(self, schema: JSON, name: str) -> JSON:
        if "properties" not in schema:
            raise CodegenError(
                name, "takes any object", "say in spec/overlay.yaml what it takes, or that it is readOnly"
            )
        required = [] if schema.get("x-partial") else schema.get("required", [])
        unknown = [member for member in required if member not in schema["properties"]]
        if unknown:
            raise CodegenError(name, f"requires {unknown}, which it lacks", "declare it in spec/overlay.yaml")
        members = {
            member: self.written(value, f"{name}{camel(member)}")
            for member, value in schema["properties"].items()
            if member in required or not value.get("readOnly")
        }
        closed: JSON = {"type": "object", "additionalProperties": False, "properties": members}
        if deprecated := sorted(member for member in members if schema["properties"][member].get("deprecated")):
            closed[DEPRECATED] = deprecated
        if required:
            closed["required"] = sorted(required)
        if schema.get("x-partial"):
            closed["x-partial"] = True
        if "description" in schema:
            closed["description"] = schema["description"]
        return closed

    def _superset(self, schema: JSON, place: str) -> JSON:
        """Return one object with the members of all variants of a union, none of them required."""
        if not {"x-class", "x-request"} & schema.keys():
            raise CodegenError(place, "is a union", "name it with x-class in spec/overlay.yaml")
        members: JSON = dict(schema.get("properties", {}))
        for variant in _variants(schema):
            offered = self._offered(variant, place)
            # A member that is writable in one variant stays writable, even if it is read-only in another.
            members |= {key: value for key, value in offered.items() if key not in members or not value.get("readOnly")}
        kept = {key: value for key, value in schema.items() if key not in ("oneOf", "anyOf")}
        return {**kept, "properties": members}

    def _offered(self, variant: JSON, place: str) -> JSON:
        name = referenced(variant)
        described: JSON = self._published[name] if name else variant
        if _variants(described):
            described = self._superset({"x-request": place, **described}, place)
        if "properties" not in described:
            raise CodegenError(
                place, "is a union of objects and other values", "say in spec/overlay.yaml which of them is written"
            )
        members: JSON = described["properties"]
        return members


def _named(schema: JSON, otherwise: str) -> str:
    if "x-request" in schema:
        return str(schema["x-request"])
    return f"{schema['x-class']}Write" if "x-class" in schema else otherwise


def _variants(schema: JSON) -> list[JSON]:
    return [*schema.get("oneOf", []), *schema.get("anyOf", [])]


def _kept(schema: JSON) -> JSON:
    return {key: schema[key] for key in _SCALAR if key in schema}


def _nullable(written: JSON, schema: JSON) -> JSON:
    """Allow null in OpenAPI 3.1's form."""
    if not schema.get("nullable"):
        return written
    if not written:
        return written
    if "$ref" in written:
        return {"oneOf": [written, {"type": "null"}]}
    return {**written, "type": [written["type"], "null"]}
