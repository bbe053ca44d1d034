"""Check the session and the origin of each request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from arx_wrapper.console.sessions import Session, same

if TYPE_CHECKING:
    from starlette.requests import Request

    from arx_wrapper.console.context import Console


class Problem(Exception):  # noqa: N818 - a page, not a fault
    """An error page, shown instead of the requested one; nothing was changed.

    Attributes:
        status: The HTTP status.
        title, text: The problem, and what the user should do.
    """

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(title)
        self.status, self.title, self.text = status, title, text


class SignInNeeded(Exception):  # noqa: N818
    """The browser has no session."""


async def signed_in(console: Console, request: Request) -> Session:
    """Return the browser's session. SignInNeeded when there is none."""
    session = await console.session(request)
    if session is None:
        raise SignInNeeded
    return session


async def signed_in_post(console: Console, request: Request, form: Mapping[str, Any]) -> Session:
    """Return the session of a browser that may change something.

    Raises:
        SignInNeeded: it has none.
        Problem: the request was made by another site, or by a page of an earlier session.
    """
    require_own_origin(console, request)
    session = await signed_in(console, request)
    token = request.headers.get("x-csrf-token") or form.get("csrf")
    if not same(token if isinstance(token, str) else None, session.csrf):
        _forged()
    return session


def require_own_origin(console: Console, request: Request) -> None:
    """Refuse a request from a page of another site. Problem 403."""
    if request.headers.get("origin") != console.origin:
        _forged()


def _forged() -> NoReturn:
    raise Problem(
        403,
        "Not from this page",
        "This request did not come from a page of the console. Reload the page and try again.",
    )
