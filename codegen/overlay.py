"""Apply an OpenAPI Overlay 1.0: every correction and addition of ours, each with its reason."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError, JSONPathNode

from codegen.document import JSON, CodegenError

_jsonpath = JSONPathEnvironment()


def apply(document: JSON, overlay: JSON) -> JSON:
    """A copy of the document with every action applied, in order.

    Raises:
        CodegenError: an action has no reason, or its target no longer matches anything.
    """
    if overlay.get("overlay") != "1.0.0":
        raise CodegenError(f"the overlay is of version {overlay.get('overlay')!r}, not '1.0.0'")
    result = deepcopy(document)
    for number, action in enumerate(overlay["actions"], 1):
        place = f"overlay action {number} ({action.get('target')})"
        if not str(action.get("description", "")).strip():
            raise CodegenError(f"{place} gives no reason in its description")
        try:
            nodes = _jsonpath.find(str(action.get("target")), result)
        except JSONPathError as error:
            raise CodegenError(f"{place} has a target that is not JSONPath: {error}") from None
        if not nodes:
            raise CodegenError(f"{place} no longer applies: its target matches nothing")
        before = deepcopy([node.value for node in nodes])
        for node in reversed(nodes):  # so that removing an item does not move those still to be removed
            _act(result, node, action, place)
        if action.get("remove") is not True and [node.value for node in nodes] == before:
            raise CodegenError(f"{place} no longer applies: what it says is published already")
    return result


def _act(document: JSON, node: JSONPathNode, action: JSON, place: str) -> None:
    if action.get("remove") is True:
        if not node.location:
            raise CodegenError(f"{place} removes the whole document")
        *above, last = node.location
        holder: Any = document
        for key in above:
            holder = holder[key]
        del holder[last]
    elif isinstance(node.value, dict) and isinstance(action.get("update"), dict):
        _merge(node.value, action["update"])
    elif isinstance(node.value, list) and "update" in action:
        node.value.append(deepcopy(action["update"]))
    else:
        raise CodegenError(f"{place} neither removes nor updates an object or array")


def _merge(target: JSON, update: JSON) -> None:
    """Objects merge, arrays are extended, everything else is replaced: Overlay 1.0, section 4.4.3."""
    for key, value in update.items():
        present = target.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge(present, value)
        elif isinstance(present, list) and isinstance(value, list):
            present.extend(deepcopy(value))
        else:
            target[key] = deepcopy(value)
