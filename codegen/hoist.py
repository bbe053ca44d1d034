"""Name the targets of references into schemas, because the generator drops schemas without a name."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any, Final

from codegen.document import JSON, SCHEMAS, reference, resolve, walk
from codegen.errors import CodegenError

_DEEP: Final = re.compile(r"#/(components/[^/]+/[^/]+/.+|paths/.+)")
_PART: Final = re.compile(r"^#/components/schemas/[^/]+/allOf/\d+$")
NAMES: Final = {"#/components/schemas/Tag/allOf/0": "Resource"}


def hoist(document: JSON, names: dict[str, str] | None = None) -> JSON:
    """Return a copy in which every schema reference names a component.

    Raises:
        CodegenError: a deep reference has no name in `NAMES`, or its name is taken.
    """
    names = NAMES if names is None else names
    result = deepcopy(document)
    schemas = result["components"]["schemas"]
    for node in list(walk({"paths": result["paths"], "schemas": schemas})):
        pointer = node.get("$ref")
        if not isinstance(pointer, str) or _is_shallow(pointer):
            continue
        if pointer not in names:
            continue  # unreachable ones are removed; `prune` refuses reachable ones
        name = names[pointer]
        if schemas.setdefault(name, deepcopy(resolve(document, pointer))) != resolve(document, pointer):
            raise CodegenError(
                pointer,
                f"cannot become {name}: the published document has one of its own",
                "choose another name in codegen/hoist.py",
            )
        node["$ref"] = reference(name)["$ref"]
    return result


def unfold(document: JSON) -> JSON:
    """Return a copy in which a reference into a schema, a parameter or a response is replaced by its target.

    A reference to a part of an `allOf` is kept: many schemas extend the same part, which becomes one class.

    Raises:
        CodegenError: a reference has no target, or its target contains it.
    """

    def unfolded(node: Any, above: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [unfolded(each, above) for each in node]
        if not isinstance(node, dict):
            return node
        pointer = node.get("$ref")
        if not isinstance(pointer, str) or not _DEEP.match(pointer) or _PART.search(pointer):
            return {key: unfolded(value, above) for key, value in node.items()}
        if pointer in above:
            raise CodegenError(pointer, "holds a reference to itself", "correct it in spec/overlay.yaml")
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return unfolded({**resolve(document, pointer), **beside}, (*above, pointer))

    return {**document, **{key: unfolded(document[key], ()) for key in ("paths", "components")}}


def reach(document: JSON) -> JSON:
    """Return the document with only those shared components, of any kind, that its operations refer to."""
    reached: dict[str, JSON] = {kind: {} for kind in document["components"]}
    waiting: list[Any] = [document["paths"]]
    while waiting:
        for node in walk(waiting.pop()):
            kind, _, rest = str(node.get("$ref", "")).removeprefix("#/components/").partition("/")
            name = rest.partition("/")[0]
            if kind in reached and name in document["components"][kind] and name not in reached[kind]:
                reached[kind][name] = document["components"][kind][name]
                waiting.append(reached[kind][name])
    return {**document, "components": reached}


def prune(document: JSON) -> JSON:
    """Return the document with only those component schemas that its operations reach.

    Raises:
        CodegenError: a reachable reference points into a schema, or has no target.
    """
    reached: JSON = {}
    waiting = [document["paths"]]
    while waiting:
        for node in walk(waiting.pop()):
            pointer = node.get("$ref")
            if not isinstance(pointer, str) or pointer.startswith("#/components/parameters/"):
                continue
            if not _is_shallow(pointer):
                resolve(document, pointer)  # raises for one without a target, or into another document
                raise CodegenError(pointer, "is a reference into a schema", "name it in codegen/hoist.py")
            name = pointer.removeprefix(SCHEMAS)
            if name not in reached:
                reached[name] = resolve(document, pointer)
                waiting.append(reached[name])
    return {**document, "components": {**document["components"], "schemas": reached}}


def _is_shallow(pointer: str) -> bool:
    return pointer.startswith("#/components/parameters/") or (
        pointer.startswith(SCHEMAS) and "/" not in pointer.removeprefix(SCHEMAS)
    )
