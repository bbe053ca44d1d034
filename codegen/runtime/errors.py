"""The client's own errors.

InvalidRequestError     a value that PagerDuty's schema does not allow; nothing was sent
UnexpectedStatusError   PagerDuty answered, but not with success
UnexpectedAnswerError   PagerDuty answered with success, but not with the JSON object that was expected
"""

from __future__ import annotations


class InvalidRequestError(ValueError):
    """A parameter or a member of a body is unknown, missing or of the wrong kind. Nothing was sent.

    Attributes:
        path: Where (`incident.assignments[0].assignee.id`).
        accepted: What would be accepted.
    """

    def __init__(self, path: str, problem: str, accepted: str) -> None:
        super().__init__(f"{path or 'the value'} {problem}; accepted: {accepted}")
        self.path, self.problem, self.accepted = path, problem, accepted

    def __reduce__(self) -> tuple[type[InvalidRequestError], tuple[str, str, str]]:
        return type(self), (self.path, self.problem, self.accepted)


class UnexpectedStatusError(Exception):
    """PagerDuty answered with a status that is not a success. A write may have been refused or half done.

    Attributes:
        status: The HTTP status.
        operation_id: The endpoint's name.
    """

    def __init__(self, status: int, operation_id: str) -> None:
        super().__init__(f"{operation_id}: PagerDuty answered {status}")
        self.status, self.operation_id = status, operation_id

    def __reduce__(self) -> tuple[type[UnexpectedStatusError], tuple[int, str]]:
        return type(self), (self.status, self.operation_id)


class UnexpectedAnswerError(ValueError):
    """The call succeeded, but its answer is not the JSON object that was expected."""


def shown(value: object) -> str:
    """A value for a message: escaped, and cut to 80 characters."""
    try:
        text = ascii(value[:80] if isinstance(value, str | bytes) else value)
    except ValueError:  # a number of more digits than Python prints
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 80 else f"{text[:77]}..."
