"""A web service whose requests share one connector.

    ARX_SANDBOX=1 ARX_POLICY=policy.yaml python examples/service.py 8000

One connector serves all tasks: they share its connections, its rate limit and its audit log. SIGTERM lets the requests
under way finish, then closes the connector, which writes out the audit log.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from attrs import evolve
from logs import configure
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from arx_wrapper import Config, PagerDutyConnector, errors

log = logging.getLogger("service")

# What the callers of this service are told, by the first class that fits.
STATUSES: tuple[tuple[type[errors.ArxError], int], ...] = (
    (errors.ApprovalPendingError, 202),
    (errors.ApprovalError, 409),
    (errors.PermissionDeniedError, 403),
    (errors.InvalidParamsError, 422),
    (errors.NotFoundError, 404),
    (errors.RateLimitError, 503),
    (errors.PagerDutyError, 502),
    (errors.ArxError, 500),
)


async def board(request: Request) -> Response:
    """Return the open incidents and who is on call, read at the same time."""
    pd: PagerDutyConnector = request.app.state.pd
    incidents, on_call = await asyncio.gather(
        pd.list_incidents(statuses=["triggered", "acknowledged"], limit=100),
        pd.get_oncall_users(earliest=True, limit=100),
    )
    people = sorted({entry.user.summary for entry in on_call if entry.user and entry.user.summary})
    return JSONResponse({"incidents": [{"id": i.id, "title": i.title} for i in incidents], "on_call": people})


async def acknowledge(request: Request) -> Response:
    pd: PagerDutyConnector = request.app.state.pd
    incident = await pd.acknowledge_incident(request.path_params["incident_id"])
    return JSONResponse({"id": incident.id, "status": incident.status})


async def delete_service(request: Request) -> Response:
    """HIGH: answered with 202 and an approval's id, to be called again with `?approval_id=` once it is approved."""
    pd: PagerDutyConnector = request.app.state.pd
    params = {"service_id": request.path_params["service_id"]}
    await pd.execute("services:delete", params, approval_id=request.query_params.get("approval_id"))
    return Response(status_code=204)


async def explain(_: Request, error: Exception) -> Response:
    """An error as the caller may see it: its messages hold no secrets."""
    assert isinstance(error, errors.ArxError)  # noqa: S101 - what it is registered for
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    return JSONResponse(
        {"error": type(error).__name__, "message": str(error), "approval_id": getattr(error, "approval_id", None)},
        status_code=status,
    )


async def logged(request: Request, answer: RequestResponseEndpoint) -> Response:
    began = time.monotonic()
    response = await answer(request)
    fields = {"method": request.method, "path": request.url.path, "status": response.status_code}
    log.info("answered", extra={"fields": fields | {"ms": round((time.monotonic() - began) * 1000, 1)}})
    return response


def make_app(pd: PagerDutyConnector) -> Starlette:
    """The service. It closes the connector when it stops."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.pd = pd
        async with pd:
            yield
        log.info("closed")

    app = Starlette(
        routes=[
            Route("/board", board),
            Route("/incidents/{incident_id}/acknowledge", acknowledge, methods=["POST"]),
            Route("/services/{service_id}", delete_service, methods=["DELETE"]),
        ],
        exception_handlers={errors.ArxError: explain},
        lifespan=lifespan,
    )
    app.add_middleware(BaseHTTPMiddleware, dispatch=logged)
    return app


def main(port: int) -> None:
    configure()
    # A request must not hang until a person has decided: it is answered, and repeated with the approval's id.
    config = evolve(Config.load(), approvals_mode="raise")
    app = make_app(PagerDutyConnector(config.agent_id, config.org_id, config=config))
    with socket.create_server(("127.0.0.1", port)) as listening:
        log.info("serving", extra={"fields": {"port": listening.getsockname()[1]}})
        settings = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=30)
        uvicorn.Server(settings).run(sockets=[listening])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
