"""The mini-spec, its trimming and its golden record. `python -m tests.codegen.mini` renews the record."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from codegen import trim
from codegen.document import JSON, read, text

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.json"
ENDPOINTS = ("GET /things", "POST /things", "PUT /things/{id}", "DELETE /things/{id}")
_LOADED: JSON = yaml.safe_load((HERE / "mini.yaml").read_text(encoding="utf-8"))


def published() -> JSON:
    """A copy of the published mini document."""
    document: JSON = deepcopy(_LOADED["published"])
    return document


def overlay() -> JSON:
    """A copy of its overlay."""
    document: JSON = deepcopy(_LOADED["overlay"])
    return document


def trimmed(document: JSON | None = None, corrections: JSON | None = None) -> JSON:
    """The mini document, trimmed."""
    return trim.trim(document or published(), corrections or overlay(), ENDPOINTS)


def golden() -> JSON:
    """The record of what trimming yields."""
    return read(GOLDEN)


def schema(document: JSON, name: str) -> Any:
    """A named schema of a trimmed document."""
    return document["components"]["schemas"][name]


def parameter(document: JSON, name: str) -> Any:
    """A parameter of the mini document's list."""
    (found,) = (each for each in document["paths"]["/things"]["get"]["parameters"] if each["name"] == name)
    return found


if __name__ == "__main__":
    GOLDEN.write_text(text(trimmed()), encoding="utf-8")
