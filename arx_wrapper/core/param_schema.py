"""Derive the JSON Schema (draft 2020-12) of a method's parameters.

msgspec is not used for it: its derivation sometimes crashes CPython at exit (0.19 to 0.22).
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Collection, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, UnsetType

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NAMED: Final[Mapping[Any, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    dict: {"type": "object"},
    Any: {},
}
# msgspec's bounds, and their names in JSON Schema for text, lists and numbers.
_BOUNDS: Final[Mapping[str, Mapping[str, str]]] = {
    "string": {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"},
    "array": {"min_length": "minItems", "max_length": "maxItems"},
    "integer": {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"},
    "number": {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"},
}
_SECTION: Final = re.compile(r"^(?:Args|Returns|Raises):|\bSource: `", re.MULTILINE)
_ARGUMENT: Final = re.compile(r"(?m)^ {4}(\w+(?:, \w+)*): ")


def of_parameters(
    function: object, types: Mapping[str, Any], required: Sequence[str], two_forms: Collection[str]
) -> Schema:
    """Return the schema of a method's parameters, with the descriptions of its docstring.

    Args:
        function: The method.
        types: Its parameters' types, as they are sent.
        required: The names of the required parameters.
        two_forms: The names of parameters that accept a second form: for a list, its only item. (The second form of a
            time is a `datetime`, which JSON does not have.)

    Raises:
        TypeError: a parameter's type has no JSON Schema here.
    """
    found = {"$schema": DIALECT, **of_object(types, required)}
    properties: dict[str, Schema] = found["properties"]
    for name in two_forms:
        if properties[name].get("type") == "array":
            properties[name] = _any_of([properties[name]["items"], properties[name]])
    for name, text in _argument_descriptions(function).items():
        properties[name]["description"] = text.replace("`NULL`", "null")
    return found


def of_object(types: Mapping[str, Any], required: Sequence[str]) -> Schema:
    """Return the schema of an object with these members and no others."""
    schema: Schema = {
        "type": "object",
        "properties": {name: of_type(hint) for name, hint in types.items()},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = list(required)
    return schema


def of_type(hint: Any) -> Schema:
    """Return the schema of one type.

    Raises:
        TypeError: the type has no JSON Schema here.
    """
    if typing.get_origin(hint) is Annotated:
        inner, *marks = typing.get_args(hint)
        schema = of_type(inner)
        for mark in marks:
            if isinstance(mark, Meta):
                schema.update(_bounds(schema.get("type"), mark))
        return schema
    if typing.get_origin(hint) in (typing.Union, UnionType):
        return _any_of([of_type(item) for item in typing.get_args(hint) if item is not UnsetType])
    if typing.get_origin(hint) is Literal:
        return {"enum": list(typing.get_args(hint))}
    if typing.get_origin(hint) in (list, Sequence):
        return {"type": "array", "items": of_type(typing.get_args(hint)[0])}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        types = typing.get_type_hints(hint, include_extras=True)
        return of_object(types, [field.name for field in msgspec.structs.fields(hint) if field.required])
    named = _NAMED.get(typing.get_origin(hint) or hint)
    if named is None:
        raise TypeError(f"{hint!r} has no JSON Schema here; parameters are made of JSON's own types")
    return dict(named)


def prose(function: object) -> str:
    """Return a docstring's text before its sections, with each paragraph on one line."""
    text = inspect.getdoc(function) or ""
    found = _SECTION.search(text)
    paragraphs = text[: found.start() if found else None].strip().split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _argument_descriptions(function: object) -> dict[str, str]:
    """Return the text of a docstring's `Args` section, by parameter."""
    _, found, rest = (inspect.getdoc(function) or "").partition("Args:\n")
    section = re.split(r"(?m)^\S", rest, maxsplit=1)[0] if found else ""
    _, *parts = _ARGUMENT.split(section)
    return {
        name: " ".join(text.split())
        for names, text in zip(parts[::2], parts[1::2], strict=True)
        for name in names.split(", ")
    }


def _bounds(kind: object, mark: Meta) -> Schema:
    bounds = {
        keyword: value
        for name, keyword in _BOUNDS.get(str(kind), {}).items()
        if (value := getattr(mark, name)) is not None
    }
    return bounds | ({"description": mark.description} if mark.description else {})


def _any_of(options: list[Schema]) -> Schema:
    if len(options) == 1:
        return options[0]
    if all(option.keys() == {"enum"} for option in options):
        return {"enum": [value for option in options for value in option["enum"]]}
    return {"anyOf": options}
