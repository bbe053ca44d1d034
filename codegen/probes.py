"""Make values that a schema of the trimmed document allows, and values that it refuses, to test the generated code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from codegen.document import JSON, referenced

_TIME: Final = "2025-01-01T00:00:00Z"
_TEXTS: Final = ("text", "ab", "AB", "a1", "1", "0", "-", "a@example.com", "https://example.com/", "2025-01-01")
_KINDS: Final[tuple[tuple[str, Any], ...]] = (
    ("string", "text"),
    ("boolean", True),
    ("integer", 7),
    ("number", 0.5),
    ("object", {"member_of_tomorrow": 1}),
    ("array", ["text"]),
)


@frozen
class Probe:
    """A value, and whether a schema allows it.

    Attributes:
        value: The value, as JSON.
        allowed: Whether the schema allows it.
        why: A description of the probe.
    """

    value: Any
    allowed: bool
    why: str


class Probes:
    """Makes probes for the schemas of one document."""

    def __init__(self, schemas: JSON) -> None:
        self._schemas = schemas

    def sample(self, schema: JSON) -> Any:
        """Return a minimal value that the schema allows."""
        schema, _ = self._one(schema)
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type")
        if kind == "object":
            return {name: self.sample(schema["properties"][name]) for name in schema.get("required", [])}
        if kind == "array":
            return [self.sample(schema["items"])] * max(1, schema.get("minItems", 0))
        if kind == "string":
            return self._text(schema)
        if kind in ("integer", "number"):
            low, high = schema.get("minimum"), schema.get("maximum")
            return low if low is not None else min(high, 7) if high is not None else 7
        return True if kind == "boolean" else {"any": [1, None]}

    def probes(self, schema: JSON) -> Iterator[Probe]:
        """Yield values that the schema allows, and values that it refuses."""
        schema, nullable = self._one(schema)
        kind = schema.get("type")
        yield Probe(self.sample(schema), True, "a value that is right")
        yield Probe(None, nullable or not kind, "null")
        if not kind:
            return
        for other, value in _KINDS:
            if other != kind and not (kind == "number" and other == "integer"):
                yield Probe(value, False, f"a value of type {other}")
        for value in schema.get("enum", ()):
            yield Probe(value, True, f"the value {value!r}")
        if "enum" in schema and kind == "string":
            yield Probe("value_of_tomorrow", False, "a value that is not listed")
        yield from self._bounds(schema, kind)

    def _bounds(self, schema: JSON, kind: str) -> Iterator[Probe]:
        if kind in ("integer", "number"):
            for key, step in (("minimum", -1), ("maximum", 1)):
                if key in schema:
                    yield Probe(schema[key], True, f"its {key}")
                    yield Probe(schema[key] + step, False, f"beyond its {key}")
        if kind == "string" and schema.get("format") == "date-time":
            yield Probe("tomorrow", False, "text that is no time")
        elif kind == "string" and "enum" not in schema:
            if schema.get("minLength"):
                yield Probe("a" * (schema["minLength"] - 1), False, "text below its minLength")
            if "maxLength" in schema:
                yield Probe("a" * (schema["maxLength"] + 1), False, "text beyond its maxLength")
            if "pattern" in schema:
                wrong = [each for each in ("!", " ", *_TEXTS) if not re.search(schema["pattern"], each)]
                yield from (Probe(each, False, "text that its pattern is not found in") for each in wrong[:1])
        if kind == "array":
            yield from self._lists(schema)

    def _lists(self, schema: JSON) -> Iterator[Probe]:
        item = self.sample(schema["items"])
        least = schema.get("minItems", 0)
        if least:
            yield Probe([item] * (least - 1), False, "a list below its minItems")
        if "maxItems" in schema:
            yield Probe([item] * schema["maxItems"], True, "a list of its maxItems")
            yield Probe([item] * (schema["maxItems"] + 1), False, "a list beyond its maxItems")
        if referenced(schema["items"]) is None:
            for each in self.probes(schema["items"]):
                yield Probe([each.value] * max(1, least), each.allowed, f"{each.why} in a list")

    def _one(self, schema: JSON) -> tuple[JSON, bool]:
        """Return the referenced schema, and True when null is allowed as well."""
        nullable = False
        while True:
            if "oneOf" in schema:
                nullable = True
                schema = next(each for each in schema["oneOf"] if each.get("type") != "null")
            elif name := referenced(schema):
                schema = self._schemas[name]
            elif isinstance(schema.get("type"), list):
                nullable = True
                schema = {**schema, "type": next(each for each in schema["type"] if each != "null")}
            else:
                return schema, nullable

    def _text(self, schema: JSON) -> str:
        if schema.get("format") == "date-time":
            return _TIME
        low, high = int(schema.get("minLength", 0)), schema.get("maxLength")
        for text in (*_TEXTS, "a" * max(low, 1)):
            fits = len(text) >= low and (high is None or len(text) <= high)
            if fits and re.search(schema.get("pattern", ""), text):
                return text
        return "a" * max(low, 1)
