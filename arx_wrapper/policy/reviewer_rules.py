"""Read the reviewers that a policy entry names: people, groups, and on-call rules."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Final

from arx_wrapper.errors import PolicyError
from arx_wrapper.model import OnCall
from arx_wrapper.policy.entry import Located

Reviewers = tuple[tuple[str, ...], tuple[str, ...], tuple[OnCall, ...]]
"""Names of people, names of groups, and on-call rules."""
_Error = Callable[[Located, str | None, str], PolicyError]

_GROUP: Final = "group:"
_ON_CALL: Final = ("on_call", "levels", "escalate_after")
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_REVIEWER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@:/+-]{0,127}")
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smh])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600}


def read_reviewers(key: str, found: Located, error: _Error) -> Reviewers:
    """Read reviewers: one, or a list of them.

    Args:
        key: The entry's key, for messages.
        found: Its value: a name, `group:NAME`, an on-call rule, or a list of these.
        error: Makes the error for a value.

    Raises:
        PolicyError: a value is none of these, or names a reviewer twice.
    """
    reader = _Reader(key, error)
    items = [found] if isinstance(found.value, dict | str) else reader.items(found)
    on_call = tuple(reader.on_call(item) for item in items if isinstance(item.value, dict))
    names = [reader.name(item) for item in items if not isinstance(item.value, dict)]
    if len(set(names)) < len(names) or len(set(on_call)) < len(on_call):
        raise error(found, key, "names a reviewer twice")
    people = tuple(name for name in names if not name.startswith(_GROUP))
    return people, tuple(name.removeprefix(_GROUP) for name in names if name.startswith(_GROUP)), on_call


class _Reader:
    def __init__(self, key: str, error: _Error) -> None:
        self._key, self._error = key, error

    def items(self, found: Located) -> list[Located]:
        if not isinstance(found.value, list) or not found.value:
            raise self._wrong(found, "must be a list that is not empty, with a '-' before each item")
        return found.value

    def name(self, found: Located) -> str:
        name = found.value
        if not isinstance(name, str) or not _REVIEWER.fullmatch(name.removeprefix(_GROUP)):
            raise self._wrong(found, f"{name!a} is neither a reviewer's name, nor {_GROUP}NAME, nor an on-call rule")
        return name

    def on_call(self, found: Located) -> OnCall:
        for name, item in found.value.items():
            if name not in _ON_CALL:
                close = difflib.get_close_matches(str(name), _ON_CALL, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise self._wrong(item, f"{name!a} is not a key of an on-call rule{hint}")
        policy = found.value.get("on_call")
        if policy is None or not isinstance(policy.value, str) or not _ID.fullmatch(policy.value):
            raise self._wrong(policy or found, "on_call: must be the id of an escalation policy")
        levels = self._levels(found.value["levels"]) if "levels" in found.value else ()
        after = found.value.get("escalate_after")
        if after is not None and len(levels) == 1:
            raise self._wrong(after, "escalate_after: needs a second level to escalate to")
        seconds = self._duration(after) if after is not None else None
        return OnCall(escalation_policy=policy.value, levels=levels, escalate_after=seconds)

    def _levels(self, found: Located) -> tuple[int, ...]:
        levels = [item.value for item in self.items(found)]
        if not all(type(level) is int and 1 <= level <= 100 for level in levels) or len(set(levels)) < len(levels):
            raise self._wrong(found, "levels: must be different whole numbers from 1, as [1, 2]")
        return tuple(levels)

    def _duration(self, found: Located) -> int:
        match = _DURATION.fullmatch(found.value) if isinstance(found.value, str) else None
        if not match:
            raise self._wrong(found, f"escalate_after: {found.value!a} is not a time: write 90s, 5m or 1h")
        return int(match[1]) * _SECONDS[match[2]]

    def _wrong(self, found: Located, problem: str) -> PolicyError:
        return self._error(found, self._key, problem)
