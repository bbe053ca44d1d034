"""Compare two surfaces: list every change, with the rule that classifies it and the endpoints that it affects."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from attrs import field, frozen

from codegen.document import JSON
from codegen.rules import RULES, Kind, Level

_BOUNDS: Final = {
    "maximum": "max", "maxLength": "max-length", "maxItems": "max-items",
    "minimum": "min", "minLength": "min-length", "minItems": "min-items",
}  # fmt: skip
_GENERAL: Final = {("integer", "number")}
_REQUEST, _PARAMETER, _RESPONSE = "request-property", "request-parameter", "response-property"


@frozen(kw_only=True)
class Change:
    """One change that a caller can notice.

    Attributes:
        rule: The rule's name (`request-property-enum-value-removed`).
        place: The changed endpoint, parameter or schema's member.
        detail: A description of the change.
        endpoints: The endpoints that it affects.
    """

    rule: str
    place: str
    detail: str
    endpoints: tuple[str, ...] = field(default=())

    @property
    def level(self) -> Level:
        return RULES[self.rule].level

    @property
    def kind(self) -> Kind:
        return RULES[self.rule].kind


def compare(old: JSON, new: JSON) -> list[Change]:
    """Return every change from one surface to another, the breaking ones first."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for endpoint in sorted(old["operations"].keys() | new["operations"].keys()):
        before, after = old["operations"].get(endpoint), new["operations"].get(endpoint)
        for rule, place, detail in _Comparison(old["schemas"], new["schemas"]).endpoint(endpoint, before, after):
            found.setdefault((rule, place, detail), set()).add(endpoint)
    changes = [
        Change(rule=rule, place=place, detail=detail, endpoints=tuple(sorted(endpoints)))
        for (rule, place, detail), endpoints in found.items()
    ]
    return sorted(changes, key=lambda each: (list(Level).index(each.level), each.place, each.rule, each.detail))


Found = tuple[str, str, str]


class _Comparison:
    """Compares one endpoint; a schema that it reaches twice is compared once."""

    def __init__(self, old: JSON, new: JSON) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str, str]] = set()

    def endpoint(self, name: str, old: JSON | None, new: JSON | None) -> Iterator[Found]:
        if old is None or new is None:
            gone = f"api-removed-with{'' if (old or {}).get('deprecated') else 'out'}-deprecation"
            yield ("endpoint-added" if old is None else gone), name, "endpoint"
            return
        if old["deprecated"] != new["deprecated"]:
            yield f"endpoint-{'deprecated' if new['deprecated'] else 'reactivated'}", name, "endpoint"
        for rule, scopes in (("added", _less(new, old, "scopes")), ("removed", _less(old, new, "scopes"))):
            yield from ((f"api-security-scope-{rule}", name, scope) for scope in scopes)
        for rule, statuses in (("added", _less(new, old, "statuses")), ("removed", _less(old, new, "statuses"))):
            for status in statuses:
                kind = "success" if status.startswith("2") else "non-success"
                yield f"response-{kind}-status-{rule}", name, status
        if old["prose"] != new["prose"]:
            yield "endpoint-description-changed", name, "description"
        yield from self._parameters(name, old["parameters"], new["parameters"])
        for side, key, added in (
            (_REQUEST, "request", "request-body-added-required"),
            (_RESPONSE, "response", "response-body-added"),
        ):
            if old[key] is None or new[key] is None:
                if old[key] != new[key]:
                    yield (added if old[key] is None else f"{key}-body-removed"), name, "body"
            else:
                yield from self.schema(side, f"{name} {key}", old[key], new[key])

    def _parameters(self, name: str, old: JSON, new: JSON) -> Iterator[Found]:
        gone, come = _names(old, new), _names(new, old)
        for before, after in list(_renamed(gone, come, old, new)):
            in_path = before.startswith("path ")
            rule = "path-parameter-renamed" if in_path else "request-parameter-renamed"
            yield rule, f"{name} {before}", f"renamed to {after}"
            gone.remove(before)
            come.remove(after)
        for each in gone:
            deprecated = "-with-deprecation" if old[each].get("deprecated") else ""
            yield f"request-parameter-removed{deprecated}", f"{name} {each}", "parameter"
        for each in come:
            kind = "required" if new[each]["required"] else "optional"
            yield f"new-{kind}-request-parameter", f"{name} {each}", "parameter"
        for each in old.keys() & new.keys():
            place = f"{name} {each}"
            for key in ("style", "explode", "x-style"):
                if old[each].get(key) != new[each].get(key):
                    yield "request-parameter-style-changed", place, _from_to(key, old[each], new[each])
            yield from self._required(_PARAMETER, place, old[each], new[each])
            yield from self.schema(_PARAMETER, place, old[each], new[each])

    def schema(self, side: str, place: str, old: JSON, new: JSON) -> Iterator[Found]:
        """Compare a schema and all below it."""
        before, old_name = self._resolved(self._old, old)
        after, new_name = self._resolved(self._new, new)
        if old_name and new_name:
            if (side, old_name, new_name) in self._seen:
                return
            self._seen.add((side, old_name, new_name))
        if new_name:
            place = new_name
        if ("variants" in before) != ("variants" in after):
            rule = "wrapped-in-one-of" if "variants" in after else "unwrapped-from-one-of"
            yield f"{side}-{rule}", place, ", ".join(sorted((before | after)["variants"]))
            return
        yield from _facts(side, place, before, after)
        yield from self._members(side, place, before.get("members"), after.get("members"))
        for key, mark in (("items", "[]"), ("values", "{}")):
            both = key in before and key in after
            if both or (before.get("type") == after.get("type") and (key in before or key in after)):
                below = place if side == _PARAMETER else f"{place}{mark}"  # the parameter's name marks a list already
                yield from self.schema(side, below, before.get(key, {}), after.get(key, {}))
        yield from self._variants(side, place, before.get("variants", {}), after.get("variants", {}))

    def _members(self, side: str, place: str, old: JSON | None, new: JSON | None) -> Iterator[Found]:
        hidden = "readOnly" if side == _REQUEST else "writeOnly"
        was = {name: each for name, each in (old or {}).items() if not each.get(hidden)}
        now = {name: each for name, each in (new or {}).items() if not each.get(hidden)}
        flags = {name for name in (old or {}).keys() & (new or {}).keys() if (name in was) != (name in now)}
        for name in sorted(flags):
            became = "became" if name in was else "became-not"
            yield f"{side}-{became}-{'read' if side == _REQUEST else 'write'}-only", f"{place}.{name}", "member"
        gone = [name for name in _names(was, now) if name not in flags]
        come = [name for name in _names(now, was) if name not in flags]
        for before, after in list(_renamed(gone, come, was, now)):
            yield f"{side}-renamed", f"{place}.{before}", f"renamed to {after}"
            gone.remove(before)
            come.remove(after)
        for name in gone:
            yield _removed(side, was[name]), f"{place}.{name}", "member"
        for name in come:
            yield _added(side, now[name]), f"{place}.{name}", "member"
        for name in sorted(was.keys() & now.keys()):
            yield from self._required(side, f"{place}.{name}", was[name], now[name])
            yield from _flags(side, f"{place}.{name}", was[name], now[name])
            yield from self.schema(side, f"{place}.{name}", was[name], now[name])

    def _required(self, side: str, place: str, old: JSON, new: JSON) -> Iterator[Found]:
        if bool(old.get("required")) != bool(new.get("required")):
            yield f"{side}-became-{'required' if new.get('required') else 'optional'}", place, "required"

    def _variants(self, side: str, place: str, old: JSON, new: JSON) -> Iterator[Found]:
        for name in _names(new, old):
            yield f"{side}-one-of-added", place, name
        for name in _names(old, new):
            yield f"{side}-one-of-removed", place, name
        for name in sorted(old.keys() & new.keys()):
            yield from self.schema(side, f"{place}<{name}>", old[name], new[name])

    def _resolved(self, schemas: JSON, schema: JSON) -> tuple[JSON, str | None]:
        if "ref" not in schema:
            return schema, None
        name = schema["ref"]
        beside = {key: value for key, value in schema.items() if key not in ("ref", "required")}
        return {**schemas.get(name, {}), **beside}, name


def _flags(side: str, place: str, old: JSON, new: JSON) -> Iterator[Found]:
    """Compare `readOnly` and `writeOnly` of a member that stays visible on this side."""
    key, name = ("writeOnly", "write-only") if side == _REQUEST else ("readOnly", "read-only")
    if bool(old.get(key)) != bool(new.get(key)):
        yield f"{side}-became-{'' if new.get(key) else 'not-'}{name}", place, "member"


def _facts(side: str, place: str, old: JSON, new: JSON) -> Iterator[Found]:
    if rule := _type(old, new):
        yield f"{side}-{rule}", place, f"{_from_to('type', old, new)}, {_from_to('format', old, new)}"
    yield from _values(side, place, old, new)
    for key, name in _BOUNDS.items():
        if old.get(key) != new.get(key):
            yield f"{side}-{name}-{_moved(old.get(key), new.get(key))}", place, _from_to(key, old, new)
    for key, name in (("pattern", "pattern"), ("default", "default-value")):
        if old.get(key) != new.get(key):
            verb = "added" if key not in old else "removed" if key not in new else "changed"
            yield f"{side}-{name}-{verb}", place, _from_to(key, old, new)
    for key, on, off in (
        ("nullable", "became-nullable", "became-not-nullable"),
        ("deprecated", "deprecated", "reactivated"),
        ("uniqueItems", "unique-items-set", "unique-items-unset"),
    ):
        if bool(old.get(key)) != bool(new.get(key)):
            yield f"{side}-{on if new.get(key) else off}", place, key
    if old.get("prose") != new.get("prose"):
        yield f"{side}-description-changed", place, "description"


def _values(side: str, place: str, old: JSON, new: JSON) -> Iterator[Found]:
    was, now = old.get("enum"), new.get("enum")
    if was is None and now is None:
        return
    if was is None or now is None:
        yield f"{side}-{'became-enum' if was is None else 'is-no-enum-any-more'}", place, _from_to("enum", old, new)
        return
    for value in now:
        if value not in was:
            yield f"{side}-enum-value-added", place, repr(value)
    for value in was:
        if value not in now:
            yield f"{side}-enum-value-removed", place, repr(value)


def _type(old: JSON, new: JSON) -> str | None:
    was, now = (old.get("type"), old.get("format")), (new.get("type"), new.get("format"))
    if was == now:
        return None
    if was[0] == now[0]:
        return "type-generalized" if now[1] is None else "type-specialized" if was[1] is None else "type-changed"
    if now[0] is None or (was[0], now[0]) in _GENERAL:
        return "type-generalized"
    return "type-specialized" if was[0] is None or (now[0], was[0]) in _GENERAL else "type-changed"


def _moved(old: Any, new: Any) -> str:
    if old is None or new is None:
        return "set" if old is None else "unset"
    return "increased" if new > old else "decreased"


def _removed(side: str, old: JSON) -> str:
    if side == _REQUEST:
        return "request-property-removed"
    return f"response-{'required' if old.get('required') else 'optional'}-property-removed"


def _added(side: str, new: JSON) -> str:
    kind = "required" if new.get("required") else "optional"
    return f"new-{kind}-request-property" if side == _REQUEST else f"response-{kind}-property-added"


def _renamed(gone: list[str], come: list[str], old: JSON, new: JSON) -> Iterator[tuple[str, str]]:
    """Yield pairs of a removed and an added name that are of the same kind and similar."""
    left = list(come)
    for before in list(gone):
        alike = [after for after in left if _bare(old[before]) == _bare(new[after])]
        close = difflib.get_close_matches(before, alike, n=1, cutoff=0.6)
        only = alike if len(gone) == len(come) == 1 else []
        for after in (close or only)[:1]:
            left.remove(after)
            yield before, after


def _bare(schema: JSON) -> JSON:
    return {key: value for key, value in schema.items() if key not in ("prose", "required")}


def _names(one: JSON, other: JSON) -> list[str]:
    return sorted(one.keys() - other.keys())


def _less(one: JSON, other: JSON, key: str) -> Iterable[str]:
    return [value for value in one[key] if value not in other[key]]


def _from_to(key: str, old: JSON, new: JSON) -> str:
    return f"{key} {old.get(key)!r} → {new.get(key)!r}"
