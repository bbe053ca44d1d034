"""Cassettes: one for each operation, recorded, scrubbed and replayed with the test kit."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from arx_wrapper import testing
from arx_wrapper.testing.cassettes import ADDRESS

__all__ = ["ADDRESS", "FOLDER", "PARAMS", "cassette", "cassette_file", "params"]

FOLDER = Path(__file__).parent / "cassettes"
PARAMS = FOLDER / "params.json"


def cassette_file(operation: str, folder: Path = FOLDER) -> Path:
    return folder / f"{operation.replace(':', '.')}.yaml"


def cassette(operation: str, *, record: bool = False, folder: Path = FOLDER) -> AbstractContextManager[Any]:
    """Record an operation's calls, or replay them."""
    return testing.cassette(cassette_file(operation, folder), record=record)


def params() -> dict[str, dict[str, Any]]:
    """The parameters that each cassette was recorded with."""
    recorded: dict[str, dict[str, Any]] = json.loads(PARAMS.read_text("utf-8"))
    return recorded
