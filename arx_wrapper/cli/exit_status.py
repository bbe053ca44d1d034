"""Choose the exit status of each error, its message on the command line, and the one command that helps next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

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
from arx_wrapper.params import NULL

_ANEW: Final = "Ask anew."
# Characters. A longer command, with the text of a note for example, would push the message off the screen.
_LONGEST: Final = 500


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
    """Return the message for the command line: where it names a Python call to make next, it names the command."""
    if isinstance(error, ApprovalDeniedError | ApprovalExpiredError):
        return str(error).replace(_ANEW, "To ask anew, repeat the call without --approval.")
    if not isinstance(error, ApprovalPendingError):
        return str(error)
    resume = f"Resume with execute(..., approval_id={error.approval_id!r})."
    return str(error).replace(resume, f"Once it is approved, repeat the call with --approval {error.approval_id}.")


def next_step(error: ArxError) -> str | None:
    """Return one line that names the command to go on with, or None where the message says it all."""
    suggested = getattr(error, "__notes__", None)  # by `suggest_explain`, which knows the call
    step = suggested[-1] if suggested else _step(error)
    return f"Next: arx-pagerduty {step}" if step else None


def suggest_explain(
    error: PermissionDeniedError, operation: str, params: Mapping[str, Any], options: Sequence[str]
) -> None:
    """Add to a denial, as a note, the command that explains it for this caller and these parameters.

    Args:
        error: The denial.
        operation, params: The call.
        options: The options before the command, such as `--agent`.
    """
    words = [*options, "policy", "explain", operation]
    if all(_is_short(value) for value in params.values()):
        words += [f"{name}={value}" for name, value in params.items()]
    elif params:
        words += ["--json", json.dumps(params, default=_null)]
    command = shlex.join(words)
    if command.isprintable() and len(command) <= _LONGEST:
        error.add_note(command)


def _step(error: ArxError) -> str | None:
    if isinstance(error, PermissionDeniedError):
        return f"policy explain {error.decision.operation}"
    if isinstance(error, ApprovalPendingError):
        return f"approvals show {error.approval_id}"
    if isinstance(error, ApprovalDeniedError | ApprovalExpiredError):
        return None if _ANEW in str(error) else "approvals list"
    if isinstance(error, InvalidParamsError):
        return f"call {error.operation} --help"
    if isinstance(error, UnknownOperationError):
        return f"call {error.nearest} --help" if error.nearest else "ops"
    if isinstance(error, PolicyError):
        return "policy check"
    if isinstance(error, AuditError | AuthenticationError | CredentialError | TransportError):
        return "doctor"
    return None


def _is_short(value: Any) -> bool:
    """Return True when `name=value` on the command line is read as this value."""
    return (isinstance(value, str) and value != "null") or (isinstance(value, int) and not isinstance(value, bool))


def _null(value: Any) -> None:
    """Encode NULL, the only value of parameters that is not JSON."""
    if value is not NULL:
        raise TypeError(f"{type(value).__name__} is no parameter")
