"""Define the base of response models, which are typed by PagerDuty's document and keep the response unchanged.

A model keeps the JSON object of the response, and converts a member when it is first read. So a page of a hundred
incidents costs almost nothing until its members are read. Missing and null are both None. A time becomes an aware
`datetime`, an object becomes its model. A value that does not match its declaration (text that is no time, a number
instead of an object) is passed on unchanged; a missing `id` is None, although it is declared as text. Reading never
raises, and `to_dict()` returns the whole response.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from attrs import Attribute, field, fields, frozen

from .errors import UnexpectedAnswerError

Decode = Callable[[Any], Any]

_DECODE: Final = "decode"
_WIRE: Final = "wire"


def plain(wire: str | None = None, *, secret: bool = False) -> Any:
    """Return a member that is passed on unchanged; `wire` is its JSON name when Python needs another name."""
    return field(init=False, repr=not secret, metadata={_WIRE: wire})


def time(wire: str | None = None) -> Any:
    """Return a member that is a time."""
    return field(init=False, metadata={_WIRE: wire, _DECODE: _time})


def one(model: str, wire: str | None = None) -> Any:
    """Return a member that is an object of a model."""
    return field(init=False, metadata={_WIRE: wire, _DECODE: _One(model)})


def many(model: str, wire: str | None = None) -> Any:
    """Return a member that is a list of a model's objects."""
    return field(init=False, metadata={_WIRE: wire, _DECODE: _Many(model)})


@frozen(init=False, eq=False, repr=False, getstate_setstate=False)
class Answer:
    """The base of every response model.

    Keyword arguments build one by hand, for tests and for `attrs.evolve`.
    """

    _raw: dict[str, Any] = field(alias="raw", repr=False)

    _decoders: ClassVar[dict[str, tuple[str, Decode | None]]] = {}

    def __init__(self, /, raw: Mapping[str, Any] | None = None, **members: Any) -> None:
        merged = dict(raw or {})
        for name, value in members.items():
            if name not in self._decoders:
                raise TypeError(f"{type(self).__name__} has no member {name!r}")
            merged[self._decoders[name][0]] = _encoded(value)
        _set_raw(self, merged)

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        cls._decoders = {
            each.name: (each.metadata[_WIRE] or each.name, each.metadata.get(_DECODE))
            for each in fields(cls)
            if _WIRE in each.metadata
        }

    @classmethod
    def from_dict(cls, src: Mapping[str, Any], /) -> Self:
        """Return the model of a JSON object, which it keeps.

        Raises:
            UnexpectedAnswerError: the value is not a JSON object.
        """
        if not isinstance(src, Mapping):
            raise UnexpectedAnswerError(f"{cls.__name__}: the answer is no JSON object")
        answer = _new(cls)
        _set_raw(answer, src if type(src) is dict else dict(src))
        return answer

    def to_dict(self) -> dict[str, Any]:
        """Return a copy of the response's JSON object."""
        copy: dict[str, Any] = _copied(self._raw)
        return copy

    @property
    def additional_properties(self) -> dict[str, Any]:
        """Return a copy of the members that the document does not declare."""
        known = {wire for wire, _ in self._decoders.values()}
        return {name: _copied(value) for name, value in self._raw.items() if name not in known}

    if not TYPE_CHECKING:  # otherwise type checkers would accept every misspelt attribute as Any

        def __getattr__(self, name: str) -> Any:
            """Fill a slot on first access."""
            try:
                wire, decode = self._decoders[name]
            except KeyError:
                raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}") from None
            value = self._raw.get(wire)
            if decode is not None and value is not None:
                value = decode(value)
            object.__setattr__(self, name, value)
            return value

    def __eq__(self, other: object) -> bool:
        return self._raw == other._raw if type(other) is type(self) else NotImplemented

    def __repr__(self) -> str:
        members = ((each.name, self._decoders[each.name][0]) for each in fields(type(self)) if _shows(each))
        shown = ", ".join(f"{name}={_shown(getattr(self, name))}" for name, wire in members if wire in self._raw)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self._raw)


_new = Answer.__new__
_set_raw = Answer._raw.__set__  # type: ignore[attr-defined]  # past the frozen __setattr__, and at half its cost


def _restored(cls: type[Answer], raw: dict[str, Any]) -> Answer:
    return cls.from_dict(raw)


class _One:
    """Decodes an object. The model is imported when the first one is decoded."""

    __slots__ = ("_cls", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._cls: type[Answer] | None = None

    def __call__(self, value: Any) -> Any:
        if type(value) is not dict:
            return value
        answer = _new(self._cls or self.resolve())
        _set_raw(answer, value)
        return answer

    def resolve(self) -> type[Answer]:
        cls: type[Answer] = getattr(import_module(f"{__package__}.models"), self.name)
        self._cls = cls
        return cls


class _Many(_One):
    """Decodes a list of objects."""

    __slots__ = ()

    def __call__(self, value: Any) -> Any:
        return [*map(partial(_One.__call__, self), value)] if type(value) is list else value


def _time(value: Any) -> Any:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return value if time.tzinfo is None else time


def _encoded(value: Any) -> Any:
    """Encode a decoded member as JSON."""
    if isinstance(value, Answer):
        return value.to_dict()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_encoded(item) for item in value]
    return _copied(value)


def _copied(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    if type(value) is list:
        return [_copied(item) for item in value]
    return value


def _shows(each: Attribute[Any]) -> bool:
    return _WIRE in each.metadata and bool(each.repr)


def _shown(value: Any) -> str:
    """Return a member for a repr. An object without a model is not shown, because it may hold secrets."""
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return "{...}" if isinstance(value, dict) else repr(value)
