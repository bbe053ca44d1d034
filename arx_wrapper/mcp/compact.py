"""Compact responses: the columns of the operation's row, references as `{id, summary}`, no empty members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from arx_wrapper.core import column_selection
from arx_wrapper.model import Operation

Json = dict[str, Any]

_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})
_NAMES: Final = ("summary", "name", "title")


def compact(row: Operation, body: Mapping[str, Any], fields: Sequence[str] = ()) -> tuple[Json, list[str]]:
    """Return a response reduced to the columns of its operation, or to fields that the caller names.

    Args:
        row: The operation.
        body: The response's JSON.
        fields: Dotted paths below a record, `service.summary`, or names of columns. A path through a list applies to
            each of its items. Empty for the row's columns; a row without columns keeps every member.

    Returns:
        The reduced response without its paging members, and the fields that no record has.
    """
    shown = {column_selection.name(c): column_selection.path_of(c) for c in row.columns if not _covered(c, row.columns)}
    wanted = {field: shown.get(field, field) for field in fields} or shown
    returns = row.records or row.returns
    key = returns.envelope if returns else None
    found = body.get(key) if key else body
    if isinstance(found, list):
        return {str(key): [_record(item, wanted) for item in found]}, column_selection.unknown(row, found, fields)
    if not isinstance(found, Mapping):
        return dict(body), []
    record = _record(found, wanted)
    return ({str(key): record} if key else record), column_selection.unknown(row, [found], fields)


def _record(value: Any, wanted: Mapping[str, str]) -> Any:
    if not isinstance(value, Mapping):
        return value
    if not wanted:
        return _short(value, whole=True)
    shown = {name: _short(_at(value, path), whole=False) for name, path in wanted.items()}
    return {name: item for name, item in shown.items() if item not in _EMPTY}


def _short(value: Any, *, whole: bool) -> Any:
    """Return a value without empty members, and references in it as `{id, summary}`."""
    if isinstance(value, list):
        # Positions mean something in a list of scalars or lists, such as a rule's condition, so nothing is left out.
        objects = any(isinstance(item, Mapping) for item in value)
        return [_short(item, whole=False) for item in value if not objects or item not in _EMPTY]
    if not isinstance(value, Mapping):
        return value
    name = next((value[key] for key in _NAMES if isinstance(value.get(key), str) and value[key]), None)
    if not whole and name and isinstance(value.get("id"), str):
        return {"id": value["id"], "summary": name}
    members = {name: _short(item, whole=False) for name, item in value.items() if name != "self"}
    return {name: item for name, item in members.items() if item not in _EMPTY}


def _at(value: Any, path: str) -> Any:
    """Return the value at a dotted path; through a list, the list of its items' values."""
    if not path:
        return value
    if isinstance(value, list):
        found = [_at(item, path) for item in value]
        return [part for item in found for part in (item if isinstance(item, list) else [item]) if part is not None]
    member, _, rest = path.partition(".")
    return _at(value.get(member), rest) if isinstance(value, Mapping) else None


def _covered(column: str, all_columns: Sequence[str]) -> bool:
    """Return True when a column is the id or summary of a reference that another column shows as a whole."""
    parent, _, last = column_selection.path_of(column).rpartition(".")
    return last in ("id", "summary") and any(column_selection.path_of(other) == parent for other in all_columns)
