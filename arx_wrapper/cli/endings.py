"""The exit status of each error, its message for the command line, and the one command that helps next."""

from __future__ import annotations

from arx_wrapper.errors import (
    ApprovalDeniedError,
    ApprovalError,
    ApprovalExpiredError,
    ApprovalPendingError,
    ArxError,
    AuditError,
    AuthenticationError,
    CredentialError,
    InvalidParamsError,
    PagerDutyError,
    PaginationLimitError,
    PermissionDeniedError,
    PolicyError,
    TransportError,
    UnknownOperationError,
)


def status_of(error: ArxError) -> int:
    """Return the exit status: 1 PagerDuty or transport, 2 usage, 3 denied by policy, 4 approval, 5 audit."""
    if isinstance(error, PagerDutyError | PaginationLimitError):
        return 1
    if isinstance(error, PermissionDeniedError):
        return 3
    if isinstance(error, ApprovalError):
        return 4
    return 5 if isinstance(error, AuditError) else 2


def message_of(error: ArxError) -> str:
    """Return the message, with the way to go on as a command in place of a call in Python."""
    if not isinstance(error, ApprovalPendingError):
        return str(error)
    resume = f"Resume with execute(..., approval_id={error.approval_id!r})."
    return str(error).replace(resume, f"Once it is approved, repeat the call with --approval {error.approval_id}.")


def next_step(error: ArxError) -> str | None:
    """Return one line that names the command to go on with, or None where the message says it all."""
    step = _step(error)
    return f"Next: arx-pagerduty {step}" if step else None


def _step(error: ArxError) -> str | None:
    if isinstance(error, PermissionDeniedError):
        return f"policy explain {error.decision.operation}"
    if isinstance(error, ApprovalPendingError):
        return f"approvals show {error.approval_id}"
    if isinstance(error, ApprovalDeniedError | ApprovalExpiredError):
        return "approvals list"
    if isinstance(error, InvalidParamsError):
        return f"call {error.operation} --help"
    if isinstance(error, UnknownOperationError):
        return f"call {error.nearest} --help" if error.nearest else "ops"
    if isinstance(error, PolicyError):
        return "policy check"
    if isinstance(error, AuditError):
        return "audit verify"
    if isinstance(error, AuthenticationError | CredentialError | TransportError):
        return "doctor"
    return None
