"""`incidents alerts|log|notes`: list what belongs to an incident."""

from __future__ import annotations

from typing import Any

import typer

from arx_wrapper.cli.execution import Options, Params, Prepare, perform
from arx_wrapper.cli.names import incident_id
from arx_wrapper.cli.output import Format, Output
from arx_wrapper.cli.response_output import split
from arx_wrapper.cli.verbs.options import Everything, Fields, IncidentId


def alerts(
    context: typer.Context,
    incident: IncidentId,
    everything: Everything = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """List the alerts of an incident."""
    options = Options(output=output, fields=split(fields), everything=everything)
    perform(context.obj, "incidents:read_alerts", _of(incident), options)


def log(
    context: typer.Context,
    incident: IncidentId,
    everything: Everything = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """List what happened to an incident, newest first."""
    options = Options(output=output, fields=split(fields), everything=everything)
    perform(context.obj, "incidents:read_log", _of(incident), options)


def notes(context: typer.Context, incident: IncidentId, fields: Fields = None, output: Format = Output.TABLE) -> None:
    """List the notes of an incident."""
    perform(context.obj, "incidents:read_notes", _of(incident), Options(output=output, fields=split(fields)))


def _of(incident: str) -> Prepare:
    async def prepare(pd: Any) -> list[Params]:
        return [{"incident_id": await incident_id(pd, incident)}]

    return prepare
