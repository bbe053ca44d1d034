"""`doctor`: run the checks of this set-up, and print each finding with its remedy."""

from __future__ import annotations

from typing import Any

import typer

from arx_wrapper.cli.output import Format, Output, print_json, print_table, say
from arx_wrapper.cli.session import Session
from arx_wrapper.errors import ConfigError
from arx_wrapper.urls import without_password


def doctor(context: typer.Context, output: Format = Output.TABLE) -> None:
    """Find out what is wrong with this set-up, and what to do.

    Checks configuration, policy, audit log, approvals, vault, server, clock, key and requester.
    Sends one request without credentials, and one-record reads that policy permits, on record like any other; changes
    nothing. Exit status 1 when something is wrong.
    """
    session: Session = context.obj
    findings = _findings(session)
    wrong = [finding.check for finding in findings if finding.state == "wrong"]
    if output is Output.JSON:
        rows = [{"check": f.check, "state": f.state, "found": f.found, "remedy": f.remedy} for f in findings]
        print_json({"ok": not wrong, "checks": rows})
    else:
        table: list[tuple[str, str, str]] = []
        for finding in findings:
            table.append((finding.check, finding.state, finding.found))
            if finding.remedy:
                table.append(("", "", f"-> {finding.remedy}"))
        print_table(("check", "state", "found"), table)
        say(f"\nWrong: {', '.join(wrong)}." if wrong else "\nNothing is wrong.")
    raise typer.Exit(1 if wrong else 0)


def _findings(session: Session) -> list[Any]:
    from arx_wrapper.cli.doctor.checks import examine
    from arx_wrapper.cli.doctor.finding import Finding

    try:
        config = session.config
    except ConfigError as error:
        remedy = "Correct the file or variable that is named; docs/settings.md lists all settings."
        return [Finding(check="configuration", state="wrong", found=str(error), remedy=remedy)]
    server = "sandbox" if config.sandbox else without_password(config.base_url)
    found = f"agent {config.agent_id} of {config.org_id}, {server}, settings from {config.file or 'the environment'}"
    return [Finding(check="configuration", state="ok", found=found), *session.with_connector(examine)]
