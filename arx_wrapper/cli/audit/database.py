"""`audit migrate|admit|dismiss`: what a PostgreSQL log's owner does, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from arx_wrapper.cli.output import say
from arx_wrapper.cli.session import Session, extras

if TYPE_CHECKING:
    from arx_wrapper.audit.storage.postgres_connection import Link

Role = Annotated[str, typer.Argument(help="A role of the database, which may be a group.")]
_WITHIN = 30.0


class Duty(StrEnum):
    """What a role does with the log."""

    AUDITOR = "auditor"
    CONNECTOR = "connector"
    OPERATOR = "operator"


def migrate(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--print", help="Print the SQL of a new log instead, for psql -1.")] = False,
) -> None:
    """Make or upgrade the log's tables in PostgreSQL.

    Connects as their owner. Needed only where connectors log in as roles that may not make tables themselves,
    which is how it should be.
    """
    from arx_wrapper.audit.storage import migrations

    if show:
        for part in migrations.script():
            say(part)
        return
    with _owner(context) as link:
        found = migrations.migrate(link)
    newest = max(migrations.versions())
    say(f"the tables have version {newest}" + (f", before it was {found}" if found < newest else ""))


def admit(
    context: typer.Context,
    role: Role,
    org: Annotated[str, typer.Option("--org", help="Whose records; '*' stands for all organisations.")],
    duty: Annotated[
        Duty,
        typer.Option("--as", help="connector reads and adds; operator also suspends agents; auditor only reads."),
    ] = Duty.CONNECTOR,
) -> None:
    """Admit a role to the records of an organisation. No role is given the right to change or remove any."""
    with _owner(context) as link:
        link.execute("SELECT arx_audit.admit(%s, %s, %s)", (role, org, duty.value))
    say(f"{role} is {duty.value} of {'all organisations' if org == '*' else org}")


def dismiss(context: typer.Context, role: Role) -> None:
    """Revoke a role's access to the audit log."""
    with _owner(context) as link:
        link.execute("SELECT arx_audit.dismiss(%s)", (role,))
    say(f"{role} has no right to the log any more")


@contextmanager
def _owner(context: typer.Context) -> Iterator[Link]:
    session: Session = context.obj
    url = session.config.audit_url
    if not url.startswith(("postgresql://", "postgres://")):
        raise typer.BadParameter("ARX_AUDIT_URL names no log in PostgreSQL; others need no set-up")
    with extras():
        from arx_wrapper.audit.storage.postgres_connection import connect, explained, parameters
    with explained("set up"), connect(parameters(url), timeout=_WITHIN) as link:
        yield link
