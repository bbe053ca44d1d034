"""Explain an error to a model: whether anything was sent, and what to do now."""

from __future__ import annotations

from typing import Any, Final

from arx_wrapper import errors as e

_TELL: Final = "Nothing you can call will help. Tell a person what this says."

# The first matching class counts, so narrow classes come first. "refused": PagerDuty responded, nothing was changed.
_ADVICE: Final[tuple[tuple[type[e.ArxError], str, str], ...]] = (
    (e.UnknownOperationError, "no", "Use a tool from the list; read the list again, it may have changed."),
    (e.InvalidParamsError, "no", "Correct the parameter that is named, as the tool's schema has it, and call again."),
    (e.PermissionDeniedError, "no", "Policy denies the act under every name: do not look for another way to do it. "
     "Tell a person if it is needed."),
    (e.ApprovalDeniedError, "no", "This approval cannot be used. Do not ask again for the same unless something has "
     "changed; then call without approval_id."),
    (e.ApprovalExpiredError, "no", "It was not decided, or not used, in time. Call again without approval_id to ask "
     "anew."),
    (e.ApprovalError, "no", "Call approval_status to see what is waiting, or call again without approval_id."),
    (e.PaginationLimitError, "no", "Narrow the filters or the time span, and read each part by itself."),
    (e.EndpointRetiredError, "refused", "PagerDuty no longer has this. Tell a person that it moved to event "
     "orchestrations."),
    (e.AuthenticationError, "refused", _TELL),
    (e.ForbiddenError, "refused", _TELL),
    (e.NotFoundError, "refused", "Check the id: look it up with a tool that lists."),
    (e.ConflictError, "refused", "Read the object as it is now, and decide anew."),
    (e.ValidationError, "refused", "Correct what PagerDuty names, and call again."),
    (e.RateLimitError, "no", "Wait, at least for retry_after seconds if it is given, and call again."),
    (e.ServerError, "unknown", "A read may be repeated. Before repeating a write, read its target: it may be done."),
    (e.PagerDutyError, "unknown", "Before repeating a write, read its target: it may be done."),
)  # fmt: skip
_DETAILS: Final = ("status", "code", "request_id", "retry_after", "param", "accepted", "approval_id", "nearest")


def explain(error: e.ArxError) -> dict[str, Any]:
    """Return an error as an object: its class, its message, whether anything was sent, what to do, and its details."""
    sent, advice = next(
        ((sent, advice) for kind, sent, advice in _ADVICE if isinstance(error, kind)),
        ("no", _TELL),
    )
    if isinstance(error, e.TransportError):
        sent = "unknown" if error.outcome == "unknown" else "no"
        advice = advice if sent == "unknown" else "Nothing was changed: it may be called again."
    if isinstance(error, e.AuditError) and error.sent:
        sent, advice = "yes", "The call was made, and only its record is missing: do not repeat it. Tell a person."
    found: dict[str, Any] = {"class": type(error).__name__, "message": str(error), "sent": sent, "do_next": advice}
    found |= {name: value for name in _DETAILS if (value := getattr(error, name, None)) is not None}
    if isinstance(error, e.PermissionDeniedError):
        decision = error.decision
        found["decision"] = {
            "verdict": decision.verdict.name,
            "operation": decision.operation,
            "risk": decision.risk.name,
            "policy": decision.policy,
            "reason": decision.reason,
        }
    return found
