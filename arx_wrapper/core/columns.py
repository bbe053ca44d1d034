"""Pick from a response the members that a person asks for: the columns of an operation's row.

A column is a dotted path below a record, with a name of its own where the last member's does not say enough:
`status`, `assignees=assignments.assignee`. A path goes through lists; a reference at its end stands for its summary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arx_wrapper.model import Operation

_NAMES = ("summary", "name", "title", "id")


def name(column: str) -> str:
    """Return a column's name: the one it is given, else the last member of its path."""
    return column.partition("=")[0].rpartition(".")[2]


def path_of(column: str) -> str:
    """Return a column's path below a record."""
    return column.partition("=")[2] or column


def records_of(operation: Operation, body: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], bool]:
    """Return the records of a response, and whether the response is a list of them rather than one.

    Args:
        operation: The row whose response it is.
        body: The response's JSON; `{}` for a response without a body.
    """
    returns = operation.records or operation.returns
    found = body.get(returns.envelope) if returns and returns.envelope else body
    if isinstance(found, list):
        return [record for record in found if isinstance(record, Mapping)], True
    return ([found] if isinstance(found, Mapping) and found else []), False


def project(operation: Operation, record: Mapping[str, Any], *, ids: bool = False) -> dict[str, Any]:
    """Return the columns of a record by name: scalars, lists of them, and JSON that holds no reference.

    Args:
        operation: The row whose response holds the record.
        record: One record of `records_of()`. What it lacks is None.
        ids: Show a reference as `Summary (ID)`, for readers who go on with the id.
    """
    return {name(column): value(record, path_of(column), ids=ids) for column in operation.columns}


def pick(operation: Operation, record: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Return the members of a record that a caller names: by a column's name, or by a dotted path."""
    paths = {name(column): path_of(column) for column in operation.columns}
    return {field: value(record, paths.get(field, field)) for field in fields}


def unknown(operation: Operation, records: Sequence[Any], fields: Sequence[str]) -> list[str]:
    """Return the fields that are neither a column's name nor begin with a member of any record."""
    names = {name(column) for column in operation.columns}
    members = {member for record in records if isinstance(record, Mapping) for member in record}
    return [path for path in fields if members and path not in names and path.partition(".")[0] not in members]


def value(record: Any, path: str, *, ids: bool = False) -> Any:
    """Return what a dotted path leads to, a reference as its summary; through a list, the list of what is below."""
    if isinstance(record, list) and (path or any(isinstance(item, Mapping) for item in record)):
        found = [value(item, path, ids=ids) for item in record]
        flat = [part for item in found for part in (item if isinstance(item, list) else [item])]
        return [item for item in flat if item is not None]
    if not path:
        return _shown(record, ids=ids) if isinstance(record, Mapping) else record
    member, _, rest = path.partition(".")
    return value(record.get(member), rest, ids=ids) if isinstance(record, Mapping) else None


def _shown(reference: Mapping[str, Any], *, ids: bool) -> Any:
    """Return a reference's summary; an object that has no name stays as it is."""
    text = next((reference[key] for key in _NAMES if isinstance(reference.get(key), str) and reference[key]), None)
    if text is None:
        return dict(reference) or None
    own = reference.get("id")
    return f"{text} ({own})" if ids and isinstance(own, str) and own != text else text
