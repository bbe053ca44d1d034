"""Change a document in every way that oasdiff has a rule for, one change at a time, at places drawn by a seed.

`python -m tests.codegen.mutations openapiv3.json` does it to the whole published document and prints a table of what
`update` would say of each change. Each change is expected to be found by the rules that oasdiff has for it, at their
levels (`oasdiff.json`), and by no others; trimming the changed document has to succeed or to name its faults.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy

from attrs import frozen

from codegen import secrets, select, surface, trim
from codegen.compare import Change, compare
from codegen.endpoints import ENDPOINTS
from codegen.errors import CodegenError
from codegen.rules import RULES, Level
from tests.codegen.places import JSON, REQUEST, Holder, Path, Places, at

OASDIFF: dict[str, str] = json.loads(pathlib.Path(__file__).with_name("oasdiff.json").read_text("utf-8"))["levels"]
EACH = 4
PARAMETER = "request-parameter"


@frozen
class Mutation:
    """One change of a document.

    Attributes:
        kind: The kind of change, in words.
        place: Where.
        apply: Changes a copy of the document.
        rules: The rules that have to find it.
    """

    kind: str
    place: str
    apply: Callable[[JSON], object]
    rules: frozenset[str]


Fact = tuple[str, Callable[[JSON], bool], Callable[[JSON], object], str]
PLAIN = {"type", "description", "example", "x-prose"}
# A change of one value: its kind, the schemas that it can be made to, the change, and the rule by which it is found.
FACTS: list[Fact] = [
    ("text becomes a number", lambda s: is_plain(s, "string"), lambda s: s.update(type="integer"), "type-changed"),
    ("truth becomes text", lambda s: is_plain(s, "boolean"), lambda s: s.update(type="string"), "type-changed"),
    (
        "an integer becomes a number",
        lambda s: is_plain(s, "integer"),
        lambda s: s.update(type="number"),
        "type-generalized",
    ),
    ("text gets a format", lambda s: is_plain(s, "string"), lambda s: s.update(format="uuid"), "type-specialized"),
    ("a value is added to an enum", lambda s: has_enum(s), lambda s: s["enum"].append("zz_new"), "enum-value-added"),
    ("a value goes from an enum", lambda s: has_enum(s), lambda s: s["enum"].pop(), "enum-value-removed"),
    ("text becomes an enum", lambda s: is_plain(s, "string"), lambda s: s.update(enum=["a", "b"]), "became-enum"),
    ("an enum goes", lambda s: has_enum(s), lambda s: s.pop("enum"), "is-no-enum-any-more"),
    ("a value becomes nullable", lambda s: is_plain(s), lambda s: s.update(nullable=True), "became-nullable"),
    ("a length is bounded", lambda s: is_plain(s, "string"), lambda s: s.update(maxLength=9), "max-length-set"),
    ("a number is bounded below", lambda s: is_plain(s, "integer"), lambda s: s.update(minimum=3), "min-set"),
    ("a number is bounded above", lambda s: is_plain(s, "integer"), lambda s: s.update(maximum=3), "max-set"),
    ("a pattern comes", lambda s: is_plain(s, "string"), lambda s: s.update(pattern="^a"), "pattern-added"),
    ("a default comes", lambda s: is_plain(s, "string"), lambda s: s.update(default="a"), "default-value-added"),
    ("a value is deprecated", lambda s: is_plain(s), lambda s: s.update(deprecated=True), "deprecated"),
    (
        "a value is described otherwise",
        lambda s: is_plain(s),
        lambda s: s.update(description="Else."),
        "description-changed",
    ),
]


# Changes of a whole parameter, and of an endpoint, with their rules.
PARAMETERS: list[tuple[str, Callable[[JSON], object], str]] = [
    ("a parameter is renamed", lambda p: p.update(name=f"{p['name'].removesuffix('[]')}_x"), "renamed"),
    ("a parameter becomes required", lambda p: p.update(required=True), "became-required"),
    ("a parameter is deprecated", lambda p: p.update(deprecated=True), "deprecated"),
]
NEW: JSON = {"in": "query", "name": "zz_new", "schema": {"type": "string"}}
OPERATIONS: list[tuple[str, Callable[[JSON], object], str]] = [
    ("an endpoint is deprecated", lambda o: o.update(deprecated=True), "endpoint-deprecated"),
    ("an endpoint's prose changes", lambda o: o.update(description="Else."), "endpoint-description-changed"),
    ("a success status comes", lambda o: o["responses"].update(_status("207")), "response-success-status-added"),
    ("an error status comes", lambda o: o["responses"].update(_status("418")), "response-non-success-status-added"),
    ("an optional parameter comes", lambda o: _add(o, NEW), "new-optional-request-parameter"),
    ("a required parameter comes", lambda o: _add(o, {**NEW, "required": True}), "new-required-request-parameter"),
]


def _status(code: str) -> JSON:
    return {code: {"description": "Else."}}


def _add(operation: JSON, parameter: JSON) -> None:
    operation.setdefault("parameters", []).append(dict(parameter))


def is_plain(schema: JSON, kind: str | None = None) -> bool:
    """Return whether a schema is a scalar that nothing else is said of."""
    known = schema.get("type") in ("string", "integer", "number", "boolean")
    return known and set(schema) <= PLAIN and kind in (None, schema["type"])


def has_enum(schema: JSON) -> bool:
    return isinstance(schema.get("enum"), list) and len(schema["enum"]) > 1 and schema.get("type") == "string"


def mutations(document: JSON, endpoints: tuple[str, ...], seed: int = 1, each: int = EACH) -> list[Mutation]:
    """Return mutations of every kind, at places drawn by a seed; of some kinds there are fewer places."""
    places, drawn, found = Places(document, endpoints), random.Random(seed), []  # noqa: S311 - a test's choice
    for kind in (_of_members, _of_values, _of_parameters, _of_endpoints):
        groups: dict[str, list[Mutation]] = {}
        for mutation in kind(places):
            groups.setdefault(mutation.kind, []).append(mutation)
        for group in groups.values():
            found += drawn.sample(group, min(each, len(group)))
    return found


def _of_members(places: Places) -> Iterator[Mutation]:
    for holder in places.holders():
        node = at(places.document, holder.path)

        def mutation(
            kind: str, name: str, apply: Callable[[JSON], object], rule: Callable[[str], str], holder: Holder = holder
        ) -> Mutation:
            where = f"{'.'.join(map(str, holder.path[-3:]))}.{name}"
            rules = frozenset(rule(side) for side in holder.sides)
            return Mutation(kind, where, lambda d: apply(at(d, holder.path)), rules)

        for name in holder.members:
            needed = name in node.get("required", ())

            def drop(s: JSON, name: str = name) -> None:
                s["properties"].pop(name)
                if name in s.get("required", ()):
                    s["required"].remove(name)

            def rename(s: JSON, name: str = name) -> None:
                s["properties"][f"{name}_renamed"] = s["properties"].pop(name)
                if name in s.get("required", ()):
                    s["required"][s["required"].index(name)] = f"{name}_renamed"

            def removed(side: str, needed: bool = needed) -> str:
                if side == REQUEST:
                    return f"{side}-removed"
                return f"response-{'required' if needed else 'optional'}-property-removed"

            yield mutation("a member goes", name, drop, removed)
            yield mutation("a member is renamed", name, rename, lambda side: f"{side}-renamed")
            if needed:
                relax = _relaxing(name)
                yield mutation("a member becomes optional", name, relax, lambda side: f"{side}-became-optional")
            else:
                demand = _demanding(name)
                yield mutation("a member becomes required", name, demand, lambda side: f"{side}-became-required")
        yield mutation("an optional member comes", "zz_new", _with_member, _added("optional"))
        yield mutation("a required member comes", "zz_new", _with_required_member, _added("required"))


def _with_member(schema: JSON) -> None:
    schema["properties"]["zz_new"] = {"type": "string"}


def _with_required_member(schema: JSON) -> None:
    _with_member(schema)
    schema.setdefault("required", []).append("zz_new")


def _relaxing(name: str) -> Callable[[JSON], object]:
    return lambda schema: schema["required"].remove(name)


def _demanding(name: str) -> Callable[[JSON], object]:
    return lambda schema: schema.setdefault("required", []).append(name)


def _added(kind: str) -> Callable[[str], str]:
    return lambda side: f"new-{kind}-request-property" if side == REQUEST else f"response-{kind}-property-added"


def _of_values(places: Places) -> Iterator[Mutation]:
    for holder in places.holders():
        properties = at(places.document, holder.path)["properties"]
        for name in holder.members:
            path = (*holder.path, "properties", name)
            for kind, fits, change, rule in FACTS:
                if fits(properties[name]):
                    rules = frozenset(f"{side}-{rule}" for side in holder.sides)
                    yield Mutation(f"{kind} (member)", ".".join(map(str, path[-4:])), _changing(path, change), rules)


def _changing(path: Path, change: Callable[[JSON], object]) -> Callable[[JSON], object]:
    return lambda document: change(at(document, path))


def _of_parameters(places: Places) -> Iterator[Mutation]:
    for path in places.parameters():
        parameter = at(places.document, path)
        place = f"{'.'.join(map(str, path[-2:]))} ({parameter['name']})"
        for kind, fits, change, rule in FACTS:
            if fits(parameter.get("schema", {})) and rule not in ("description-changed", "deprecated"):
                schema = (*path, "schema")
                yield Mutation(
                    f"{kind} (parameter)", place, _changing(schema, change), frozenset({f"{PARAMETER}-{rule}"})
                )
        yield Mutation("a parameter goes", place, _without_parameter(path), frozenset({f"{PARAMETER}-removed"}))
        for kind, change, rule in PARAMETERS:
            yield Mutation(kind, place, _changing(path, change), frozenset({f"{PARAMETER}-{rule}"}))


def _without_parameter(path: Path) -> Callable[[JSON], object]:
    if path[0] == "paths":
        return _without(path)
    pointer = f"#/{'/'.join(map(str, path))}"

    def change(document: JSON) -> None:
        for item in document["paths"].values():
            for operation in item.values():
                if isinstance(operation, dict) and "parameters" in operation:
                    operation["parameters"] = [p for p in operation["parameters"] if p.get("$ref") != pointer]

    return change


def _of_endpoints(places: Places) -> Iterator[Mutation]:
    for path in places.operations:
        operation = at(places.document, path)
        place = f"{path[2]} {path[1]}"
        changes = list(OPERATIONS)
        if "requestBody" in operation:
            changes.append(("a request body goes", lambda o: o.pop("requestBody"), "request-body-removed"))
        if "x-pd-requires-scope" in operation:
            scope = "zz.write"
            added = _changed_scope(scope)
            changes.append(("a scope is asked for", added, "api-security-scope-added"))
        for kind, change, rule in changes:
            yield Mutation(kind, place, _changing(path, change), frozenset({rule}))
        gone = _without(path)
        yield Mutation("an endpoint goes", place, gone, frozenset({"api-removed-without-deprecation"}))


def _changed_scope(scope: str) -> Callable[[JSON], object]:
    return lambda operation: operation.update({"x-pd-requires-scope": f"{operation['x-pd-requires-scope']} {scope}"})


def _without(path: Path) -> Callable[[JSON], object]:
    return lambda document: at(document, path[:-1]).pop(path[-1])


@frozen
class Judged:
    """Findings about one mutation."""

    mutation: Mutation
    changes: list[Change]
    faults: tuple[str, ...] = ()

    @property
    def level(self) -> Level | None:
        """The worst level; None when nothing was found."""
        levels = [change.level for change in self.changes]
        return min(levels, key=list(Level).index) if levels else None

    @property
    def wrong(self) -> str:
        """The difference from oasdiff's answer; empty when there is none."""
        found = {change.rule for change in self.changes}
        if found != self.mutation.rules:
            return f"found {sorted(found)}, expected {sorted(self.mutation.rules)}"
        levels = {"ERR": Level.BREAKING, "WARN": Level.WARNING, "INFO": Level.INFO}
        other = {rule for rule in found if rule in OASDIFF and levels[OASDIFF[rule]] is not RULES[rule].level}
        return f"weighed otherwise: {sorted(other)}" if other else ""


def judged(document: JSON, old: JSON, endpoints: tuple[str, ...], mutation: Mutation, *, trims: bool = False) -> Judged:
    """Change a copy of a document, and compare it as `update` does.

    Args:
        document: The document before.
        old: What it said of the endpoints.
        endpoints: The endpoints.
        mutation: The change.
        trims: Trim the changed document with the overlay as committed, too; a traceback is not caught.
    """
    changed = deepcopy(document)
    mutation.apply(changed)
    left = tuple(e for e in endpoints if select.split(e)[0] in changed["paths"].get(select.split(e)[1], {}))
    found = compare(old, surface.published(changed, left))
    faults: tuple[str, ...] = ()
    if trims:
        try:
            trim.trim(changed, trim.load_overlay(), endpoints, secrets.load(trim.MEMBERS))
        except CodegenError as error:
            faults = tuple(str(fault) for fault in error.faults)
            assert all(fault.place and fault.cause and fault.remedy for fault in error.faults)  # noqa: PT017
    return Judged(mutation, found, faults)


def table(found: list[Judged]) -> Iterator[str]:
    """Yield the lines of a table by kind."""
    yield "| change | made | breaking | warning | info | nothing said | not as oasdiff | trims | faults named |"
    yield "|---|---|---|---|---|---|---|---|---|"
    kinds: dict[str, list[Judged]] = {}
    for each in found:
        kinds.setdefault(each.mutation.kind, []).append(each)
    for kind, group in [*sorted(kinds.items()), ("**all**", found)]:
        levels = Counter(each.level for each in group)
        counts = [len(group), *(levels[level] for level in Level), levels[None], sum(bool(e.wrong) for e in group)]
        counts += [sum(not e.faults for e in group), sum(bool(e.faults) for e in group)]
        yield f"| {kind} | {' | '.join(str(count or '') for count in counts)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("document", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=EACH, help="mutations of each kind")
    given = parser.parse_args()
    document = json.loads(given.document.read_text("utf-8"))
    made = mutations(document, ENDPOINTS, given.seed, given.each)
    old = surface.published(document, ENDPOINTS)
    found = [judged(document, old, ENDPOINTS, mutation, trims=True) for mutation in made]
    sys.stdout.write("\n".join(table(found)) + "\n")
    for each in found:
        if each.wrong:
            sys.stderr.write(f"{each.mutation.kind}: {each.mutation.place}: {each.wrong}\n")
    return 1 if any(each.level is None or each.wrong for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
