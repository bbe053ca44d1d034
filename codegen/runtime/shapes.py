"""Validate requests strictly: a misspelt name, which PagerDuty would ignore, is refused.

Each member of a body has a shape, which validates typed values and plain JSON equally strictly. Path segments and
header values are checked, so that they cannot change another part of the request.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeGuard

from attrs import Attribute, fields, frozen

from .errors import InvalidRequestError, shown
from .types import UNSET

if TYPE_CHECKING:
    from .answer import Answer

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_ID: Final = "letters, digits, '_' and '-'"
_COOKIE: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")

Allowed = frozenset[str] | frozenset[int]
Given = tuple[Any, ...]


def is_integer(value: object) -> TypeGuard[int]:
    """Return True for a whole number that every JSON reader accepts; `True` is not one."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def is_number(value: object) -> TypeGuard[int | float]:
    """Return True for a finite number that every JSON reader accepts."""
    return is_integer(value) or (isinstance(value, float) and math.isfinite(value))


class Shape:
    """The base of all shapes: an attrs validator that also reads JSON."""

    @property
    def accepted(self) -> str:
        """Describe the values that the shape accepts."""
        raise NotImplementedError

    def read(self, value: object, path: str) -> Any:
        """Return the value of plain JSON.

        Raises:
            InvalidRequestError: it is not accepted; the error has the path and a description of accepted values.
        """
        raise NotImplementedError

    def check(self, value: object, path: str) -> None:
        """Check a value that was given from Python."""
        self.read(value, path)

    def writable(self, value: Any) -> Any:
        """Return the part of a response's value that a request can write."""
        return value

    def __call__(self, instance: object, attribute: Attribute[Any], value: object) -> None:
        if value is not UNSET or attribute.default is not UNSET:
            self.check(value, attribute.metadata.get("wire", attribute.name))

    def refused(self, value: object, path: str) -> InvalidRequestError:
        """Return the error for a value that this shape does not accept."""
        return InvalidRequestError(path, f"is {shown(value)}", self.accepted)


@frozen
class Text(Shape):
    """Text whose length is between two bounds, and that contains a match of a pattern."""

    minimum: int = 0
    maximum: int | None = None
    pattern: str | None = None

    @property
    def accepted(self) -> str:
        bounds = [f"at least {self.minimum}"] if self.minimum else []
        bounds += [f"at most {self.maximum}"] if self.maximum is not None else []
        length = f"text of {' and '.join(bounds)} characters" if bounds else "text"
        return length if self.pattern is None else f"{length} that matches {self.pattern}"

    def read(self, value: object, path: str) -> str:
        if not isinstance(value, str) or len(value) < self.minimum:
            raise self.refused(value, path)
        if self.maximum is not None and len(value) > self.maximum:
            raise self.refused(value, path)
        if self.pattern is not None and not re.search(self.pattern, value):
            raise self.refused(value, path)
        return value


@frozen
class Enum(Shape):
    """One of some values."""

    values: tuple[str | int, ...]

    @property
    def accepted(self) -> str:
        return f"{'one of ' if len(self.values) > 1 else ''}{', '.join(map(str, self.values))}"

    def read(self, value: object, path: str) -> str | int:
        for allowed in self.values:
            if type(value) is type(allowed) and value == allowed:
                return allowed
        raise self.refused(value, path)


@frozen
class Integer(Shape):
    """A whole number between two bounds; `True` is not one."""

    minimum: float | None = None
    maximum: float | None = None

    @property
    def accepted(self) -> str:
        return f"a whole number{_between(self.minimum, self.maximum)}"

    def read(self, value: object, path: str) -> int:
        if is_integer(value) and _within(value, self.minimum, self.maximum):
            return value
        raise self.refused(value, path)


@frozen
class Number(Shape):
    """A finite number between two bounds."""

    minimum: float | None = None
    maximum: float | None = None

    @property
    def accepted(self) -> str:
        return f"a finite number{_between(self.minimum, self.maximum)}"

    def read(self, value: object, path: str) -> int | float:
        if is_number(value) and _within(value, self.minimum, self.maximum):
            return value
        raise self.refused(value, path)


@frozen
class Boolean(Shape):
    """True or false; the texts are neither."""

    @property
    def accepted(self) -> str:
        return "true or false"

    def read(self, value: object, path: str) -> bool:
        if not isinstance(value, bool):
            raise self.refused(value, path)
        return value


@frozen
class Time(Shape):
    """A time with its zone, as ISO 8601 text or a datetime. Text is kept unchanged."""

    @property
    def accepted(self) -> str:
        return "an ISO 8601 time with its offset (2025-01-01T00:00:00Z), or a datetime with a zone"

    def read(self, value: object, path: str) -> str | datetime:
        if isinstance(value, datetime):
            time = value
        elif isinstance(value, str):
            try:
                time = datetime.fromisoformat(value)
            except ValueError:
                raise self.refused(value, path) from None
        else:
            raise self.refused(value, path)
        if time.utcoffset() is None:
            raise self.refused(value, path)
        return value


@frozen
class Null(Shape):
    """A shape, or a JSON null."""

    shape: Shape

    @property
    def accepted(self) -> str:
        return f"{self.shape.accepted}, or null"

    def read(self, value: object, path: str) -> Any:
        return None if value is None else self.shape.read(value, path)

    def check(self, value: object, path: str) -> None:
        if value is not None:
            self.shape.check(value, path)

    def writable(self, value: Any) -> Any:
        return None if value is None else self.shape.writable(value)


@frozen
class Array(Shape):
    """A list of one shape."""

    shape: Shape
    minimum: int = 0
    maximum: int | None = None

    @property
    def accepted(self) -> str:
        return f"a list{_between(self.minimum or None, self.maximum)}, each item {self.shape.accepted}"

    def read(self, value: object, path: str) -> list[Any]:
        return [self.shape.read(item, f"{path}[{i}]") for i, item in enumerate(self._listed(value, path))]

    def check(self, value: object, path: str) -> None:
        for i, item in enumerate(self._listed(value, path)):
            self.shape.check(item, f"{path}[{i}]")

    def writable(self, value: Any) -> Any:
        return [self.shape.writable(item) for item in value] if isinstance(value, list | tuple) else value

    def _listed(self, value: object, path: str) -> list[Any] | tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not _within(len(value), self.minimum, self.maximum):
            raise self.refused(value, path)
        return value


@frozen
class Free(Shape):
    """Any JSON, for members that PagerDuty's document does not describe."""

    @property
    def accepted(self) -> str:
        return "JSON: objects, lists, text, finite numbers, true, false and null"

    def read(self, value: object, path: str) -> Any:
        if isinstance(value, list | tuple):
            return [self.read(item, f"{path}[{i}]") for i, item in enumerate(value)]
        if isinstance(value, Mapping):
            return {Text().read(key, path): self.read(item, f"{path}.{key}") for key, item in value.items()}
        if value is None or isinstance(value, str | bool):
            return value
        if is_number(value):
            return value
        raise self.refused(value, path)


@frozen
class Nested(Shape):
    """An object of a request model, or JSON that such an object reads."""

    name: str

    @property
    def accepted(self) -> str:
        return f"an object ({', '.join(self.model().members())})"

    def read(self, value: object, path: str) -> Body:
        model = self.model()
        if isinstance(value, model):
            return value
        if isinstance(value, Mapping):
            return model.parse(value, path)
        raise self.refused(value, path)

    def check(self, value: object, path: str) -> None:
        if not isinstance(value, self.model()):
            raise InvalidRequestError(path, f"is {shown(value)}", self.name)

    def writable(self, value: Any) -> Any:
        return self.model().writable(value) if isinstance(value, Mapping) else value

    def model(self) -> type[Body]:
        return _model(self.name)


TEXT: Final = Text()
INTEGER: Final = Integer()
NUMBER: Final = Number()
BOOLEAN: Final = Boolean()
TIME: Final = Time()
FREE: Final = Free()


@frozen(kw_only=True)
class Body:
    """The base of every model that a request sends. `UNSET` members are left out; None is JSON's null."""

    _partial: ClassVar[bool] = False  # whether the endpoint keeps members that the request omits
    _members: ClassVar[dict[str, Attribute[Any]]] = {}
    _readers: ClassVar[dict[str, tuple[str, Callable[[object, str], Any]]]] = {}
    _defaults: ClassVar[dict[str, Any]] = {}
    _required: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        cls._members = {each.metadata.get("wire", each.name): each for each in fields(cls)}
        cls._readers = {name: (each.name, _shape(each).read) for name, each in cls._members.items()}
        cls._defaults = {each.name: each.default for each in cls._members.values()}
        cls._required = tuple(name for name, each in cls._members.items() if each.default is not UNSET)

    @classmethod
    def members(cls) -> dict[str, Attribute[Any]]:
        """Return the members by their JSON names."""
        return cls._members

    @classmethod
    def parse(cls, src: Mapping[str, object], path: str = "") -> Self:
        """Read plain JSON, strictly.

        Raises:
            InvalidRequestError: an unknown name (with the nearest known one), a missing member, a wrong type or
                value; `path` is its place, `accepted` describes accepted values.
        """
        readers = cls._readers
        if not isinstance(src, Mapping):
            raise InvalidRequestError(path, f"is {shown(src)}", f"an object ({', '.join(readers)})")
        values = cls._defaults.copy()
        for name, value in src.items():
            if name not in readers:
                raise _unknown(name, path, list(readers))
            attribute, read = readers[name]
            values[attribute] = read(value, _below(path, name))
        for name in cls._required:
            if name not in src:
                raise InvalidRequestError(_below(path, name), "is missing", _shape(cls._members[name]).accepted)
        body = object.__new__(cls)
        for attribute, value in values.items():
            _set(body, attribute, value)  # what was just read is not validated a second time
        return body

    @classmethod
    def from_response(cls, response: Answer | Mapping[str, object]) -> Self:
        """Build the request that writes a response's values back.

        Members that a request cannot write are omitted: read-only ones, unknown ones, and nulls that are not allowed.
        For an endpoint that changes only the given members, values that only PagerDuty sets are omitted as well.

        Raises:
            InvalidRequestError: the remaining members are no valid request; `path` is the place of the fault.
        """
        return cls.parse(cls.writable(response if isinstance(response, Mapping) else response.to_dict()))

    @classmethod
    def writable(cls, src: Mapping[str, object]) -> dict[str, Any]:
        """Return the members of a JSON object that this model can write, as plain JSON."""
        kept = ((name, _shape(member), src[name]) for name, member in cls.members().items() if name in src)
        return {name: shape.writable(value) for name, shape, value in kept if cls._writes(shape, value)}

    @classmethod
    def _writes(cls, shape: Shape, value: object) -> bool:
        if value is None:
            return isinstance(shape, Null | Free)
        inner = shape.shape if isinstance(shape, Null) else shape
        return not (cls._partial and isinstance(inner, Enum)) or value in inner.values

    def to_dict(self) -> dict[str, Any]:
        """Return the members that are set, as plain JSON."""
        found: dict[str, Any] = {}
        for name, (attribute, _) in self._readers.items():
            value = getattr(self, attribute)
            if value is not UNSET:
                found[name] = value if type(value) is str else _json(value)
        return found


_set: Final = object.__setattr__  # past the frozen one


@cache
def _model(name: str) -> type[Body]:
    model: type[Body] = getattr(import_module(f"{__package__}.models"), name)
    return model


def _shape(member: Attribute[Any]) -> Shape:
    shape = member.validator
    assert isinstance(shape, Shape)  # noqa: S101 - the templates give every member one
    return shape


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _unknown(name: object, path: str, members: list[str]) -> InvalidRequestError:
    nearest = difflib.get_close_matches(str(name), members, n=1)
    accepted = f"did you mean {nearest[0]!r}?" if nearest else f"one of {', '.join(members)}"
    label = str(name) if str(name).isidentifier() and str(name).isascii() and len(str(name)) <= 80 else shown(name)
    return InvalidRequestError(_below(path, label), "is not a member that can be written", accepted)


def _json(value: Any) -> Any:
    if isinstance(value, Body):
        return value.to_dict()
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    return value.isoformat() if isinstance(value, datetime) else value


def _within(value: float, minimum: float | None, maximum: float | None) -> bool:
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)


def _between(minimum: float | None, maximum: float | None) -> str:
    if minimum is None and maximum is None:
        return ""
    if maximum is None:
        return f" of at least {minimum:g}"
    return f" of {minimum:g} to {maximum:g}" if minimum is not None else f" of at most {maximum:g}"


def segment(name: str, value: object) -> str:
    """Check a path segment: it must not be empty nor contain characters that change the path.

    Raises:
        InvalidRequestError: it is refused; the error names the parameter.
    """
    if isinstance(value, str) and _SEGMENT.fullmatch(value):
        return value
    raise InvalidRequestError(name, f"is {shown(value)}", _ID)


def header(name: str, value: object) -> str:
    """Check a header's value: it must be printable ASCII, so that it can neither end the header nor fail to encode.

    Raises:
        InvalidRequestError: it is refused; the error names the header.
    """
    if isinstance(value, str) and _HEADER.fullmatch(value):
        return value
    raise InvalidRequestError(name, f"is {shown(value)}", "printable ASCII text on one line")


def headers(*given: Given) -> tuple[tuple[str, str], ...]:
    """Return the headers that are given. Each is a name, a value, and its allowed values, if they are limited.

    Raises:
        InvalidRequestError: a value is refused; the error names the header.
    """
    return tuple([(name, header(name, _checked(name, *rest))) for name, *rest in given if rest[0] is not UNSET])


def cookies(*given: Given) -> tuple[tuple[str, str], ...]:
    """Return the cookies that are given, as one header.

    Raises:
        InvalidRequestError: a value is refused; the error names the cookie.
    """
    kept = headers(*given)
    for name, value in kept:
        if not _COOKIE.fullmatch(value):
            raise InvalidRequestError(name, f"is {shown(value)}", "text without spaces, commas, quotes and semicolons")
    return (("Cookie", "; ".join(f"{name}={value}" for name, value in kept)),) if kept else ()


def payload(body: object, model: type[Body]) -> dict[str, Any]:
    """Return a body as plain JSON.

    Raises:
        InvalidRequestError: it is not a body of the endpoint.
    """
    if isinstance(body, model):
        return body.to_dict()
    raise InvalidRequestError("body", f"is {shown(type(body).__name__)}", f"models.{model.__name__}")


def printed(value: object) -> object:
    """Return a number, a boolean or a list as text; any other value unchanged."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(str(printed(item)) for item in value)
    return str(value) if is_number(value) else value


def _checked(name: str, value: object, allowed: Allowed | None = None, shape: Shape | None = None) -> object:
    return value if allowed is None and shape is None else text(name, value, allowed, shape)


def text(name: str, value: object, allowed: Allowed | None = None, shape: Shape | None = None) -> str:
    """Return the text of a parameter's value, which must be one of `allowed` when it is given."""
    if isinstance(shape, Integer | Number | Boolean):
        return str(printed(shape.read(value, name)))
    if allowed is not None and not isinstance(value, bool) and isinstance(value, int) and value in allowed:
        return str(value)
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(name, f"is {shown(value)}", "text that is not empty")
    if allowed is not None and value not in allowed:
        raise InvalidRequestError(name, f"is {shown(value)}", f"one of {', '.join(sorted(map(str, allowed)))}")
    if shape is not None:
        shape.check(value, name)
    return value
