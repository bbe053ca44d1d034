"""`vault set|status`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from arx_wrapper.cli.output import Format, Output, print_json, say
from arx_wrapper.cli.session import Session, extras
from arx_wrapper.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Credentials.")


@app.command("set")
def set_(
    context: typer.Context,
    email: Annotated[str | None, typer.Option(help="The requester of writes.")] = None,
) -> None:
    """Store an API key in the encrypted file that ARX_VAULT_URL=file:///path names.

    Asks for the key on a terminal, or reads it from stdin.
    """
    session: Session = context.obj
    store = _file_vault(session)
    key = typer.prompt("API key", hide_input=True) if _terminal() else typer.get_text_stream("stdin").readline().strip()
    asyncio.run(store.set(key, email))
    say("Stored.")


@app.command()
def status(context: typer.Context, output: Format = Output.TABLE) -> None:
    """Say where the credentials come from and whether they are usable. Shows no secret."""
    session: Session = context.obj

    async def run(rooms: Any) -> dict[str, Any]:
        where = await rooms.vault.locate(session.config.org_id)
        credentials = await rooms.vault.read(session.config.org_id)
        return {
            "source": where,
            "account": credentials.fingerprint[:16],
            "requester_email": credentials.requester_email,
        }

    with extras():
        found = session.with_rooms(run)
    if output is Output.JSON:
        print_json(found)
    else:
        requester = found["requester_email"] or "none: writes need one with each call"
        say(f"{found['source']}: a usable key (account {found['account']}), requester {requester}")


def _file_vault(session: Session) -> Any:
    url = session.config.vault_url
    if not url.startswith("file:"):
        raise ConfigError(f"The vault is {url}, which is not set from here. Set ARX_VAULT_URL=file:///path.")
    with extras():
        from arx_wrapper import vault

        return vault.open(url)


def _terminal() -> bool:
    return bool(typer.get_text_stream("stdin").isatty())
