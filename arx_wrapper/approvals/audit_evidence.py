"""Check an approval against the audit log's records of it.

A process that can write to the approval store's database can edit it. The log's records carry an HMAC. So a decision
without a record does not count, and the store cannot undo a recorded denial, withdrawal or use.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from attrs import frozen

from arx_wrapper.approvals.request import ApprovalRequest, Review
from arx_wrapper.errors import ApprovalDeniedError


class Record(Protocol):
    """The members of an audit record that approvals and enrolments use."""

    @property
    def action_type(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def created_at(self) -> str: ...
    @property
    def approval_id(self) -> str | None: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...


@frozen(kw_only=True)
class Evidence:
    """The records of one request.

    Attributes:
        requested: The digests that the records of the request state.
        reviews: The recorded decisions: reviewer, verdict, digest, note and signature.
        withdrawn: Whether a person withdrew it.
        used: Whether a call used it.
    """

    requested: frozenset[str]
    reviews: frozenset[tuple[str, str, str, str, str | None]]
    withdrawn: bool = False
    used: bool = False

    @classmethod
    def of(cls, approval_id: str, records: Iterable[Record]) -> Evidence:
        """Collect the records of one request; records of other requests are ignored."""
        requested, reviews, withdrawn, used = set(), set(), False, False
        for record in records:
            metadata, verdict = record.metadata, record.metadata.get("verdict")
            if record.approval_id != approval_id:
                continue
            if record.action_type == "approval.requested":
                requested.add(str(metadata.get("digest")))
            elif record.action_type == "connector.completed" or verdict == "used":
                used = True
            elif record.action_type == "approval.reviewed" and record.status != "error":
                withdrawn = withdrawn or verdict == "revoked"
                reviews.add(
                    (
                        str(metadata.get("reviewer")),
                        str(verdict),
                        str(metadata.get("digest")),
                        str(metadata.get("note")),
                        metadata.get("signature"),
                    )
                )
        return cls(
            requested=frozenset(requested),
            reviews=frozenset(reviews),
            withdrawn=withdrawn,
            used=used,
        )

    def require(self, request: ApprovalRequest) -> None:
        """Check that the log records this request unaltered, and neither a denial, a withdrawal nor a use of it.

        Raises:
            ApprovalDeniedError: the log contradicts the store.
        """
        if not any(hmac.compare_digest(known.encode(), request.digest.encode()) for known in self.requested):
            raise _refused(request, "is not in the audit log as it is shown: it was inserted or altered")
        if self.withdrawn:
            raise _refused(request, "was withdrawn, by the audit log")
        if any(verdict == "denied" for _, verdict, _, _, _ in self.reviews):
            raise _refused(request, "was denied, by the audit log")
        if self.used:
            raise _refused(request, "has been used already, by the audit log; an approval holds for one call")

    def require_review(self, request: ApprovalRequest, review: Review) -> None:
        """Check that the log records exactly this decision.

        Raises:
            ApprovalDeniedError: it does not.
        """
        if (review.reviewer, review.verdict, request.digest, review.note, review.signature) not in self.reviews:
            raise _refused(request, f"has a decision of {review.reviewer!a} that is not in the audit log")


def _refused(request: ApprovalRequest, problem: str) -> ApprovalDeniedError:
    return ApprovalDeniedError(
        f"Approval {request.id} {problem}. Nothing was sent. Find out who can write to the approval store.",
        approval_id=request.id,
    )
