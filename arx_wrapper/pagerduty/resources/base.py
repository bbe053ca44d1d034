"""Run an operation for a typed method, and decode its response to the generated models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from arx_wrapper.core.connector import BaseConnector
from arx_wrapper.pagerduty.decoding import Model, member, typed
from arx_wrapper.pagerduty.pagination import Page

_M = TypeVar("_M", bound=Model)


class Resource(BaseConnector):
    """The base of the typed methods.

    A method's parameters are its operation's parameters. So a method passes its `locals()`, which cannot omit one.
    """

    async def _one(self, model: type[_M], operation: str, given: Mapping[str, object]) -> _M:
        """Return the one object of a response."""
        body = await self.execute(operation, _parameters(given))
        key = self.operations[operation].envelope
        found = body.get(key) if key else body
        if type(found) is not dict:
            found = member(body, str(key), operation, Mapping)
        return model.from_dict(found)

    async def _many(self, model: type[_M], operation: str, given: Mapping[str, object]) -> list[_M]:
        """Return the list of a response that has no pages."""
        body = await self.execute(operation, _parameters(given))
        return [typed(model, item, operation) for item in self._items(body, operation)]

    async def _page(self, model: type[_M], operation: str, given: Mapping[str, object]) -> Page[_M]:
        """Return one page of a list."""
        body = await self.execute(operation, _parameters(given))
        cursor = body.get("next_cursor")
        return Page(
            items=[typed(model, item, operation) for item in self._items(body, operation)],
            limit=body.get("limit"),
            offset=body.get("offset"),
            more=body.get("more") is True or bool(cursor),
            total=body.get("total"),
            next_cursor=cursor,
        )

    async def _gone(self, operation: str, given: Mapping[str, object]) -> None:
        """Run an operation whose response has no body."""
        await self.execute(operation, _parameters(given))

    def _items(self, body: Mapping[str, Any], operation: str) -> Sequence[Any]:
        key = self.operations[operation].envelope
        assert key is not None, f"{operation} lists nothing"  # noqa: S101 - the table's own invariant
        items: Sequence[Any] = member(body, key, operation, list)
        return items


def _parameters(given: Mapping[str, object]) -> dict[str, object]:
    """Return a method's `locals()` without `self`."""
    return {name: value for name, value in given.items() if name != "self"}
