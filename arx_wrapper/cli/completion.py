"""Complete ids and names in the shell from the last lists; nothing is sent or recorded.

The ids and names of the last lists are kept in the user's state folder, readable by the user alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from arx_wrapper.config.sources import user_folder
from arx_wrapper.errors import ConfigError
from arx_wrapper.files import read_bytes

_KEPT = 200
_LABELS = ("title", "name", "summary")

Complete = Callable[[str], list[tuple[str, str]]]


def remember(kind: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Keep the ids and names of listed records for completion. A folder that cannot be written is no error."""
    found = {
        str(record["id"]): next((str(record[label]) for label in _LABELS if record.get(label)), "")
        for record in records
        if record.get("id")
    }
    if not found:
        return
    with suppress(OSError, ConfigError):  # completion is a convenience: the list itself was printed
        file = _file()
        known = _read(file)
        known[kind] = dict(list({**found, **known.get(kind, {})}.items())[:_KEPT])
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = file.with_name(f"{file.name}.{os.getpid()}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump(known, opened)
        new.replace(file)


def complete_incidents(incomplete: str) -> list[tuple[str, str]]:
    """Return the ids of incidents that were listed, with their titles."""
    return [(key, label) for key, label in _known("incidents").items() if key.startswith(incomplete)]


def complete_names(kind: str) -> Complete:
    """Return a completion by name or id of the records of a kind that were listed."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        known = _known(kind)
        names = [(label, key) for key, label in known.items() if label.casefold().startswith(incomplete.casefold())]
        return names + [(key, label) for key, label in known.items() if incomplete and key.startswith(incomplete)]

    return complete


def among(*values: str) -> Complete:
    """Return a completion of a few values."""
    return lambda incomplete: [(value, "") for value in values if value.startswith(incomplete)]


def complete_approvals(incomplete: str) -> list[tuple[str, str]]:
    """Return the ids of requests that wait for a reviewer, with what each asks for."""
    from arx_wrapper.cli.session import Session

    async def run(backends: Any) -> list[tuple[str, str]]:
        waiting = await backends.approvals.list("pending")
        return [(request.id, request.operation) for request in waiting if request.id.startswith(incomplete)]

    try:
        return Session(None, None).with_backends(run)
    except Exception:  # a shell that completes shows no errors: there is nothing to offer
        return []


def _known(kind: str) -> Mapping[str, str]:
    with suppress(OSError, ConfigError):
        return _read(_file()).get(kind, {})
    return {}


def _read(file: Path) -> dict[str, dict[str, str]]:
    try:
        loaded = json.loads(read_bytes(file))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _file() -> Path:
    return user_folder(os.environ, "XDG_STATE_HOME", ".local/state") / "arx" / "completion.json"
