"""`sandbox`: a PagerDuty to try things on, served on loopback."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from arx_wrapper.cli.output import Format, Output, print_json, say
from arx_wrapper.cli.session import extras


def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 0,
    tls: Annotated[bool, typer.Option(help="HTTPS with a throw-away certificate.")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Serve the sandbox on loopback until it is stopped."""
    with extras():
        from arx_wrapper.sandbox.server import main_loop

    def ready(served: Any, account: Any) -> None:
        found = {
            "url": served.url,
            "token": account.token,
            "email": account.email,
            "ca_file": str(served.ca_file) if served.ca_file else None,
        }
        if output is Output.JSON:
            print_json(found)
            return
        say(f"address   {served.url}")
        say(f"token     {account.token}")
        say(f"email     {account.email}")
        if served.ca_file:
            say(f"CA file   {served.ca_file}")
        say("Stop it with Ctrl-C.")

    with extras():
        main_loop(ready, port=port, tls=tls)
