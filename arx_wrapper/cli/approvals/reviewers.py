"""`reviewers invite|list|confirm|remove`: manage the reviewers whose passkeys count."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arx_wrapper.cli.output import Format, Output, print_json, print_table, say
from arx_wrapper.cli.session import Session, extras
from arx_wrapper.errors import ApprovalError, ConfigError

if TYPE_CHECKING:
    from arx_wrapper.approvals import Enrolments, Reviewers

app = typer.Typer(no_args_is_help=True, help="Reviewers: invite, confirm, remove.")

DEFAULT_ORIGIN = "http://localhost:8788"
Name = Annotated[str, typer.Argument(metavar="NAME", help="The reviewer's name, as records will show it.")]
Key = Annotated[
    Path | None,
    typer.Option(envvar="ARX_REVIEWER_KEY", help="Your own private key's file, whose public half is in arx.toml."),
]


@app.command()
def invite(
    context: typer.Context,
    name: Name,
    user: Annotated[
        str | None, typer.Option(help="Their user id in PagerDuty, for rules that ask who is on call.")
    ] = None,
    origin: Annotated[str | None, typer.Option(help="The console's address; default console.origin.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Print a link at which somebody registers a passkey. It works once, for ten minutes.

    Another reviewer confirms them afterwards, on the page or with `reviewers confirm`. The first reviewer needs no
    confirmation.
    """
    from arx_wrapper.approvals.passkeys import rp_id_of
    from arx_wrapper.core.enrolment_records import invite as make

    session: Session = context.obj
    base = origin or session.config.console_origin or DEFAULT_ORIGIN
    rp_id_of(base)

    async def run(backends: Any) -> tuple[str, bool]:
        enrolments = await _enrolments(session, backends)
        return await make(backends.audit, enrolments, name, by=_user(), user=user), enrolments.first

    token, first = session.with_backends(run)
    link = f"{base}/enrol/{token}"
    if output is Output.JSON:
        print_json({"reviewer": name, "link": link, "seconds": 600, "first": first})
        return
    say(f"{link}\n")
    say(f"Give this to {name}, and to nobody else. It works once, for ten minutes; `arx-pagerduty console` serves it.")
    say("They become the first reviewer." if first else "Another reviewer has to confirm them afterwards.")


@app.command("list")
def list_(context: typer.Context, output: Format = Output.TABLE) -> None:
    """List the reviewers, and who waits for a confirmation.

    With --output json the list has the public keys, for `approvals verify --reviewers FILE`.
    """
    session: Session = context.obj

    async def run(backends: Any) -> Enrolments:
        return await _enrolments(session, backends)

    enrolments = session.with_backends(run)
    rows = plain(enrolments)
    if output is Output.JSON:
        print_json(rows)
        return
    columns = ("reviewer", "state", "kind", "user", "since", "confirmed_by")
    print_table(columns, ([row.get(column) or "-" for column in columns] for row in rows))
    if not enrolments.reviewers:
        say("\nNobody can approve yet: `arx-pagerduty reviewers invite NAME`.")


@app.command()
def confirm(context: typer.Context, name: Name, key: Key = None, output: Format = Output.TABLE) -> None:
    """Confirm a reviewer who has registered, with your own key.

    With a passkey, confirm them on the page "Reviewers" instead.
    """
    from arx_wrapper.approvals.enrolment_rules import enrolment_statement
    from arx_wrapper.core.enrolment_records import confirm as record

    session: Session = context.obj

    async def run(backends: Any) -> None:
        enrolments = await _enrolments(session, backends)
        candidate = next((each for each in enrolments.candidates.values() if each.reviewer == name), None)
        if candidate is None:
            raise ApprovalError(f"Nobody called {name!a} waits for a confirmation. Nothing was changed.")
        by, at, sign = _signer(session, key)
        proof = sign(enrolment_statement(session.config.org_id, candidate, by=by, at=at))
        await record(backends.audit, enrolments, candidate, by=by, at=at, proof=proof)

    session.with_backends(run)
    _done(output, name, "enrolled")


@app.command()
def remove(context: typer.Context, name: Name, key: Key = None, output: Format = Output.TABLE) -> None:
    """Remove a reviewer, with your own key.

    Decisions of theirs that no call has used yet stop counting. With a passkey, remove them on the page "Reviewers"
    instead. You cannot remove yourself.
    """
    from arx_wrapper.approvals.enrolment_rules import removal_statement
    from arx_wrapper.core.enrolment_records import remove as record

    session: Session = context.obj

    async def run(backends: Any) -> None:
        enrolments = await _enrolments(session, backends)
        by, at, sign = _signer(session, key)
        found = enrolments.reviewers.enrolled.get(name)
        proof = sign(removal_statement(session.config.org_id, found, by=by, at=at)) if found else ""
        await record(backends.audit, enrolments, name, by=by, at=at, proof=proof)

    session.with_backends(run)
    _done(output, name, "removed")


def plain(enrolments: Enrolments) -> list[dict[str, Any]]:
    """Return reviewers and candidates as JSON: what `approvals verify --reviewers` reads."""
    known = enrolments.reviewers
    rows: list[dict[str, Any]] = [
        {"reviewer": name, "state": "configured", "kind": "ed25519", "public_key": key}
        for name, key in known.keys.items()
    ]
    for each in known.enrolled.values():
        rows += [
            {
                "reviewer": each.name,
                "state": "enrolled",
                "kind": "passkey",
                "public_key": passkey.public_key,
                "credential_id": passkey.credential_id,
                "rp_id": passkey.rp_id,
                "origin": passkey.origin,
                "user": each.user,
                "since": each.since,
                "confirmed_by": each.confirmed_by,
            }
            for passkey in each.passkeys
        ]
    rows += [
        {"reviewer": each.reviewer, "state": "waits for confirmation", "kind": "passkey", "since": each.since}
        for each in enrolments.candidates.values()
    ]
    return rows


def read(rows: list[dict[str, Any]]) -> Reviewers:
    """Return the reviewers that `plain()` listed.

    Raises:
        ConfigError: it is another list.
    """
    from arx_wrapper.approvals import Enrolled, Passkey, Reviewers

    try:
        keys = {row["reviewer"]: row["public_key"] for row in rows if row["state"] == "configured"}
        passkeys: dict[str, list[Passkey]] = {}
        for row in rows:
            if row["state"] == "enrolled":
                members = {name: str(row[name]) for name in ("credential_id", "public_key", "rp_id", "origin")}
                passkeys.setdefault(row["reviewer"], []).append(Passkey(**members))
    except (KeyError, TypeError):
        raise ConfigError(
            "This is no list of reviewers as `arx-pagerduty reviewers list --output json` prints it."
        ) from None
    return Reviewers(keys, [Enrolled(name=name, passkeys=tuple(found)) for name, found in passkeys.items()])


async def _enrolments(session: Session, backends: Any) -> Enrolments:
    from arx_wrapper.core.enrolment_records import enrolments_of

    await backends.audit.open()
    return await enrolments_of(backends.audit, session.config.org_id, backends.approvals.reviewers)


def _signer(session: Session, file: Path | None) -> tuple[str, str, Any]:
    """Return the reviewer whose key it is, the time, and what signs a statement."""
    import base64
    from datetime import UTC, datetime

    from arx_wrapper.cli.approvals import signing

    found = file or signing.default_file()
    with extras():
        key = signing.load_key(found)
    by = signing.owner_of(key, session.config.reviewers or {}, None, found)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return by, at, lambda statement: base64.b64encode(key.sign(statement)).decode()


def _done(output: Output, name: str, state: str) -> None:
    if output is Output.JSON:
        print_json({"reviewer": name, "state": state})
    else:
        say(f"{name}: {state}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
