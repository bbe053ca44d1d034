"""Derive an operation's parameter model, closed and strict, from its method's signature.

The signature `resolve_incident(incident_id, *, resolution=None)` also defines the parameters that `execute()` accepts
and the JSON Schema of the operation's tool.
"""

from __future__ import annotations

import difflib
import inspect
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from arx_wrapper.errors import InvalidParamsError, shown
from arx_wrapper.params import NULL, AcceptsAlternative, Null

# Limits of one call's parameters. Larger ones would block the event loop and fill the log before policy denies them.
_MAX_DEPTH: Final = 64
_MAX_ITEMS: Final = 1_000
_MAX_VALUES: Final = 20_000
_MAX_CHARACTERS: Final = 500_000
# The length to which an unknown name is cut before it is compared with the known ones.
_COMPARED: Final = 100
# The most characters of a message that quotes a caller's text.
_SHOWN: Final = 300


# A date and a time of day without an offset.
_LOCAL_TIME: Final = re.compile(r"[^T]*T[^Z+-]*$")


class ParamModel:
    """The closed parameter model of one operation, derived from its method.

    Attributes:
        operation: The operation's name, for messages.
        names: The parameters in the method's order.
        required: The required parameters.
        struct: The `msgspec.Struct` that validates them.
    """

    def __init__(self, operation: str, function: Callable[..., object]) -> None:
        hints = typing.get_type_hints(function, include_extras=True)
        signature = inspect.signature(function).parameters.values()
        parameters = [parameter for parameter in signature if parameter.name != "self"]
        self.operation, self._function = operation, function
        self.names = tuple(parameter.name for parameter in parameters)
        self.required = tuple(p.name for p in parameters if p.default is inspect.Parameter.empty)
        self._two_forms = frozenset(p.name for p in parameters if _mark(hints[p.name]))
        self._zones = {p.name: mark.zone for p in parameters if (mark := _mark(hints[p.name])) and mark.zone}
        self._wire = {p.name: _wire_type(hints[p.name]) for p in parameters}
        self.struct = msgspec.defstruct(
            function.__name__,
            [
                (name, self._wire[name]) if name in self.required else (name, self._wire[name] | UnsetType, UNSET)
                for name in self.names
            ],
            forbid_unknown_fields=True,
            frozen=True,
            kw_only=True,
        )

    def canonical(self, params: Mapping[str, Any]) -> bytes:
        """Return the parameters, validated, as canonical JSON: sorted, without those that were not given.

        Raises:
            InvalidParamsError: a parameter is invalid; the error names it and what is accepted.
        """
        if not isinstance(params, Mapping):
            kind = type(params).__name__
            raise InvalidParamsError(self.operation, "parameters", f"are a {kind}", "an object, its members by name")
        given: dict[str, Any] = {}
        for name, value in params.items():
            if name not in self._wire:
                raise self._unknown(name)
            if value is not None:
                given[str.__str__(name)] = value
        for name in self.required:
            if name not in given:
                raise InvalidParamsError(self.operation, name, "is missing", self.accepted(name))
        for name in self._two_forms.intersection(given):
            given[name] = self._one_form(name, given[name], zoned=self._zones.get(name) in given)
        try:
            copier = _Copier()
            plain = {name: self._json(copier, name, value) for name, value in given.items()}
            for name in self._zones.keys() & plain.keys():
                plain[name] = self._with_offset(name, plain)
            valid = msgspec.convert(plain, self.struct, strict=True)
            return msgspec.json.encode(valid, order="sorted")
        except msgspec.ValidationError as error:
            raise self._invalid(str(error)) from None
        except UnicodeEncodeError:
            raise self._not_json("parameters", "they hold text that is not valid Unicode") from None

    def takes(self, name: str, value: Any) -> bool:
        """Return True when a parameter accepts a value."""
        if name not in self._wire:
            return False
        try:
            one = self._one_form(name, value, zoned=name in self._zones) if name in self._two_forms else value
            msgspec.convert(one, self._wire[name], strict=True)
        except msgspec.ValidationError:
            return False
        return True

    def accepted(self, name: str) -> str:
        """Describe the values that a parameter accepts."""
        return _accepted(self._wire[name])

    def redacted(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters without free text.

        Ids, enumerated values, numbers, times and addresses are kept; any other text is replaced by its length.
        """
        return {name: _redacted(self._wire[name], value) for name, value in params.items()}

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the parameters (draft 2020-12), with the descriptions of the method's docstring."""
        from arx_wrapper.core import param_schema as schema  # imported late: most callers do not need it

        return schema.of_parameters(self._function, self._wire, self.required, self._two_forms)

    def _unknown(self, name: object) -> InvalidParamsError:
        nearest = difflib.get_close_matches(str(name)[:_COMPARED], self.names, n=1)
        accepted = f"did you mean {nearest[0]!r}?" if nearest else f"one of {', '.join(self.names)}"
        # What could be a parameter's name is given as it is, so that `param` can be compared; the rest is escaped.
        if type(name) is str and len(name) <= _COMPARED and name.isascii() and name.isidentifier():
            return InvalidParamsError(self.operation, name, "is not a parameter", accepted)
        return InvalidParamsError(self.operation, shown(name), "is not a parameter", accepted)

    def _one_form(self, name: str, value: Any, *, zoned: bool) -> Any:
        if isinstance(value, datetime):
            if not zoned and (value.tzinfo is None or value.utcoffset() is None):
                raise InvalidParamsError(self.operation, name, "is a datetime without a zone", self.accepted(name))
            return value.isoformat()
        if isinstance(value, str) and typing.get_origin(_unannotated(self._wire[name])) is Sequence:
            return [value]
        return value

    def _with_offset(self, name: str, params: Mapping[str, Any]) -> Any:
        """Return a time with its offset; a local time gets the offset of the zone that another parameter names."""
        value, zone = params[name], self._zones[name]
        if not isinstance(value, str) or not _LOCAL_TIME.match(value):
            return value
        if zone not in params:
            problem = f"is a time without an offset, and there is no {zone}"
            raise InvalidParamsError(self.operation, name, problem, f"{self.accepted(name)}; or give {zone}")
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # imported late: few calls have local times

        try:
            return datetime.fromisoformat(value).replace(tzinfo=ZoneInfo(params[zone])).isoformat()
        except (ZoneInfoNotFoundError, OSError):  # OSError: the name is that of a folder of zones
            problem = f"is not a zone that this machine knows, so {name} needs an offset"
            raise InvalidParamsError(self.operation, str(zone), problem, self.accepted(str(zone))) from None
        except (TypeError, ValueError):
            return value  # the value is invalid too; validation reports it

    def _json(self, copier: _Copier, name: str, value: Any) -> Any:
        try:
            return copier.plain(value)
        except _NotJSONError as error:
            raise self._not_json(name, str(error)) from None

    def _not_json(self, name: str, problem: str) -> InvalidParamsError:
        accepted = "JSON that one call can carry: objects, arrays, text, finite numbers, true, false, and NULL for null"
        return InvalidParamsError(self.operation, name, f"cannot be sent: {problem}", accepted)

    def _invalid(self, problem: str) -> InvalidParamsError:
        text, _, path = problem.partition(" - at `$")
        text = re.sub(r" matching regex .*", " of the right form", text)
        text, place = _short(text), _short(path.rstrip("`").lstrip("."))
        name = re.match(r"\w+", place)
        accepted = self.accepted(name[0]) if name and name[0] in self._wire else "see the operation's parameters"
        return InvalidParamsError(self.operation, place or "parameters", text.replace("`", ""), accepted)


@cache
def param_model(operation: str, function: Callable[..., object]) -> ParamModel:
    """Return the parameter model of a connector's method, derived once."""
    return ParamModel(operation, function)


def with_nulls(value: Any, depth: int = 0) -> Any:
    """Return JSON with `NULL` in place of null, as parameter models require: None means "not given" there.

    Values nested deeper than the models accept are left unchanged, so that the models refuse them.
    """
    if value is None:
        return NULL
    if depth > _MAX_DEPTH:
        return value
    if isinstance(value, Mapping):
        return {name: with_nulls(item, depth + 1) for name, item in value.items()}
    return [with_nulls(item, depth + 1) for item in value] if isinstance(value, list) else value


class _NotJSONError(Exception):
    """A value that JSON cannot carry."""


class _Copier:
    """Copies the parameters of one call, so that the caller cannot change them, and refuses too large ones.

    `NULL` becomes null. A null inside an object or a list is kept.
    """

    def __init__(self) -> None:
        self._values, self._characters = _MAX_VALUES, _MAX_CHARACTERS

    def plain(self, value: Any, depth: int = 0) -> Any:
        """Return a copy of a value as plain JSON data.

        Raises:
            _NotJSONError: it is not JSON, or too large for one call.
        """
        self._values -= 1
        if self._values < 0:
            raise _NotJSONError(f"the parameters hold more than {_MAX_VALUES:,} values")
        if value is NULL or value is None:
            return None
        if isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int | float):
            return _number(value)
        if depth == _MAX_DEPTH:
            raise _NotJSONError(f"it is nested deeper than {_MAX_DEPTH} levels")
        if isinstance(value, msgspec.Struct):
            value = {name: item for name, item in msgspec.structs.asdict(value).items() if item is not UNSET}
        if isinstance(value, Mapping):
            return {self._text(_name(key)): self.plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
            if len(value) > _MAX_ITEMS:
                raise _NotJSONError(f"a list holds {len(value):,} items, and {_MAX_ITEMS:,} is the most")
            return [self.plain(item, depth + 1) for item in value]
        raise _NotJSONError(f"a {type(value).__name__} is not JSON")

    def _text(self, value: str) -> str:
        text = str.__str__(value)  # a subclass may override `__str__`
        self._characters -= len(text)
        if self._characters < 0:
            raise _NotJSONError(f"the parameters hold more than {_MAX_CHARACTERS:,} characters")
        return text


def _number(value: float) -> float:
    number = int.__int__(value) if isinstance(value, int) else float.__float__(value)
    if not -(2**63) <= number < 2**63:  # neither is nan
        raise _NotJSONError("a number is not finite or too large")
    return number


def _short(text: str) -> str:
    """Shorten long names and values in a message's text."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _name(key: object) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    raise _NotJSONError("an object's member has a name that is not text")


def _mark(hint: Any) -> AcceptsAlternative | None:
    candidates = typing.get_args(hint) if _is_union(hint) else (hint,)
    for candidate in candidates:
        for mark in getattr(candidate, "__metadata__", ()):
            if isinstance(mark, AcceptsAlternative):
                return mark
    return None


def _wire_type(hint: Any) -> Any:
    """Return the type that is sent: `None` means "not given" and is removed, `Null` becomes null."""
    if mark := _mark(hint):
        return mark.type
    if not _is_union(hint):
        return hint
    kept = [NoneType if item is Null else item for item in typing.get_args(hint) if item is not NoneType]
    result = kept[0]
    for item in kept[1:]:
        result = typing.Union[result, item]  # noqa: UP007 - built at run time
    return result


def _unannotated(hint: Any) -> Any:
    """Return a type without its annotations: `Sequence[...]` for a list of ids."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, UnionType)


def _accepted(hint: Any) -> str:
    if _is_union(hint):
        return " or ".join(_accepted(item) for item in typing.get_args(hint))
    if typing.get_origin(hint) is Literal:
        return ", ".join(repr(item) for item in typing.get_args(hint))
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, Meta) and mark.description:
            return mark.description
    if typing.get_origin(hint) is Annotated:
        return _accepted(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (list, Sequence):
        return f"a list of {_accepted(typing.get_args(hint)[0])}"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return "an object with " + ", ".join(field.name for field in msgspec.structs.fields(hint))
    names = {str: "text", int: "a whole number", bool: "true or false", NoneType: "NULL", dict: "an object"}
    return names.get(typing.get_origin(hint) or hint, str(hint))


def _redacted(hint: Any, value: Any) -> Any:
    if _is_confined(hint):
        return value
    if isinstance(value, list):
        item = _item_of(hint)
        return [_redacted(item, entry) for entry in value]
    if isinstance(value, dict):
        fields = _struct_fields(hint)
        return {name: _redacted(fields.get(name, Any), entry) for name, entry in value.items()}
    return f"[{len(value)} characters]" if isinstance(value, str) else value


def _is_confined(hint: Any) -> bool:
    if _is_union(hint):
        return all(_is_confined(item) for item in typing.get_args(hint))
    if typing.get_origin(hint) is Annotated:
        inner, *marks = typing.get_args(hint)
        return any(isinstance(mark, Meta) and mark.pattern for mark in marks) or _is_confined(inner)
    if typing.get_origin(hint) in (list, Sequence):
        return _is_confined(typing.get_args(hint)[0])
    return typing.get_origin(hint) is Literal or hint in (int, bool, NoneType, UnsetType)


def _item_of(hint: Any) -> Any:
    inner = _unannotated(hint)
    return typing.get_args(inner)[0] if typing.get_origin(inner) in (list, Sequence) else Any


def _struct_fields(hint: Any) -> dict[str, Any]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return typing.get_type_hints(hint, include_extras=True)
    return {}
