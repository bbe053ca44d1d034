"""Write the audit log as JSON Lines, OCSF or CSV, one record after the other."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import AsyncIterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import msgspec

from arx_wrapper.errors import ConfigError


class ExportFormat(StrEnum):
    """Formats of an export."""

    JSONL = "jsonl"
    CSV = "csv"
    OCSF = "ocsf"


async def _jsonl(records: AsyncIterator[Any], target: IO[str]) -> int:
    count = 0
    async for record in records:
        target.write(msgspec.json.encode(record).decode() + "\n")
        count += 1
    return count


async def _ocsf(records: AsyncIterator[Any], target: IO[str]) -> int:
    from arx_wrapper.audit.ocsf import event_of

    count = 0
    async for record in records:
        target.write(msgspec.json.encode(event_of(record)).decode() + "\n")
        count += 1
    return count


async def _csv(records: AsyncIterator[Any], target: IO[str]) -> int:
    from arx_wrapper.audit import AuditRecord

    writer, count = csv.writer(target), 0
    writer.writerow(field.name for field in msgspec.structs.fields(AuditRecord))
    async for record in records:
        row = msgspec.structs.asdict(record)
        row["metadata"] = msgspec.json.encode(record.metadata, order="sorted").decode()
        writer.writerow([_cell(value) for value in row.values()])
        count += 1
    return count


WRITERS = {ExportFormat.JSONL: _jsonl, ExportFormat.CSV: _csv, ExportFormat.OCSF: _ocsf}


_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def _cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_BEGINS_A_FORMULA) else value


@contextmanager
def target_of(file: Path | None) -> Any:
    if file is None:
        yield sys.stdout
        return
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # as private as the log itself
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}.") from None
    try:
        with open(made, "w", encoding="utf-8", newline="") as target:
            yield target
    except OSError as error:
        cause = error.strerror or error
        raise ConfigError(f"{file} cannot be written: {cause}. It does not hold all records.") from None
