"""Every error this package raises, and for each whether anything reached PagerDuty.

    ArxError
    ├─ ConfigError              configuration is missing or wrong              nothing sent
    ├─ PolicyError              a policy file does not load                    nothing sent
    ├─ CredentialError          the vault has no usable credentials            nothing sent
    ├─ AuditError               the audit log cannot be written or read        nothing sent, see `.sent`
    ├─ UnknownOperationError    no operation has this name                     nothing sent
    ├─ InvalidParamsError       a parameter is unknown, missing or wrong       nothing sent
    ├─ PermissionDeniedError    policy says no                                 nothing sent
    ├─ ApprovalError            a reviewer has to agree first                  nothing sent
    │  ├─ ApprovalPendingError
    │  ├─ ApprovalDeniedError
    │  └─ ApprovalExpiredError
    ├─ PaginationLimitError     PagerDuty cannot page this far                 reads only
    └─ PagerDutyError           PagerDuty answered with an error               sent and answered
       ├─ AuthenticationError   401
       ├─ ForbiddenError        403
       ├─ NotFoundError         404
       ├─ ConflictError         409
       ├─ ValidationError       400, 422
       ├─ RateLimitError        429                                            sent, not processed
       ├─ ServerError           5xx                                            sent, perhaps processed
       ├─ EndpointRetiredError  404, 410 on an endpoint that is being retired
       └─ TransportError        no response: `.outcome` is "not_sent" or "unknown"

Messages carry no secrets, no request bodies and no headers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from arx_wrapper.model import Decision

__all__ = [
    "ApprovalDeniedError",
    "ApprovalError",
    "ApprovalExpiredError",
    "ApprovalPendingError",
    "ArxError",
    "AuditError",
    "AuthenticationError",
    "ConfigError",
    "ConflictError",
    "CredentialError",
    "EndpointRetiredError",
    "ForbiddenError",
    "InvalidParamsError",
    "NotFoundError",
    "PagerDutyError",
    "PaginationLimitError",
    "PermissionDeniedError",
    "PolicyError",
    "RateLimitError",
    "ServerError",
    "TransportError",
    "UnknownOperationError",
    "ValidationError",
]

Outcome = Literal["not_sent", "unknown"]


class ArxError(Exception):
    """The base of every error that this package raises. Catch it to catch them all.

    `str()` returns no control characters: a message may quote a file, a parameter or a server, and terminals print it.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return text if text.isprintable() else "".join(map(_plain, text))


class ConfigError(ArxError):
    """Configuration is missing or wrong. Nothing was sent."""


class PolicyError(ArxError):
    """A policy file does not load. Nothing was sent; a policy that was loaded before stays in force.

    Attributes:
        file: The file, when there is one.
        line: Its line, counted from 1.
        key: The key at fault.
    """

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, key: str | None = None
    ) -> None:
        place = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(place + message)
        self.file, self.line, self.key = file, line, key


class CredentialError(ArxError):
    """The vault has no usable credentials. Nothing was sent."""


class AuditError(ArxError):
    """The audit log could not be written or read.

    Attributes:
        sent: False when the call was stopped because its intent could not be recorded; True when the call
            was made and only its outcome could not be.
    """

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class UnknownOperationError(ArxError):
    """No operation has this name. Nothing was sent."""

    def __init__(self, operation: str, nearest: str | None = None) -> None:
        hint = f" Did you mean {nearest!r}?" if nearest else " `arx-pagerduty ops` lists them."
        super().__init__(f"There is no operation {shown(operation)}; nothing was sent.{hint}")
        self.operation, self.nearest = operation, nearest


class InvalidParamsError(ArxError):
    """A parameter is unknown, missing or of the wrong type. Nothing was sent.

    Attributes:
        operation: The operation called.
        param: The parameter at fault, as a path (`incidents[3].status`).
        accepted: What would be accepted.
    """

    def __init__(self, operation: str, param: str, problem: str, accepted: str) -> None:
        super().__init__(f"{operation}: {param}: {problem}; accepted: {accepted}. Nothing was sent.")
        self.operation, self.param, self.accepted = operation, param, accepted


class PermissionDeniedError(ArxError):
    """Policy denies the call. Nothing was sent.

    Attributes:
        decision: The decision, with the policy entry and the operation that caused it.
    """

    def __init__(self, decision: Decision) -> None:
        super().__init__(f"{decision.operation}: denied: {decision.reason} Nothing was sent.")
        self.decision = decision


class ApprovalError(ArxError):
    """The call needs a reviewer's approval and does not have it. Nothing was sent.

    Attributes:
        approval_id: The approval request, when there is one.
    """

    def __init__(self, message: str, *, approval_id: str | None = None) -> None:
        super().__init__(message)
        self.approval_id = approval_id


class ApprovalPendingError(ApprovalError):
    """A reviewer has not decided yet. Resume with `execute(operation, params, approval_id=...)`."""


class ApprovalDeniedError(ApprovalError):
    """A reviewer said no, or the approval does not cover this call."""


class ApprovalExpiredError(ApprovalError):
    """No reviewer decided in time, or the approval expired before a call used it."""


class PaginationLimitError(ArxError):
    """PagerDuty does not page this far (offset + limit > 10,000). Narrow the filters or the time span."""


class PagerDutyError(ArxError):
    """PagerDuty refused or failed the call.

    Attributes:
        status: HTTP status; None when there was no response.
        code: PagerDuty's error code (2016 is a missing `From`), when the body carries one.
        message: PagerDuty's message.
        errors: PagerDuty's list of details.
        request_id: PagerDuty's id of the request, for its support.
        operation: The operation called.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: int | None = None,
        errors: Sequence[str] = (),
        request_id: str | None = None,
        operation: str = "",
    ) -> None:
        self.status, self.code, self.message, self.errors = status, code, message, tuple(errors)
        self.request_id, self.operation = request_id, operation
        super().__init__(self._text())

    def replace_text(self, change: Callable[[str], str]) -> None:
        """Replace the text of PagerDuty's message and details by what `change` returns for it."""
        self.message, self.errors = change(self.message), tuple(map(change, self.errors))
        self.args = (self._text(),)

    def _text(self) -> str:
        where = f"{self.operation}: " if self.operation else ""
        what = f"PagerDuty answered {self.status}" + (f" (code {self.code})" if self.code else "")
        details = f" [{'; '.join(self.errors)}]" if self.errors else ""
        trace = f" (request {self.request_id})" if self.request_id else ""
        return f"{where}{what}: {self.message}{details}{trace}"


class AuthenticationError(PagerDutyError):
    """401: the API key is wrong, revoked or expired. Nothing was changed."""


class ForbiddenError(PagerDutyError):
    """403: the key may not do this. Nothing was changed."""


class NotFoundError(PagerDutyError):
    """404: no such object, or the key cannot see it. Nothing was changed."""


class ConflictError(PagerDutyError):
    """409: the object's state does not allow this. Nothing was changed."""


class ValidationError(PagerDutyError):
    """400 or 422: PagerDuty rejects the request's content. Nothing was changed."""


class RateLimitError(PagerDutyError):
    """429: too many requests for this key; it was not processed.

    Attributes:
        retry_after: Seconds until PagerDuty accepts calls again, when it said so.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **details: object) -> None:
        super().__init__(message, **details)  # type: ignore[arg-type]  # the same keywords as PagerDutyError
        self.retry_after = retry_after


class ServerError(PagerDutyError):
    """5xx: PagerDuty failed. It may have processed a write all the same: read the target before repeating it."""


class EndpointRetiredError(PagerDutyError):
    """PagerDuty no longer serves this endpoint. Event rules: move to event orchestrations."""


class TransportError(PagerDutyError):
    """No usable response came back.

    Attributes:
        outcome: "not_sent" when the request cannot have been processed; "unknown" when it may have been.
            The connector never repeats an unknown write. Read the target before you do.
    """

    def __init__(self, message: str, *, outcome: Outcome, operation: str = "", status: int | None = None) -> None:
        self.outcome = outcome
        super().__init__(message, operation=operation, status=status)

    def _text(self) -> str:
        fate = (
            "Nothing was changed."
            if self.outcome == "not_sent"
            else "It is not known whether PagerDuty processed it: look at the target before repeating a write."
        )
        where = f"{self.operation}: " if self.operation else ""
        return f"{where}{self.message}. {fate}"


def _plain(character: str) -> str:
    return character if character.isprintable() or character == "\n" else ascii(character)[1:-1]


def shown(text: object, limit: int = 80) -> str:
    """Return a caller's value as text that is safe and short enough for a message."""
    escaped = ascii(text)
    return escaped if len(escaped) <= limit else f"{escaped[:limit]}…"
