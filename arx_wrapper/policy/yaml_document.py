"""Read a policy file: YAML 1.2 without aliases, tags and duplicate keys, with the line number of every value.

Only PyYAML's parser is used, not its conversion of values. So `off` and `12:30` are text, as they look.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from arx_wrapper.errors import PolicyError
from arx_wrapper.policy.entry import MAX_BYTES, Located

MAX_DEPTH: Final = 12

# The types of plain scalars in YAML 1.2's core schema.
_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def read(text: str, file: str) -> Located:
    """Read one YAML document.

    Raises:
        PolicyError: it is not YAML, or uses a feature that policy files must not.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PolicyError(f"is larger than {MAX_BYTES:,} bytes", file=file)
    try:
        return _Reader(text, file).document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise PolicyError(f"is not YAML: {error.problem}", file=file, line=line) from None
    except (yaml.YAMLError, ValueError) as error:  # PyYAML raises ValueError for characters beyond Unicode
        raise PolicyError(f"is not YAML: {error}", file=file) from None


class _Reader:
    """Builds values from parsing events, so that refused features never become values."""

    def __init__(self, text: str, file: str) -> None:
        self._events = yaml.parse(text, Loader=yaml.SafeLoader)
        self._file = file

    def document(self) -> Located:
        found: Located | None = None
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                if found is not None:
                    raise self._error("holds more than one document", event)
                found = self._value(event, 0)
        return found or Located(None, 1)

    def _value(self, event: yaml.Event, depth: int) -> Located:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._error("uses an anchor or an alias, which policy files must not", event)
        if tag := getattr(event, "tag", None):
            raise self._error(f"uses the tag {tag!a}, which policy files must not", event)
        if depth > MAX_DEPTH:
            raise self._error(f"is nested deeper than {MAX_DEPTH} levels", event)
        if isinstance(event, yaml.MappingStartEvent):
            return Located(self._mapping(depth), line)
        if isinstance(event, yaml.SequenceStartEvent):
            return Located(self._sequence(depth), line)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error("is not a value", event)
        if _LONE_SURROGATE.search(event.value):
            raise self._error("holds text that is not Unicode", event)
        return Located(_scalar(event), line)

    def _mapping(self, depth: int) -> dict[str, Located]:
        members: dict[str, Located] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error("has a key that is not text", event)
            if event.anchor or event.tag:
                raise self._error("has a key with an anchor or a tag", event)
            key = event.value
            if key in members:
                raise self._error(f"has {key!a} twice", event, key)
            members[key] = self._value(next(self._events), depth + 1)
        return members

    def _sequence(self, depth: int) -> list[Located]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, depth + 1))
        return items

    def _error(self, problem: str, event: yaml.Event, key: str | None = None) -> PolicyError:
        return PolicyError(problem, file=self._file, line=_line(event), key=key)


def _line(event: yaml.Event) -> int | None:
    return event.start_mark.line + 1 if event.start_mark else None


def _scalar(event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    if event.style is not None:  # quoted, or a block
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) < 19 else text
    return float(text) if _FLOAT.fullmatch(text) else text
