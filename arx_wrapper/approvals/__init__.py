"""Approval by people: requested for one exact call, given by a reviewer who did not request it, used once.

approvals = approvals.open("sqlite:///var/approvals.db")
asked = await approvals.request(...)                            # the agent
await approvals.decide(asked.id, "alice", True, "go ahead")     # a reviewer, in any process
await approvals.wait(asked.id)
await approvals.consume(asked.id, asked.call_digest)            # exactly once
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from arx_wrapper.approvals.announcer import Announcer, Channel
from arx_wrapper.approvals.audit_evidence import Evidence
from arx_wrapper.approvals.enrolment_rules import Enrolments
from arx_wrapper.approvals.notifications import Webhook
from arx_wrapper.approvals.passkeys import Passkey
from arx_wrapper.approvals.request import ApprovalRequest, Review, State, call_digest
from arx_wrapper.approvals.request_text import render
from arx_wrapper.approvals.service import Approvals, Proof, new_id, utc_now
from arx_wrapper.approvals.signatures import Enrolled, Reviewers, sign_decision, verify_decision

__all__ = [
    "ApprovalRequest",
    "Approvals",
    "Channel",
    "Enrolled",
    "Enrolments",
    "Evidence",
    "Passkey",
    "Review",
    "Reviewers",
    "State",
    "Webhook",
    "call_digest",
    "open",
    "render",
    "sign_decision",
    "verify_decision",
]


def open(  # noqa: A001 - read as `approvals.open`
    url: str,
    *,
    clock: Callable[[], datetime] = utc_now,
    ids: Callable[[], str] = new_id,
    ttl: float = 3600.0,
    reviewers: Reviewers | None = None,
    proof: Proof = "required",
    groups: Mapping[str, Sequence[str]] | None = None,
    channels: Sequence[Channel] = (),
    pending_cap: int = 20,
    timeout: float = 10.0,
    allow_memory: bool = False,
) -> Approvals:
    """Open the approval store at an address; the database is opened on first use.

    Args:
        url: `sqlite:///path` (created with mode 0600) or `postgresql://…`; may be the audit log's database.
        clock: Returns the time, aware.
        ids: Makes the requests' ids.
        ttl: Seconds after which a request can be neither decided nor used.
        reviewers: Reviewers whose keys are configured; those enrolled in the audit log are added to them.
        proof: `required`: a decision counts only with its reviewer's signature. `name`: a plain name is enough, unless
            reviewers' keys are configured.
        groups: Groups of reviewers that policies may name: group → reviewers' names.
        channels: The channels that announce new requests; the command line needs none.
        pending_cap: How many requests of one agent may wait at a time.
        timeout: Seconds that the store may take before a call fails.
        allow_memory: Whether `sqlite:///:memory:` is accepted.

    Raises:
        ConfigError: the address is of no accepted kind.
    """
    from arx_wrapper.approvals.database_url import database
    from arx_wrapper.approvals.sql import SCHEMA
    from arx_wrapper.approvals.store import Store

    tables = database(url, schema=SCHEMA, timeout=timeout / 2, allow_memory=allow_memory)
    return Approvals(
        Store(tables),
        clock=clock,
        ids=ids,
        ttl=ttl,
        pending_cap=pending_cap,
        timeout=timeout,
        reviewers=reviewers,
        proof=proof,
        groups=groups,
        announcer=Announcer(channels),
    )
