"""Make input schemas that every client accepts: flat, typed, without `$ref`, `$schema`, look-around or open objects.

OpenAI's strict mode, Gemini's function declarations, llama.cpp's grammars and the regex engines of Go and Rust each
accept a subset of JSON Schema. The published schemas use what all of them accept. Omitted bounds (lengths, most
patterns) are still checked when the tool is called.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from arx_wrapper.model import Many, Operation

Schema = dict[str, Any]
Descriptions = Mapping[str, str] | None

_TYPES: Final[Mapping[type, str]] = {str: "string", bool: "boolean", int: "integer", float: "number"}
_BOUNDS: Final = ("minimum", "maximum")
# `$(?!\n)` means "the end of the text" in Python; in every other engine `$` alone means that.
_PYTHON_END: Final = re.compile(r"\$\(\?!\\n\)$")
_OPEN_OBJECT: Final = "JSON object, as text."


def portable(schema: Mapping[str, Any], *, descriptions: Descriptions, omitted: Collection[str] = ()) -> Schema:
    """Return a parameter model's schema in the form that tools publish.

    Required parameters keep their bounds and patterns, except ids, which agents copy from other results. The call
    itself checks the rest.

    Args:
        schema: An object's schema, as `ParamModel.schema()` makes it.
        descriptions: Descriptions by name, for parameters whose name is not clear by itself; None for the schema's.
        omitted: Parameters to leave out, also within objects.
    """
    return _object(schema, descriptions, frozenset(omitted))


def portable_pattern(pattern: str) -> str:
    """Return a pattern that RE2, Rust's regex, ECMAScript and Python all compile."""
    return _PYTHON_END.sub("$", pattern)


def nullable(schema: Mapping[str, Any]) -> bool:
    """Return True when a parameter's schema accepts null as a value."""
    kind = schema.get("type")
    offered = kind if isinstance(kind, list) else [kind]
    return "null" in offered or any(nullable(option) for option in schema.get("anyOf", ()))


def without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the alternative of a parameter's schema that is not null.

    Of text and a list of text, the list is returned: it can express both.
    """
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if not options:
        return schema
    return max(options, key=lambda option: option.get("type") == "array")


def _object(schema: Mapping[str, Any], descriptions: Descriptions, omitted: Collection[str]) -> Schema:
    required = schema.get("required", ())
    properties = {
        name: _member(
            member,
            _text(name, member, descriptions),
            omitted,
            required=name in required and not name.endswith("id"),
        )
        for name, member in schema.get("properties", {}).items()
        if name not in omitted
    }
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if wanted := [name for name in required if name in properties]:
        found["required"] = wanted
    return found


def _text(name: str, schema: Mapping[str, Any], descriptions: Descriptions) -> str | None:
    if descriptions is not None:
        return descriptions.get(name)
    text = schema.get("description") or without_null(schema).get("description")
    return text.replace("`NULL`", "null").replace("`", "") if text else None


def _member(schema: Mapping[str, Any], text: str | None, omitted: Collection[str], *, required: bool = False) -> Schema:
    inner = without_null(schema)
    found = _value(inner, omitted)
    if required:
        found |= {keyword: inner[keyword] for keyword in _BOUNDS if keyword in inner}
    if nullable(schema):
        found["type"] = [found["type"], "null"]
        if "enum" in found:
            found["enum"] = [*found["enum"], None]
    pattern = portable_pattern(inner.get("pattern", ""))
    if pattern and required:
        found["pattern"] = pattern
    if inner.get("type") == "object" and not inner.get("properties"):
        text = f"{_OPEN_OBJECT} {text or ''}".rstrip()
    if text:
        found["description"] = text
    return found


def _value(schema: Mapping[str, Any], omitted: Collection[str]) -> Schema:
    kind = schema.get("type") or _TYPES[type(schema["enum"][0])]
    if kind == "object":
        # Strict clients accept no open object, so it is sent as JSON text.
        return _object(schema, {}, omitted) if schema.get("properties") else {"type": "string"}
    if kind == "array":
        return {"type": "array", "items": _member(schema.get("items", {"type": "string"}), None, omitted)}
    return {"type": kind} | ({"enum": list(schema["enum"])} if "enum" in schema else {})


def output_schema(row: Operation) -> Schema:
    """Return the schema of an operation's results: the envelope that `results.py` makes, errors included.

    Members below `data` are not listed: the columns depend on the call, and PagerDuty may add members.
    """
    data: Schema = {"type": "object", "properties": {}}
    if row.envelope:
        many = isinstance(row.returns, Many)
        item: Schema = {"type": "object"}
        data["properties"] = {row.envelope: {"type": "array", "items": item} if many else item}
    return {
        "type": "object",
        "properties": {
            "operation": {"type": "string"},
            "done": {"type": "boolean"},
            "data": data,
            "page": {"type": "object"},
            "truncated": {"type": "object"},
            "untrusted": {"type": "string"},
            "approval": {"type": "object"},
            "error": {"type": "object"},
            "sent": {"type": "string"},
        },
        "required": ["operation", "done"],
    }
