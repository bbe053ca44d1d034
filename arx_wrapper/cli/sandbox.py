"""`sandbox`: serve a simulated PagerDuty on loopback, to try things on."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from arx_wrapper.cli.output import Format, Output, print_json, say
from arx_wrapper.cli.session import extras
from arx_wrapper.errors import ConfigError


def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 0,
    tls: Annotated[bool, typer.Option(help="HTTPS with a throw-away certificate.")] = False,
    state: Annotated[str | None, typer.Option(help="Keep the account in this file, as ARX_SANDBOX=FILE does.")] = None,
    seed_file: Annotated[str | None, typer.Option(help="Begin with the teams, people and incidents of a file.")] = None,
    webhook: Annotated[str | None, typer.Option(help="Send events to this http:// address on this machine.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Serve the sandbox on loopback until it is stopped.

    With --webhook, events of incidents are sent as PagerDuty's v3 webhooks, signed with ARX_SANDBOX_WEBHOOK_SECRET.
    """
    with extras():
        from arx_wrapper.sandbox import Sandbox
        from arx_wrapper.sandbox.clock import system_time
        from arx_wrapper.sandbox.server import main_loop
        from arx_wrapper.sandbox.webhooks import Webhooks

    try:
        secret = os.environ.get("ARX_SANDBOX_WEBHOOK_SECRET", "")
        hooks = Webhooks(url=webhook, secret=secret) if webhook else None
        served_account = Sandbox(clock=None if state else system_time, state=state, seed_file=seed_file, webhooks=hooks)
    except (OSError, ValueError) as error:
        hint = " (ARX_SANDBOX_WEBHOOK_SECRET)" if webhook else ""
        raise ConfigError(f"The sandbox cannot be set up{hint}: {_cause(error)}") from None

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
        main_loop(ready, port=port, tls=tls, sandbox=served_account)


def _cause(error: Exception) -> str:
    """Return an error's cause without its number, with the file where the system names it."""
    cause, file = getattr(error, "strerror", None), getattr(error, "filename", None)
    return f"{file}: {cause}" if file and cause else cause or str(error)
