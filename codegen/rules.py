"""Classify a change of a document by rules with oasdiff's names and levels.

oasdiff's table is `checker/rules.go` (github.com/oasdiff/oasdiff); its ERR, WARN and INFO are breaking, warning and
info here. Rules that oasdiff does not have (a changed description, a rename) are marked `ours`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen


class Level(StrEnum):
    """The effect of a change on callers, the worst first."""

    BREAKING = "breaking"
    WARNING = "warning"
    INFO = "info"


class Kind(StrEnum):
    """The kind of a change."""

    ADDED = "added"
    REMOVED = "removed"
    WIDENED = "widened"
    NARROWED = "narrowed"
    RENAMED = "renamed"
    CHANGED = "changed"


@frozen
class Rule:
    """The verdict of one rule on a change."""

    level: Level
    kind: Kind


_ERR, _WARN, _INFO = Level.BREAKING, Level.WARNING, Level.INFO
_ADDED, _REMOVED, _WIDENED, _NARROWED, _CHANGED = Kind.ADDED, Kind.REMOVED, Kind.WIDENED, Kind.NARROWED, Kind.CHANGED

RULES: Final[dict[str, Rule]] = {
    # the endpoint
    "endpoint-added": Rule(_INFO, _ADDED),
    "api-removed-without-deprecation": Rule(_ERR, _REMOVED),
    "api-removed-with-deprecation": Rule(_INFO, _REMOVED),
    "endpoint-deprecated": Rule(_INFO, _CHANGED),
    "endpoint-reactivated": Rule(_INFO, _CHANGED),
    "api-security-scope-added": Rule(_INFO, _NARROWED),
    "api-security-scope-removed": Rule(_INFO, _WIDENED),
    "endpoint-description-changed": Rule(_INFO, _CHANGED),  # ours
    "response-success-status-added": Rule(_INFO, _ADDED),
    "response-success-status-removed": Rule(_ERR, _REMOVED),
    "response-non-success-status-added": Rule(_INFO, _ADDED),
    "response-non-success-status-removed": Rule(_INFO, _REMOVED),
    "request-body-added-required": Rule(_ERR, _ADDED),
    "request-body-removed": Rule(_ERR, _REMOVED),
    "response-body-added": Rule(_INFO, _ADDED),  # ours
    "response-body-removed": Rule(_ERR, _REMOVED),  # ours
    # parameters
    "new-required-request-parameter": Rule(_ERR, _ADDED),
    "new-optional-request-parameter": Rule(_INFO, _ADDED),
    "request-parameter-removed": Rule(_WARN, _REMOVED),
    "request-parameter-removed-with-deprecation": Rule(_INFO, _REMOVED),
    "request-parameter-renamed": Rule(_ERR, Kind.RENAMED),  # ours: a removal and an addition
    "path-parameter-renamed": Rule(_INFO, Kind.RENAMED),
    "request-parameter-style-changed": Rule(_ERR, _CHANGED),  # ours
    # a member's existence
    "new-required-request-property": Rule(_ERR, _ADDED),
    "new-optional-request-property": Rule(_INFO, _ADDED),
    "request-property-removed": Rule(_WARN, _REMOVED),
    "request-property-renamed": Rule(_ERR, Kind.RENAMED),  # ours
    "response-required-property-added": Rule(_INFO, _ADDED),
    "response-optional-property-added": Rule(_INFO, _ADDED),
    "response-required-property-removed": Rule(_ERR, _REMOVED),
    "response-optional-property-removed": Rule(_WARN, _REMOVED),
    "response-property-renamed": Rule(_ERR, Kind.RENAMED),  # ours
}

# The rules that parameters and members share: in requests, in parameters and in responses.
_ALIKE: Final[dict[str, tuple[Rule, Rule | None, Rule]]] = {
    "became-required": (Rule(_ERR, _NARROWED), Rule(_ERR, _NARROWED), Rule(_INFO, _NARROWED)),
    "became-optional": (Rule(_INFO, _WIDENED), Rule(_INFO, _WIDENED), Rule(_ERR, _WIDENED)),
    "type-changed": (Rule(_ERR, _CHANGED), Rule(_ERR, _CHANGED), Rule(_ERR, _CHANGED)),
    "type-generalized": (Rule(_INFO, _WIDENED), Rule(_INFO, _WIDENED), Rule(_ERR, _WIDENED)),
    "type-specialized": (Rule(_ERR, _NARROWED), Rule(_ERR, _NARROWED), Rule(_INFO, _NARROWED)),
    "enum-value-added": (Rule(_INFO, _WIDENED), Rule(_INFO, _WIDENED), Rule(_WARN, _WIDENED)),
    "enum-value-removed": (Rule(_ERR, _NARROWED), Rule(_ERR, _NARROWED), Rule(_INFO, _NARROWED)),
    "became-enum": (Rule(_ERR, _NARROWED), Rule(_ERR, _NARROWED), Rule(_INFO, _NARROWED)),
    "is-no-enum-any-more": (Rule(_INFO, _WIDENED), Rule(_INFO, _WIDENED), Rule(_WARN, _WIDENED)),  # ours
    "became-nullable": (Rule(_INFO, _WIDENED), Rule(_INFO, _WIDENED), Rule(_ERR, _WIDENED)),
    "became-not-nullable": (Rule(_ERR, _NARROWED), Rule(_ERR, _NARROWED), Rule(_INFO, _NARROWED)),
    "pattern-added": (Rule(_ERR, _NARROWED), Rule(_ERR, _NARROWED), Rule(_INFO, _NARROWED)),
    "pattern-changed": (Rule(_WARN, _CHANGED), Rule(_WARN, _CHANGED), Rule(_INFO, _CHANGED)),
    "pattern-removed": (Rule(_INFO, _WIDENED), Rule(_INFO, _WIDENED), Rule(_INFO, _WIDENED)),
    "default-value-changed": (Rule(_INFO, _CHANGED), Rule(_ERR, _CHANGED), Rule(_INFO, _CHANGED)),
    "default-value-added": (Rule(_INFO, _CHANGED), Rule(_ERR, _CHANGED), Rule(_INFO, _CHANGED)),
    "default-value-removed": (Rule(_INFO, _CHANGED), Rule(_ERR, _CHANGED), Rule(_INFO, _CHANGED)),
    "deprecated": (Rule(_INFO, _CHANGED), Rule(_INFO, _CHANGED), Rule(_INFO, _CHANGED)),
    "reactivated": (Rule(_INFO, _CHANGED), Rule(_INFO, _CHANGED), Rule(_INFO, _CHANGED)),
    "became-read-only": (Rule(_INFO, _NARROWED), None, Rule(_INFO, _CHANGED)),
    "became-not-read-only": (Rule(_INFO, _WIDENED), None, Rule(_INFO, _CHANGED)),
    "became-write-only": (Rule(_INFO, _CHANGED), None, Rule(_INFO, _NARROWED)),
    "became-not-write-only": (Rule(_INFO, _CHANGED), None, Rule(_INFO, _WIDENED)),
    "one-of-added": (Rule(_INFO, _WIDENED), Rule(_INFO, _WIDENED), Rule(_ERR, _WIDENED)),
    "one-of-removed": (Rule(_ERR, _NARROWED), Rule(_ERR, _NARROWED), Rule(_INFO, _NARROWED)),
    "wrapped-in-one-of": (Rule(_ERR, _WIDENED), Rule(_ERR, _WIDENED), Rule(_ERR, _WIDENED)),
    "unwrapped-from-one-of": (Rule(_ERR, _NARROWED), Rule(_ERR, _NARROWED), Rule(_INFO, _NARROWED)),  # ours
    "unique-items-set": (Rule(_WARN, _NARROWED), Rule(_WARN, _NARROWED), Rule(_INFO, _NARROWED)),  # ours
    "unique-items-unset": (Rule(_INFO, _WIDENED), Rule(_INFO, _WIDENED), Rule(_INFO, _WIDENED)),  # ours
    "description-changed": (Rule(_INFO, _CHANGED), Rule(_INFO, _CHANGED), Rule(_INFO, _CHANGED)),  # ours
}
_PLACES: Final = ("request-property", "request-parameter", "response-property")
for _name, _rules in _ALIKE.items():
    RULES.update({f"{place}-{_name}": rule for place, rule in zip(_PLACES, _rules, strict=True) if rule is not None})
for _bound, _tight in (
    ("max", "decreased"), ("max-length", "decreased"), ("max-items", "decreased"),
    ("min", "increased"), ("min-length", "increased"), ("min-items", "increased"),
):  # fmt: skip
    _loose = "increased" if _tight == "decreased" else "decreased"
    for _place in _PLACES:
        _answer = _place == "response-property"
        RULES[f"{_place}-{_bound}-{_tight}"] = Rule(_INFO if _answer else _ERR, _NARROWED)
        RULES[f"{_place}-{_bound}-{_loose}"] = Rule(_ERR if _answer else _INFO, _WIDENED)
        RULES[f"{_place}-{_bound}-set"] = Rule(_INFO if _answer else _WARN, _NARROWED)
        RULES[f"{_place}-{_bound}-unset"] = Rule(_ERR if _answer else _INFO, _WIDENED)
