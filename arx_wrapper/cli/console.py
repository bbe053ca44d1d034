"""`console`: serve the pages on which reviewers decide."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Annotated, Any

import typer

from arx_wrapper.cli.http_server import listening, server_for, until_stopped
from arx_wrapper.cli.output import Format, Output, print_json, say
from arx_wrapper.cli.session import Session, extras
from arx_wrapper.core.reviewer_checks import AskOnCall
from arx_wrapper.errors import ConfigError

DEFAULT_PORT = 8788


def console(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = DEFAULT_PORT,
    origin: Annotated[
        str | None, typer.Option(help="The origin at which browsers reach it; needed unless on this machine only.")
    ] = None,
    checkpoints: Annotated[str | None, typer.Option(help="The log's checkpoints, to show their age.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Serve the pages on which reviewers decide.

    Reviewers sign in with a passkey and sign each decision with it. Invite the first with `reviewers invite`. For other
    machines put a proxy with TLS in front. The console reads no arx.toml in the working directory.
    """
    session: Session = context.obj
    session.ignore_working_folder()
    wanted = origin or session.config.console_origin
    if wanted is None and not _loopback(host):
        raise ConfigError(
            f"--host {host} serves other machines, and passkeys are bound to an origin. Name it with --origin "
            "(console.origin), for example https://approvals.example.com. Nothing is served."
        )

    async def run(backends: Any) -> None:
        with listening(host, port) as opened:
            found = wanted or f"http://localhost:{opened.getsockname()[1]}"
            await backends.audit.open()
            async with session.connector_over(backends) as connector:
                application = make_app(backends, session.config.org_id, found, checkpoints, connector.who_is_on_call)
                await serve(application, opened, lambda: _ready(found, output), proxied=wanted is not None)

    with extras():
        session.with_backends(run)


def make_app(
    backends: Any, org_id: str, origin: str, checkpoints: str | None = None, ask_on_call: AskOnCall | None = None
) -> Any:
    """Return the console's application for PagerDuty's operations."""
    from arx_wrapper.console.app import app
    from arx_wrapper.pagerduty.connector import PagerDutyConnector
    from arx_wrapper.pagerduty.operations import TABLE

    return app(
        backends,
        org_id=org_id,
        origin=origin,
        operations=TABLE,
        is_alias=PagerDutyConnector.is_alias,
        clock=backends.clock,
        checkpoints=checkpoints,
        ask_on_call=ask_on_call,
    )


async def serve(application: Any, opened: Any, ready: Any, *, proxied: bool) -> None:
    """Serve until SIGINT or SIGTERM; live connections end at once."""
    closing: set[asyncio.Task[None]] = set()

    def stopping() -> None:
        closing.add(asyncio.ensure_future(application.state.console.watcher.close()))

    await until_stopped(server_for(application, grace=2, proxied=proxied), opened, ready, stopping)


def _ready(origin: str, output: Output) -> None:
    if output is Output.JSON:
        print_json({"url": origin})
    else:
        say(f"The console is at {origin}. Stop it with Ctrl-C.")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
