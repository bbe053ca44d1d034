"""Provide approvals to the pipeline, asynchronously: request, decide, wait for and use them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from arx_wrapper.approvals.decision_checks import UNTIMELY, counting, require_sound
from arx_wrapper.approvals.request import STATES, ApprovalRequest, Review, State, sealed
from arx_wrapper.approvals.store import Check, Store
from arx_wrapper.approvals.store_thread import StoreThread
from arx_wrapper.errors import ApprovalError
from arx_wrapper.model import Effect, Risk

if TYPE_CHECKING:
    from arx_wrapper.approvals.announcer import Announcer
    from arx_wrapper.approvals.audit_evidence import Evidence
    from arx_wrapper.approvals.signatures import Reviewers

Proof = Literal["required", "name"]
# Seconds for which waiting continues although the store cannot be used.
_TROUBLE: Final = 30.0


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return secrets.token_hex(8)


class Approvals:
    """Requests for approval and the reviewers' decisions on them. Made by `approvals.open()`.

    Requests and decisions survive the process: an interrupted call resumes by its request's id. Many connectors, in
    many processes, may share one database.

    Attributes:
        reviewers: The reviewers whose keys are configured; None when none are.
        proof: `required` when a decision needs its reviewer's signature, `name` when a name is enough.
        groups: Groups of reviewers, by name.
        on_waiting: A function to call with the request when a call begins to wait for it.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], datetime],
        ids: Callable[[], str],
        ttl: float,
        pending_cap: int,
        timeout: float,
        reviewers: Reviewers | None = None,
        proof: Proof = "required",
        groups: Mapping[str, Sequence[str]] | None = None,
        announcer: Announcer | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = StoreThread(store, timeout=timeout)
        self._clock, self._ids, self._sleep = clock, ids, sleep
        self._ttl, self._pending_cap = timedelta(seconds=ttl), pending_cap
        self.groups = dict(groups or {})
        self.on_waiting: Callable[[ApprovalRequest], None] | None = None
        self.reviewers, self.proof, self._announcer = reviewers, proof, announcer

    async def request(
        self,
        *,
        org_id: str,
        agent_id: str,
        account: str,
        connector: str,
        operation: str,
        params: bytes,
        effects: Sequence[Effect],
        risk: Risk,
        policy: str | None,
        requester: str | None = None,
        sentence: str = "",
        policy_source: str | None = None,
        reason: str = "",
        reviewers: Sequence[Any] = (),
        channel: str | None = None,
        target: Mapping[str, Any] | None = None,
        min_approvals: int = 1,
    ) -> ApprovalRequest:
        """Request approval of one exact call; returns the request that already waits for the same call, if any.

        Args:
            org_id, agent_id: The organisation, and the agent that requests the approval.
            account: Fingerprint of the credentials that the call will use.
            connector, operation: The operation to be called.
            params: Its parameters as canonical JSON.
            effects: The operations that the call performs.
            risk: The risk at which it was judged.
            requester: The e-mail address sent as `From` with a write.
            sentence: The call in plain words.
            policy, policy_source, reason: The entry that requires approval, its `file:line`, and the reason.
            reviewers: The people, groups or on-call rules that the entry names.
            channel: The channel on which reviewers are notified.
            target: State of the objects that the call changes, which the approval is bound to; None when not read.
            min_approvals: How many different people must agree.

        Returns:
            The request, pending.

        Raises:
            ApprovalError: too many requests of this agent wait already, or the store cannot be used.
        """
        now = self._clock()
        shown, named = msgspec.json.decode(msgspec.json.encode((target, list(reviewers)), order="sorted"))
        asked = ApprovalRequest(
            id=self._ids(),
            digest="",
            call_digest="",
            org_id=org_id,
            agent_id=agent_id,
            account=account,
            connector=connector,
            operation=operation,
            effects=tuple(Effect(operation=each.operation, risk=each.risk, count=each.count) for each in effects),
            risk=risk,
            requester=requester,
            sentence=sentence,
            params=params.decode(),
            policy=policy,
            policy_source=policy_source,
            reason=reason,
            reviewers=tuple(named),
            channel=channel,
            target=shown,
            min_approvals=max(1, min_approvals),
            created_at=now,
            expires_at=now + self._ttl,
        )
        # Not cancelled with the caller: the request may be stored already, so reviewers have to be notified of it.
        return await asyncio.shield(asyncio.ensure_future(self._ask(sealed(asked))))

    async def _ask(self, asked: ApprovalRequest) -> ApprovalRequest:
        request, new = await self._store.run(lambda store: store.create(asked, cap=self._pending_cap))
        if new and self._announcer:
            self._announcer.announce(request, self._still_waits)
        return request

    async def _still_waits(self, request_id: str) -> bool:
        with suppress(ApprovalError):
            return (await self.get(request_id)).state == "pending"
        return False

    async def check(self, request_id: str, review: Review, *, reviewers: Reviewers | None = None) -> ApprovalRequest:
        """Check a decision without storing it; return the request as it would be after it.

        Args:
            request_id, review: The request and the decision.
            reviewers: All current reviewers, configured and enrolled; by default the configured ones.

        Raises:
            ApprovalError: as `decide()` does.
        """
        known = reviewers or self.reviewers
        now = self._checked_at(review, known)
        return await self._store.run(lambda store: store.check(request_id, review, now=now, check=self._counts(known)))

    async def decide(
        self,
        request_id: str,
        reviewer: str,
        approve: bool,
        note: str = "",
        signature: str | None = None,
        *,
        at: datetime | None = None,
    ) -> ApprovalRequest:
        """Store a reviewer's decision. One denial decides; approval may take several people.

        The decision counts only once it is in the audit log as well: `arx_wrapper.core.review.review` does both.

        Args:
            request_id: The request.
            reviewer: The person who decides: not the requesting agent, and each person only once.
            approve: True to approve, False to deny.
            note: The reviewer's note, up to 2,000 characters.
            signature: The reviewer's signature (`sign_decision`), when reviewers have registered keys.
            at: The time of signing, aware; at most five minutes from now.

        Returns:
            The request after the decision.

        Raises:
            ApprovalExpiredError: the request has expired.
            ApprovalError: there is no such request, it is decided already, or this reviewer may not decide
                it. Nothing was changed.
        """
        return await self.take(request_id, self.review(reviewer, approve, note, signature, at=at))

    def review(
        self, reviewer: str, approve: bool, note: str = "", signature: str | None = None, *, at: datetime | None = None
    ) -> Review:
        """Return a decision for `check()` and `take()`; arguments as for `decide()`."""
        signed_at = at if signature is not None else None
        if signature is not None and signed_at is None:
            raise ApprovalError(UNTIMELY)
        return Review(reviewer=reviewer, approve=approve, note=note, at=signed_at or self._clock(), signature=signature)

    async def take(self, request_id: str, review: Review, *, reviewers: Reviewers | None = None) -> ApprovalRequest:
        """Store a decision made with `review()`; arguments as for `check()`. Raises as `decide()` does."""
        known = reviewers or self.reviewers
        now = self._checked_at(review, known)
        return await self._store.run(lambda store: store.decide(request_id, review, now=now, check=self._counts(known)))

    async def wait(self, request_id: str, *, poll: float = 0.2) -> ApprovalRequest:
        """Wait until a request is decided, withdrawn or expired. Cancelling leaves the request as it is.

        Args:
            request_id: The request.
            poll: Seconds between reads of the database, where other processes store their decisions.

        Raises:
            ApprovalError: there is no such request, or the store cannot be used; the call can be resumed.
        """
        trouble, notified = 0.0, False
        while True:
            try:
                request = await self.get(request_id)
            except ApprovalError as error:
                # Losing the connection for a short time is no decision: keep waiting.
                trouble += poll
                if error.approval_id is not None or trouble > _TROUBLE:
                    raise
                await self._sleep(poll)
                continue
            trouble = 0.0
            if request.state != "pending":
                return request
            if self.on_waiting and not notified:
                self.on_waiting(request)
                notified = True
            left = (request.expires_at - self._clock()).total_seconds()
            await self._sleep(max(0.001, min(poll, left)))

    async def consume(
        self,
        request_id: str,
        call: str,
        *,
        min_approvals: int = 1,
        evidence: Evidence | None = None,
        reviewers: Reviewers | None = None,
    ) -> ApprovalRequest:
        """Use an approval for the call with this digest. Succeeds once, in one process only.

        Args:
            request_id: The request.
            call: `call_digest` of the call that is about to be sent.
            min_approvals: The number of approvals that policy requires now, if more than at the time of the request.
            evidence: The audit log's records of the request; the pipeline always passes it.
            reviewers: All current reviewers, configured and enrolled; by default the configured ones.

        Returns:
            The request, consumed.

        Raises:
            ApprovalPendingError: no reviewer has decided yet.
            ApprovalExpiredError: the request has expired.
            ApprovalDeniedError: it was denied, used or withdrawn, or it is for another call.
        """
        now, check = self._clock(), self._counts(reviewers or self.reviewers)

        def counts(request: ApprovalRequest, review: Review) -> None:
            check(request, review)
            if evidence is not None:
                evidence.require(request)
                evidence.require_review(request, review)

        return await self._store.run(
            lambda store: store.consume(request_id, call, at_least=min_approvals, now=now, check=counts)
        )

    async def get(self, request_id: str) -> ApprovalRequest:
        """Return one request. ApprovalError when there is none with this id."""
        return await self._store.run(lambda store: store.get(request_id, self._clock()))

    async def list(
        self,
        state: State | None = None,
        *,
        org_id: str | None = None,
        agent_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[ApprovalRequest, ...]:
        """Return requests, newest first.

        Args:
            state: Only requests in this state.
            org_id, agent_id: Only requests of this organisation, of this agent.
            limit, offset: The largest number of requests to return, and the number to skip.
        """
        if state is not None and state not in STATES:
            raise ApprovalError(f"There is no state {state!a}; there are {', '.join(STATES)}.")
        return await self._store.run(
            lambda store: store.list(
                self._clock(), state=state, org_id=org_id, agent_id=agent_id, limit=limit, offset=offset
            )
        )

    async def count(self, state: State, *, org_id: str) -> int:
        """Count an organisation's requests in a state."""
        return await self._store.run(lambda store: store.count(self._clock(), state=state, org_id=org_id))

    async def states(self, org_id: str) -> tuple[tuple[Any, ...], ...]:
        """Return id, state and number of decisions of an organisation's newest requests."""
        return await self._store.run(lambda store: store.states(org_id, self._clock()))

    async def mark_stale(self, request_id: str) -> ApprovalRequest:
        """Withdraw a request because the objects it changes have changed. ApprovalError when it has already ended."""
        return await self._store.run(lambda store: store.withdraw(request_id, "stale", self._clock()))

    async def revoke(self, request_id: str) -> ApprovalRequest:
        """Withdraw a request or an unused approval. ApprovalError when it has already ended."""
        return await self._store.run(lambda store: store.withdraw(request_id, "revoked", self._clock()))

    async def first_time(self, message_id: str, *, keep: float) -> bool:
        """Return True when no process has seen a channel's message yet; remember the message for `keep` seconds."""
        now = self._clock()
        forget_at = now + timedelta(seconds=keep)
        return await self._store.run(lambda store: store.first_time(message_id, now=now, forget_at=forget_at))

    async def aclose(self) -> None:
        """Wait for announcements and close the database. Requests are kept; a second call does nothing."""
        if not self._store.refuse():
            return
        try:
            if self._announcer:
                await self._announcer.aclose()
        finally:
            await self._store.aclose()

    def _counts(self, reviewers: Reviewers | None) -> Check:
        """Return the check that decides whether a decision counts; it runs when it is made and when it is used."""
        required = self.proof == "required" or bool(self.reviewers)
        return counting(reviewers, required=required, clock=self._clock, ttl=self._ttl)

    def _checked_at(self, review: Review, reviewers: Reviewers | None) -> datetime:
        """Check the form of a decision; return the time at which it was checked."""
        now = self._clock()
        require_sound(review, reviewers, now)
        return now
