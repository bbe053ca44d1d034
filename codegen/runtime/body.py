"""Request bodies: closed and strict, so that a misspelt member is refused here and not ignored by PagerDuty."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from attrs import Attribute, fields, frozen

from .errors import InvalidRequestError, shown
from .shapes import Enum, Free, Null, Shape
from .types import UNSET

if TYPE_CHECKING:
    from .answer import Answer


@frozen(kw_only=True)
class Body:
    """The base of every model that a request sends. `UNSET` members are left out; None is JSON's null."""

    _partial: ClassVar[bool] = False  # the endpoint leaves as it is what the request leaves out

    @classmethod
    def members(cls) -> dict[str, Attribute[Any]]:
        """Return the members by their JSON names."""
        return {each.metadata.get("wire", each.name): each for each in fields(cls)}

    @classmethod
    def parse(cls, src: Mapping[str, object], path: str = "") -> Self:
        """Read plain JSON, strictly.

        Raises:
            InvalidRequestError: an unknown name (with the nearest known one), a missing member, a wrong type or
                value; `path` says where, `accepted` what would be right.
        """
        members = cls.members()
        if not isinstance(src, Mapping):
            raise InvalidRequestError(path, f"is {shown(src)}", f"an object ({', '.join(members)})")
        values: dict[str, Any] = {}
        for name, value in src.items():
            if name not in members:
                raise _unknown(name, path, list(members))
            member = members[name]
            values[member.name] = _shape(member).read(value, _below(path, name))
        for name, member in members.items():
            if member.default is not UNSET and member.name not in values:
                raise InvalidRequestError(_below(path, name), "is missing", _shape(member).accepted)
        return cls(**values)

    @classmethod
    def from_response(cls, response: Answer | Mapping[str, object]) -> Self:
        """Build the request that writes back what a response says.

        Members that no request can write are left out: read-only ones, unknown ones, nulls where none is allowed. An
        endpoint that changes only what it is given is also spared the values that only PagerDuty sets.

        Raises:
            InvalidRequestError: what is left is no request; `path` says where.
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
        set_members = ((name, getattr(self, member.name)) for name, member in self.members().items())
        return {name: _json(value) for name, value in set_members if value is not UNSET}


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
