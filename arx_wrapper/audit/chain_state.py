"""Derive state from the chain: open intents, suspensions and the uses that limits count, kept in memory.

Each record updates it, whichever process wrote the record. From time to time the log stores a snapshot with a keyed
hash, so that opening reads only the records after it. The snapshot cannot be edited without the log's key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec
from attrs import define, field

from arx_wrapper.audit.record import Outline

LONGEST_LIMIT: Final = timedelta(days=1)
"""Limits count no older uses."""
_PRUNED: Final = 4_096

Key = tuple[str, str, str]


class Window(NamedTuple):
    """The uses that a limit counts: those of an operation by an agent in the last `seconds`."""

    org_id: str
    agent_id: str
    operation: str
    seconds: float


class OpenIntent(NamedTuple):
    """An intent without a recorded outcome."""

    seq: int
    writer: str


@define(eq=False)
class ChainState:
    """The state after the records up to some sequence number.

    Attributes:
        open: The open intents by id.
        suspended: The suspended agents, each with the reason.
        removed: The last record that retention removed, according to the records of removals; 0 for none.
        reviewers: The sequence numbers of the records about reviewers, by kind: none of them may be left out.
    """

    open: dict[str, OpenIntent] = field(factory=dict)
    suspended: dict[str, str] = field(factory=dict)
    removed: int = 0
    reviewers: dict[str, list[int]] = field(factory=dict)

    def apply(self, outline: Outline) -> None:
        """Update the state with the next record."""
        action = outline.action_type
        if action == "connector.called":
            writer = outline.metadata.writer
            self.open[outline.id] = OpenIntent(outline.seq, writer if isinstance(writer, str) else "")
        elif (intent := outline.metadata.intent) is not None:
            if isinstance(intent, str):
                self.open.pop(intent, None)
        elif action in SWITCHES:
            self.switch(outline)
        elif action in REVIEWERS:
            self.reviewers[action] = [*self.reviewers.get(action, ()), outline.seq]
        elif action == "log.removed" and isinstance(outline.metadata.last, int):
            self.removed = max(self.removed, outline.metadata.last)

    def copy(self) -> ChainState:
        """Return an independent copy."""
        return ChainState(dict(self.open), dict(self.suspended), self.removed, dict(self.reviewers))

    def snapshot(self, seq: int, head: str, block: str) -> Snapshot:
        """Return the snapshot to store after record `seq`, whose hash is `head`; `block` is the newest index's mark."""
        opened = [(intent_id, intent.seq, intent.writer) for intent_id, intent in self.open.items()]
        reviewers = {kind: [one for one in seqs if one > self.removed] for kind, seqs in self.reviewers.items()}
        reviewers = {kind: seqs for kind, seqs in reviewers.items() if seqs}
        return Snapshot(seq, head, block, sorted(opened), dict(self.suspended), self.removed, reviewers)

    def switch(self, outline: Outline) -> None:
        """Update the suspensions with the record of a suspension, of its end, or of a seal that repeats them."""
        if outline.action_type == "agent.suspended":
            self.suspended[outline.agent_id] = outline.reason or ""
        elif outline.action_type == "agent.resumed":
            self.suspended.pop(outline.agent_id, None)
        elif isinstance(outline.metadata.suspended, dict):
            self.suspended = {str(agent): str(why) for agent, why in outline.metadata.suspended.items()}

    def oldest_open(self, writer: str) -> int | None:
        """Return the sequence number of a writer's oldest open intent; None when it has none."""
        return min((intent.seq for intent in self.open.values() if intent.writer == writer), default=None)


SWITCHES: Final = frozenset({"agent.suspended", "agent.resumed", "log.sealed"})
REVIEWERS: Final = frozenset({"reviewer.enrolled", "reviewer.removed"})
KEPT_AT_ONCE: Final = SWITCHES | REVIEWERS | {"log.removed", "approval.reviewed"}
"""The records with which a snapshot is stored, so that cutting one of them off the log's end is noticed."""


class Snapshot(msgspec.Struct, frozen=True):
    """The state after some record, as a log stores it.

    Attributes:
        seq, head: The record, and its hash.
        block: The mark of the newest block's index; empty when there is none.
        open: The open intents: id, sequence number and writer, sorted.
        suspended, removed, reviewers: As in `ChainState`.
    """

    seq: int
    head: str
    block: str
    open: list[tuple[str, int, str]]
    suspended: dict[str, str]
    removed: int
    reviewers: dict[str, list[int]] = {}

    def state(self) -> ChainState:
        """Return the state that the snapshot holds."""
        opened = {intent_id: OpenIntent(seq, writer) for intent_id, seq, writer in self.open}
        return ChainState(opened, dict(self.suspended), self.removed, dict(self.reviewers))


def counted_of(outline: Outline) -> Iterator[tuple[Key, int]]:
    """Yield the uses that a record counts as: organisation, agent and operation, and their number."""
    counted = outline.metadata.counted
    if outline.action_type == "connector.called" and isinstance(counted, dict):
        for operation, count in counted.items():
            if isinstance(count, int) and count > 0:
                yield (outline.org_id, outline.agent_id, operation), count


@define(eq=False)
class Usage:
    """The uses of the operations that limits have needed so far.

    Attributes:
        load: Yields a key's uses in the log since a time: time and number, oldest first.
    """

    load: Callable[[Key, str], Iterable[tuple[str, int]]]
    _series: dict[Key, _Series] = field(factory=dict)

    def used(self, window: Window, now: datetime) -> int:
        """Return the number of uses in a window."""
        key = window[:3]
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series(self.load(key, stamp(now - LONGEST_LIMIT)))
        return series.used(window.seconds, now)

    def known(self, window: Window) -> bool:
        """Return True when a window's uses are in memory already."""
        return window[:3] in self._series

    def apply(self, outline: Outline) -> None:
        """Count the uses of the next record."""
        if self._series:
            for key, count in counted_of(outline):
                if key in self._series:
                    self._series[key].add(outline.created_at, count)


class _Series:
    """The uses of one operation by one agent, oldest first, and a running sum for each length of window."""

    def __init__(self, uses: Iterable[tuple[str, int]]) -> None:
        self._uses = list(uses)
        self._sorted = all(one[0] <= other[0] for one, other in zip(self._uses, self._uses[1:], strict=False))
        self._windows: dict[float, tuple[str, int, int]] = {}  # the start, the first use after it, and the sum

    def add(self, at: str, count: int) -> None:
        self._sorted = self._sorted and (not self._uses or self._uses[-1][0] <= at)
        self._uses.append((at, count))
        for seconds, (start, first, total) in self._windows.items():
            self._windows[seconds] = (start, first, total + count)

    def used(self, seconds: float, now: datetime) -> int:
        start = stamp(now - timedelta(seconds=seconds))
        if not self._sorted:  # a clock jumped back
            return sum(count for at, count in self._uses if at > start)
        before, first, total = self._windows.get(seconds, ("~", 0, 0))  # "~" is after every time
        if start < before:
            first, total = 0, sum(count for _, count in self._uses)
        while first < len(self._uses) and self._uses[first][0] <= start:
            total -= self._uses[first][1]
            first += 1
        self._windows[seconds] = (start, first, total)
        if len(self._uses) > _PRUNED:
            self._prune(now)
        return total

    def _prune(self, now: datetime) -> None:
        """Forget uses that are older than any window."""
        oldest = stamp(now - LONGEST_LIMIT)
        gone = min((first for _, first, _ in self._windows.values()), default=0)
        while gone and self._uses[gone - 1][0] > oldest:
            gone -= 1
        if gone > _PRUNED // 2:
            del self._uses[:gone]
            self._windows = {
                seconds: (start, first - gone, total) for seconds, (start, first, total) in self._windows.items()
            }


def stamp(moment: datetime) -> str:
    """Return a time as records hold it; texts of this form sort by time."""
    return moment.isoformat(timespec="microseconds")
