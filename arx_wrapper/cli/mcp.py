"""`mcp`: the operations as tools for a model, over stdio or HTTP."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arx_wrapper.cli.approvals.slack_server import listening, quiet_server, until_stopped
from arx_wrapper.cli.output import warn
from arx_wrapper.cli.session import Session, extras

if TYPE_CHECKING:
    import socket

    from arx_wrapper.mcp.server import ToolServer

_GRACE = 5


def mcp(
    context: typer.Context,
    http: Annotated[bool, typer.Option("--http", help="Streamable HTTP at /mcp, rather than stdio.")] = False,
    host: Annotated[str, typer.Option(help="With --http: the address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --http: 0 for any free one.")] = 0,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="With --http: a further Host header to answer, e.g. mcp.example.com.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="With --http: an Origin header to answer, e.g. https://chat.example.com.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds a call waits for a reviewer, unless it says itself.")
    ] = 0.0,
    max_bytes: Annotated[int, typer.Option(min=1000, help="The most bytes of an answer that are handed on.")] = 100_000,
) -> None:
    """Serve the operations as MCP tools: those that policy could permit this agent.

    Over HTTP, callers show the token that ARX_MCP_TOKEN holds. TLS is for a proxy in front.
    """
    session: Session = context.obj

    async def run(connector: Any) -> None:
        with extras():
            from arx_wrapper.mcp.server import ToolServer
            from arx_wrapper.mcp.tools import Tools

        tools = Tools(connector, cap=max_bytes, wait=wait)
        tools.verdicts()  # a policy that does not load is told of here, not to the first client
        server = ToolServer(tools)
        if http:
            await _serve_http(server, host, port, allow_host or [], allow_origin or [])
        else:
            from arx_wrapper.mcp.stdio import serve

            await serve(server)

    session.with_connector(run, approvals_mode="raise")


async def _serve_http(server: ToolServer, host: str, port: int, hosts: list[str], origins: list[str]) -> None:
    import uvicorn

    from arx_wrapper.mcp.http import PATH, TOKEN, HttpServer

    with listening(host, port) as opened:
        names = _names(opened)
        application = HttpServer(
            server,
            token=os.environ.get(TOKEN, "").strip(),
            hosts=[*names, *hosts],
            origins=[*(f"http://{name}" for name in names), *origins],
        )
        config = uvicorn.Config(
            application,
            lifespan="on",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
        address = f"http://{names[0]}{PATH}"
        await until_stopped(
            quiet_server(config), opened, lambda: warn(f"Serving {address}"), stopping=application.close
        )


def _names(opened: socket.socket) -> list[str]:
    """What a client may call the address that is listened on; nothing for one that stands for all of a machine's."""
    host, port = opened.getsockname()[:2]
    address = ipaddress.ip_address(host)
    shown = f"[{host}]:{port}" if address.version == 6 else f"{host}:{port}"
    return [shown, f"localhost:{port}"] if address.is_loopback else [shown]
