"""One entry of a policy, and how it is read: every key known, every value of its kind, every glob about something."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from attrs import field, frozen

from arx_wrapper.errors import ConfigError, PolicyError
from arx_wrapper.model import Limit, OnCall, Operation, ReviewerRule, Risk, Visibility
from arx_wrapper.policy.condition import Condition
from arx_wrapper.policy.yaml_document import Located

# Every operation of a connector: its row, or its risk where versions do not matter.
Registry = Mapping[str, Risk] | Mapping[str, Operation]
Approval = Literal["none", "auto", "hitl"]
APPROVALS: Final = ("none", "auto", "hitl")
RISKS: Final[Mapping[str, Risk]] = {risk.name.lower(): risk for risk in Risk}
SECONDS: Final[Mapping[str, int]] = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_GROUP: Final = "group:"
_ON_CALL: Final[Mapping[str, object]] = dict.fromkeys(("on_call", "levels", "escalate_after"))
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_REVIEWER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@:/+-]{0,127}")
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smh])")
_MEMBERS = re.compile(r"[A-Za-z0-9_*]+(?:\.[A-Za-z0-9_*]+)*")
_LIMIT = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")


@frozen(kw_only=True)
class PolicyEntry:
    """One entry.

    Attributes:
        name: Unique in its policy.
        connector: Which connector it is about.
        operations: Globs of what it permits; `*` is the only wildcard.
        deny: Globs of what it denies, whatever else permits it.
        risk_max: Above this risk the entry permits nothing.
        approval: For each risk, whether a reviewer has to agree.
        hitl_channel: Where reviewers are asked.
        description: For people.
        agents, orgs: Globs of whom it is about.
        expires: From then on it no longer matches.
        when: A condition in CEL; None is always.
        limits: How often an agent may do what it permits.
        min_approvals: How many different reviewers must agree.
        reviewers: Whose approvals count; None for those of any reviewer.
        requesters: Globs of the addresses that a write may name as its requester; empty for any. The vault's own always
            may.
        hide: Globs over members of answers that it hides; without operations, of every answer.
        show: Exceptions to `hide`, and to what is hidden by default.
        enforce: False: evaluated and recorded, never enforced.
        table: The version of the connector's table that its globs were written for; None when it does not say.
        later: The operations that came with a later version, which its globs do not permit.
        source: `file:line`.
    """

    name: str
    connector: str
    operations: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    risk_max: Risk = Risk.LOW
    approval: Mapping[Risk, Approval] = field(factory=dict)
    hitl_channel: str | None = None
    description: str | None = None
    agents: tuple[str, ...] = ("*",)
    orgs: tuple[str, ...] = ("*",)
    expires: datetime | None = None
    when: Condition | None = None
    limits: tuple[Limit, ...] = ()
    min_approvals: int = 1
    reviewers: ReviewerRule | None = None
    requesters: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    enforce: bool = True
    table: int | None = None
    later: frozenset[str] = field(default=frozenset(), repr=False)
    source: str | None = None

    @property
    def visibility(self) -> Visibility | None:
        """What it hides and shows; None for neither."""
        if not self.hide and not self.show:
            return None
        return Visibility(policy=self.name, hide=self.hide, show=self.show)

    def globs_match(self, operation: str) -> bool:
        """Return whether one of its globs matches an operation, permitted or not."""
        return matches_any(self.operations, operation)

    def permits(self, operation: str) -> bool:
        """Return whether it names an operation, or a glob of its does that is not older than the operation."""
        if operation in self.later:
            return operation in self.operations
        return self.globs_match(operation)

    def __str__(self) -> str:
        return f"{self.name!r} ({self.source})" if self.source else repr(self.name)


def glob(pattern: str) -> re.Pattern[str]:
    """A glob as an expression for `fullmatch`; the whole name, case and all."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def matches_any(patterns: Sequence[str], name: str) -> bool:
    """Return whether one of the globs matches the whole name."""
    return any(pattern == name or glob(pattern).fullmatch(name) for pattern in patterns)


class EntryReader:
    """Reads entries of one file."""

    def __init__(self, file: str | None, registry: Registry) -> None:
        self._file, self._registry = file, registry
        self._rows: list[Operation] = [row for row in registry.values() if isinstance(row, Operation)]

    def entry(self, found: Located) -> PolicyEntry:
        """Read one entry.

        Raises:
            PolicyError: naming line, key and the nearest valid name.
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
            raise self._error(found, "operations", "neither 'operations' nor 'deny' nor 'hide': it would do nothing")
        if "operations" in values and "risk_max" not in values:
            raise self._error(found, "risk_max", "'risk_max' is missing: low, medium or high")
        if "limits" in values:
            values["limits"] = tuple(self._named(limit, values["name"]) for limit in values["limits"])
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

    def globs(self, key: str, found: Located) -> tuple[str, ...]:
        return tuple(self.text(key, item) for item in self._list(key, found))

    def operation_globs(self, key: str, found: Located) -> tuple[str, ...]:
        patterns = self.globs(key, found)
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

    def reviewers(self, key: str, found: Located) -> tuple[tuple[str, ...], tuple[str, ...], tuple[OnCall, ...]]:
        """Read reviewers: names of people, `group:NAME`, and on-call rules, one alone or a list of them."""
        items = [found] if isinstance(found.value, dict | str) else self._list(key, found)
        on_call = tuple(self._on_call(key, item) for item in items if isinstance(item.value, dict))
        names = [self._reviewer(key, item) for item in items if not isinstance(item.value, dict)]
        if len(set(names)) < len(names) or len(set(on_call)) < len(on_call):
            raise self._error(found, key, "names somebody twice")
        people = tuple(name for name in names if not name.startswith(_GROUP))
        return people, tuple(name.removeprefix(_GROUP) for name in names if name.startswith(_GROUP)), on_call

    def _reviewer(self, key: str, found: Located) -> str:
        name = self.text(key, found)
        if not _REVIEWER.fullmatch(name.removeprefix(_GROUP)):
            raise self._error(
                found, key, f"{name!a} is neither a reviewer's name, nor {_GROUP}NAME, nor an on-call rule"
            )
        return name

    def _on_call(self, key: str, found: Located) -> OnCall:
        for name, item in found.value.items():
            if name not in _ON_CALL:
                raise self._error(item, key, f"{name!a} is not a key of an on-call rule{_nearest(str(name), _ON_CALL)}")
        policy = found.value.get("on_call")
        if policy is None or not isinstance(policy.value, str) or not _ID.fullmatch(policy.value):
            raise self._error(policy or found, key, "on_call: must be the id of an escalation policy")
        levels = self._levels(key, found.value["levels"]) if "levels" in found.value else ()
        after = found.value.get("escalate_after")
        if after is not None and len(levels) == 1:
            raise self._error(after, key, "escalate_after: there is one level, and nobody to escalate to")
        seconds = self._duration(key, after) if after is not None else None
        return OnCall(escalation_policy=policy.value, levels=levels, escalate_after=seconds)

    def _levels(self, key: str, found: Located) -> tuple[int, ...]:
        levels = [item.value for item in self._list(key, found)]
        if not all(type(level) is int and 1 <= level <= 100 for level in levels) or len(set(levels)) < len(levels):
            raise self._error(found, key, "levels: must be different whole numbers from 1, as [1, 2]")
        return tuple(levels)

    def _duration(self, key: str, found: Located) -> int:
        match = _DURATION.fullmatch(found.value) if isinstance(found.value, str) else None
        if not match:
            raise self._error(found, key, f"escalate_after: {found.value!a} is not a time: write 90s, 5m or 1h")
        return int(match[1]) * {"s": 1, "m": 60, "h": 3_600}[match[2]]

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
        """Return what the globs of an entry do not permit because it came later: of no stated version, writes alone."""
        return frozenset(row.name for row in self._rows if row.since > (table or 1) and (row.writes or table))

    def _named(self, limit: Limit, policy: str) -> Limit:
        return Limit(
            operation=limit.operation, count=limit.count, seconds=limit.seconds, text=limit.text, policy=policy
        )

    def _error(self, found: Located, key: str | None, problem: str) -> PolicyError:
        return PolicyError(f"{key}: {problem}" if key else problem, file=self._file, line=found.line, key=key)


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


KEYS: Final[Mapping[str, Callable[[EntryReader, str, Located], Any]]] = {
    "name": EntryReader.text,
    "connector": EntryReader.text,
    "operations": EntryReader.operation_globs,
    "deny": EntryReader.operation_globs,
    "risk_max": EntryReader.risk,
    "approval": EntryReader.approval,
    "hitl_channel": EntryReader.text,
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
