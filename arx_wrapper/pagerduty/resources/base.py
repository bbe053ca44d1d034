"""What the typed methods stand on: from an operation's parameters to the generated models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from arx_wrapper.core.connector import BaseConnector
from arx_wrapper.pagerduty.decoding import Model, member, typed
from arx_wrapper.pagerduty.pagination import Page

_M = TypeVar("_M", bound=Model)


class Resource(BaseConnector):
    """Runs an operation and gives its answer the generated type."""

    async def _one(self, model: type[_M], operation: str, **params: object) -> _M:
        body = await self.execute(operation, params)
        key = self.operations[operation].envelope
        return typed(model, member(body, key, operation, Mapping) if key else body, operation)

    async def _many(self, model: type[_M], operation: str, **params: object) -> list[_M]:
        body = await self.execute(operation, params)
        return [typed(model, item, operation) for item in self._items(body, operation)]

    async def _page(self, model: type[_M], operation: str, **params: object) -> Page[_M]:
        body = await self.execute(operation, params)
        return Page(
            items=[typed(model, item, operation) for item in self._items(body, operation)],
            limit=body.get("limit"),
            offset=body.get("offset"),
            more=body.get("more") is True,
            total=body.get("total"),
        )

    async def _gone(self, operation: str, **params: object) -> None:
        await self.execute(operation, params)

    def _items(self, body: Mapping[str, Any], operation: str) -> Sequence[Any]:
        key = self.operations[operation].envelope
        assert key is not None, f"{operation} lists nothing"  # noqa: S101 - the table's own invariant
        items: Sequence[Any] = member(body, key, operation, list)
        return items
