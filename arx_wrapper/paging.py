"""One page of a list, and the road through all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar, overload

from attrs import field, frozen

T = TypeVar("T")

# PagerDuty refuses offset + limit beyond this.
CEILING = 10_000
PAGE_SIZE = 100


@frozen(kw_only=True)
class Page(Sequence[T], Generic[T]):
    """One page of a list: a sequence of models, and where it stands in the whole.

    Attributes:
        items: The models.
        limit: The page size that PagerDuty used; None where the endpoint does not page.
        offset: How many records come before this page.
        more: Whether PagerDuty has more records after this page.
        total: The number of all records, when asked for with `total=True`.
    """

    items: tuple[T, ...] = field(converter=tuple)
    limit: int | None = None
    offset: int | None = None
    more: bool = False
    total: int | None = None

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)
