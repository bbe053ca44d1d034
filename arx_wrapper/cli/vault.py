"""`vault set|status|rotate`: keep API keys in the vault."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from arx_wrapper.cli.output import Format, Output, print_json, say
from arx_wrapper.cli.prompts import ask
from arx_wrapper.cli.session import Session, extras
from arx_wrapper.errors import ConfigError
from arx_wrapper.files import LARGEST

NEW_KEY = "ARX_VAULT_NEW_KEY"
VARIABLES = """\b
ARX_VAULT_URL names where credentials come from:

\b
env:                    PAGERDUTY_API_KEY, PAGERDUTY_REQUESTER_EMAIL

\b
oauth:                  a scoped app; PAGERDUTY_OAUTH_CLIENT_ID,
                        PAGERDUTY_OAUTH_CLIENT_SECRET, PAGERDUTY_OAUTH_URL,
                        PAGERDUTY_OAUTH_SCOPE (as_account-us.acme ...)

\b
file:///path            an encrypted file, its key in ARX_VAULT_KEY
                        (32 bytes as base64)

\b
hashicorp://mount/path  KV v2, {org_id} in the path for the organisation;
                        VAULT_ADDR, VAULT_NAMESPACE, VAULT_CACERT and
                        VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID
                        (VAULT_APPROLE_MOUNT), or VAULT_K8S_ROLE
                        (VAULT_K8S_MOUNT, VAULT_K8S_TOKEN_FILE)
"""

app = typer.Typer(no_args_is_help=True, help=f"Credentials: store, check, re-encrypt.\n\n{VARIABLES}")


@app.command("set")
def set_(
    context: typer.Context,
    email: Annotated[str | None, typer.Option(help="The requester of writes: a PagerDuty user.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Store an API key in the vault that ARX_VAULT_URL names.

    Asks for the key on a terminal, or reads it from stdin. It is for the organisation that --org names, or for all
    that have none of their own.
    """
    session: Session = context.obj
    _require(session, "set", ("file:", "hashicorp:"))
    key = ask("API key", hidden=True) if _terminal() else _line()
    # An organisation that only the configuration names is no reason to keep the key from the others.
    org = session.org or (session.config.org_id if "{org_id}" in session.config.vault_url else "*")

    async def run(vault: Any) -> None:
        await vault.set(key, email, org_id=org)

    _with_vault(session, run)
    stored = {"vault": session.config.vault_url, "org_id": org, "requester_email": email}
    if output is Output.JSON:
        print_json(stored)
    else:
        say("Stored." if email else "Stored, without a requester: writes will need one with each call (--email).")


@app.command()
def status(context: typer.Context, output: Format = Output.TABLE) -> None:
    """Show where the credentials come from, but no secret."""
    session: Session = context.obj

    async def run(vault: Any) -> dict[str, Any]:
        where = await vault.locate(session.config.org_id)
        credentials = await vault.read(session.config.org_id)
        found = {
            "source": where,
            "account": credentials.fingerprint[:16],
            "requester_email": credentials.requester_email,
            "scheme": credentials.scheme,
        }
        if hasattr(vault, "status"):
            file = await vault.status()
            found |= {"orgs": list(file.orgs), "key_id": file.key_id, "key_source": file.key_source}
        return found

    # The sandbox's key is its account's, whichever vault is configured.
    found = (
        session.with_connector(lambda pd: run(pd.backends.vault))
        if session.config.sandbox
        else _with_vault(session, run)
    )
    if output is Output.JSON:
        print_json(found)
        return
    requester = found["requester_email"] or "none: writes need one with each call"
    say(f"{found['source']}: a usable key (account {found['account']}), requester {requester}")
    if "key_id" in found:
        say(f"encrypted with key {found['key_id']} from {found['key_source']}, for {', '.join(found['orgs'])}")


@app.command()
def rotate(context: typer.Context, output: Format = Output.TABLE) -> None:
    """Re-encrypt a vault file with a new key.

    The new key is the one in ARX_VAULT_NEW_KEY; `head -c 32 /dev/urandom | base64` makes one. To replace the API key
    itself, in whatever vault, use `vault set`: running connectors take it up at PagerDuty's next 401.
    """
    session: Session = context.obj
    _require(session, "rotate", ("file:",))
    if not os.environ.get(NEW_KEY):
        raise ConfigError(
            f"{NEW_KEY} is not set. Nothing was changed. Set it to the new key: `head -c 32 /dev/urandom | base64`."
        )

    async def run(vault: Any) -> Any:
        return await vault.rotate(os.environ[NEW_KEY])

    found = _with_vault(session, run)
    if output is Output.JSON:
        print_json({"path": str(found.path), "orgs": list(found.orgs), "key_id": found.key_id})
        return
    say(f"{found.path}: re-encrypted, with key {found.key_id}, for {', '.join(found.orgs)}")
    say(f"Set ARX_VAULT_KEY to what {NEW_KEY} holds, wherever you read the vault. The old key no longer opens it.")


def _require(session: Session, what: str, kinds: tuple[str, ...]) -> None:
    """Say what to do instead where a vault cannot be changed from here."""
    url = session.config.vault_url
    if url.startswith(kinds):
        return
    instead = {
        "env:": "Change PAGERDUTY_API_KEY where this process's environment is set",
        "oauth:": "Change PAGERDUTY_OAUTH_CLIENT_SECRET where this process's environment is set",
        "hashicorp:": "Vault encrypts by itself; a new API key is stored with `arx-pagerduty vault set`",
    }
    hint = next((text for kind, text in instead.items() if url.startswith(kind)), "Set ARX_VAULT_URL")
    raise ConfigError(f"vault {what}: not with {url}. {hint}, or keep the key in a file: ARX_VAULT_URL=file:///path.")


def _with_vault(session: Session, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run(backends: Any) -> Any:
        return await work(backends.vault)

    with extras():
        return session.with_backends(run)


def _line() -> str:
    return typer.get_text_stream("stdin").readline(LARGEST).strip()


def _terminal() -> bool:
    return bool(typer.get_text_stream("stdin").isatty())
