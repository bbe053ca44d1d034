"""What comes back: an answer, or the right class of error whatever shape the body has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from attrs import field, frozen

from arx_wrapper.errors import (
    AuthenticationError,
    ConflictError,
    EndpointRetiredError,
    ForbiddenError,
    NotFoundError,
    PagerDutyError,
    RateLimitError,
    ServerError,
    TransportError,
    ValidationError,
)

_CLASSES: Final[Mapping[int, type[PagerDutyError]]] = {
    400: ValidationError,
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: ValidationError,
}
_ADVICE: Final[Mapping[int, str]] = {
    401: "the API key is not accepted; look at the vault",
    403: "the API key may not do this",
    404: "there is no such object, or the key cannot see it",
    405: "the endpoint does not serve this method",
    408: "PagerDuty gave up waiting for the request",
    413: "the request holds too much",
    429: "too many requests for this key",
}
_SHOWN: Final = 300


@frozen(kw_only=True)
class Attempt:
    """One try on the wire.

    Attributes:
        sent: Whether anything may have reached the server.
        status: The answer's HTTP status; None when there was none.
        error: The error's class, when it failed.
        duration_ms: From sending to the end of the answer.
        waited_ms: Before it, for the rate limit.
    """

    sent: bool
    status: int | None = None
    error: str | None = None
    duration_ms: float = 0.0
    waited_ms: float = 0.0


@frozen(kw_only=True)
class Response:
    """A successful answer.

    Attributes:
        status: HTTP status, 2xx.
        content: The body as it came, decompressed.
        request_id: PagerDuty's id of the request.
        operation, writes: What it answers.
    """

    status: int
    content: bytes = field(repr=False)
    request_id: str | None = None
    operation: str
    writes: bool

    def json(self) -> dict[str, Any]:
        """The body, parsed; `{}` when there is none.

        Raises:
            TransportError: it is not a JSON object.
        """
        if self.status == 204 or not self.content.strip():
            return {}
        try:
            body = orjson.loads(self.content)
        except orjson.JSONDecodeError:
            body = None
        if isinstance(body, dict):
            return body
        done = "the call succeeded, but" if self.writes else "the call was answered, but"
        raise TransportError(
            f"{done} the body of the answer ({self.status}) is not a JSON object",
            outcome="unknown",
            operation=self.operation,
            status=self.status,
        )


def read(
    status: int, headers: Mapping[str, str], content: bytes, *, operation: str, writes: bool, deprecated: bool
) -> Response:
    """Tell an answer from an error.

    Raises:
        PagerDutyError: in the class for its status.
        TransportError: a redirect, or a 1xx.
    """
    request_id = headers.get("x-request-id")
    if 200 <= status < 300:
        return Response(status=status, content=content, request_id=request_id, operation=operation, writes=writes)
    if 300 <= status < 400:
        raise TransportError(
            f"answered with a redirect ({status}), which is never followed; look at the base URL",
            outcome="not_sent",
            operation=operation,
            status=status,
        )
    if status < 200:
        raise TransportError(
            f"answered with {status}, which answers nothing", outcome="unknown", operation=operation, status=status
        )
    raise _error(status, headers, content, operation, deprecated, request_id)


def _error(
    status: int, headers: Mapping[str, str], content: bytes, operation: str, deprecated: bool, request_id: str | None
) -> PagerDutyError:
    message, code, errors = _envelope(content)
    message = message or _ADVICE.get(status, "no message came with it")
    details: dict[str, Any] = {
        "status": status,
        "code": code,
        "errors": errors,
        "request_id": request_id,
        "operation": operation,
    }
    if status == 429:
        return RateLimitError(message, retry_after=retry_after(headers), **details)
    if deprecated and status in (404, 406, 410) and not (status == 404 and code):
        return EndpointRetiredError(
            f"{message}; PagerDuty is retiring event rules: use event orchestrations", **details
        )
    if status >= 500:
        return ServerError(message, **details)
    return _CLASSES.get(status, PagerDutyError)(message, **details)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until PagerDuty takes calls again, when it says so."""
    for name in ("ratelimit-reset", "retry-after"):
        try:
            seconds = float(headers[name])
        except (KeyError, ValueError):
            continue
        if 0 <= seconds <= 86_400:
            return seconds
    return None


def _envelope(content: bytes) -> tuple[str, int | None, tuple[str, ...]]:
    """Message, code and details of an error body, whatever its shape: object, list, text, HTML or nothing."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return "", None, ()
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, str):
        return _short(error), None, ()
    if isinstance(error, list):
        return "; ".join(_texts(error)), None, ()
    if not isinstance(error, dict):
        return "", None, ()
    code = error.get("code")
    details = error.get("errors")
    return (
        _short(error.get("message") or ""),
        code if isinstance(code, int) and not isinstance(code, bool) else None,
        tuple(_texts(details)),
    )


def _texts(details: Any) -> list[str]:
    if isinstance(details, dict):
        return [_short(f"{name}: {value}") for name, value in details.items()]
    if isinstance(details, list):
        return [text for item in details for text in _texts(item)]
    return [_short(details)] if details else []


def _short(text: object) -> str:
    plain = "".join(character if character.isprintable() else " " for character in str(text))
    return plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "…"
