"""Define the client's errors.

InvalidRequestError     a value that PagerDuty's schema does not allow; nothing was sent
UnexpectedStatusError   PagerDuty responded, but not with success
UnexpectedAnswerError   PagerDuty responded with success, but not with the expected JSON object
"""

from __future__ import annotations


class InvalidRequestError(ValueError):
    """A parameter or a member of a body is unknown, missing or of the wrong kind. Nothing was sent.

    Attributes:
        path: The place of the value (`incident.assignments[0].assignee.id`).
        accepted: A description of accepted values.
    """

    def __init__(self, path: str, problem: str, accepted: str) -> None:
        super().__init__(f"{path or 'the value'} {problem}; accepted: {accepted}")
        self.path, self.problem, self.accepted = path, problem, accepted

    def __reduce__(self) -> tuple[type[InvalidRequestError], tuple[str, str, str]]:
        return type(self), (self.path, self.problem, self.accepted)


class UnexpectedStatusError(Exception):
    """PagerDuty responded with a status that is not a success. After a 5xx a write may have taken effect.

    Text of the response is escaped and cut, and the request's credentials are removed from it.

    Attributes:
        status: The HTTP status.
        operation_id: The endpoint's name.
        code: PagerDuty's own code (2001 for invalid input); None when the response has none.
        message: PagerDuty's message; None when the response has none.
        errors: PagerDuty's details, one text for each.
        retry_after: Seconds after which to try again; None when the response does not state them.
    """

    def __init__(
        self,
        status: int,
        operation_id: str,
        code: int | None = None,
        message: str | None = None,
        errors: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        told = f" ({code})" if code is not None else ""
        told += f": {'; '.join([message, *errors])}" if message else ""
        super().__init__(f"{operation_id}: PagerDuty answered {status}{told}")
        self.status, self.operation_id, self.code, self.message = status, operation_id, code, message
        self.errors, self.retry_after = errors, retry_after

    def __reduce__(self) -> tuple[type[UnexpectedStatusError], tuple[object, ...]]:
        given = (self.status, self.operation_id, self.code, self.message, self.errors, self.retry_after)
        return type(self), given


class UnexpectedAnswerError(ValueError):
    """The call succeeded, but its response is not the expected JSON object."""


def shown(value: object) -> str:
    """Return a value for a message: escaped, and cut to 80 characters."""
    try:
        text = ascii(value[:80] if isinstance(value, str | bytes) else value)
    except ValueError:  # a number with more digits than Python prints
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 80 else f"{text[:77]}..."
