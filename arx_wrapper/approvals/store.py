"""Request, decide and use approvals, each in one database transaction. Synchronous, for one thread.

A row's `body` is canonical JSON of all that the reviewer sees; the rules use the columns beside it. Each read checks
the row against its digest, so that an altered request is refused instead of shown.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from attrs import asdict, evolve

from arx_wrapper.approvals.database import Database, Rows, Transaction
from arx_wrapper.approvals.request import ApprovalRequest, Review, State, has_decided, identity, moment, stamp
from arx_wrapper.approvals.sql import APART, EXPIRE, IN_STATE, INSERT, PENDING, REVIEW, REVIEWS, SELECT, STATES
from arx_wrapper.errors import (
    ApprovalDeniedError,
    ApprovalError,
    ApprovalExpiredError,
    ApprovalPendingError,
)

_APPROVES: Final = {0: False, 1: True}
Check = Callable[[ApprovalRequest, Review], None]


class Store:
    """Approval requests in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, request: ApprovalRequest, *, cap: int) -> tuple[ApprovalRequest, bool]:
        """Store a request, unless one already waits for the same call.

        Returns:
            The stored request, and True when it is new.

        Raises:
            ApprovalError: the agent has `cap` requests waiting already.
        """
        now = stamp(request.created_at)
        with self._database.write() as run:
            run(EXPIRE, (now,))  # so that the same call can be requested again
            waiting = self._select(run, now, "call_digest = ? AND state = 'pending'", (request.call_digest,))
            if waiting:
                if _asks_no_less(waiting[0], request):
                    return waiting[0], False
                # Policy became stricter meanwhile: approvals given under the earlier terms must not count.
                self._set(run, waiting[0].id, "stale")
            [(pending,)] = run(PENDING, (request.org_id, request.agent_id))
            if pending >= cap:
                raise _too_many(pending)
            row = (request.id, request.digest, request.call_digest, request.org_id, request.agent_id)
            run(INSERT, (*row, now, stamp(request.expires_at), _body(request)))
        return request, True

    def check(self, request_id: str, review: Review, *, now: datetime, check: Check) -> ApprovalRequest:
        """Check a decision without storing it; return the request as it would be after it. Raises as `decide()`."""
        with self._database.read() as run:
            return _decided(self._one(run, request_id, stamp(now)), review, check)

    def decide(self, request_id: str, review: Review, *, now: datetime, check: Check) -> ApprovalRequest:
        """Add a reviewer's decision. One denial decides; approval takes `min_approvals` different people."""
        with self._database.write() as run:
            request = self._one(run, request_id, stamp(now))
            decided = _decided(request, review, check)
            row = (request_id, identity(review.reviewer), len(request.decisions), review.reviewer, int(review.approve))
            run(REVIEW, (*row, review.note, stamp(review.at), review.signature))
            if decided.state != "pending":
                self._set(run, request_id, decided.state)
            return decided

    def consume(self, request_id: str, call: str, *, at_least: int, now: datetime, check: Check) -> ApprovalRequest:
        """Mark an approval as used, for the call with this digest and no other."""
        with self._database.write() as run:
            found = self._select(run, stamp(now), "id = ?", (request_id,))
            if not found:
                raise ApprovalDeniedError(
                    f"There is no approval {_shown(request_id)}. Nothing was sent.", approval_id=request_id
                )
            request = found[0]
            if not hmac.compare_digest(request.call_digest.encode(), call.encode()):
                raise ApprovalDeniedError(
                    f"Approval {request_id} is for another call: parameters, effects, agent, organisation, account, "
                    "requester or policy differ. Nothing was sent. Ask anew, without an approval id.",
                    approval_id=request_id,
                )
            _require_usable(request, at_least)
            for review in request.decisions:
                check(request, review)  # checked again: the database may have been edited since
            self._set(run, request_id, "consumed")
            return evolve(request, state="consumed")

    def withdraw(self, request_id: str, state: State, now: datetime) -> ApprovalRequest:
        """Set an unused request to `stale` or `revoked`, so that it can no longer be decided or used."""
        with self._database.write() as run:
            request = self._one(run, request_id, stamp(now))
            if request.state not in ("pending", "approved"):
                raise ApprovalError(
                    f"{request_id} is {request.state} already. Nothing was changed.", approval_id=request_id
                )
            self._set(run, request_id, state)
            return evolve(request, state=state)

    def get(self, request_id: str, now: datetime) -> ApprovalRequest:
        """Return one request."""
        with self._database.read() as run:
            return self._one(run, request_id, stamp(now))

    def list(
        self,
        now: datetime,
        *,
        state: State | None = None,
        org_id: str | None = None,
        agent_id: str | None = None,
        limit: int,
        offset: int = 0,
    ) -> tuple[ApprovalRequest, ...]:
        """Return requests, newest first."""
        where, args = _where(now, state=state, org_id=org_id, agent_id=agent_id)
        order = "ORDER BY created_at DESC, id LIMIT ? OFFSET ?"
        with self._database.read() as run:
            return self._select(run, stamp(now), f"{where} {order}", (*args, limit, offset))

    def count(self, now: datetime, *, state: State, org_id: str) -> int:
        """Count the requests of an organisation in a state."""
        where, args = _where(now, state=state, org_id=org_id)
        with self._database.read() as run:
            [(number,)] = run(f"SELECT count(*) FROM approval_requests_v2 WHERE {where}", args)  # noqa: S608 - ours
        return int(number)

    def states(self, org_id: str, now: datetime) -> tuple[tuple[Any, ...], ...]:
        """Return id, state and number of decisions of the newest requests, so that a change of any is noticed."""
        with self._database.read() as run:
            return tuple(run(STATES, (stamp(now), org_id)))

    def first_time(self, message_id: str, *, now: datetime, forget_at: datetime) -> bool:
        """Return True the first time that any process sees a channel's message."""
        with self._database.write() as run:
            run("DELETE FROM approval_messages WHERE forget_at <= ?", (stamp(now),))
            if run("SELECT 1 FROM approval_messages WHERE id = ?", (message_id,)):
                return False
            run("INSERT INTO approval_messages (id, forget_at) VALUES (?, ?)", (message_id, stamp(forget_at)))
            return True

    def close(self) -> None:
        self._database.close()

    def _one(self, run: Transaction, request_id: str, now: str) -> ApprovalRequest:
        known = isinstance(request_id, str) and request_id.isascii()  # no other id can exist
        found = self._select(run, now, "id = ?", (request_id,)) if known else ()
        if not found:
            raise ApprovalError(
                f"There is no approval request {_shown(request_id)}. `arx-pagerduty approvals list` lists requests.",
                approval_id=request_id,
            )
        return found[0]

    def _select(self, run: Transaction, now: str, where: str, args: Sequence[object]) -> tuple[ApprovalRequest, ...]:
        rows = run(f"{SELECT} WHERE {where}", (now, *args))
        return tuple(_request(row, run(REVIEWS, (row[0],))) for row in rows)

    def _set(self, run: Transaction, request_id: str, state: State) -> None:
        run("UPDATE approval_requests_v2 SET state = ? WHERE id = ?", (state, request_id))


def _where(
    now: datetime, *, state: State | None = None, org_id: str | None = None, agent_id: str | None = None
) -> tuple[str, list[object]]:
    conditions, args = list[str](), list[object]()
    if state is not None:  # compared with the stored column and not with the computed state, so that an index is used
        conditions.append(IN_STATE.get(state, "state = ?"))
        args.append(stamp(now) if state in IN_STATE else state)
    for condition, value in (("org_id = ?", org_id), ("agent_id = ?", agent_id)):
        if value is not None:
            conditions.append(condition)
            args.append(value)
    return " AND ".join(conditions) or "1 = 1", args


def _body(request: ApprovalRequest) -> str:
    shown = asdict(request, filter=lambda attribute, _: attribute.name not in APART)
    return msgspec.json.encode(shown, order="sorted").decode()


def _request(row: tuple[Any, ...], reviews: Rows) -> ApprovalRequest:
    request_id, digest, call, org_id, agent_id, state, created_at, expires_at, body = row
    apart = {"id": request_id, "digest": digest, "call_digest": call, "org_id": org_id, "agent_id": agent_id}
    try:
        times = {"created_at": moment(created_at), "expires_at": moment(expires_at)}
        request = msgspec.convert({**msgspec.json.decode(body), **apart, **times, "state": state}, ApprovalRequest)
        decisions = tuple(map(_review, reviews))
    except (msgspec.MsgspecError, KeyError, ValueError, TypeError):
        request, decisions = None, ()
    if request is None or not request.unaltered:
        raise ApprovalError(
            f"Approval request {request_id!r} was altered in the database after it was made: its content "
            "does not match its digest, or a decision cannot be read. Nothing was sent. "
            "Find out who can write to the database.",
            approval_id=request_id,
        )
    return evolve(request, decisions=decisions)


def _review(row: tuple[Any, ...]) -> Review:
    reviewer, approve, note, at, signature = row
    members = {"reviewer": reviewer, "approve": _APPROVES[approve], "note": note, "signature": signature}
    return msgspec.convert({**members, "at": moment(at)}, Review)


def _decided(request: ApprovalRequest, review: Review, check: Check) -> ApprovalRequest:
    """Return the request with one more decision. Raises when the decision does not count."""
    _require_undecided(request)
    if has_decided(request, review.reviewer):
        raise ApprovalError(
            f"{review.reviewer!r} has decided {request.id} already; the next approval has to come "
            "from another reviewer. Nothing was changed.",
            approval_id=request.id,
        )
    check(request, review)
    reviews = (*request.decisions, review)
    return evolve(request, decisions=reviews, state=_state_after(reviews, request.min_approvals))


def _too_many(pending: int) -> ApprovalError:
    wait = f"{pending} requests of this agent already wait" if pending != 1 else "1 request of this agent already waits"
    return ApprovalError(
        f"{wait} for reviewers, and no more are accepted until one is decided or expires. Nothing was sent. See "
        "`arx-pagerduty approvals list`."
    )


def _asks_no_less(waiting: ApprovalRequest, asked: ApprovalRequest) -> bool:
    same = (waiting.policy_source, waiting.reason, waiting.reviewers) == (
        asked.policy_source,
        asked.reason,
        asked.reviewers,
    )
    return same and waiting.min_approvals >= asked.min_approvals and waiting.risk >= asked.risk


def _state_after(reviews: tuple[Review, ...], needed: int) -> State:
    if not all(review.approve for review in reviews):
        return "denied"
    return "approved" if len(reviews) >= needed else "pending"


def _require_undecided(request: ApprovalRequest) -> None:
    if request.state == "pending":
        return
    if request.state == "expired":
        raise ApprovalExpiredError(
            f"{request.id} expired at {stamp(request.expires_at)}; it can no longer be decided. "
            "The agent has to ask again.",
            approval_id=request.id,
        )
    raise ApprovalError(
        f"{request.id} is {request.state} already{_by(request)}. Nothing was changed.", approval_id=request.id
    )


def _require_usable(request: ApprovalRequest, at_least: int) -> None:
    name = f"Approval {request.id}"
    if request.state == "pending":
        raise ApprovalPendingError(
            f"{name} still waits for a reviewer, until {stamp(request.expires_at)}. Nothing was sent.",
            approval_id=request.id,
        )
    if request.state == "expired":
        raise ApprovalExpiredError(
            f"{name} expired at {stamp(request.expires_at)} without being used. Nothing was sent. Ask anew.",
            approval_id=request.id,
        )
    problem = {
        "denied": f"was denied{_by(request)}",
        "consumed": "has been used already; an approval holds for one call",
        "stale": "was withdrawn: what it was given for has changed",
        "revoked": "was withdrawn",
    }.get(request.state)
    agreed = sum(review.approve for review in request.decisions)
    if problem is None and agreed < len(request.decisions):
        problem = f"was denied{_by(request)}"
    if problem is None and agreed < max(at_least, request.min_approvals):
        problem = f"has {agreed} of the {max(at_least, request.min_approvals)} approvals that are needed now"
    if problem:
        raise ApprovalDeniedError(f"{name} {problem}. Nothing was sent.", approval_id=request.id)


def _shown(request_id: object) -> str:
    return ascii(request_id)[:80]


def _by(request: ApprovalRequest) -> str:
    names = ", ".join(review.reviewer for review in request.decisions if not review.approve)
    return f" by {names}" if names else ""
