"""`mcp`: serve the operations as tools for a model, over stdio or HTTP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arx_wrapper.cli.http_server import listening, server_for, until_stopped
from arx_wrapper.cli.output import warn
from arx_wrapper.cli.session import Session, extras
from arx_wrapper.vault.env import KEY

if TYPE_CHECKING:
    from arx_wrapper.mcp.identity import Issuer
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
    issuer: Annotated[
        str | None,
        typer.Option(help="With --http: accept access tokens of this authorization server."),
    ] = None,
    audience: Annotated[
        str | None, typer.Option(help="With --issuer: this server's address, as tokens have it: https://…/mcp.")
    ] = None,
    agent_claim: Annotated[str, typer.Option(help="With --issuer: the claim that names the agent.")] = "sub",
    org_claim: Annotated[
        str | None, typer.Option(help="With --issuer: the claim that names the organisation; without it, --org.")
    ] = None,
    scope: Annotated[list[str] | None, typer.Option(help="With --issuer: a scope that tokens need.")] = None,
    wait: Annotated[
        float,
        typer.Option(min=0, max=3600, help="Seconds a call waits for a reviewer; wait_seconds in a call overrides it."),
    ] = 0.0,
    max_bytes: Annotated[int, typer.Option(min=1000, help="The most bytes of a result.")] = 60_000,
    output_schemas: Annotated[
        bool,
        typer.Option("--output-schemas", help="Publish schemas, and send structured content."),
    ] = False,
) -> None:
    """Serve the operations as tools for a language model.

    Offers those that policy can permit this agent, by the Model Context Protocol. Over HTTP, callers show the token
    that ARX_MCP_TOKEN holds, or tokens of --issuer, which name the agent. TLS is for a proxy in front. Configuration is
    read from --config, ARX_CONFIG or the user's configuration folder, never from the working directory.
    """
    session: Session = context.obj
    session.ignore_working_folder()
    options: dict[str, Any] = {"cap": max_bytes, "wait": wait, "output_schemas": output_schemas}
    if (issuer is None) is not (audience is None) or (issuer and not http):
        raise typer.BadParameter("--issuer and --audience go together, with --http")

    if session.config.vault_url == "env:" and not session.config.sandbox:
        _warn_of_key()

    async def run(connector: Any) -> None:
        with extras():
            from arx_wrapper.mcp.agent_tools import Agents
            from arx_wrapper.mcp.server import ToolServer
            from arx_wrapper.mcp.tools import Tools

        if issuer and audience:
            from arx_wrapper.mcp.identity import Issuer

            found = Issuer(
                url=issuer,
                audience=audience,
                agent_claim=agent_claim,
                org_claim=org_claim,
                org_id=connector.org_id,
                scopes=tuple(scope) if scope else (),
                proxy=connector.backends.config.proxy,
            )
            server = ToolServer(Agents(connector, **options))
            await _serve_http(server, host, port, allow_host or [], allow_origin or [], found)
            return
        tools = Tools(connector, **options)
        if reason := tools.why_none():  # a policy that does not load is told of here, not to the first client
            warn(f"No tool is offered to {connector.agent_id}: {reason}")
        if http:
            await _serve_http(ToolServer(tools), host, port, allow_host or [], allow_origin or [], None)
        else:
            from arx_wrapper.mcp.stdio import serve

            await serve(ToolServer(tools))

    session.with_connector(run, approvals_mode="raise")


def _warn_of_key() -> None:
    """Warn of a key in the environment that a client's configuration left empty, or did not fill in."""
    key = os.environ.get(KEY)
    if key is None:
        return
    if not key.strip():
        warn(f"{KEY} is empty: calls will be refused. Pass the key, or leave the variable out to use another vault.")
    elif key.strip().startswith("$"):
        warn(
            f"{KEY} is the name of a variable, which the client did not fill in: calls will fail. Pass the key itself."
        )


async def _serve_http(
    server: ToolServer, host: str, port: int, hosts: list[str], origins: list[str], issuer: Issuer | None
) -> None:
    from arx_wrapper.mcp.http import TOKEN, HttpServer

    with listening(host, port) as opened:
        token = os.environ.get(TOKEN, "").strip()
        application = HttpServer.on(opened, server, token=token, issuer=issuer, hosts=hosts, origins=origins)
        http = server_for(application)
        await until_stopped(http, opened, lambda: warn(f"Serving {application.address}"), stopping=application.close)
