"""Rewrite the schemas of responses to what PagerDuty really sends: nothing required, no unions, expanded references."""

from __future__ import annotations

from typing import Final

from codegen.document import JSON, operations, reference, referenced, success
from codegen.errors import CodegenError
from codegen.flatten import ELSE
from codegen.names import camel
from codegen.select import DEPRECATED, PROSE

# The formats that the client uses: it converts times, and keeps secrets out of a repr.
_FORMATS: Final = frozenset({"date-time", "password"})


def loosen(document: JSON) -> JSON:
    """Return a copy whose responses use open schemas of their own.

    `FooReference` reads as `Foo`, because `include[]` expands it. A union reads as one superset, named by `x-class` or
    by the common part of its members' names. The templates make every member nullable and every enum open.

    Raises:
        CodegenError: a union has no name, or a response is not an object.
    """
    reader = _Reader(document["components"]["schemas"])
    paths: JSON = {path: dict(item) for path, item in document["paths"].items()}
    for path, method, operation in operations(document):
        answer = success(operation)
        if not answer:
            continue
        name = answer.get("x-class") or _envelope(answer, reader)
        if name is None and referenced(answer) is None:
            if answer.get("type") not in (None, "object"):
                raise CodegenError(
                    f"{method.upper()} {path}", "returns no object", "leave it out of ENDPOINTS in codegen/endpoints.py"
                )
            name = f"{camel(operation.get('operationId', method))}Answer"
            answer = {"properties": {}, **answer}
        schema = reader.read({**answer, "x-class": name} if name else answer, "")
        status = next(iter(operation["responses"]))
        content = {"application/json": {"schema": schema}}
        responses = {status: {"description": "Success.", "content": content}}
        paths[path][method] = {**operation, "responses": responses}
    return {**document, "paths": paths, "components": {**document["components"], "answers": reader.schemas}}


def _envelope(answer: JSON, reader: _Reader) -> str | None:
    """Return `FooList` for a response that lists, `FooEnvelope` for one that wraps, None for any other."""
    for name, schema in answer.get("properties", {}).items():
        if schema.get("type") == "array":
            return f"{reader.resource(schema['items'], camel(name))}List"
        if referenced(schema):
            return f"{reader.resource(schema, camel(name))}Envelope"
    return None


class _Reader:
    """Collects the read variants by name.

    Attributes:
        schemas: The open schemas, by class name.
    """

    def __init__(self, published: JSON) -> None:
        self._published = published
        self._merged: set[tuple[str, str]] = set()
        self.schemas: JSON = {}

    def resource(self, schema: JSON, place: str) -> str:
        """Return the name of the class that a schema is read as."""
        name = referenced(schema)
        if "x-class" in schema:
            own: str = schema["x-class"]
            return own
        if name is None:
            return place
        named: str = self._published[name].get("x-class") or name.removesuffix("Reference")
        return named

    def read(self, schema: JSON, place: str) -> JSON:
        """Relax a schema to what a response may hold; objects become references to open schemas."""
        name = referenced(schema)
        own = self.resource(schema, place)
        if name is not None:
            if (own, name) not in self._merged:
                self._merged.add((own, name))
                component = self._published[name]
                if own != self.resource(reference(name), ""):  # the description of a part does not fit the superset
                    component = {key: value for key, value in component.items() if key != "description"}
                self._merge(own, component)
            return reference(own)
        if "oneOf" in schema or "anyOf" in schema:
            return self._union(schema, own)
        if "properties" in schema:
            self._merge(own, schema)
            return reference(own)
        if schema.get("type") == "array":
            items = schema.get("items")
            return {"type": "array", "items": self.read(items, f"{place}Item") if items else {}, **_prose(schema)}
        if schema.get("type") == "object":
            return _prose(schema)  # free-form: passed on unchanged
        kept: JSON = {key: schema[key] for key in ("type", "enum", "description") if key in schema}
        if "enum" in kept:
            kept["enum"] = [value for value in [*kept["enum"], *schema.get(ELSE, [])] if value is not None]
        if schema.get("format") in _FORMATS:
            kept["format"] = schema["format"]
        return kept | _prose(schema)

    def _union(self, schema: JSON, own: str) -> JSON:
        variants = [*schema.get("oneOf", []), *schema.get("anyOf", [])]
        if "properties" not in schema and not any(referenced(v) or "properties" in v for v in variants):
            return _prose(schema)  # a union of scalars: passed on unchanged
        if "x-class" not in schema and "properties" not in schema:
            names = {self.resource(variant, "") for variant in variants}
            if len(names) > 1 or "" in names:
                raise CodegenError(own, f"is a union of {sorted(names)}", "name it with x-class in spec/overlay.yaml")
            own = names.pop()
        own_members = {key: schema[key] for key in ("properties", "description") if key in schema}
        for variant in [{"properties": {}, **own_members}, *variants]:
            self.read({**variant, "x-class": own}, own)
        return reference(own)

    def _merge(self, name: str, schema: JSON) -> None:
        """Add a schema's members to the class, which may hold others already."""
        target = self.schemas.setdefault(name, {"type": "object", "properties": {}})
        if "description" in schema:
            target["description"] = schema["description"]
        members = target["properties"]
        for member, value in schema.get("properties", {}).items():
            if value.get("deprecated") and member not in target.get(DEPRECATED, []):
                target[DEPRECATED] = sorted([*target.get(DEPRECATED, []), member])
            read = self.read(value, f"{name}{camel(member)}")
            members[member] = _both(members[member], read) if member in members else read
        if variants := [*schema.get("oneOf", []), *schema.get("anyOf", [])]:
            for variant in variants:
                self.read({**variant, "x-class": name}, name)


def _prose(schema: JSON) -> JSON:
    said = " ".join(str(schema[key]) for key in (PROSE, "format") if key in schema)
    return {PROSE: said} if said else {}


def _both(one: JSON, other: JSON) -> JSON:
    """Merge two schemas into one that allows both; untyped when they have nothing in common."""
    prose = (
        {PROSE: " ".join(each[PROSE] for each in (one, other) if PROSE in each)}
        if PROSE in one or PROSE in other
        else {}
    )
    bare = [{key: value for key, value in each.items() if key != PROSE} for each in (one, other)]
    return _common(*bare) | prose


def _common(one: JSON, other: JSON) -> JSON:
    if one == other:
        return one
    if one.get("type") != other.get("type") or "$ref" in one or "$ref" in other:
        return {}
    if one.get("type") == "array":
        return {"type": "array", "items": _both(one["items"], other["items"])}
    enums = [*one.get("enum", []), *other.get("enum", [])]
    both = {**one, **other}
    return {**both, "enum": sorted(set(enums))} if enums else both
