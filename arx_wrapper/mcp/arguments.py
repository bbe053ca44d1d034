"""Read a tool call's arguments tolerantly, in the JSON forms that clients and models write.

Clients write omitted parameters as null, lists and objects as their JSON text, and whole numbers as `5.0`. The result
is then validated, judged and recorded like any other call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from arx_wrapper.core.param_model import with_nulls
from arx_wrapper.mcp.schemas import nullable, without_null

_BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "false": False}


def read_arguments(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments in the form that the parameter model accepts.

    Null means "not given", except where the schema accepts null as a value. Text is parsed as the list, object, number
    or boolean that the schema requires; a whole number is an integer however it is written. Any other value is left
    unchanged, so that the model refuses it by name.

    Args:
        schema: The parameter model's schema, of an object.
        arguments: The arguments of a tool call.
    """
    return _members(schema, arguments)


def _members(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    known: Mapping[str, Any] = schema.get("properties", {})
    found: dict[str, Any] = {}
    for name, value in given.items():
        member = known.get(name)
        if value is None and member is not None and not nullable(member):
            continue
        found[name] = with_nulls(value) if member is None or value is None else _value(member, value)
    return found


def _value(schema: Mapping[str, Any], value: Any) -> Any:
    schema = without_null(schema)
    kind = schema.get("type")
    if isinstance(value, str) and kind in ("array", "object", "integer", "number", "boolean"):
        value = _from_text(kind, value)
    if kind == "array" and isinstance(value, str):
        value = [value]
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "string" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if kind == "array" and isinstance(value, list):
        return [_value(schema.get("items", {}), item) for item in value]
    if kind == "object" and schema.get("properties") and isinstance(value, Mapping):
        return _members(schema, value)
    return with_nulls(value)


def _from_text(kind: str, text: str) -> Any:
    """Parse text as JSON; return the text itself when the value is not of the required kind."""
    if kind == "boolean":
        return _BOOLEANS.get(text.strip().lower(), text)
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, float) and not math.isfinite(value):
        return text
    wanted = {"array": list, "object": dict}.get(kind, (int, float))
    return value if isinstance(value, wanted) and not isinstance(value, bool) else text
