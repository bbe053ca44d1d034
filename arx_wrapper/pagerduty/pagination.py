"""Hold one page of a list (`Page`), and read all pages of a list (`ListReader`).

PagerDuty pages by offset, up to 10,000 records. Up to this ceiling, a few pages are read at a time and yielded in
order. Beyond it, a list that can be narrowed by time is read in spans of time, each below the ceiling.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import msgspec
from attrs import define, field, frozen

from arx_wrapper.errors import PaginationLimitError
from arx_wrapper.pagerduty.decoding import member

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

CEILING = 10_000
PAGE_SIZE = 100
IN_FLIGHT = 8
SWEEPS = 3
# Limits of the number of requests for one list: a fixed part, and a part for each record. Without them, a server that
# always reports more records but returns no new ones would be called for ever.
REQUESTS = 1_000
REQUESTS_A_RECORD = 4
# PagerDuty refuses a wider span of incidents. It has no records from before 2009.
WIDEST = timedelta(days=180)
OLDEST = datetime(2009, 1, 1, tzinfo=UTC)

Body = Mapping[str, Any]
Unread = Callable[[], Body]
"""A page as received. It is parsed only when its records are yielded, as parsed it takes several times the memory."""
Fetch = Callable[[Mapping[str, Any]], Awaitable[Unread]]
"""Reads one page, with the caller's parameters and these changes to them."""


@frozen(kw_only=True, slots=False)  # with slots the class would be made twice, which takes long for an abstract one
class Page(Sequence[T], Generic[T]):
    """One page of a list: a sequence of models, and its position in the whole list.

    Attributes:
        items: The models.
        limit: The page size that PagerDuty used; None when the endpoint does not page.
        offset: The number of records before this page.
        more: Whether PagerDuty has more records after this page.
        total: The number of all records, when requested with `total=True`; else None.
        next_cursor: The cursor of the next page, in a list that pages by cursor; else, and on the last page, None.
    """

    items: tuple[T, ...] = field(converter=tuple)
    limit: int | None = None
    offset: int | None = None
    more: bool = False
    total: int | None = None
    next_cursor: str | None = None

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


@define
class ListReader:
    """Reads every record of one list, each once.

    Attributes:
        fetch: Reads one page.
        judge: Raises an error when a page that was requested ahead must not be yielded any more.
        key: The envelope's key of the records.
        operation: The operation's name, for messages.
        max_items: Stop after this many records; None reads them all.
        changed: Whether the list shrank while it was read, so that it was read again.
    """

    fetch: Fetch
    judge: Callable[[], Awaitable[None]]
    key: str
    operation: str
    max_items: int | None = None
    changed: bool = False
    _seen: set[object] = field(factory=set, init=False)
    _handed_out: int = field(default=0, init=False)
    _requests: int = field(default=0, init=False)

    async def once(self) -> AsyncGenerator[Any, None]:
        """Read a list that PagerDuty returns as a whole."""
        for record in self._unseen(self._read(await self.fetch({}))):
            yield record

    async def by_offset(self, *, start: int = 0, size: int | None = None) -> AsyncGenerator[Any, None]:
        """Read a list that pages by offset, up to the ceiling.

        Raises:
            PaginationLimitError: before the first record, when the list reaches past the ceiling.
        """
        first = self._read(await self._page(start, size))
        self._check_ceiling(first, start)
        async for record in self._sweeps(first, start, size):
            yield record

    async def by_time(
        self,
        since: datetime,
        until: datetime,
        *,
        oldest_first: bool,
        size: int | None = None,
        whole: bool = False,
    ) -> AsyncGenerator[Any, None]:
        """Read a list that can be narrowed by time, in several spans when one reaches past the ceiling.

        Both bounds are sent with every span, because PagerDuty silently reads one month when one is missing. No span is
        wider than six months, because PagerDuty refuses it.

        Args:
            since, until: The span, aware.
            oldest_first: Whether to read the oldest span first instead of the newest.
            size: Records in a page.
            whole: Whether to try the call's own parameters first, which have no bounds.

        Raises:
            PaginationLimitError: more than 10,000 records are within one second.
        """
        spans = deque([(since, until)])
        while spans and not self._done:
            begin, end = spans.popleft()
            halves = _halves(begin, end, oldest_first)
            if whole or end - begin <= WIDEST:
                bounds = {"since": begin.isoformat(), "until": end.isoformat(), "date_range": None}
                bounds, whole = {} if whole else bounds, False
                try:
                    first = self._read(await self._page(0, size, bounds))
                    self._check_ceiling(first, 0)
                    async for record in self._sweeps(first, 0, size, bounds):
                        yield record
                    continue
                except PaginationLimitError:  # raised also when the list grew past the ceiling while it was read
                    if self._too_many:
                        raise
                    if len(halves) == 1:
                        raise PaginationLimitError(
                            f"{self.operation}: more than {CEILING:,} records within one second, at "
                            f"{begin.isoformat()}; PagerDuty does not page that far. Add a filter."
                        ) from None
            spans.extendleft(reversed(halves))

    async def by_cursor(
        self, spans: Sequence[Mapping[str, Any]], *, size: int | None = None
    ) -> AsyncGenerator[Any, None]:
        """Read a list whose pages are linked by a cursor, one span of time after the other.

        A page without a cursor ends the list. An empty page does not: a server may omit records that the key may not
        read.

        Args:
            spans: The parameters of each span's first page, in the order in which they are read.
            size: Records in a page.

        Raises:
            PaginationLimitError: the server returns the same cursor twice, or the list does not end.
        """
        for span in spans:
            more, known = {"limit": self._limit(size), **span}, set[str]()
            while not self._done:
                body = self._read(await self._request(more))
                for record in self._unseen(body):
                    yield record
                cursor = body.get("next_cursor")
                if not isinstance(cursor, str) or not cursor:
                    break
                if cursor in known:
                    raise PaginationLimitError(
                        f"{self.operation}: the server returned the same cursor twice, so its list does not end. "
                        f"Reading was stopped after {self._handed_out:,} records."
                    )
                known.add(cursor)
                more = {**more, "cursor": cursor}

    async def _sweeps(
        self, first: Body, start: int, size: int | None, more: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[Any, None]:
        """Read all pages; when records disappeared meanwhile, read again, because others moved to pages already read.

        Each page is requested to begin with the last record of the page before it. When it does not hold that record,
        records have moved.
        """
        for _ in range(SWEEPS):
            steady, last = True, None
            async for body, expected in self._pages(first, start, size, more or {}):
                held = [_identity(record) for record in _records(body, self.key)]
                steady = steady and len(held) >= expected and (last is None or last in held)
                last = held[-1] if held and _overlap(first, size) else None
                for record in self._unseen(body):
                    yield record
                if self._done:
                    return
            if steady:
                return
            self.changed = True
            first = self._read(await self._page(start, size, more))

    async def _pages(
        self, first: Body, start: int, size: int | None, more: Mapping[str, Any]
    ) -> AsyncGenerator[tuple[Body, int], None]:
        """Yield the pages in order, each with the least number of records that it held when the list was counted."""
        import asyncio  # imported late: importing this module must be cheap

        step, overlap = _step(first, size), _overlap(first, size)
        stride = step - overlap
        total = first.get("total") if isinstance(first.get("total"), int) else None
        yield first, 0 if total is None else min(step, max(total - start, 0))
        ahead: deque[tuple[int, asyncio.Task[Unread]]] = deque()
        offset, body, last = start + stride, first, start
        known = total if total is not None else 0
        try:
            while _has_next(body, self.key) or ahead:
                end = min(known, CEILING) - overlap
                while len(ahead) < IN_FLIGHT and offset < end and self._wants(len(ahead) * stride):
                    ahead.append((offset, asyncio.ensure_future(self._page(offset, step, more))))
                    offset += stride
                if not ahead:  # beyond the counted records, or without a count: one page at a time
                    if offset + overlap >= CEILING or self._done:
                        self._check_ceiling(body, offset + overlap)
                        return
                    ahead.append((offset, asyncio.ensure_future(self._page(offset, step, more))))
                    offset += stride
                last, task = ahead.popleft()
                page = await task
                await self.judge()  # this page was requested before the caller used the records of those before it
                body = self._read(page)
                yield body, max(min(step, min(known, CEILING) - last), 0)
        finally:
            for _, task in ahead:
                task.cancel()
            await asyncio.gather(*(task for _, task in ahead), return_exceptions=True)

    async def _page(self, offset: int, size: int | None, more: Mapping[str, Any] | None = None) -> Unread:
        limit = min(self._limit(size), max(CEILING - offset, 1))
        return await self._request({**(more or {}), "limit": limit, "offset": offset, "total": True})

    async def _request(self, changes: Mapping[str, Any]) -> Unread:
        self._requests += 1
        if self._too_many:
            raise PaginationLimitError(
                f"{self.operation}: {self._requests:,} requests brought {self._handed_out:,} records, and the server "
                "still says that there is more. Reading was stopped: the list does not end, or changes too fast."
            )
        return await self.fetch(changes)

    def _limit(self, size: int | None) -> int:
        """Return the number of records to request in one page."""
        return min(size or PAGE_SIZE, PAGE_SIZE if self.max_items is None else max(self.max_items, 1))

    def _read(self, page: Unread) -> Body:
        """Parse a page. A page without the list is an error, not the list's end."""
        body = page()
        member(body, self.key, self.operation, list)
        return body

    def _unseen(self, body: Body) -> list[Any]:
        """Return the page's records that were not yielded before, up to the number still needed."""
        unseen = []
        for record in _records(body, self.key):
            identity = _identity(record)
            if identity not in self._seen and not self._done:
                self._seen.add(identity)
                self._handed_out += 1
                unseen.append(record)
        return unseen

    @property
    def _too_many(self) -> bool:
        return self._requests > REQUESTS + REQUESTS_A_RECORD * self._handed_out

    @property
    def _done(self) -> bool:
        return self.max_items is not None and self._handed_out >= self.max_items

    def _wants(self, coming: int) -> bool:
        """Return True when more records are needed than were yielded or requested."""
        return self.max_items is None or self._handed_out + coming < self.max_items

    def _check_ceiling(self, body: Body, start: int) -> None:
        """Refuse a list when the needed records, from `start` on, reach past the ceiling.

        Raises:
            PaginationLimitError: they do.
        """
        total = body.get("total")
        beyond = self.max_items is None or start + self.max_items - self._handed_out > CEILING
        if isinstance(total, int):
            beyond = beyond and total > CEILING
        else:
            beyond = beyond and start >= CEILING and _has_next(body, self.key)
        if beyond:
            count = f"{total:,}" if isinstance(total, int) else f"more than {CEILING:,}"
            raise PaginationLimitError(
                f"{self.operation}: the list holds {count} records, and PagerDuty pages through the first {CEILING:,} "
                "only. Narrow the filters, or read fewer with max_items."
            )


def _halves(since: datetime, until: datetime, oldest_first: bool) -> list[tuple[datetime, datetime]]:
    """Split a span of time in two at a whole second; return it unsplit when it is too short."""
    middle = (since + max(until - since, timedelta()) / 2).replace(microsecond=0)
    if not since < middle < until:
        return [(since, until)]
    halves = [(since, middle), (middle, until)]
    return halves if oldest_first else halves[::-1]


def _records(body: Body, key: str) -> Sequence[Any]:
    records: Sequence[Any] = body[key]
    return records


def _has_next(body: Body, key: str) -> bool:
    """Return True when another page follows. An empty page ends the list, even when it reports more."""
    return body.get("more") is True and bool(_records(body, key))


def _step(body: Body, size: int | None) -> int:
    """Return the page size in use: the server's own when it is smaller than the requested one."""
    requested = size or PAGE_SIZE
    limit = body.get("limit")
    return limit if isinstance(limit, int) and 0 < limit <= requested else requested


def _overlap(body: Body, size: int | None) -> int:
    """Return the number of records that the next page repeats: one, when a page holds more than one."""
    return 1 if _step(body, size) > 1 else 0


def _identity(record: Any) -> object:
    if isinstance(record, Mapping) and isinstance(record.get("id"), str):
        return record["id"]
    return msgspec.json.encode(record, order="sorted")
