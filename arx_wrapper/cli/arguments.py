"""Read an operation's parameters from the command line: `--statuses triggered`, `statuses=a,b` or JSON.

Each is read as its type wants it: `limit=5` is a number, `title=5` is text.
"""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from arx_wrapper.cli.approved_times import ApprovedTimes
from arx_wrapper.cli.misplaced_options import goes_before
from arx_wrapper.cli.stdin import read_stdin
from arx_wrapper.cli.times import is_relative, iso, moment
from arx_wrapper.core.param_model import ParamModel, with_nulls
from arx_wrapper.files import read_text
from arx_wrapper.params import NULL

Document = Annotated[str | None, typer.Option("--json", help="Parameters as JSON: {...}, @FILE or -.")]


def parse(
    model: ParamModel,
    arguments: Sequence[str],
    document: str | None,
    *,
    now: datetime | None = None,
    approved: ApprovedTimes | None = None,
) -> dict[str, Any]:
    """Return the parameters of `--name value` and `name=value` arguments on top of those of a JSON object.

    Args:
        model: The operation's parameters.
        arguments: The command line's.
        document: A JSON object, `@FILE` for one in a file, or `-` for one on stdin.
        now: What relative times (`--since 30d`) count from; without it they are taken as they are.
        approved: The times of the approved call, when this one repeats it.

    Raises:
        typer.BadParameter: an argument is of neither form, or the document is not a JSON object.
    """
    params: dict[str, Any] = {} if document is None else read_document(document)
    given: dict[str, list[str]] = {}
    for name, value in _pairs(model, arguments):
        given.setdefault(name, []).append(value)
    for name, values in given.items():
        read = _read(model, name, values)
        params[name] = read if now is None else _absolute(model, name, read, now, approved)
    return params


def read_document(document: str) -> dict[str, Any]:
    """Return the parameters of a JSON object: `{...}`, `@FILE`, or `-` for stdin.

    Raises:
        typer.BadParameter: it cannot be read, or is not a JSON object.
    """
    source = "--json"
    try:
        if document == "-":
            source = "stdin"
            document = read_stdin()
        elif document.startswith("@"):
            source = document[1:]
            document = read_text(Path(source))
        loaded = json.loads(document)
    except OSError as error:
        raise typer.BadParameter(f"{source} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise typer.BadParameter(f"{source} is not JSON: {error}") from None
    except RecursionError:
        raise typer.BadParameter(f"{source} is nested deeper than any parameter") from None
    if not isinstance(loaded, dict):
        raise typer.BadParameter(f"{source} must be an object of parameters")
    return {name: with_nulls(value) for name, value in loaded.items()}


def _absolute(model: ParamModel, name: str, value: Any, now: datetime, approved: ApprovedTimes | None) -> Any:
    """Return a relative time as ISO 8601, where the parameter takes times; anything else as it is."""
    if not isinstance(value, str) or model.takes(name, value) or not is_relative(value):
        return value
    meant = moment(value, now, ahead=name in ("start_time", "end_time"))
    time = iso(approved.meant(name, meant) if approved else meant)
    return time if model.takes(name, time) else value


def flag(name: str) -> str:
    """Return a parameter as an option: `--service-id`."""
    return "--" + name.replace("_", "-")


def _pairs(model: ParamModel, arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    rest = iter(arguments)
    for argument in rest:
        name, separator, value = argument.partition("=")
        if (place := goes_before(argument, f"arx-pagerduty call {model.operation}")) and name.removeprefix(
            "--"
        ) not in model.names:
            raise typer.BadParameter(place)
        if argument.startswith("--") and len(argument) > 2:
            yield _option(model, name, value if separator else None, rest)
        elif separator:
            yield name, value
        else:
            raise typer.BadParameter(
                f"{argument!r} is neither --name VALUE nor key=value; parameters are {', '.join(model.names)}"
            )


def _option(model: ParamModel, option: str, value: str | None, rest: Iterator[str]) -> tuple[str, str]:
    name = option.removeprefix("--").replace("-", "_")
    if value is not None:
        return name, value
    if model.takes(name, True) and not model.takes(name, "text"):
        return name, "true"
    if name.startswith("no_") and model.takes(name[3:], False):
        return name[3:], "false"
    if name not in model.names:
        nearest = difflib.get_close_matches(name, model.names, n=1)
        hint = f"did you mean {flag(nearest[0])}?" if nearest else f"`call {model.operation} --help` lists them."
        raise typer.BadParameter(f"{option} is no parameter of {model.operation}; {hint}")
    value = next(rest, None)
    if value is None:
        raise typer.BadParameter(f"{option} needs a value")
    return name, value


def _read(model: ParamModel, name: str, values: list[str]) -> Any:
    """Return the first reading of the text that the parameter's type takes: as text, as JSON, as a list.

    `null` is JSON's null and never the text: what takes no null refuses it.
    """
    if values == ["null"] and name in model.names:
        if not model.takes(name, None):
            raise typer.BadParameter(
                f"{name}: null is not accepted here; accepted: {model.accepted(name)}. "
                f"For the text 'null' write --json '{{\"{name}\": \"null\"}}'"
            )
        return NULL
    candidates: list[Any] = []
    if len(values) == 1:
        candidates.append(values[0])
        with contextlib.suppress(ValueError, RecursionError):  # not JSON: then it is not meant as JSON
            candidates.append(json.loads(values[0]))
    candidates.append([item for value in values for item in value.split(",")])
    for candidate in candidates:
        if model.takes(name, candidate):
            return with_nulls(candidate)
    return candidates[0]
