"""Handle the targets of overlay actions: JSONPath expressions, split into one for each name that they list."""

from __future__ import annotations

import itertools
import re
from typing import Any, Final

from attrs import frozen
from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathNode
from jsonpath_rfc9535.query import JSONPathQuery
from jsonpath_rfc9535.segments import JSONPathChildSegment, JSONPathSegment
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector

_jsonpath: Final = JSONPathEnvironment()
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@frozen
class Target:
    """A target in which no segment lists several names."""

    segments: tuple[JSONPathSegment, ...]

    @property
    def length(self) -> int:
        return len(self.segments)

    def __str__(self) -> str:
        return "$" + "".join(map(_segment, self.segments))

    def find(self, document: Any) -> list[JSONPathNode]:
        """Return every node that it matches."""
        return list(JSONPathQuery(env=_jsonpath, segments=self.segments).find(document))

    def deepest(self, document: Any) -> tuple[int, str, Any]:
        """Return the number of matching segments, the next segment's name, and the value at which it fails."""
        matched = next(n for n in range(len(self.segments), -1, -1) if Target(self.segments[:n]).find(document))
        missing = self.segments[matched] if matched < len(self.segments) else None
        holder = Target(self.segments[:matched]).find(document)[0].value
        return matched, _asked(missing), holder

    def renamed(self, position: int, name: str) -> Target:
        """Return the target with another name at one position."""
        old = self.segments[position]
        selector = NameSelector(env=_jsonpath, token=old.token, name=name)
        segment = type(old)(env=_jsonpath, token=old.token, selectors=(selector,))
        return Target((*self.segments[:position], segment, *self.segments[position + 1 :]))


def expanded(expression: str) -> list[Target]:
    """Return a target for each combination of the names that an expression lists."""
    choices: list[list[JSONPathSegment]] = []
    for segment in _jsonpath.compile(expression).segments:
        names = all(isinstance(each, NameSelector) for each in segment.selectors)
        if isinstance(segment, JSONPathChildSegment) and names:
            choices.append(
                [type(segment)(env=_jsonpath, token=segment.token, selectors=(s,)) for s in segment.selectors]
            )
        else:
            choices.append([segment])
    return [Target(segments) for segments in itertools.product(*choices)]


def joined(targets: list[Target]) -> str | None:
    """Return one expression for all of these targets; None when there is none."""
    if len(targets) == 1:
        return str(targets[0])
    texts = [[_segment(segment) for segment in target.segments] for target in targets]
    if len({len(each) for each in texts}) != 1:
        return None
    differing = [i for i, parts in enumerate(zip(*texts, strict=True)) if len(set(parts)) > 1]
    if len(differing) != 1:
        return None
    (at,) = differing
    names = ", ".join(f"'{_asked(target.segments[at])}'" for target in targets)
    return "$" + "".join([*texts[0][:at], f"[{names}]", *texts[0][at + 1 :]])


def _segment(segment: JSONPathSegment) -> str:
    selector = segment.selectors[0]
    if not isinstance(segment, JSONPathChildSegment):
        descent = ".." if len(segment.selectors) == 1 and isinstance(selector, NameSelector) else ""
        return descent + selector.name if descent and isinstance(selector, NameSelector) else str(segment)
    if len(segment.selectors) == 1 and isinstance(selector, NameSelector):
        return f".{selector.name}" if _PLAIN.fullmatch(selector.name) else f"['{selector.name}']"
    return str(segment)


def _asked(segment: JSONPathSegment | None) -> str:
    if segment is None:
        return ""
    selector = segment.selectors[0]
    if isinstance(selector, NameSelector):
        return selector.name
    return str(selector.index) if isinstance(selector, IndexSelector) else str(segment)
