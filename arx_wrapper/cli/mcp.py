"""`mcp`: the operations as tools for a model, over stdio or HTTP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arx_wrapper.cli.approvals.slack_server import until_stopped
from arx_wrapper.cli.output import warn
from arx_wrapper.cli.session import Session, extras

if TYPE_CHECKING:
    from arx_wrapper.mcp.server import ToolServer


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
    max_bytes: Annotated[int, typer.Option(min=1000, help="The most bytes of an answer that are handed on.")] = 60_000,
    output_schemas: Annotated[
        bool,
        typer.Option("--output-schemas", help="Publish schemas of the answers, which are then structured content."),
    ] = False,
) -> None:
    """Serve the operations as tools for a language model.

    Offers those that policy could permit this agent, by the Model Context Protocol. Over HTTP, callers show the token
    that ARX_MCP_TOKEN holds. TLS is for a proxy in front. Configuration is read from --config, ARX_CONFIG or the user's
    configuration folder, never from the working directory.
    """
    session: Session = context.obj
    session.ignore_working_folder()

    async def run(connector: Any) -> None:
        with extras():
            from arx_wrapper.mcp.server import ToolServer
            from arx_wrapper.mcp.tools import Tools

        tools = Tools(connector, cap=max_bytes, wait=wait, output_schemas=output_schemas)
        if reason := tools.why_none():  # a policy that does not load is told of here, not to the first client
            warn(f"No tool is offered to {connector.agent_id}: {reason}")
        server = ToolServer(tools)
        if http:
            await _serve_http(server, host, port, allow_host or [], allow_origin or [])
        else:
            from arx_wrapper.mcp.stdio import serve

            await serve(server)

    session.with_connector(run, approvals_mode="raise")


async def _serve_http(server: ToolServer, host: str, port: int, hosts: list[str], origins: list[str]) -> None:
    from arx_wrapper.mcp.http import TOKEN, HttpServer, listening, quiet_server

    with listening(host, port) as opened:
        token = os.environ.get(TOKEN, "").strip()
        application = HttpServer.on(opened, server, token=token, hosts=hosts, origins=origins)
        await until_stopped(
            quiet_server(application),
            opened,
            lambda: warn(f"Serving {application.address}"),
            stopping=application.close,
        )
