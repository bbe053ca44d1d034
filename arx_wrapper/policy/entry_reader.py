"""Validate the entries of a policy file: keys are known, values have their type, globs match an operation."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from attrs import evolve

from arx_wrapper.errors import ConfigError, PolicyError
from arx_wrapper.model import Limit, Operation, ReviewerRule, Risk
from arx_wrapper.policy.condition import Condition
from arx_wrapper.policy.entry import Approval, Located, PolicyEntry, glob
from arx_wrapper.policy.reviewer_rules import Reviewers, read_reviewers

# A connector's operations: for each its row, or only its risk when table versions do not matter.
Registry = Mapping[str, Risk] | Mapping[str, Operation]
APPROVALS: Final = ("none", "auto", "hitl")
RISKS: Final[Mapping[str, Risk]] = {risk.name.lower(): risk for risk in Risk}
SECONDS: Final[Mapping[str, int]] = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_MEMBERS = re.compile(r"[A-Za-z0-9_*]+(?:\.[A-Za-z0-9_*]+)*")
_SEPARATORS: Final = str.maketrans("", "", " -_")
_LIMIT = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")


class EntryReader:
    """Reads the entries of one file."""

    def __init__(self, file: str | None, registry: Registry, connector: str) -> None:
        self._file, self._registry, self._connector = file, registry, connector
        self._rows: list[Operation] = [row for row in registry.values() if isinstance(row, Operation)]

    def entry(self, found: Located) -> PolicyEntry:
        """Read one entry.

        Raises:
            PolicyError: the entry is invalid; it names line, key and the nearest valid name.
        """
        if not isinstance(found.value, dict):
            raise self._error(found, None, "an entry must be a mapping with a name")
        for key, value in found.value.items():
            if key not in KEYS:
                raise self._error(value, key, f"{key!a} is not a key{_nearest(str(key), KEYS)}")
        values: dict[str, Any] = {}
        for key, value in found.value.items():
            values[key] = KEYS[key](self, key, value)
        for key in ("name", "connector"):
            if key not in values:
                raise self._error(found, key, f"{key!r} is missing")
        if not values.keys() & {"operations", "deny", "hide"}:
            raise self._error(found, "operations", "has no 'operations', 'deny' or 'hide': it would do nothing")
        if "operations" in values and "risk_max" not in values:
            raise self._error(found, "risk_max", "'risk_max' is missing: low, medium or high")
        if "limits" in values:
            values["limits"] = tuple(evolve(limit, policy=values["name"]) for limit in values["limits"])
        if "reviewers" in values:
            people, groups, on_call = values["reviewers"]
            values["reviewers"] = ReviewerRule(
                policy=values["name"],
                people=people,
                groups=groups,
                on_call=on_call,
                min_approvals=values.get("min_approvals", 1),
            )
        values["later"] = self._later(values.get("table"))
        source = f"{self._file}:{found.line}" if self._file and found.line else None
        return PolicyEntry(**values, source=source)

    def text(self, key: str, found: Located) -> str:
        value = found.value
        if value is None and key == "hitl_channel":
            raise self._error(found, key, 'is empty: a channel that starts with # must be quoted, "#channel"')
        if not isinstance(value, str) or not value.strip():
            raise self._error(found, key, "must be text that is not empty")
        return value

    def line(self, key: str, found: Located) -> str:
        """Return text without invisible characters and outer spaces, so that names that look the same are the same."""
        value = self.text(key, found)
        if not value.isprintable() or value != value.strip():
            problem = "has characters that are invisible or not Unicode, or spaces around it"
            raise self._error(found, key, f"{value!a} {problem}")
        return value

    def connector(self, key: str, found: Located) -> str:
        """Return the glob of connectors, unless it is a misspelling of this one: its denials would be ignored."""
        value = self.line(key, found)
        own, other = (name.translate(_SEPARATORS).casefold() for name in (self._connector, value))
        if not glob(value).fullmatch(self._connector) and (
            own == other or (not other.startswith(own) and difflib.get_close_matches(other, [own], cutoff=0.85))
        ):
            raise self._error(found, key, f"{value!a} is no connector; did you mean {self._connector!r}?")
        return value

    def globs(self, key: str, found: Located) -> tuple[str, ...]:
        return tuple(self.line(key, item) for item in self._list(key, found))

    def operation_globs(self, key: str, found: Located) -> tuple[str, ...]:
        patterns = tuple(self.text(key, item) for item in self._list(key, found))
        for pattern, item in zip(patterns, found.value, strict=True):
            self._known(key, item, pattern)
        return patterns

    def risk(self, key: str, found: Located) -> Risk:
        if not isinstance(found.value, str) or found.value not in RISKS:
            raise self._error(found, key, f"{found.value!a} is not a risk: low, medium or high")
        return RISKS[found.value]

    def approval(self, key: str, found: Located) -> Mapping[Risk, Approval]:
        if not isinstance(found.value, dict):
            kind = self._approval(key, found)
            return dict.fromkeys(Risk, kind)
        named: dict[Risk, Approval] = {}
        for level, value in found.value.items():
            if level not in RISKS:
                raise self._error(value, key, f"{level!a} is not a risk: low, medium or high")
            named[RISKS[level]] = self._approval(key, value)
        kinds: dict[Risk, Approval] = {}
        strictest: Approval = "none"
        for risk in Risk:  # a level that is not named is at least as strict as those below it
            strictest = kinds[risk] = named.get(risk, strictest)
        return kinds

    def expires(self, key: str, found: Located) -> datetime:
        try:
            moment = datetime.fromisoformat(self.text(key, found))
        except ValueError:
            raise self._error(found, key, "must be a time like 2026-01-31T00:00:00Z") from None
        if moment.tzinfo is None:
            raise self._error(found, key, "has no zone: write 2026-01-31T00:00:00Z")
        return moment

    def when(self, key: str, found: Located) -> Condition:
        try:
            return Condition.compile(self.text(key, found))
        except (ValueError, ConfigError) as error:
            raise self._error(found, key, str(error)) from None

    def limits(self, key: str, found: Located) -> tuple[Limit, ...]:
        if not isinstance(found.value, dict) or not found.value:
            raise self._error(found, key, 'must map operations to limits, {"incidents:create": "10/hour"}')
        limits = []
        for operation, value in found.value.items():
            if not isinstance(operation, str):
                raise self._error(value, key, f"{operation!a} is not an operation")
            self._known(key, value, operation)
            match = _LIMIT.fullmatch(value.value) if isinstance(value.value, str) else None
            if not match:
                raise self._error(
                    value, key, f"{value.value!a} is not a limit: write 10/hour (second, minute, hour, day)"
                )
            pattern = glob(operation)
            for name in self._registry:
                if pattern.fullmatch(name):
                    limit = Limit(
                        operation=name, count=int(match[1]), seconds=SECONDS[match[2]], text=value.value, policy=""
                    )
                    limits.append(limit)
        return tuple(limits)

    def members(self, key: str, found: Located) -> tuple[str, ...]:
        patterns = self.globs(key, found)
        for pattern, item in zip(patterns, found.value, strict=True):
            if not _MEMBERS.fullmatch(pattern):
                raise self._error(
                    item, key, f"{pattern!a} is not a member: write its name, or its path, contact_methods.address"
                )
        return patterns

    def reviewers(self, key: str, found: Located) -> Reviewers:
        return read_reviewers(key, found, self._error)

    def number(self, key: str, found: Located) -> int:
        if isinstance(found.value, bool) or not isinstance(found.value, int) or not 1 <= found.value <= 10:
            raise self._error(found, key, "must be a whole number from 1 to 10")
        return found.value

    def version(self, key: str, found: Located) -> int:
        newest = max((row.since for row in self._rows), default=1)
        if type(found.value) is not int or not 1 <= found.value <= newest:
            raise self._error(found, key, f"must be a version of the table, from 1 to {newest}")
        return found.value

    def boolean(self, key: str, found: Located) -> bool:
        if not isinstance(found.value, bool):
            raise self._error(found, key, "must be true or false")
        return found.value

    def _approval(self, key: str, found: Located) -> Approval:
        for kind in ("none", "auto", "hitl"):
            if found.value == kind:
                return kind
        raise self._error(found, key, f"{found.value!a} is not an approval: none, auto or hitl")

    def _list(self, key: str, found: Located) -> list[Located]:
        if not isinstance(found.value, list) or not found.value:
            raise self._error(found, key, "must be a list that is not empty, with a '-' before each item")
        return found.value

    def _known(self, key: str, found: Located, pattern: str) -> None:
        expression = glob(pattern)
        if not any(expression.fullmatch(name) for name in self._registry):
            raise self._error(found, key, f"{pattern!a} matches no operation{_nearest(pattern, self._registry)}")

    def _later(self, table: int | None) -> frozenset[str]:
        """Return the operations newer than a table version, which globs do not permit.

        An entry that states no version excludes only the writes that came after version 1.
        """
        return frozenset(row.name for row in self._rows if row.since > (table or 1) and (row.writes or table))

    def _error(self, found: Located, key: str | None, problem: str) -> PolicyError:
        return PolicyError(f"{key}: {problem}" if key else problem, file=self._file, line=found.line, key=key)


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


KEYS: Final[Mapping[str, Callable[[EntryReader, str, Located], Any]]] = {
    "name": EntryReader.line,
    "connector": EntryReader.connector,
    "operations": EntryReader.operation_globs,
    "deny": EntryReader.operation_globs,
    "risk_max": EntryReader.risk,
    "approval": EntryReader.approval,
    "hitl_channel": EntryReader.line,
    "description": EntryReader.text,
    "agents": EntryReader.globs,
    "orgs": EntryReader.globs,
    "expires": EntryReader.expires,
    "when": EntryReader.when,
    "limits": EntryReader.limits,
    "min_approvals": EntryReader.number,
    "reviewers": EntryReader.reviewers,
    "requesters": EntryReader.globs,
    "hide": EntryReader.members,
    "show": EntryReader.members,
    "enforce": EntryReader.boolean,
    "table": EntryReader.version,
}
