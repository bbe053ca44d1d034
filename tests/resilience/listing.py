"""A list that pages as PagerDuty's do, 10,000 records deep, and may change while it is read."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.resilience.server import JSON, Asked, Exchange, Reply, refusal

CEILING = 10_000
END = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
MONTHS = timedelta(days=600)
# A page of 100 is as large as PagerDuty's: 384 KB.
_FILLER: JSON = {
    "service": {"id": "PSVC", "type": "service_reference", "summary": "Orders", "self": None, "html_url": None},
    "description": "Replication lag above 30 s. " * 113,
    "status": "resolved",
    "urgency": "high",
    "assignments": [
        {
            "at": "2026-01-01T00:00:00Z",
            "assignee": {"id": f"PU{number}", "type": "user_reference", "summary": "Someone"},
        }
        for number in range(5)
    ],
}


class Listing:
    """Answers for one list, oldest first.

    Attributes:
        records: The list now.
        before: Called with every request before it is answered: what changes meanwhile.
        pages: Every page asked for: since, offset, limit.
        counts: Whether it tells the total.
        refused: How many requests asked for more than PagerDuty gives.
    """

    def __init__(
        self, key: str, count: int, *, filler: JSON | None = None, span: timedelta = MONTHS, counts: bool = True
    ) -> None:
        self.key, self.counts, self.filler = key, counts, filler or {}
        step = span / max(count, 1)
        self.records = [self.record(f"R{number:06}", END - span + number * step) for number in range(count)]
        self.before: Callable[[int], None] = lambda offset: None
        self.pages: list[tuple[str | None, int, int]] = []
        self.refused = 0

    def record(self, identity: str, at: datetime) -> JSON:
        return {"id": identity, "created_at": at.isoformat(), **self.filler}

    def __call__(self, asked: Asked) -> Reply:
        offset, limit = int(asked.one("offset") or 0), min(int(asked.one("limit") or 25), 100)
        self.pages.append((asked.one("since"), offset, limit))
        if offset + limit > CEILING:
            self.refused += 1
            return refusal(400, 2002, "Offset+limit exceeds maximum allowed value of 10000")
        self.before(offset)
        begin, end = self._span(asked.one("since"), asked.one("until"))
        found = self.records[begin:end]
        return Reply.of(
            200,
            {
                self.key: found[offset : offset + limit],
                "limit": limit,
                "offset": offset,
                "more": offset + limit < len(found),
                "total": len(found) if self.counts and asked.one("total") == "true" else None,
            },
        )

    def _span(self, since: str | None, until: str | None) -> tuple[int, int]:
        def endpoint(moment: str) -> int:
            wanted = datetime.fromisoformat(moment)
            return bisect_left(self.records, wanted, key=lambda record: datetime.fromisoformat(record["created_at"]))

        return endpoint(since) if since else 0, endpoint(until) if until else len(self.records)

    @property
    def ids(self) -> list[str]:
        return [record["id"] for record in self.records]


def incidents(count: int, **options: Any) -> Listing:
    """Incidents of PagerDuty's size."""
    return Listing("incidents", count, filler=_FILLER, **options)


async def unevenly(exchange: Exchange) -> None:
    """Answers after a moment that is now long, now short, so that pages overtake each other."""
    await asyncio.sleep(random.uniform(0, 0.03))  # noqa: S311 - chance, not a secret
    await exchange.send(exchange.process().wire())
