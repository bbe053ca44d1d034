"""Apply an OpenAPI Overlay 1.0, which holds all corrections of PagerDuty's document, each with its reason.

Each target and value is checked: a target without a match, and a value that PagerDuty now publishes, is a fault. Only
an action with `x-creates: true` may add a name that the document lacks.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any, Final

from attrs import evolve, field, frozen
from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError

from codegen.document import JSON, METHODS, nearest, resolve
from codegen.errors import CodegenError, Fault
from codegen.targets import Target, expanded

_jsonpath = JSONPathEnvironment()
_NAMED: Final = (
    "properties", "schemas", "parameters", "paths", "responses", "requestBodies", "content", "headers"
)  # fmt: skip
CREATES: Final = "x-creates"
Location = tuple[str | int, ...]


@frozen(kw_only=True)
class Stale:
    """An action, or a part of one, that no longer applies.

    Attributes:
        index: The action's index in the overlay.
        target: The single target that does not apply.
        leaf: The value of the update that does not apply, as a path below the target; empty for the whole target.
        cause: The reason why it does not apply.
        now: The present content of the document there.
        fixed: Whether PagerDuty now publishes the action's value.
        instead: A similar target that would match; None when there is none.
    """

    index: int
    target: Target
    leaf: tuple[str, ...] = ()
    cause: str
    now: str
    fixed: bool = False
    instead: Target | None = None


@frozen(kw_only=True)
class Applied:
    """A document with the overlay applied, and the parts of the overlay that did not apply."""

    document: JSON
    stale: list[Stale] = field(factory=list)


def apply(document: JSON, overlay: JSON, *, published: JSON | None = None) -> JSON:
    """Return a copy of the document with every action applied, in order.

    Args:
        published: The whole published document, when `document` is a part of it; it must not contain created names.

    Raises:
        CodegenError: actions have no reason or no longer apply; it names all of them.
    """
    applied = examine(document, overlay, published=published)
    if applied.stale:
        from codegen.correction import fault  # it corrects what this module finds

        raise CodegenError.of(
            fault(overlay, applied.stale, index) for index in sorted({s.index for s in applied.stale})
        )
    return applied.document


def examine(document: JSON, overlay: JSON, *, published: JSON | None = None) -> Applied:
    """Apply all actions that apply, and collect the others.

    Raises:
        CodegenError: actions are malformed; it names all of them.
    """
    if overlay.get("overlay") != "1.0.0":
        raise CodegenError(
            "the overlay", f"is of version {overlay.get('overlay')!r}, not '1.0.0'", "write it as Overlay 1.0.0"
        )
    if malformed := [found for i in range(len(overlay["actions"])) if (found := _malformed(overlay, i))]:
        raise CodegenError.of(malformed)
    result = deepcopy(document)
    stale: list[Stale] = []
    for index, action in enumerate(overlay["actions"]):
        stale += _Action(result, published or document, action, index).apply()
    return Applied(document=result, stale=stale)


def place(overlay: JSON, index: int) -> str:
    """Return the file and line of an action."""
    target = overlay["actions"][index].get("target")
    marks = getattr(overlay["actions"], "lc", None)
    where = f"spec/overlay.yaml:{marks.item(index)[0] + 1}" if marks is not None else f"overlay action {index + 1}"
    return f"{where} ({target})"


def _malformed(overlay: JSON, index: int) -> Fault | None:
    action, where = overlay["actions"][index], place(overlay, index)
    if not str(action.get("description", "")).strip():
        return Fault(place=where, cause="gives no reason in its description", remedy="say why it is needed")
    if action.get("remove") is not True and "update" not in action:
        return Fault(place=where, cause="neither removes nor updates", remedy="give `update` or `remove: true`")
    try:
        query = _jsonpath.compile(str(action.get("target")))
    except JSONPathError as error:
        return Fault(place=where, cause=f"has a target that is not JSONPath: {error}", remedy="correct the target")
    if not query.segments and action.get("remove") is True:
        return Fault(place=where, cause="removes the whole document", remedy="name what it removes")
    return None


class _Action:
    """One action that is being applied to the document."""

    def __init__(self, document: JSON, published: JSON, action: JSON, index: int) -> None:
        self._document, self._published, self._index = document, published, index
        self._action: JSON = _bare(action)
        self._creates = action.get(CREATES) is True
        self._created = False

    def apply(self) -> list[Stale]:
        """Apply it target by target; return the parts that do not apply."""
        stale: list[Stale] = []
        for target in expanded(str(self._action["target"])):
            nodes = target.find(self._document)
            if not nodes:
                stale.append(self._unmatched(target))
            for node in reversed(nodes):  # removing a later item first keeps the indexes of earlier ones
                stale += self._act(target, node.value, tuple(node.location))
        if self._creates and not self._created and not stale:
            cause = "says x-creates, and adds no name that the document lacks"
            stale.append(self._stale(expanded(str(self._action["target"]))[0], cause=cause, now="every name is there"))
        return stale

    def _act(self, target: Target, value: Any, location: Location) -> list[Stale]:
        if self._action.get("remove") is True:
            holder: Any = self._document
            for key in location[:-1]:
                holder = holder[key]
            del holder[location[-1]]
            return []
        update = self._action["update"]
        if isinstance(value, dict) and isinstance(update, dict):
            return self._merge(target, value, update, location, ())
        if isinstance(value, list):
            if update in value:
                return [
                    self._stale(
                        target,
                        cause="no longer applies: what it adds is published already",
                        now=_short(value),
                        fixed=True,
                    )
                ]
            value.append(deepcopy(update))
            return []
        cause = "neither removes nor updates an object or array: it matches a value"
        return [self._stale(target, cause=cause, now=_short(value))]

    def _merge(
        self, target: Target, node: JSON, update: JSON, location: Location, leaf: tuple[str, ...]
    ) -> list[Stale]:
        """Merge objects, extend arrays and replace everything else, as Overlay 1.0 says (4.4.3)."""
        stale: list[Stale] = []
        for key, value in update.items():
            at, own = (*leaf, key), (*location, key)
            present = node.get(key)
            if _is_name(location, key) and (fault := self._name(target, node, own, at)):
                stale.append(fault)
            elif key not in node:
                if key in _NAMED and isinstance(value, dict):
                    stale += self._beside_reference(target, node, value, own, at)
                node[key] = deepcopy(value)
            elif isinstance(present, dict) and isinstance(value, dict):
                stale += self._merge(target, present, value, own, at)
            elif isinstance(present, list) and isinstance(value, list):
                if known := [item for item in value if item in present]:
                    cause = f"no longer applies: {_short(known)} is published already"
                    stale.append(self._stale(target, leaf=at, cause=cause, now=_short(present), fixed=known == value))
                present.extend(deepcopy([item for item in value if item not in present]))
            elif present == value and isinstance(present, bool) == isinstance(value, bool):
                cause = "no longer applies: what it says is published already"
                stale.append(self._stale(target, leaf=at, cause=cause, now=_short(present), fixed=True))
            else:
                node[key] = deepcopy(value)
        return stale

    def _name(self, target: Target, node: JSON, own: Location, leaf: tuple[str, ...]) -> Stale | None:
        """Return a fault for a name that the document lacks, unless the action says `x-creates: true`."""
        name = str(own[-1])
        there = name in node or _published(self._published, own)
        if self._creates:
            if not there:
                self._created = True
                return None
            now = _short(node.get(name, "published"))
            return self._stale(target, leaf=leaf, cause="creates what is published already", now=now)
        if name in node:
            return None
        now = f"there are {_short(sorted(map(str, node)))}{nearest(name, node)}"
        cause = f"would create {name!r}, which the document lacks: it was renamed or removed"
        return self._stale(target, leaf=leaf, cause=cause, now=now)

    def _beside_reference(
        self, target: Target, node: JSON, names: JSON, own: Location, leaf: tuple[str, ...]
    ) -> list[Stale]:
        """Check members that are set beside a reference: the schema that it names has to have them."""
        known = _inherited(self._document, node, set())
        found = [self._name(target, known, (*own, name), (*leaf, name)) for name in names]
        return [each for each in found if each is not None]

    def _unmatched(self, target: Target) -> Stale:
        deepest, missing, holder = target.deepest(self._document)
        names = list(map(str, holder)) if isinstance(holder, dict) else []
        near = nearest(missing, names)
        instead = target.renamed(deepest, re.sub(r"^.*'(.*)'$", r"\1", near)) if near else None
        gone = self._action.get("remove") is True and deepest == target.length - 1
        return self._stale(
            target,
            cause=f"no longer applies: its target matches nothing, for want of {missing!r}{near}",
            now=f"there are {_short(sorted(names))}" if names else _short(holder),
            fixed=gone and not near,
            instead=instead,
        )

    def _stale(self, target: Target, **said: Any) -> Stale:
        return evolve(Stale(index=self._index, target=target, cause="", now=""), **said)


def _is_name(location: Location, key: str) -> bool:
    """Return True when a key below this location is a name and not a keyword of OpenAPI."""
    inside = False  # whether the location is inside a map of names
    path_item = False
    for step in location:
        path_item = inside and path_item
        if inside:
            inside = False
        elif step in _NAMED:
            inside, path_item = True, step == "paths"
        else:
            path_item = False
    if inside:
        return True
    return bool(path_item and key in METHODS)


def _inherited(document: JSON, schema: Any, seen: set[str]) -> JSON:
    """Return the members that a schema has from those it refers to."""
    members: JSON = {}
    if not isinstance(schema, dict):
        return members
    pointer = schema.get("$ref")
    if isinstance(pointer, str) and pointer not in seen:
        seen.add(pointer)
        members |= _inherited(document, resolve(document, pointer), seen)
    for part in schema.get("allOf", []):
        members |= _inherited(document, part, seen)
    own: JSON = schema.get("properties", {})
    return members | own


def _published(published: JSON, location: Location) -> bool:
    """Return True when the published document has this location, regardless of the names of placeholders in paths."""
    node: Any = published
    for step in location:
        if isinstance(node, dict) and isinstance(step, str) and step.startswith("/") and step not in node:
            shape = re.sub(r"{[^}]*}", "{}", step)
            step = next((key for key in node if re.sub(r"{[^}]*}", "{}", str(key)) == shape), step)
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _bare(value: Any) -> Any:
    """Return a value without the YAML reader's data about lines and comments."""
    if isinstance(value, dict):
        return {str(key): _bare(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 200 else f"{text[:197]}..."
