"""Build the console as an ASGI application."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from arx_wrapper.console import actions, assets, pages, people, policy_pages
from arx_wrapper.console.context import Console
from arx_wrapper.console.request_checks import Problem, SignInNeeded, signed_in
from arx_wrapper.console.templating import page
from arx_wrapper.core.reviewer_checks import AskOnCall
from arx_wrapper.errors import ArxError, ConfigError
from arx_wrapper.model import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from arx_wrapper.core.backends import Backends

log = logging.getLogger("arx_wrapper.console")

Handler = Callable[[Console, "Request"], Awaitable["Response"]]

_READ: Mapping[str, Handler] = {
    "/": pages.pending_requests,
    "/requests/{id}": pages.one_request,
    "/history": pages.history,
    "/agents": pages.agents,
    "/log": pages.log,
    "/log/{id}": pages.record,
    "/policy": policy_pages.policy,
    "/reviewers": people.reviewers_page,
    "/sign-in": people.sign_in_page,
    "/enrol/{token}": people.enrol_page,
    "/enrolled": people.enrolled_page,
}
_CHANGE: Mapping[str, Handler] = {
    "/requests/{id}/decision/options": actions.decision_options,
    "/requests/{id}/decision": actions.decide,
    "/requests/{id}/revoke": actions.withdraw,
    "/agents": actions.switch_agent,
    "/log/verify": actions.verify_log,
    "/policy": actions.simulate,
    "/sign-in/options": people.sign_in_options,
    "/sign-in": people.sign_in,
    "/sign-out": people.sign_out,
    "/enrol/{token}/options": people.enrol_options,
    "/enrol/{token}": people.enrol,
    "/reviewers/invite": people.invite,
    "/reviewers/confirm/options": people.confirm_options,
    "/reviewers/confirm": people.confirm,
    "/reviewers/remove/options": people.remove_options,
    "/reviewers/remove": people.remove,
}


def app(
    backends: Backends,
    *,
    org_id: str,
    origin: str,
    operations: Mapping[str, Operation],
    is_alias: Callable[[str, Any], bool],
    clock: Callable[[], datetime],
    checkpoints: str | None = None,
    ask_on_call: AskOnCall | None = None,
) -> Starlette:
    """Return the console's application.

    Args:
        backends: Approvals, audit log and policies.
        org_id: The organisation whose requests are shown.
        origin: The origin at which browsers reach it; passkeys are bound to it.
        operations: The connector's table.
        is_alias: Returns True for a parameter value that is a second name of an object.
        clock: Returns the time, aware.
        checkpoints: The store of the log's checkpoints, whose age is shown.
        ask_on_call: Reads who is on call, for policies with on-call rules.

    Raises:
        ConfigError: browsers offer no passkeys at this origin, or the extra `console` is not installed.
    """
    try:
        import jinja2  # noqa: F401 - said here rather than at the first page
        import webauthn  # noqa: F401
        from starlette.applications import Starlette
        from starlette.routing import Route
    except ImportError:
        raise ConfigError(
            "The console needs an extra: pip install 'arx-pagerduty[console]'. Nothing was sent."
        ) from None
    console = Console(
        backends=backends,
        org_id=org_id,
        origin=origin,
        operations=operations,
        is_alias=is_alias,
        clock=clock,
        checkpoints=checkpoints,
        ask_on_call=ask_on_call,
    )
    routes = [Route(path, _handler(console, handler), methods=["GET"]) for path, handler in _READ.items()]
    routes += [Route(path, _handler(console, handler), methods=["POST"]) for path, handler in _CHANGE.items()]
    routes += [
        Route("/events", _handler(console, _events), methods=["GET"]),
        Route("/static/{version}.js", _handler(console, _script), methods=["GET"]),
        Route("/{rest:path}", _handler(console, _missing), methods=["GET", "POST"]),
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        verifying = asyncio.create_task(console.verify())
        try:
            yield
        finally:
            verifying.cancel()
            with suppress(asyncio.CancelledError, ArxError):
                await verifying
            await console.watcher.close()

    made = Starlette(routes=routes, lifespan=lifespan)
    made.state.console = console
    return made


def _handler(console: Console, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        response = await _handled(console, handler, request)
        for name, value in _headers(console).items():
            response.headers.setdefault(name, value)
        return response

    return handle


async def _handled(console: Console, handler: Handler, request: Request) -> Response:
    from starlette.responses import JSONResponse, RedirectResponse

    scripted = request.headers.get("content-type", "").startswith("application/json")
    try:
        host = request.client.host if request.client else "unknown"
        if not console.requests.allows(host):
            raise Problem(429, "Too many requests", "Wait a minute, and try again.")
        return await handler(console, request)
    except SignInNeeded:
        if scripted:
            return JSONResponse({"problem": "Your session has ended. Sign in again.", "go": "/sign-in"}, 401)
        if request.method != "GET":
            return page(console, "problem.html", None, title="Sign in first", text=_OVER, status=401)
        from urllib.parse import quote

        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(people.own_path(path))}", status_code=303)
    except Problem as problem:
        return _said(console, problem, scripted)
    except ArxError as error:
        log.error("A page of the console could not be made (%s).", type(error).__name__)
        return _said(console, Problem(503, "Not now", str(error)), scripted)
    except Exception as error:
        place = "".join(traceback.format_tb(error.__traceback__))  # without the error's text, which may hold anything
        log.error("The console has a fault (%s):\n%s", type(error).__name__, place)
        return _said(console, Problem(500, "A fault of the console", _FAULT), scripted)


def _said(console: Console, problem: Problem, scripted: bool) -> Response:
    from starlette.responses import JSONResponse

    if scripted:
        return JSONResponse({"problem": f"{problem.title}. {problem.text}"}, problem.status)
    return page(console, "problem.html", None, title=problem.title, text=problem.text, status=problem.status)


_FAULT = (
    "This page cannot be made. If you changed something, look at the request, the agents or the log before you repeat "
    "it. The console's own output names the place of the fault; please report it."
)
_OVER = "Your session has ended, or this browser has none. Nothing was changed."


def _headers(console: Console) -> dict[str, str]:
    policy = (
        f"default-src 'none'; script-src 'self'; style-src {assets.style_hash()}; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
    }
    if console.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


async def _events(console: Console, request: Request) -> Response:
    from starlette.responses import StreamingResponse

    await signed_in(console, request)
    return StreamingResponse(
        console.watcher.events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def _script(console: Console, request: Request) -> Response:
    from starlette.responses import Response

    if request.path_params["version"] != assets.script_version():
        raise Problem(404, "Not found", "There is no such page.")
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(assets.asset("console.js"), media_type="text/javascript", headers=kept)


async def _missing(console: Console, request: Request) -> Response:
    raise Problem(404, "Not found", "There is no such page.")
