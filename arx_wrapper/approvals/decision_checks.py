"""Check a decision: its form, and its reviewer and signature, when it is made and again when it is used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from arx_wrapper.approvals.request import ApprovalRequest, Review, require_reviewer, stamp
from arx_wrapper.errors import ApprovalDeniedError, ApprovalError, ApprovalExpiredError

if TYPE_CHECKING:
    from arx_wrapper.approvals.signatures import Reviewers
    from arx_wrapper.approvals.store import Check

UNTIMELY: Final = (
    "A signed decision states the time of signing, which must be within five minutes of now. Nothing was decided."
)
_SKEW: Final = timedelta(minutes=5)
_NOTE_LIMIT: Final = 2000


def counting(reviewers: Reviewers | None, *, required: bool, clock: Callable[[], datetime], ttl: timedelta) -> Check:
    """Return the check that a decision counts.

    Args:
        reviewers: The reviewers in force; None when there are none.
        required: Whether a decision needs its reviewer's signature.
        clock: The time, aware.
        ttl: How old a signature may be.
    """

    def check(request: ApprovalRequest, review: Review) -> None:
        require_reviewer(request, review.reviewer)
        if not reviewers and required:
            raise ApprovalDeniedError(
                f"{request.id}: decisions need a signature here (approvals.proof), and no reviewer is enrolled: the "
                f"decision of {review.reviewer!a} does not count. Enrol reviewers: `arx-pagerduty reviewers invite "
                "NAME`.",
                approval_id=request.id,
            )
        if reviewers and (required or review.signature is not None):
            reviewers.verify(request, review)
        # The signature covers this time, so it is the one time here that an edit of the database cannot change.
        if review.signature is not None and clock() - review.at > ttl + _SKEW:
            raise ApprovalExpiredError(
                f"{request.id}: the decision of {review.reviewer} was signed at {stamp(review.at)}, too long ago. "
                "Nothing was sent. Ask anew.",
                approval_id=request.id,
            )

    return check


def require_sound(review: Review, reviewers: Reviewers | None, now: datetime) -> None:
    """Check a decision's note and the time of its signature.

    Raises:
        ApprovalError: one of them is not acceptable. Nothing was decided.
    """
    surrogates = any("\ud800" <= character <= "\udfff" for character in review.note)
    if len(review.note) > _NOTE_LIMIT or surrogates:
        raise ApprovalError(f"A note is text of {_NOTE_LIMIT} characters at most. Nothing was decided.")
    if review.signature is None:
        return
    if not reviewers:
        raise ApprovalError("No reviewer is enrolled here, so a signature cannot be verified. Nothing was decided.")
    if abs(now - review.at) > _SKEW:
        raise ApprovalError(UNTIMELY)
