"""Read an operation for an agent: one call, or as many pages of a list as its limit requires."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Final, Protocol, runtime_checkable

from attrs import frozen

from arx_wrapper.core.connector import BaseConnector
from arx_wrapper.errors import ArxError
from arx_wrapper.model import Operation

_PAGE: Final = 100


@frozen(kw_only=True)
class Answer:
    """An API's response, and its position in the whole list.

    Attributes:
        body: The response's JSON.
        offset: The number of records before it; None when the operation does not page.
        more: Whether there are records after it.
        remaining: The number of records after it; None when it is unknown.
        total: The number of records in all; None when it is unknown.
    """

    body: Mapping[str, Any]
    offset: int | None = None
    more: bool = False
    remaining: int | None = None
    total: int | None = None


@runtime_checkable
class Pages(Protocol):
    """A connector that reads lists page by page under one permission."""

    def iterate(
        self,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        max_items: int | None = None,
        approval_id: str | None = None,
    ) -> AsyncIterator[Any]: ...


async def read(
    connector: BaseConnector,
    row: Operation,
    params: Mapping[str, Any],
    *,
    limit: int | None = None,
    approval_id: str | None = None,
) -> Answer:
    """Run an operation through the connector's pipeline; read a list up to `limit`, over as many pages as necessary.

    Args:
        connector: The connector to call.
        row: The operation.
        params: Its parameters.
        limit: The largest number of records; None for one page of the API's own size.
        approval_id: An approval to use.

    Raises:
        ArxError: as `execute()` and `iterate()`.
    """
    names = connector.model_of(row.name).names
    if limit is not None and limit > _PAGE and row.records and isinstance(connector, Pages):
        return await _pages(connector, row, params, limit, approval_id)
    counted = {**params, "total": True} if row.records and "total" in names and "total" not in params else params
    body = await connector.execute(row.name, counted, approval_id=approval_id)
    return _page(row, body)


def _page(row: Operation, body: Mapping[str, Any]) -> Answer:
    records, offset, total = body.get(row.envelope or ""), body.get("offset"), body.get("total")
    if not isinstance(records, list) or not isinstance(offset, int):
        return Answer(body=body)
    remaining = max(total - offset - len(records), 0) if isinstance(total, int) else None
    return Answer(
        body=body,
        offset=offset,
        more=body.get("more") is True,
        remaining=remaining if body.get("more") is True else 0,
        total=total if isinstance(total, int) else None,
    )


async def _pages(
    connector: Any, row: Operation, params: Mapping[str, Any], limit: int, approval_id: str | None
) -> Answer:
    """Read up to `limit` records, and one more to learn whether more follow."""
    given = {**params, "limit": _PAGE}
    records: list[Any] = []
    pages = connector.iterate(row.name, given, max_items=limit + 1, approval_id=approval_id)
    async with aclosing(pages) as found:
        async for record in found:
            records.append(record.to_dict() if hasattr(record, "to_dict") else record)
    offset = params.get("offset")
    start = offset if isinstance(offset, int) else 0
    more, key = len(records) > limit, row.envelope or ""
    total = await _total(connector, row, params) if more else start + len(records)
    return Answer(
        body={key: records[:limit]},
        offset=start,
        more=more,
        remaining=(max(total - start - limit, 1) if total is not None else None) if more else 0,
        total=total,
    )


async def _total(connector: BaseConnector, row: Operation, params: Mapping[str, Any]) -> int | None:
    """Return the number of records in a list; None when it cannot be read, or only with another approval."""
    counting = {name: value for name, value in params.items() if name != "offset"}
    try:
        body = await connector.execute(row.name, {**counting, "limit": 1, "total": True})
    except ArxError:
        return None
    total = body.get("total")
    return total if isinstance(total, int) else None
