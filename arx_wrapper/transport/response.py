"""Turn an unsuccessful response into the error of its class, and a successful one without a usable body into one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import orjson

from arx_wrapper.credentials import Secret
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
    401: "the API key is not accepted; check the vault",
    403: "the API key may not do this",
    404: "there is no such object, or the key cannot see it",
    405: "the endpoint does not serve this method",
    408: "PagerDuty gave up waiting for the request",
    413: "the request holds too much",
    429: "too many requests for this key",
}
_SHOWN: Final = 300
# Characters of a percent-encoded key, and those in which it is looked for.
_LONGEST_KEY: Final = 3 * 4_096
_SEARCHED: Final = 2 * _LONGEST_KEY
_DETAILS: Final = 50
# The longest accepted wait; a larger number is a point in time, or wrong.
_YEAR: Final = 366 * 86_400


def failure(
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    operation: str,
    deprecated: bool,
    secret: Secret,
) -> PagerDutyError:
    """Return the error for a response, in the class for its status.

    The error is returned and not raised, so that no traceback holds the server's text, which may repeat the key.

    Args:
        status, headers, content: The unsuccessful response; headers by lower-case name.
        operation, deprecated: The operation, and whether its endpoint is being retired.
        secret: The key that was sent; it is masked in the server's text.
    """
    if 300 <= status < 400:
        return TransportError(
            f"answered with a redirect ({status}), which is never followed; check the base URL",
            outcome="not_sent",
            operation=operation,
            status=status,
        )
    if status < 200:
        return TransportError(
            f"answered with {status}, which is no final response",
            outcome="unknown",
            operation=operation,
            status=status,
        )
    request_id = short(headers["x-request-id"], secret) if "x-request-id" in headers else None
    return _error(status, headers, _envelope(content, secret), operation, deprecated, request_id)


def unreadable(problem: str, status: int, operation: str, *, writes: bool) -> TransportError:
    """Return the error for a successful response whose body cannot be used.

    Args:
        problem: The fault of the body, as a clause without its subject.
        status, operation, writes: The response's status, and the request's operation and whether it changes state.
    """
    done = "the call succeeded, but" if writes else "a response came, but"
    return TransportError(
        f"{done} the body of the response ({status}) {problem}", outcome="unknown", operation=operation, status=status
    )


def _error(
    status: int,
    headers: Mapping[str, str],
    envelope: tuple[str, int | None, tuple[str, ...]],
    operation: str,
    deprecated: bool,
    request_id: str | None,
) -> PagerDutyError:
    message, code, errors = envelope
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


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds until PagerDuty accepts calls again; None when the response does not state them.

    Args:
        headers: The response's headers, by lower-case name.
        now: This machine's time, aware; `Retry-After` may be a date (RFC 9110, 10.2.3).
    """
    for name in ("ratelimit-reset", "retry-after"):
        text = headers.get(name, "")
        try:
            seconds = float(text)
        except ValueError:
            seconds = _seconds_until(text, now or datetime.now(UTC)) if name == "retry-after" else -1.0
        if 0 <= seconds <= _YEAR:
            return seconds
    return None


def _seconds_until(text: str, now: datetime) -> float:
    from email.utils import parsedate_to_datetime  # imported late: it takes longer to load than this package

    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return -1.0
    return max(((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds(), 0.0)


def _envelope(content: bytes, secret: Secret) -> tuple[str, int | None, tuple[str, ...]]:
    """Return message, code and details of an error body of any form: object, list, text, HTML or empty."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return "", None, ()
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, str):
        return short(error, secret), None, ()
    if isinstance(error, list):
        return short("; ".join(_texts(error, secret)), secret), None, ()
    if not isinstance(error, dict):
        return "", None, ()
    texts = tuple(_texts(error.get("errors"), secret))
    return short(error.get("message") or "", secret), _code(error.get("code")), texts


def _code(code: object) -> int | None:
    """Return PagerDuty's error code, which is text in some responses."""
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) < 10:
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _texts(details: Any, secret: Secret) -> list[str]:
    """Return the texts of an error's details, up to a limit, however they are nested."""
    found: list[str] = []
    waiting = [details]
    while waiting and len(found) < _DETAILS:
        item = waiting.pop(0)
        if isinstance(item, dict):
            found += [short(f"{name}: {_flat(value)}", secret) for name, value in islice(item.items(), _DETAILS)]
        elif isinstance(item, list):
            waiting[:0] = item[:_DETAILS]
        elif item:
            found.append(short(item, secret))
    return found[:_DETAILS]


def _flat(value: object) -> str:
    """Return a value as text; containers as JSON, because `str()` recurses in deeply nested ones."""
    if not isinstance(value, dict | list):
        return str(value)
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return "…"


def short(text: object, secret: Secret) -> str:
    """Return server text for a message, shortened, with the key masked and without control characters."""
    if isinstance(text, str) and len(text) <= _SHOWN and text.isprintable():
        return secret.masked(text)
    flat = _flat(text)
    plain = secret.masked("".join(character if character.isprintable() else " " for character in flat[:_SEARCHED]))
    if len(flat) > _SEARCHED:  # the end may be the beginning of a key, which nothing has masked
        plain = plain[:-_LONGEST_KEY]
    return plain if len(plain) <= _SHOWN and len(flat) <= _SEARCHED else plain[:_SHOWN] + "…"
