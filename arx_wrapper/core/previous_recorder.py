"""What the audit log is told of one call: the intent before it, one outcome or refusal after it.

Records name classes of errors, status and codes, never their messages: a message may quote what a caller or the API
put into it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import msgspec
from attrs import asdict, evolve

from arx_wrapper.audit import AuditLog, Entry, Refused
from arx_wrapper.audit.record import ActionType, Status
from arx_wrapper.core.previous_dispatch import Dispatch
from arx_wrapper.core.telemetry import telemetry
from arx_wrapper.errors import (
    ApprovalError,
    ApprovalPendingError,
    ArxError,
    PagerDutyError,
    PermissionDeniedError,
    ServerError,
    TransportError,
    _shown,
)
from arx_wrapper.model import Call, Decision, Operation, Verdict

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.params.model import ParamModel
    from arx_wrapper.policy import Policies, PolicyLoaded


class Caller(Protocol):
    """Who calls, with which connector."""

    agent_id: str
    org_id: str
    connector: ClassVar[str]
    operations: ClassVar[Mapping[str, Operation]]
    recorded_fields: ClassVar[frozenset[str]]

    @property
    def captures_params(self) -> bool: ...

    def model_of(self, operation: str) -> ParamModel: ...


class Recorder:
    """Writes the records of one call.

    Attributes:
        call: The call, once it is resolved.
        decision: What policy said, once it was asked.
        approval_id: The approval that the call waits for or uses.
    """

    def __init__(self, log: AuditLog, connector: Caller, operation: str) -> None:
        self._log, self._connector, self._operation = log, connector, operation
        self._started = time.monotonic()
        self._intent_id: str | None = None
        instruments = telemetry()
        shown = operation if isinstance(operation, str) and operation in connector.operations else "unknown"
        self._observed = instruments.start(shown, connector.agent_id, connector.org_id) if instruments else None
        self.call: Call | None = None
        self.decision: Decision | None = None
        self.approval_id: str | None = None

    async def loaded_policies(self, policies: Policies) -> None:
        """Record which policies are in force, or failed to load, since the last call."""
        events: list[PolicyLoaded] = []
        try:
            await self._log.open()
            events = policies.drain_events()
            while events:
                await self._log.append(self._loaded(events[0]))
                del events[0]
        except BaseException as error:
            policies.keep(events)  # for the next call to record
            self.unrecorded(error)
            raise

    def _loaded(self, event: PolicyLoaded) -> Entry:
        return Entry(
            action_type="policy.loaded",
            org_id=self._connector.org_id,
            agent_id=self._connector.agent_id,
            connector=self._connector.connector,
            policy=event.source,
            status="error" if event.error else "success",
            error="PolicyError" if event.error else None,
            metadata={"digest": event.digest, "entries": event.entries},
        )

    async def intent(self, *, resumed: bool = False) -> None:
        """Record what is about to be done, durably, counting it against its limits.

        Args:
            resumed: Whether it was asked for before, and counted then: without its approval it does not go on.

        Raises:
            AuditError: it cannot be recorded, so it must not be done.
            PermissionDeniedError: a limit is used up, or the agent is suspended.
        """
        call, decision = self._judged()
        status: Status = "escalated" if decision.verdict is Verdict.ESCALATE else "in_progress"
        usage = [] if resumed else [(effect.operation, effect.count) for effect in call.effects]
        entry = self._entry("connector.called", status, self._asked(call, decision), id=call.id)
        try:
            await self._log.append(entry, usage=usage, limits=() if resumed else decision.limits)
        except Refused as refused:
            self.decision = evolve(decision, verdict=Verdict.DENY, reason=refused.reason)
            raise PermissionDeniedError(self.decision) from None
        except ArxError:
            raise
        except BaseException:
            self._intent_id = call.id  # its caller went away; the log writes it all the same
            raise
        self._intent_id = call.id

    def _asked(self, call: Call, decision: Decision | None) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "effects": [[effect.operation, effect.risk.name.lower(), effect.count] for effect in call.effects],
            "ids": named_ids(call.params),
        }
        if decision and decision.observed:
            metadata["observed"] = list(decision.observed)
        if self._connector.captures_params:
            metadata["params"] = self._connector.model_of(call.operation.name).redacted(call.params)
        return metadata

    async def refusal(self, error: BaseException) -> None:
        """Record that nothing was sent, and why."""
        entry = self._refused(error)
        self._observe(entry)
        await self._log.append(entry)

    def given_up(self, error: BaseException) -> None:
        """Record that its caller gave the call up before anything was sent. Does not wait, as `outcome()` does not."""
        entry = self._refused(error)
        self._observe(entry)
        self._log.append_soon(entry)

    def unrecorded(self, error: BaseException) -> None:
        """The log takes nothing: telemetry alone is told."""
        self._observe(self._refused(error))

    async def approval_requested(self, request: ApprovalRequest) -> None:
        """Record that a reviewer was asked."""
        self.approval_id = request.id
        metadata = {"digest": request.digest, "expires_at": request.expires_at.isoformat()}
        await self._log.append(self._entry("approval.requested", "escalated", metadata))

    def outcome(self, dispatch: Dispatch, error: BaseException | None = None) -> None:
        """Record what became of the call. Does not wait: it rides with the log's next commit.

        Not waiting is what keeps it true under cancellation: there is no point at which it could be interrupted.
        """
        if isinstance(error, GeneratorExit):
            error = None  # the caller of an iteration has read enough
        # A permitted call that was tried is completed, also when no connection came about: nobody refused it.
        refused = error is not None and not dispatch.attempts and not isinstance(error, PagerDutyError)
        entry = self._refused(error) if refused else self._completed(dispatch, error)
        self._observe(entry, attempts=len(dispatch.attempts))
        self._log.append_soon(entry)

    def _completed(self, dispatch: Dispatch, error: BaseException | None) -> Entry:
        metadata: dict[str, Any] = {
            "answers": dispatch.answered,
            "attempts": [asdict(attempt) for attempt in dispatch.attempts],
        }
        metadata.update(dispatch.facts)
        if dispatch.call.operation.writes:
            metadata |= self._changed(dispatch)
        return self._entry(
            "connector.completed",
            "success" if error is None else _fate(error, dispatch),
            metadata,
            intent_id=self._intent_id,
            inputs_hash=self._inputs_hash(),
            outputs_hash=self._log.keyed_hash(dispatch.answer_digest()) if error is None else None,
            duration_ms=self._elapsed(),
            error=_named(error),
        )

    def _observe(self, entry: Entry, attempts: int = 0) -> None:
        if self._observed is None:
            return
        attributes = {
            "arx.risk": entry.risk,
            "arx.verdict": entry.policy_verdict,
            "arx.policy": entry.policy,
            "arx.approval_id": entry.approval_id,
            "arx.status": entry.status,
            "arx.intent_id": self._intent_id,
            "arx.attempts": attempts,
        }
        self._observed._end(attributes, seconds=(entry.duration_ms or 0.0) / 1000, failed=entry.error)

    def _changed(self, dispatch: Dispatch) -> dict[str, Any]:
        """What a write changed: the target before it, when it was read, and the result.

        As keyed hashes of the members on the connector's allow-list, besides the ids; as values when capture is on.
        """
        members, changed = self._connector.recorded_fields, dict[str, Any]()
        for name, seen in (("before", dispatch.before), ("after", dispatch.after)):
            if seen is None:
                continue
            state = state_of(seen, members)
            kept = state if self._connector.captures_params else {"hash": self._log.keyed_hash(_canonical(state))}
            changed[name] = {**kept, **({"id": seen["id"]} if isinstance(seen.get("id"), str) else {})}
        return changed

    def _refused(self, error: BaseException | None) -> Entry:
        status: Status
        if isinstance(error, PermissionDeniedError | ApprovalError) and not isinstance(error, ApprovalPendingError):
            status = "blocked"
        elif isinstance(error, ApprovalPendingError):
            status = "escalated"
        else:
            status = "error"
        metadata = self._asked(self.call, self.decision) if self.call and not self._intent_id else {}
        return self._entry(
            "connector.refused",
            status,
            metadata,
            intent_id=self._intent_id,
            duration_ms=self._elapsed(),
            error=_named(error),
        )

    def _entry(self, action_type: ActionType, status: Status, metadata: Mapping[str, Any], **more: Any) -> Entry:
        call, decision = self.call, self.decision
        return Entry(
            action_type=action_type,
            status=status,
            org_id=self._connector.org_id,
            agent_id=self._connector.agent_id,
            connector=self._connector.connector,
            operation=call.operation.name if call else _shown(self._operation),
            method=call.operation.method if call else None,
            path=call.operation.path if call else None,
            risk=(decision.risk if decision else call.risk).name.lower() if call else None,
            policy_verdict=decision.verdict.value if decision else None,
            policy=decision.policy if decision else None,
            reason=decision.reason if decision else None,
            approval_id=self.approval_id,
            metadata=metadata,
            **{"inputs_hash": self._inputs_hash(), **more},
        )

    def _inputs_hash(self) -> str | None:
        return self._log.keyed_hash(self.call.canonical) if self.call else None

    def _elapsed(self) -> float:
        return round((time.monotonic() - self._started) * 1000, 3)

    def _judged(self) -> tuple[Call, Decision]:
        if self.call is None or self.decision is None:
            raise RuntimeError("an intent is recorded only for a call that was resolved and judged")
        return self.call, self.decision


# Answered so, a request was not processed.
_UNPROCESSED: Final = frozenset({401, 429})

_canonical = msgspec.json.Encoder(order="sorted").encode


def named_ids(params: Mapping[str, Any]) -> dict[str, Any]:
    """The ids that parameters name: `{"incident_id": "P1", "incidents": ["P2", "P3"]}`."""
    ids: dict[str, Any] = {}
    for name, value in params.items():
        if re.search(r"(^|_)ids?$", name):
            ids[name] = value
        elif isinstance(value, list):
            inner = [item["id"] for item in value if isinstance(item, Mapping) and "id" in item]
            if inner:
                ids[name] = inner
    return ids


def state_of(seen: Mapping[str, Any], members: Container[str]) -> dict[str, Any]:
    """What of an object may be kept: the members on the list, however deep they stand, and nothing else."""
    kept: dict[str, Any] = {}
    for name, value in seen.items():
        if isinstance(value, Mapping):
            inner: Any = state_of(value, members)
        elif isinstance(value, list):
            inner = [state_of(item, members) for item in value if isinstance(item, Mapping)]
        else:
            inner = value if name in members else None
        if inner:
            kept[name] = inner
    return kept


def _fate(error: BaseException, dispatch: Dispatch) -> Status:
    """Whether a call that went out failed for certain: a read that failed has, as it changes nothing."""
    refused = all(attempt.status in _UNPROCESSED or not attempt.sent for attempt in dispatch.attempts)
    if refused or not dispatch.call.operation.writes or dispatch.facts.get("settled") == "not found":
        return "error"
    if isinstance(error, TransportError):
        return "unknown" if error.outcome == "unknown" else "error"
    return "error" if isinstance(error, PagerDutyError) and not isinstance(error, ServerError) else "unknown"


def _named(error: BaseException | None) -> str | None:
    if error is None:
        return None
    name = type(error).__name__
    if isinstance(error, PagerDutyError) and error.status:
        return f"{name} {error.status}" + (f"/{error.code}" if error.code else "")
    return name
