"""What a request says: closed and strict, so that a misspelt member is refused here and not ignored by PagerDuty."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from attrs import Attribute, fields, frozen

from .errors import InvalidRequestError, shown
from .shapes import Shape
from .types import UNSET


@frozen(kw_only=True)
class Body:
    """The base of every model that a request sends. `UNSET` members are left out; None is JSON's null."""

    @classmethod
    def members(cls) -> dict[str, Attribute[Any]]:
        """The members by their JSON names."""
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

    def to_dict(self) -> dict[str, Any]:
        """The members that are set, as plain JSON."""
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
