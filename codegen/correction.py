"""Correct an overlay that no longer applies: compute the corrected actions, and remove those no longer needed."""

from __future__ import annotations

import io
from copy import deepcopy
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from codegen.document import JSON
from codegen.errors import CodegenError, Fault
from codegen.overlay import CREATES, Stale, place
from codegen.targets import Target, expanded, joined


def load(text: str, source: str) -> JSON:
    """Read an overlay, keeping its line numbers and comments.

    Raises:
        CodegenError: the text is not YAML, or not an overlay.
    """
    try:
        loaded = _yaml().load(text)
    except YAMLError as error:
        raise CodegenError(source, f"is not YAML: {' '.join(str(error).split())}", "correct it there") from None
    if not isinstance(loaded, dict) or not isinstance(loaded.get("actions"), list):
        raise CodegenError(source, "is no overlay: it has no list of actions", "write it as Overlay 1.0.0")
    return loaded


def dump(overlay: JSON) -> str:
    """Write an overlay that was read from text, with its comments."""
    out = io.StringIO()
    _yaml().dump(overlay, out)
    return out.getvalue()


def fault(overlay: JSON, stale: list[Stale], index: int) -> Fault:
    """Describe the fault of one action, and the corrected action."""
    own = [each for each in stale if each.index == index]
    causes = "; ".join(dict.fromkeys(_cause(each) for each in own))
    action = corrected(overlay["actions"][index], own, fixed_only=False)
    if action is None:
        remedy = "remove it: PagerDuty has fixed this (`--prune` does)"
    elif action == overlay["actions"][index]:
        remedy = "find its target in the published document, and correct or remove the action"
    else:
        remedy = f"the corrected entry would be:\n{_entry(action)}"
    return Fault(place=place(overlay, index), cause=causes, remedy=remedy)


def prune(text: str, stale: list[Stale]) -> tuple[str, list[str]]:
    """Return an overlay's text without actions that PagerDuty has fixed, and a description of each removal."""
    overlay, lines, said = load(text, "the overlay"), text.splitlines(), []
    for index in sorted({each.index for each in stale if each.fixed}, reverse=True):
        fixed = [each for each in stale if each.index == index and each.fixed]
        before = overlay["actions"][index]
        action = corrected(before, fixed, fixed_only=True)
        if action == before:
            continue
        said.append(f"{place(overlay, index)}: {'; '.join(_cause(each) for each in fixed)}")
        first, last = _lines(overlay, lines, index)
        margin = " " * (len(lines[first]) - len(lines[first].lstrip()))
        lines[first:last] = [margin + line for line in _entry(action).strip().splitlines()] if action else []
    return "\n".join(lines) + "\n", said[::-1]


def _lines(overlay: JSON, lines: list[str], index: int) -> tuple[int, int]:
    """Return the lines of an action, without the comments between it and the next one."""
    marks = overlay["actions"].lc
    after = marks.item(index + 1)[0] if index + 1 < len(overlay["actions"]) else len(lines)
    while not lines[after - 1].strip() or lines[after - 1].lstrip().startswith("#"):
        after -= 1
    return marks.item(index)[0], after


def corrected(action: JSON, stale: list[Stale], *, fixed_only: bool) -> JSON | None:
    """Return an action without the parts that no longer apply; None when no part is left."""
    result = deepcopy(action)
    targets = expanded(str(action["target"]))
    whole = [each for each in stale if not each.leaf or _is_all(action, targets, stale, each.target)]
    gone = {str(each.target) for each in whole if each.fixed}
    moved = {} if fixed_only else {str(each.target): each.instead for each in whole if each.instead}
    left = [moved.get(str(target)) or target for target in targets if str(target) not in gone]
    if not left:
        return None
    if [*map(str, left)] != [*map(str, targets)]:
        expression = joined(left)
        if expression is None:
            return result
        result["target"] = expression
    for each in stale:
        everywhere = {str(other.target) for other in stale if other.leaf == each.leaf and other.fixed}
        if each.leaf and each.fixed and everywhere >= {str(target) for target in targets} - gone:
            _take(result["update"], each.leaf)
        if each.leaf and not fixed_only and each.cause == "creates what is published already":
            result.pop(CREATES, None)
    return result if action.get("remove") is True or result["update"] else None


def _is_all(action: JSON, targets: list[Target], stale: list[Stale], target: Target) -> bool:
    """Return True when the published document has every value that an action sets at one of its targets."""
    update = action.get("update")
    if not isinstance(update, dict):
        return False
    own = {each.leaf for each in stale if str(each.target) == str(target) and each.fixed}
    return len(targets) > 1 and own >= set(_leaves(update))


def _leaves(update: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(update, dict) or not update:
        return [above]
    return [leaf for key, value in update.items() for leaf in _leaves(value, (*above, key))]


def _take(update: JSON, leaf: tuple[str, ...]) -> None:
    """Remove a value, and the objects that are empty without it."""
    if leaf[0] not in update:
        return
    if len(leaf) > 1 and isinstance(update[leaf[0]], dict):
        _take(update[leaf[0]], leaf[1:])
        if update[leaf[0]]:
            return
    del update[leaf[0]]


def _cause(stale: Stale) -> str:
    at = f" at {stale.target!s}" if len(str(stale.target)) < 80 else ""
    leaf = f", {'.'.join(stale.leaf)}" if stale.leaf else ""
    return f"{stale.cause}{at}{leaf} (now: {stale.now})"


def _entry(action: JSON) -> str:
    out = io.StringIO()
    _yaml().dump([action], out)
    lines = out.getvalue().rstrip().splitlines()
    margin = len(lines[0]) - len(lines[0].lstrip())
    kept = [line[margin:] for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join(kept)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 4096
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
