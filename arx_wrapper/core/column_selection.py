"""Select members of a response: the columns of an operation, or those that a caller names.

A column is a dotted path below a record, with a name when the last member's is not clear by itself: `status`,
`assignees=assignments.assignee`. A path applies to each item of a list. A reference at its end is shown as its summary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arx_wrapper.model import Operation

_NAMES = ("summary", "name", "title", "id")


def name(column: str) -> str:
    """Return a column's own name, or else the last member of its path."""
    return column.partition("=")[0].rpartition(".")[2]


def path_of(column: str) -> str:
    """Return a column's path below a record."""
    return column.partition("=")[2] or column


def records_of(operation: Operation, body: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], bool]:
    """Return the records of a response, and True when the response is a list of them.

    Args:
        operation: The operation whose response it is.
        body: The response's JSON; `{}` for a response without a body.
    """
    returns = operation.records or operation.returns
    found = body.get(returns.envelope) if returns and returns.envelope else body
    if isinstance(found, list):
        return [record for record in found if isinstance(record, Mapping)], True
    return ([found] if isinstance(found, Mapping) and found else []), False


def project(operation: Operation, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a record by name: scalars, lists of them, and JSON that holds no reference.

    Args:
        operation: The operation whose response holds the record.
        record: One record of `records_of()`. Members that it lacks are None.
    """
    return {name(column): value(record, path_of(column)) for column in operation.columns}


def pick(operation: Operation, record: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Return the members of a record that a caller names: by a column's name, or by a dotted path."""
    paths = {name(column): path_of(column) for column in operation.columns}
    return {field: value(record, paths.get(field, field)) for field in fields}


def unknown(operation: Operation, records: Sequence[Any], fields: Sequence[str]) -> list[str]:
    """Return the fields that are neither a column's name nor begin with a member of any record."""
    names = {name(column) for column in operation.columns}
    members = {member for record in records if isinstance(record, Mapping) for member in record}
    return [path for path in fields if members and path not in names and path.partition(".")[0] not in members]


def value(record: Any, path: str) -> Any:
    """Return the value at a dotted path, a reference as its summary; through a list, the list of its items' values."""
    if isinstance(record, list) and (path or any(isinstance(item, Mapping) for item in record)):
        found = [value(item, path) for item in record]
        flat = [part for item in found for part in (item if isinstance(item, list) else [item])]
        return [item for item in flat if item is not None]
    if not path:
        return _shown(record) if isinstance(record, Mapping) else record
    member, _, rest = path.partition(".")
    return value(record.get(member), rest) if isinstance(record, Mapping) else None


def _shown(reference: Mapping[str, Any]) -> Any:
    """Return a reference's summary; an object without a name is returned unchanged."""
    text = next((reference[key] for key in _NAMES if isinstance(reference.get(key), str) and reference[key]), None)
    return (dict(reference) or None) if text is None else text
