"""Parameters from the command line: `statuses=triggered,acknowledged limit=5`, each read as its type wants it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import typer

from arx_wrapper.config import Config
from arx_wrapper.model import Call, Effect, Operation
from arx_wrapper.params import NULL, ParamModel


def parse(model: ParamModel, pairs: Sequence[str], document: str | None) -> dict[str, Any]:
    """The parameters of `key=value` arguments on top of those of a JSON object.

    Raises:
        typer.BadParameter: an argument is not `key=value`, or the document is not a JSON object.
    """
    params: dict[str, Any] = {}
    if document is not None:
        try:
            loaded = json.loads(document)
        except ValueError as error:
            raise typer.BadParameter(f"--json is not JSON: {error}") from None
        if not isinstance(loaded, dict):
            raise typer.BadParameter("--json must be an object of parameters")
        params.update({name: NULL if value is None else value for name, value in loaded.items()})
    given: dict[str, list[str]] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise typer.BadParameter(f"{pair!r} is not key=value; parameters are {', '.join(model.names)}")
        given.setdefault(name, []).append(value)
    for name, values in given.items():
        params[name] = _read(model, name, values)
    return params


def _read(model: ParamModel, name: str, values: list[str]) -> Any:
    """The first reading of the text that the parameter's type takes: as text, as JSON, as a list."""
    candidates: list[Any] = []
    if len(values) == 1:
        candidates.append(values[0])
        with contextlib.suppress(ValueError):  # not JSON: then it is not meant as JSON
            candidates.append(json.loads(values[0]))
    candidates.append([item for value in values for item in value.split(",")])
    for candidate in candidates:
        if model.takes(name, candidate):
            return NULL if candidate is None else candidate
    return candidates[0]


def bare_call(row: Operation, config: Config) -> Call:
    """An operation by itself, without parameters, to be judged."""
    return Call(
        id="",
        operation=row,
        agent_id=config.agent_id,
        org_id=config.org_id,
        canonical=b"{}",
        params={},
        effects=(Effect(operation=row.name, risk=row.risk),),
    )
