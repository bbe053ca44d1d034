"""`audit migrate|grant|revoke`: create a PostgreSQL log's tables, and grant roles access to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from arx_wrapper.cli.output import say, warn
from arx_wrapper.cli.session import Session, extras
from arx_wrapper.urls import is_postgres

if TYPE_CHECKING:
    from arx_wrapper.audit.storage.postgres_connection import Link

Role = Annotated[str, typer.Argument(help="A role of the database, which may be a group.")]
_WITHIN = 30.0


class Duty(StrEnum):
    """The rights of a role: to read, to add records as well, or to suspend agents too."""

    AUDITOR = "auditor"
    CONNECTOR = "connector"
    OPERATOR = "operator"


Org = Annotated[str, typer.Option("--org", help="Whose records; '*' stands for all organisations.")]
As = Annotated[
    Duty, typer.Option("--as", help="connector reads and adds; operator also suspends agents; auditor only reads.")
]


def migrate(session: Session, *, show: bool) -> None:
    """Make or upgrade the tables, or print their SQL."""
    from arx_wrapper.audit.storage import migrations

    if show:
        for part in migrations.script():
            say(part)
        if _approvals(session) == session.config.audit_url:
            from arx_wrapper.approvals.sql import ACCESS, SCHEMA

            say(SCHEMA + ACCESS)
        return
    with _owner(session) as link:
        found = migrations.migrate(link)
    if url := _approvals(session):
        from arx_wrapper.approvals import postgres

        postgres.make(url, within=_WITHIN)
    newest = max(migrations.versions())
    say(f"the tables have version {newest}" + (f", before it was {found}" if found < newest else ""))


def grant(context: typer.Context, role: Role, org: Org, duty: As = Duty.CONNECTOR) -> None:
    """Give a role access to an organisation's records.

    Where PostgreSQL holds the approvals, the role gets access to those as well. No role gets the right to change or
    remove a record.
    """
    with _owner(context.obj) as link:
        link.execute("SELECT arx_audit.admit(%s, %s, %s)", (role, org, duty.value))
    if url := _approvals(context.obj):
        from arx_wrapper.approvals import postgres

        postgres.grant(url, role, org, reads_only=duty is Duty.AUDITOR, within=_WITHIN)
    say(f"{role} is {duty.value} of {'all organisations' if org == '*' else org}")


def revoke(context: typer.Context, role: Role) -> None:
    """Revoke a role's access to the audit log and the approvals."""
    with _owner(context.obj) as link:
        link.execute("SELECT arx_audit.dismiss(%s)", (role,))
    if url := _approvals(context.obj):
        from arx_wrapper.approvals import postgres

        postgres.revoke(url, role, within=_WITHIN)
    say(f"{role} has no access to the log any more")


def admit(context: typer.Context, role: Role, org: Org, duty: As = Duty.CONNECTOR) -> None:
    """Give a role access: the former name of `audit grant`."""
    warn("`audit admit` is called `audit grant` now; the old name goes with the next release.")
    grant(context, role, org, duty)


def dismiss(context: typer.Context, role: Role) -> None:
    """Revoke a role's access: the former name of `audit revoke`."""
    warn("`audit dismiss` is called `audit revoke` now; the old name goes with the next release.")
    revoke(context, role)


def _approvals(session: Session) -> str | None:
    """Return the address of the approvals; None when they are not in PostgreSQL."""
    url = session.config.approvals_url
    return url if is_postgres(url) else None


@contextmanager
def _owner(session: Session) -> Iterator[Link]:
    url = session.config.audit_url
    if not is_postgres(url):
        raise typer.BadParameter("ARX_AUDIT_URL does not name a log in PostgreSQL, and only such a log has roles")
    with extras():
        from arx_wrapper.audit.storage.postgres_connection import connect, explained, parameters
    with explained("set up"), connect(parameters(url), timeout=_WITHIN) as link:
        yield link
