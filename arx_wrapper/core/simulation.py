"""Judge the recorded calls by a proposed policy, and report the changed verdicts by agent and operation.

Calls are judged by their recorded effects. Conditions over parameters need recorded parameters
(`ARX_AUDIT_CAPTURE=params`), and cannot read free text, of which only the length is recorded. Calls that depend on
unrecorded values are counted separately. Limits are counted from the beginning, over the calls that the proposed policy
permits. Calls of suspended agents are left out, because no policy refused them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from attrs import define, evolve, field, frozen

from arx_wrapper.audit.record import RecordedCall
from arx_wrapper.core.resolution import IsAlias, expand
from arx_wrapper.core.simulated_policy import SimulatedPolicy
from arx_wrapper.model import Call, Decision, Effect, Operation, Risk
from arx_wrapper.policy import PolicySet

if TYPE_CHECKING:
    from arx_wrapper.audit.log_reader import ReadableLog
    from arx_wrapper.audit.store import Reader

_EXAMPLES: Final = 3
# The most distinct calls that are kept in memory: with parameters, a log may hold a million.
_KNOWN: Final = 50_000
_ANY_TIME: Final = datetime(2025, 1, 1, tzinfo=UTC)


@define
class Change:
    """Calls of one agent and operation that would get another verdict.

    Attributes:
        was: The recorded verdict.
        would_be: The verdict of the proposed policy.
        reason: The reason for the first of them.
        examples: Records of some of them.
    """

    agent_id: str
    operation: str
    was: str
    would_be: str
    reason: str
    count: int = 0
    examples: list[str] = field(factory=list)


@define
class Simulation:
    """The result of a simulation.

    Attributes:
        judged: The number of calls that were judged.
        unsure: The number of calls that depend on parameters that were not recorded.
        suspended: The number of calls that were refused because their agent was suspended.
        unknown: The number of calls of operations that no longer exist.
        changes: The changed verdicts, the most frequent first.
    """

    judged: int = 0
    unsure: int = 0
    suspended: int = 0
    unknown: int = 0
    changes: list[Change] = field(factory=list)


async def simulate(
    log: ReadableLog,
    proposed: PolicySet,
    operations: Mapping[str, Operation],
    is_alias: IsAlias,
    *,
    since: datetime | None = None,
    org_id: str | None = None,
) -> Simulation:
    """Judge recorded calls by another policy.

    Args:
        log: The log that holds them.
        proposed: The policy to try.
        operations: The connector's table.
        is_alias: Returns True for a second name; see `expand()`.
        since: The time of the first call to judge, aware; None for all calls.
        org_id: Only the calls of this organisation.
    """
    begin = since.astimezone(UTC).isoformat(timespec="microseconds") if since else None

    def judged(reader: Reader) -> Simulation:
        simulator = _Simulator(SimulatedPolicy(proposed), operations, is_alias)
        for body in reader.bodies(begin):
            record = RecordedCall.parse(body)
            if record is None or record.policy_verdict is None or (begin and record.created_at < begin):
                continue
            if org_id in (None, record.org_id):
                simulator.take(record, record.policy_verdict)
        return simulator.result()

    return await log.read(judged)


@frozen
class _Known:
    """A distinct call: the part that all its records have in common.

    Attributes:
        call: The call.
        kept: Whether its parameters were recorded.
        decision: The proposed policy's decision, without limits; None when it depends on unrecorded values. It does not
            count when it depends on the time.
    """

    call: Call
    kept: bool
    decision: Decision | None


class _Simulator:
    """Judges records one after the other; calls that the policy cannot distinguish are judged once."""

    def __init__(self, judge: SimulatedPolicy, operations: Mapping[str, Operation], is_alias: IsAlias) -> None:
        self._judge, self._operations, self._is_alias = judge, operations, is_alias
        self._found = Simulation()
        self._changes: dict[tuple[str, str, str, str], Change] = {}
        self._known: dict[tuple[object, ...], _Known] = {}
        self._alike: dict[tuple[object, ...], _Known] = {}

    def take(self, record: RecordedCall, was: str) -> None:
        """Judge the call of one record.

        Args:
            record: The record.
            was: The recorded verdict.
        """
        found, judge = self._found, self._judge
        operation = self._operations.get(record.operation or "")
        if operation is None:
            found.unknown += 1
            return
        if record.reason and record.reason.startswith(f"Agent {record.agent_id!a} is suspended"):
            found.suspended += 1
            return
        known = self._call(record, operation)
        call, decision = known.call, known.decision
        if judge.reads_time:
            decision = self._decided(call, known.kept, datetime.fromisoformat(record.created_at))
        if decision is None:
            found.unsure += 1
            return
        found.judged += 1
        if judge.counts:
            decision = judge.limited(call, decision, datetime.fromisoformat(record.created_at).timestamp())
        if decision.verdict.value != was:
            self._change(record, call, was, decision)

    def result(self) -> Simulation:
        self._found.changes = sorted(self._changes.values(), key=lambda change: -change.count)
        return self._found

    def _call(self, record: RecordedCall, operation: Operation) -> _Known:
        """Return the record's call; the first of each kind is rebuilt and judged."""
        effects, params = bytes(record.metadata.effects), bytes(record.metadata.params)
        compared = params if self._judge.reads_params else b""
        key = (record.org_id, record.agent_id, operation.name, effects, compared)
        known = self._known.get(key)
        if known is None:
            call, kept = _call(record, operation, effects, params, self._operations, self._is_alias)
            read = self._judge.read_of(call)
            alike = (*key[:-1], kept, read)
            known = self._alike.get(alike) if read is not None else None
            known = evolve(known, call=call) if known else _Known(call, kept, self._decided(call, kept, _ANY_TIME))
            for memory, name in ((self._known, key), (self._alike, alike)):
                if len(memory) >= _KNOWN:
                    memory.clear()
                memory[name] = known
        return known

    def _decided(self, call: Call, kept: bool, now: datetime) -> Decision | None:
        """Return the decision on a call without limits; None when it depends on unrecorded values."""
        return None if self._judge.reads_unrecorded(kept, call, now) else self._judge.decide(call, now)

    def _change(self, record: RecordedCall, call: Call, was: str, decision: Decision) -> None:
        key = (record.agent_id, call.operation.name, was, decision.verdict.value)
        change = self._changes.get(key)
        if change is None:
            # The decision may have been made for a similar call, whose reason names another object.
            own = self._judge.decide(call, datetime.fromisoformat(record.created_at))
            reason = own.reason if own.verdict is decision.verdict else decision.reason
            change = self._changes[key] = Change(*key, reason=reason)
        change.count += 1
        if len(change.examples) < _EXAMPLES:
            change.examples.append(record.id)


def _call(
    record: RecordedCall,
    operation: Operation,
    effects: bytes,
    params: bytes,
    operations: Mapping[str, Operation],
    is_alias: IsAlias,
) -> tuple[Call, bool]:
    """Rebuild a call: its recorded effects, with the parameters that follow from the recorded ones.

    Returns:
        The call, and True when its parameters were recorded.
    """
    recorded: list[list[Any]] | None = msgspec.json.decode(effects) if effects else None
    judged = recorded or [[operation.name, operation.risk.name, 1]]
    kept = bool(params)
    values = (msgspec.json.decode(params) if kept else None) or {}
    try:
        derived = {effect.operation: effect.params for effect in expand(operation, values, operations, is_alias)}
    except (TypeError, ValueError, LookupError, AttributeError):  # recorded by a release with other parameters
        derived = {operation.name: (values,)}
    made = tuple(
        Effect(operation=name, risk=Risk[risk.upper()], count=count, params=derived.get(name, (None,)))
        for name, risk, count in judged
    )
    call = Call(
        id=record.id,
        operation=operation,
        agent_id=record.agent_id,
        org_id=record.org_id,
        canonical=b"",
        params=values,
        effects=made,
    )
    return call, kept
