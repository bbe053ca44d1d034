"""Approvals as the pipeline uses them: asynchronous, all database work on one long-lived thread."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from attrs import evolve

from arx_wrapper.approvals.checks import UNTIMELY, counting, require_sound
from arx_wrapper.approvals.request import (
    STATES,
    ApprovalRequest,
    Review,
    State,
)
from arx_wrapper.approvals.store import Check, Store
from arx_wrapper.errors import ApprovalError
from arx_wrapper.model import Effect, Risk

if TYPE_CHECKING:
    from arx_wrapper.approvals.announcer import Announcer
    from arx_wrapper.approvals.evidence import Evidence
    from arx_wrapper.approvals.reviewers import Reviewers

_T = TypeVar("_T")
Proof = Literal["required", "name"]
_CLOSES_WITHIN = 5.0
_TROUBLE = 30.0


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return secrets.token_hex(8)


class Approvals:
    """Requests for approval, and what people said to them. Made by `approvals.open()`.

    Everything survives the process: a call that was interrupted resumes by its request's id. Many connectors,
    in as many processes, may share one database.

    Attributes:
        reviewers: The reviewers whose keys are configured; None when none are.
        proof: Whether a decision needs its reviewer's signature (`required`) or a name is enough.
        groups: Groups of reviewers, by name.
        on_waiting: Called with the request that a call begins to wait for.
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
        self._store, self._clock, self._ids, self._sleep = store, clock, ids, sleep
        self._ttl, self._pending_cap, self._timeout = timedelta(seconds=ttl), pending_cap, timeout
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="arx-approvals")
        self.groups = dict(groups or {})
        self.on_waiting: Callable[[ApprovalRequest], None] | None = None
        self.reviewers, self.proof, self._announcer = reviewers, proof, announcer
        self._closed = False

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
        """Ask reviewers to approve one exact call; finds the request that already waits for the same call.

        Args:
            org_id, agent_id: Who asks, for which organisation.
            account: Fingerprint of the credentials that will be used.
            connector, operation: What is to be called.
            params: Its canonical parameters.
            effects: The operations that the call performs.
            risk: The risk at which it was judged.
            requester: The address in whose name a write is sent.
            sentence: The call in plain words.
            policy, policy_source, reason: The entry that asks for approval, its `file:line`, and why.
            reviewers: The people, groups or on-call rules that the entry names.
            channel: Where reviewers are asked.
            target: State of what the call changes, to be shown and bound; None when it was not read.
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
        asked = evolve(asked, call_digest=asked.expected_call_digest())
        asked = evolve(asked, digest=asked.expected_digest())
        # Whoever gives up meanwhile has asked all the same: the request is there, and reviewers have to hear of it.
        return await asyncio.shield(asyncio.ensure_future(self._ask(asked)))

    async def _ask(self, asked: ApprovalRequest) -> ApprovalRequest:
        request, new = await self._on_thread(lambda: self._store.create(asked, cap=self._pending_cap))
        if new and self._announcer:
            self._announcer.announce(request, self._still_waits)
        return request

    async def _still_waits(self, request_id: str) -> bool:
        with suppress(ApprovalError):
            return (await self.get(request_id)).state == "pending"
        return False

    async def check(self, request_id: str, review: Review, *, reviewers: Reviewers | None = None) -> ApprovalRequest:
        """Return a request as it would be after a decision, and change nothing.

        Args:
            request_id, review: The request and the decision.
            reviewers: The reviewers in force, with those that were enrolled; by default the configured ones.

        Raises:
            ApprovalError: as `decide()` does.
        """
        known = reviewers or self.reviewers
        now = self._sound(review, known)
        return await self._on_thread(lambda: self._store.check(request_id, review, now=now, check=self._counts(known)))

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
            reviewer: Who decides: not the agent that asks, and nobody twice.
            approve: Yes or no.
            note: What they want to add, up to 2,000 characters.
            signature: Their signature (`sign_decision`), where reviewers have registered keys.
            at: When they signed; at most five minutes from now.

        Returns:
            The request as it stands now.

        Raises:
            ApprovalExpiredError: it is too late.
            ApprovalError: there is no such request, it is decided already, or this reviewer may not decide
                it. Nothing was changed.
        """
        return await self.take(request_id, self.review(reviewer, approve, note, signature, at=at))

    def review(
        self, reviewer: str, approve: bool, note: str = "", signature: str | None = None, *, at: datetime | None = None
    ) -> Review:
        """Return a decision as `check()` and `take()` want it; arguments as for `decide()`."""
        signed_at = at if signature is not None else None
        if signature is not None and signed_at is None:
            raise ApprovalError(UNTIMELY)
        return Review(reviewer=reviewer, approve=approve, note=note, at=signed_at or self._clock(), signature=signature)

    async def take(self, request_id: str, review: Review, *, reviewers: Reviewers | None = None) -> ApprovalRequest:
        """Store a decision made with `review()`; arguments as for `check()`. Raises as `decide()` does."""
        known = reviewers or self.reviewers
        now = self._sound(review, known)
        return await self._on_thread(lambda: self._store.decide(request_id, review, now=now, check=self._counts(known)))

    async def wait(self, request_id: str, *, poll: float = 0.2) -> ApprovalRequest:
        """Wait until a request is decided, withdrawn or expired. Cancelling leaves the request as it is.

        Args:
            request_id: The request.
            poll: Seconds between looks at the database: decisions come from other processes.

        Raises:
            ApprovalError: there is no such request, or the store cannot be used; the call can be resumed.
        """
        trouble, told = 0.0, False
        while True:
            try:
                request = await self.get(request_id)
            except ApprovalError as error:
                # A database that is away for a moment, with the connection lost, has not decided anything.
                trouble += poll
                if error.approval_id is not None or trouble > _TROUBLE:
                    raise
                await self._sleep(poll)
                continue
            trouble = 0.0
            if request.state != "pending":
                return request
            if self.on_waiting and not told:
                self.on_waiting(request)
                told = True
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
        """Use an approval up: succeeds once, in one process, for the call with this digest.

        Args:
            request_id: The request.
            call: `call_digest` of the call that is about to be sent.
            min_approvals: How many approvals policy asks for now, if that is more than when it was asked.
            evidence: What the audit log says of the request; the pipeline always gives it.
            reviewers: The reviewers in force, with those that were enrolled; by default the configured ones.

        Returns:
            The request, consumed.

        Raises:
            ApprovalPendingError: nobody has decided yet.
            ApprovalExpiredError: it is too late.
            ApprovalDeniedError: it was denied, used or withdrawn, or it is for another call.
        """
        now, check = self._clock(), self._counts(reviewers or self.reviewers)

        def counts(request: ApprovalRequest, review: Review) -> None:
            check(request, review)
            if evidence is not None:
                evidence.require(request)
                evidence.require_review(request, review)

        return await self._on_thread(
            lambda: self._store.consume(request_id, call, at_least=min_approvals, now=now, check=counts)
        )

    async def get(self, request_id: str) -> ApprovalRequest:
        """One request as it stands. ApprovalError when there is none."""
        return await self._on_thread(lambda: self._store.get(request_id, self._clock()))

    async def list(
        self,
        state: State | None = None,
        *,
        org_id: str | None = None,
        agent_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[ApprovalRequest, ...]:
        """Requests, newest first.

        Args:
            state: Only those in this state.
            org_id, agent_id: Only those asked for by these.
            limit, offset: How many at most, after how many.
        """
        if state is not None and state not in STATES:
            raise ApprovalError(f"There is no state {state!a}; there are {', '.join(STATES)}.")
        return await self._on_thread(
            lambda: self._store.list(
                self._clock(), state=state, org_id=org_id, agent_id=agent_id, limit=limit, offset=offset
            )
        )

    async def count(self, state: State, *, org_id: str) -> int:
        """Count an organisation's requests in a state."""
        return await self._on_thread(lambda: self._store.count(self._clock(), state=state, org_id=org_id))

    async def states(self, org_id: str) -> tuple[tuple[Any, ...], ...]:
        """Return id, state and number of decisions of an organisation's newest requests."""
        return await self._on_thread(lambda: self._store.states(org_id, self._clock()))

    async def mark_stale(self, request_id: str) -> ApprovalRequest:
        """Withdraw a request: the objects that it is about have changed. ApprovalError when it is over already."""
        return await self._on_thread(lambda: self._store.withdraw(request_id, "stale", self._clock()))

    async def revoke(self, request_id: str) -> ApprovalRequest:
        """Withdraw a request or an approval that is not used yet. ApprovalError when it is over already."""
        return await self._on_thread(lambda: self._store.withdraw(request_id, "revoked", self._clock()))

    async def first_time(self, message_id: str, *, keep: float) -> bool:
        """Return True when no process has seen a channel's message; remember it for `keep` seconds."""
        now = self._clock()
        forget_at = now + timedelta(seconds=keep)
        return await self._on_thread(lambda: self._store.first_time(message_id, now=now, forget_at=forget_at))

    async def aclose(self) -> None:
        """Let announcements finish and close the database; again does nothing. Requests stay."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._announcer:
                await self._announcer.aclose()
        finally:
            closed = self._thread.submit(self._store.close)
            self._thread.shutdown(wait=False)
            with suppress(TimeoutError):  # behind a statement that a server does not answer
                await asyncio.wait_for(asyncio.wrap_future(closed), _CLOSES_WITHIN)

    def _counts(self, reviewers: Reviewers | None) -> Check:
        """Return the check of a decision, for when it is made and again for when it is used."""
        required = self.proof == "required" or bool(self.reviewers)
        return counting(reviewers, required=required, clock=self._clock, ttl=self._ttl)

    def _sound(self, review: Review, reviewers: Reviewers | None) -> datetime:
        now = self._clock()
        require_sound(review, reviewers, now)
        return now

    async def _on_thread(self, work: Callable[[], _T]) -> _T:
        """Run database work on the thread, for as long as a caller may reasonably be kept waiting.

        Work that is given up on may still take effect: an approval used up for nothing, or a decision that its
        reviewer was not told of. Neither permits a call that nobody agreed to.
        """
        if self._closed:
            raise ApprovalError("The approval store is closed. Nothing was sent.")
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except TimeoutError:
            raise ApprovalError(
                f"The approval store did not answer within {self._timeout:g} s. Nothing was sent. Look before "
                "deciding again: `arx-pagerduty approvals show`."
            ) from None
