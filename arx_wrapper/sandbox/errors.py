"""Build PagerDuty's error responses: a status, one of its documented codes and the details."""

from __future__ import annotations

from typing import Any

__all__ = ["ApiError", "refuse"]

_MESSAGES = {
    1001: "Incident Already Resolved",
    1002: "Incident Already Acknowledged",
    1003: "Invalid Status Provided",
    1004: "Invalid ID Provided",
    1007: "Assignee User Not Found",
    1008: "Requester User Not Found",
    1012: "Incident Not Acknowledged",
    1013: "Snooze Duration Is Invalid",
    1014: "Escalation Policy Not Found",
    1019: "Incident Already Merged",
    1020: "Invalid Priority Provided",
    2001: "Invalid Input Provided",
    2002: "Arguments Caused Error",
    2003: "Missing Arguments",
    2006: "Authentication failed",
    2010: "Access Denied",
    2014: "Required abilities are unavailable",
    2016: 'You must specify a user\'s email address in the "From" header to perform this action',
    2020: "Rate Limit Exceeded",
    2100: "Not Found",
    5003: "Maintenance Window Is In The Past",
}
_STATUSES = {2006: 401, 2010: 403, 2020: 429, 2100: 404}


class ApiError(Exception):
    """An error response.

    Attributes:
        status: HTTP status.
        body: The JSON body; text for a plain-text response.
        headers: Further headers.
    """

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.body, self.headers = status, body, headers or {}


def refuse(code: int, *details: str, status: int | None = None) -> ApiError:
    """Return the error with one of PagerDuty's codes; its status is 400 unless the code has another."""
    error: dict[str, Any] = {"message": _MESSAGES[code], "code": code}
    if details:
        error["errors"] = list(details)
    return ApiError(status or _STATUSES.get(code, 400), {"error": error})
