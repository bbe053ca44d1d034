"""Hide members of a response body, as policy requires, before the caller gets it.

A glob names a member by its name or the end of its path, without lists: `email`, `contact_methods.address`. `*` stands
for any text within one name; `*.email` is the same as `email`, and `*` alone matches every member. Hidden text reads
`[hidden]`; any other hidden value is null. An object with a shown member is kept.

Most responses hold nothing to hide. A fast search for the hidden names finds that out first; only when it finds one is
a body walked member by member.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Set
from functools import lru_cache
from gc import is_tracked
from typing import Any, Final

from attrs import field, frozen

from arx_wrapper.model import Visibility

HIDDEN: Final = "[hidden]"
# A list's own paging members; never hidden, because they say nothing about a person.
_OF_THE_LIST: Final = frozenset({"limit", "offset", "more", "total"})
_EVERYTHING: Final = "*"
# Values that are masked in the text of errors, by the member that holds such a value in responses.
_IN_TEXT: Final = {
    "email": re.compile(r"[^\s@<>()\[\]{}\"',;:=]+(?:@|%40)[\w.-]*\w", re.IGNORECASE),
    "address": re.compile(r"\+\d[\d ().-]{5,}\d|(?<![\w.:-])(?:\(?\d{3}\)?[ .-]\d{3}[ .-]?\d{4}|\d{9,15})(?![\w:-])"),
}
_Path = tuple[str, ...]


@frozen
class _Glob:
    """One glob over members.

    Attributes:
        text: The glob as the policy wrote it.
        name: The member's own name; None when it has a wildcard.
    """

    text: str
    _parts: tuple[str | re.Pattern[str], ...] = field(eq=False, repr=False)

    @classmethod
    def of(cls, text: str) -> _Glob:
        parts = text.split(".")
        while len(parts) > 1 and parts[0] == "*":  # any member above it, or none
            del parts[0]
        return cls(text, tuple(_part(part) for part in parts))

    @property
    def name(self) -> str | None:
        last = self._parts[-1]
        return last if isinstance(last, str) else None

    def covers(self, other: _Glob) -> bool:
        """Return True when it certainly matches every path that another glob matches."""
        return other.text == self.text or other.text.endswith(f".{self.text}") or self.text == _EVERYTHING

    def matches(self, path: _Path) -> bool:
        """Return True when the glob matches the end of a path."""
        if len(self._parts) > len(path):
            return False
        ends = zip(self._parts, path[-len(self._parts) :], strict=True)
        return all(part == name if isinstance(part, str) else part.fullmatch(name) is not None for part, name in ends)


@frozen
class _Rule:
    """The globs that one policy entry hides, and its exceptions.

    Attributes:
        hide: Globs of hidden members.
        show: Globs of members that are shown all the same.
        begins: `*` when every member is hidden that is not shown; else None.
    """

    hide: tuple[_Glob, ...]
    show: tuple[_Glob, ...]
    begins: str | None


# For each effect, the globs that hide a path: the default's first, then each rule's; None for one that does not.
_State = tuple[tuple[str | None, ...], ...]


@frozen
class Filter:
    """Hides members of the responses to one call.

    A member is hidden when any of the call's effects hides it. An effect hides a member when one of its entries hides
    and does not show it, or when it is hidden by default and none of its entries shows it. All parts of a hidden member
    are hidden.

    Attributes:
        hides: False when policy shows every member, so that no response needs a search.
    """

    _default: tuple[_Glob, ...]
    _effects: tuple[tuple[_Rule, ...], ...]
    _names: frozenset[str] = field(init=False)
    _any_name: bool = field(init=False)
    hides: bool = field(init=False)

    @_names.default
    def _named(self) -> frozenset[str]:
        return frozenset(glob.name for glob in self._hiding() if glob.name is not None)

    @_any_name.default
    def _unnamed(self) -> bool:
        begins = any(rule.begins for rules in self._effects for rule in rules)
        return begins or any(glob.name is None for glob in self._hiding())

    @hides.default
    def _any(self) -> bool:
        return self._any_name or bool(self._names)

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, default: tuple[str, ...], visibility: tuple[tuple[Visibility, ...], ...]) -> Filter:
        """Return the filter of a decision.

        Args:
            default: The members that the connector hides unless policy shows them.
            visibility: The members that policy hides and shows, by effect.
        """
        effects = tuple(tuple(_rule(one) for one in rules) for rules in visibility)
        hiding = (glob for glob in _globs(default) if not all(_shown(glob, rules) for rules in effects))
        return cls(tuple(hiding), effects)

    def concerns(self, body: Any) -> bool:
        """Return False when a body certainly holds no members to hide."""
        if self._any_name or not self._names:
            return self._any_name
        return isinstance(body, dict | list) and _anywhere(body, self._names)

    def masked(self, text: str, known: str) -> str:
        """Return an error's text without e-mail addresses and phone numbers, unless policy shows such members.

        Args:
            known: The text of the call; an address that the caller named itself is not masked.
        """
        for name, pattern in _IN_TEXT.items():
            if self._any_name or name in self._names:
                text = pattern.sub(lambda found: found[0] if found[0] in known else HIDDEN, text)
        return text

    def apply(
        self, body: Any, above: _Path = (), *, envelopes: Collection[str] = (), known: Iterable[Any] = ()
    ) -> Counter[str]:
        """Hide members of a response body, in place.

        Args:
            body: The body, or a part of it.
            above: The members that lead to the part, `("users",)`.
            envelopes: The members of the body that hold the requested objects; they are not hidden as a whole.
            known: Values that the caller named itself. A member that is hidden by default is shown when it repeats one
                of their texts, regardless of case.

        Returns:
            The number of values that each glob hid.
        """
        hidden: Counter[str] = Counter()
        if isinstance(body, dict | list):
            walk = _Walk(self, hidden, known)
            begin: _State = tuple((None, *(rule.begins for rule in rules)) for rules in self._effects)
            root = _Node(self, above, begin)
            if above or not isinstance(body, dict):
                walk.parts(body, root)
            else:
                for name in body.keys() - _OF_THE_LIST:
                    if name in envelopes:
                        walk.within(body[name], _Node(self, (name,), begin))
                    else:
                        walk.keep(body, name, body[name], root.member(name))
        return hidden

    def at(self, path: _Path, above: _State) -> _State:
        """Return the globs that hide a member, given those that hide the value that it belongs to."""
        state = []
        for rules, (by_default, *by_rule) in zip(self._effects, above, strict=True):
            shown = [any(glob.matches(path) for glob in rule.show) for rule in rules]
            default = None if any(shown) else _first(self._default, path) or by_default
            ruled = [
                None if exempt else _first(rule.hide, path) or inherited
                for rule, exempt, inherited in zip(rules, shown, by_rule, strict=True)
            ]
            state.append((default, *ruled))
        return tuple(state)

    def _hiding(self) -> list[_Glob]:
        return [*self._default, *(glob for rules in self._effects for rule in rules for glob in rule.hide)]


class _Node:
    """A value's path in a body, without lists, and the glob that hides it. Each path is judged once in a walk.

    Attributes:
        by: The glob that hides the value; None when it is shown.
        ruled: The same, without the defaults.
    """

    __slots__ = ("_filter", "_members", "_path", "_state", "by", "ruled")

    def __init__(self, wanted: Filter, path: _Path, state: _State) -> None:
        self._filter, self._path, self._state = wanted, path, state
        self._members: dict[str, _Node] = {}
        self.ruled = next((glob for _, *globs in state for glob in globs if glob is not None), None)
        self.by = self.ruled or next((glob for glob, *_ in state if glob is not None), None)

    def member(self, name: str) -> _Node:
        """Return the node of a member of this value."""
        found = self._members.get(name)
        if found is None:
            path = (*self._path, name)
            found = self._members[name] = _Node(self._filter, path, self._filter.at(path, self._state))
        return found


class _Walk:
    """One pass over a body that hides members."""

    def __init__(self, wanted: Filter, hidden: Counter[str], known: Iterable[Any]) -> None:
        self._filter, self._hidden = wanted, hidden
        self._known = frozenset(value.casefold() for value in known if isinstance(value, str))

    def within(self, value: Any, node: _Node) -> None:
        """Hide members of an object, or of each object in a list, but not the objects themselves."""
        for index, item in enumerate(value) if isinstance(value, list) else [(0, value)]:
            if isinstance(item, dict):
                self.parts(item, node)
            elif isinstance(value, list):
                self.keep(value, index, item, node)

    def parts(self, value: Any, node: _Node) -> bool:
        """Hide the parts of an object or a list; return True when any part is still shown."""
        shown = False
        if type(value) is list:
            for index, item in enumerate(value):
                shown |= self.keep(value, index, item, node)
            return shown
        for name, item in value.items():
            shown |= self.keep(value, name, item, node.member(name))
        return shown

    def keep(self, holder: Any, key: Any, value: Any, node: _Node) -> bool:
        """Hide one value, or parts of it; return True when any of it is shown."""
        by = node.by
        if value and (type(value) is dict or type(value) is list):
            if self.parts(value, node) or by is None:
                return True
        elif by is None or (node.ruled is None and isinstance(value, str) and value.casefold() in self._known):
            return True
        elif value is not None and value != HIDDEN:
            self._hidden[by] += 1
        holder[key] = HIDDEN if isinstance(value, str) else None
        return False


def _first(globs: tuple[_Glob, ...], path: _Path) -> str | None:
    return next((glob.text for glob in globs if glob.matches(path)), None)


def _part(text: str) -> str | re.Pattern[str]:
    return text if "*" not in text else re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)


def _globs(texts: tuple[str, ...]) -> tuple[_Glob, ...]:
    return tuple(_Glob.of(text) for text in texts)


def _rule(one: Visibility) -> _Rule:
    hide = tuple(text for text in one.hide if text != _EVERYTHING)
    return _Rule(_globs(hide), _globs(one.show), _EVERYTHING if _EVERYTHING in one.hide else None)


def _shown(hidden: _Glob, rules: tuple[_Rule, ...]) -> bool:
    """Return True when an effect shows every member that a glob hides by default, so that no search is needed."""
    return any(shown.covers(hidden) for rule in rules for shown in rule.show)


def _anywhere(body: Any, names: Set[str]) -> bool:
    """Return True when a body has a member with one of these names, at any depth."""
    pending, disjoint = [body], names.isdisjoint
    while pending:
        value = pending.pop()
        if type(value) is dict:
            if not disjoint(value):
                return True
            value = value.values()
        for part in value:
            kind = type(part)
            if kind is list:
                pending.append(part)
            elif kind is dict:
                # Most objects are references, which hold text alone. Python's garbage collector tracks every object
                # that holds another object or a list, so one that it does not track needs no search.
                if is_tracked(part):
                    pending.append(part)
                elif not disjoint(part):
                    return True
    return False
