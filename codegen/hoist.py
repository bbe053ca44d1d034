"""Name what references reach into: the generator drops whatever it cannot name."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from codegen.document import JSON, SCHEMAS, reference, resolve, walk
from codegen.errors import CodegenError

NAMES: Final = {"#/components/schemas/Tag/allOf/0": "Resource"}


def hoist(document: JSON, names: dict[str, str] | None = None) -> JSON:
    """A copy in which every schema reference names a component.

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
            continue  # unreachable ones do not matter; `prune` aborts on those that do
        name = names[pointer]
        if schemas.setdefault(name, deepcopy(resolve(document, pointer))) != resolve(document, pointer):
            raise CodegenError(
                pointer,
                f"cannot become {name}: the published document has one of its own",
                "choose another name in codegen/hoist.py",
            )
        node["$ref"] = reference(name)["$ref"]
    return result


def reach(document: JSON) -> JSON:
    """The document with only those shared components, of any kind, that its operations refer to."""
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
    """The document with only those component schemas that its operations reach.

    Raises:
        CodegenError: a reference that is reached is deep, or names nothing.
    """
    reached: JSON = {}
    waiting = [document["paths"]]
    while waiting:
        for node in walk(waiting.pop()):
            pointer = node.get("$ref")
            if not isinstance(pointer, str) or pointer.startswith("#/components/parameters/"):
                continue
            if not _is_shallow(pointer):
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
