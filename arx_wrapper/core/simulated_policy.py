"""Judge recorded calls by the proposed policy of a simulation, and count its limits from the beginning."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from attrs import define, evolve, field

from arx_wrapper.model import Call, Decision, Effect, Unknown, Verdict
from arx_wrapper.policy import PolicyEntry, PolicySet
from arx_wrapper.policy.condition import Condition
from arx_wrapper.policy.entry import matches_any

_ABSENT: Final = Unknown("it was not recorded")
_NOW: Final = re.compile(r"\bnow\b")


class SimulatedPolicy:
    """The proposed policy, with its limits counted over the calls that it permits.

    Attributes:
        counts: Whether it has limits.
        reads_params: Whether its decisions depend on parameters.
        reads_time: Whether its decisions depend on the time: an entry expires, or a condition reads the time.
    """

    def __init__(self, policy: PolicySet) -> None:
        self._policy = policy
        self._conditions: dict[str, list[PolicyEntry]] = {}
        self._seconds: defaultdict[str, set[int]] = defaultdict(set)
        for entry in policy.entries:
            for limit in entry.limits:
                self._seconds[limit.operation].add(limit.seconds)
        self._windows: dict[tuple[str, str, str, int], _Window] = {}
        conditions = [entry.when for entry in policy.entries if entry.when is not None]
        # The parameters that conditions read; None where one may read any.
        self._read = None if any(one.reads_all for one in conditions) else sorted({*_names(conditions)})
        self.counts = bool(self._seconds)
        self.reads_params = bool(conditions) or any(entry.requesters for entry in policy.entries)
        self.reads_time = any(entry.expires for entry in policy.entries) or any(
            _NOW.search(condition.text) for condition in conditions
        )

    def read_of(self, call: Call) -> str | None:
        """Return the parameters that the policy reads of a call, as text; None when it may read any.

        Calls of one agent and operation with the same effects and the same text get the same decision at one time.
        """
        if self._read is None:
            return None
        read = [[params and [params.get(name, _ABSENT) for name in self._read] for params in effect.params]
                for effect in call.effects]  # fmt: skip
        return repr((call.params.get("requester_email"), read))

    def decide(self, call: Call, now: datetime) -> Decision:
        """Return the policy's decision on a call, without its limits."""
        return self._policy.decide(call, now)

    def limited(self, call: Call, decision: Decision, at: float) -> Decision:
        """Apply the limits to a decision, and count the call when it is permitted.

        Args:
            call: The call.
            decision: The policy's decision without limits.
            at: The call's time, in seconds since 1970.
        """
        if decision.verdict is Verdict.DENY:
            return decision
        counts = {effect.operation: effect.count for effect in call.effects}
        for limit in decision.limits:
            used = self._window(call, limit.operation, limit.seconds).used(at)
            if used + counts.get(limit.operation, 0) > limit.count:
                reason = f"The limit of {limit.text} for {limit.operation} is used up."
                return evolve(decision, verdict=Verdict.DENY, reason=reason)
        for operation, count in counts.items():
            for seconds in self._seconds.get(operation, ()):
                self._window(call, operation, seconds).add(at, count)
        return decision

    def reads_unrecorded(self, kept: bool, call: Call, now: datetime) -> bool:
        """Return True when a condition reads parameters that were not recorded, or not completely.

        Args:
            kept: Whether the call's parameters were recorded.
            call: The call.
            now: The time of the call, aware.
        """
        return any(
            _reads_unrecorded(entry.when, effect, kept)
            for effect in call.effects
            for entry in self._conditional(effect.operation)
            if entry.when is not None and self._policy.applies(entry, call, now)
        )

    def _conditional(self, operation: str) -> list[PolicyEntry]:
        if operation not in self._conditions:
            self._conditions[operation] = [
                entry
                for entry in self._policy.entries
                if entry.when is not None
                and entry.enforce
                and self._policy.is_own(entry)
                and (entry.permits(operation) or matches_any(entry.deny, operation))
            ]
        return self._conditions[operation]

    def _window(self, call: Call, operation: str, seconds: int) -> _Window:
        key = (call.org_id, call.agent_id, operation, seconds)
        return self._windows.get(key) or self._windows.setdefault(key, _Window(seconds))


@define
class _Window:
    """Counts uses in the last `seconds`."""

    seconds: int
    total: int = 0
    uses: deque[tuple[float, int]] = field(factory=deque)

    def used(self, now: float) -> int:
        while self.uses and self.uses[0][0] <= now - self.seconds:
            self.total -= self.uses.popleft()[1]
        return self.total

    def add(self, now: float, count: int) -> None:
        self.uses.append((now, count))
        self.total += count


def _reads_unrecorded(condition: Condition, effect: Effect, kept: bool) -> bool:
    if not kept:
        return bool(condition.parameters) or condition.reads_all
    return any(
        (condition.reads_all or name in condition.parameters) and _is_cut(value)
        for params in effect.params
        for name, value in (params or {}).items()
    )


def _names(conditions: Iterable[Condition]) -> Iterator[str]:
    for condition in conditions:
        yield from condition.parameters


def _is_cut(value: Any) -> bool:
    """Return True when a value has free text that was replaced by its length."""
    if isinstance(value, dict):
        return any(_is_cut(item) for item in value.values())
    if isinstance(value, list):
        return any(_is_cut(item) for item in value)
    return isinstance(value, str) and re.fullmatch(r"\[\d+ characters\]", value) is not None
