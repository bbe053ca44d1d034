"""What the typed methods stand on: from an operation's parameters to the generated models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

from arx_wrapper.errors import PagerDutyError
from arx_wrapper.paging import Page
from arx_wrapper.pipeline import BaseConnector


class Model(Protocol):
    """A generated response model."""

    @classmethod
    def from_dict(cls, src: Mapping[str, Any], /) -> Self: ...


_M = TypeVar("_M", bound=Model)


class Resource(BaseConnector):
    """Runs an operation and gives its answer the generated type."""

    async def _one(self, model: type[_M], operation: str, **params: object) -> _M:
        body = await self.execute(operation, params)
        key = self.operations[operation].answer
        return model.from_dict(self._member(body, key, operation, Mapping) if key else body)

    async def _many(self, model: type[_M], operation: str, **params: object) -> list[_M]:
        body = await self.execute(operation, params)
        return [model.from_dict(item) for item in self._items(body, operation)]

    async def _page(self, model: type[_M], operation: str, **params: object) -> Page[_M]:
        body = await self.execute(operation, params)
        return Page(
            items=[model.from_dict(item) for item in self._items(body, operation)],
            limit=body.get("limit"),
            offset=body.get("offset"),
            more=body.get("more") is True,
            total=body.get("total"),
        )

    async def _gone(self, operation: str, **params: object) -> None:
        await self.execute(operation, params)

    def _items(self, body: Mapping[str, Any], operation: str) -> Sequence[Any]:
        key = self.operations[operation].answer
        assert key is not None, f"{operation} lists nothing"  # noqa: S101 - the table's own invariant
        items: Sequence[Any] = self._member(body, key, operation, list)
        return items

    def _member(self, body: Mapping[str, Any], key: str, operation: str, kind: type) -> Any:
        member = body.get(key)
        if isinstance(member, kind):
            return member
        raise PagerDutyError(
            f"the call succeeded, but its answer holds no {key!r}; execute() returns the answer as it came",
            status=200,
            operation=operation,
        )
