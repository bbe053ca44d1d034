"""Read everything over the wire: each record once, no page in vain, no endless loop, no silent end."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import PaginationLimitError
from tests.resilience import faults as f
from tests.resilience.harness import connected, last_record
from tests.resilience.listing import CEILING, END, Listing, incidents, unevenly
from tests.resilience.server import Fault, FaultPlan, Server, serving

ALL = {"date_range": "all"}
LOG = {"incident_id": "P1"}
MEGABYTE = 1024 * 1024
_CHILD = """
import asyncio, json, os, sys
from pathlib import Path
from tests.resilience.harness import connector_at

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

async def main(address, folder, operation, most):
    ids = set()
    records = 0
    async with connector_at(address, Path(folder)) as pd:
        await pd.execute("incidents:read", {"limit": 1})
        before = peak()
        async for record in pd.iterate("incidents:read", {"date_range": "all"}, max_items=int(most) or None):
            records += 1
            ids.add(hash(record.id))
    json.dump({"before": before, "peak": peak(), "records": records, "distinct": len(ids)}, sys.stdout)

asyncio.run(main(*sys.argv[1:]))
"""


async def read(
    listing: Listing,
    folder: Path,
    operation: str,
    params: dict[str, Any],
    *,
    fault_plan: FaultPlan | None = None,
    **options: Any,
) -> list[str]:
    server = Server(listing, fault_plan=fault_plan)
    async with connected(server, folder) as pd:
        found = [record.id async for record in pd.iterate(operation, params, **options)]
        record = await last_record(pd)
        assert record.metadata["records"] == len(found)
        assert record.metadata["answers"] == len(listing.pages)
    assert listing.refused == 0, "a page past PagerDuty's limit was asked for"
    return found


@pytest.mark.parametrize(
    ("operation", "params", "listing"),
    [
        ("incidents:read", ALL, Listing("incidents", 25_000)),
        ("incidents:read_log", LOG, Listing("log_entries", 25_000)),
        ("incidents:read", ALL, Listing("incidents", 25_000, span=timedelta(hours=3))),
    ],
    ids=["incidents", "log entries", "incidents of one night"],
)
async def test_twenty_five_thousand_records_come_each_once(
    tmp_path: Path, operation: str, params: dict[str, Any], listing: Listing
) -> None:
    found = await read(listing, tmp_path, operation, params)
    assert Counter(found) == Counter(listing.ids)
    assert len(listing.pages) < 25_000 / 100 * 1.5


@pytest.mark.parametrize("size", [1, 30, 99])
@pytest.mark.parametrize("counts", [True, False])
async def test_the_last_page_below_the_limit_is_read_whatever_the_size_of_pages(
    tmp_path: Path, size: int, counts: bool
) -> None:
    listing = Listing("users", CEILING if size > 1 else 300, counts=counts)
    assert await read(listing, tmp_path, "users:read", {"limit": size}) == listing.ids


async def test_pages_that_overtake_each_other_are_handed_out_in_order(tmp_path: Path) -> None:
    listing = Listing("incidents", 3_000)
    assert await read(listing, tmp_path, "incidents:read", ALL, fault_plan=lambda asked: unevenly) == listing.ids


@pytest.mark.slow
async def test_faults_loses_no_record(tmp_path: Path) -> None:
    chance = random.Random(1)  # noqa: S311 - chance, not a secret
    struck: tuple[Fault, ...] = (f.reset_before, f.answering(503), f.spoilt(cut=20, ends=True), f.closed_before)
    listing = Listing("incidents", 12_000)
    server = Server(listing, fault_plan=lambda asked: chance.choice(struck) if chance.random() < 0.05 else None)
    async with connected(server, tmp_path) as pd:
        found = [record.id async for record in pd.iterate("incidents:read", ALL)]
    assert Counter(found) == Counter(listing.ids)


@pytest.mark.parametrize("most", [1, 99, 100, 101, 250, 1_000, CEILING, 12_000, 24_999])
async def test_max_items_asks_for_no_page_in_vain(tmp_path: Path, most: int) -> None:
    listing = Listing("incidents", 25_000)
    found = await read(listing, tmp_path, "incidents:read", ALL, max_items=most)
    assert len(found) == len(set(found)) == most
    used = [page for page in listing.pages if page[1] or page[0]]
    probes = 1 if most <= CEILING else len({page[0] for page in listing.pages if page[1] == 0})
    needed = 1 + max(-(-(most - 100) // 99), 0)  # each begins with the last record of the one before
    assert len(used) <= needed + probes
    if most <= CEILING:
        assert len(listing.pages) == needed
        assert found == listing.ids[:most]


async def test_max_items_is_reached_although_records_come_twice(tmp_path: Path) -> None:
    listing = Listing("incidents", 1_000)

    def grow(offset: int) -> None:
        if offset == 100:
            listing.records[:0] = [listing.record(f"N{number}", END - timedelta(days=700)) for number in range(60)]

    listing.before = grow
    assert len(set(await read(listing, tmp_path, "incidents:read", ALL, max_items=150))) == 150


@pytest.mark.parametrize("operation", ["users:read", "services:read", "escalation:read", "schedules:read"])
async def test_lists_without_a_time_end_before_their_first_record_when_they_reach_too_far(
    tmp_path: Path, operation: str
) -> None:
    key = {"escalation:read": "escalation_policies"}.get(operation, operation.partition(":")[0])
    listing = Listing(key, CEILING + 1)
    async with connected(Server(listing), tmp_path) as pd:
        with pytest.raises(PaginationLimitError, match="10,001"):
            await anext(pd.iterate(operation))
        assert len(listing.pages) == 1
        assert len([record async for record in pd.iterate(operation, max_items=CEILING)]) == CEILING


async def test_more_records_in_one_second_than_can_be_paged_through_are_an_error(tmp_path: Path) -> None:
    listing = Listing("incidents", CEILING + 500, span=timedelta(0))
    async with connected(Server(listing), tmp_path) as pd:
        with pytest.raises(PaginationLimitError, match="within one second"):
            [record async for record in pd.iterate("incidents:read", ALL)]


async def test_a_list_that_grows_past_the_limit_while_it_is_read_loses_nothing(tmp_path: Path) -> None:
    listing = Listing("incidents", CEILING - 10)
    before = set(listing.ids)

    def grow(offset: int) -> None:
        if offset == 5_000 and len(listing.records) < CEILING:
            listing.records[:0] = [listing.record(f"N{number}", END - timedelta(days=700)) for number in range(60)]

    listing.before = grow
    found = await read(listing, tmp_path, "incidents:read", ALL)
    assert len(found) == len(set(found))
    assert before <= set(found)


@pytest.mark.parametrize("counts", [True, False])
async def test_records_that_come_in_at_the_front_are_neither_doubled_nor_a_loop(tmp_path: Path, counts: bool) -> None:
    listing = Listing("incidents", 2_000, counts=counts)
    before, turns = set(listing.ids), iter(range(10_000))

    def grow(offset: int) -> None:
        if offset and len(listing.records) < 3_000:
            listing.records[:0] = [listing.record(f"N{next(turns)}", END - timedelta(days=700)) for _ in range(7)]

    listing.before = grow
    found = await read(listing, tmp_path, "incidents:read", ALL)
    assert len(found) == len(set(found))
    assert before <= set(found)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("after", [297, 1_188])
async def test_as_many_that_join_do_not_hide_that_others_slid_past(tmp_path: Path, counts: bool, after: int) -> None:
    listing = Listing("incidents", 2_000, counts=counts)
    gone: set[str] = set()

    def exchange(offset: int) -> None:
        if offset == after and not gone:
            gone.update(record["id"] for record in listing.records[:50])
            del listing.records[:50]
            listing.records += [listing.record(f"N{number}", END) for number in range(50)]

    listing.before = exchange
    found = await read(listing, tmp_path, "incidents:read", ALL)
    assert len(found) == len(set(found))
    assert gone
    assert set(listing.ids) <= set(found)


async def test_records_that_vanish_from_a_bisected_list_hide_no_others(tmp_path: Path) -> None:
    listing = Listing("incidents", 15_000)
    gone: set[str] = set()

    def shrink(offset: int) -> None:
        if offset == 990 and len(listing.pages) > 20 and len(gone) < 400:
            gone.update(record["id"] for record in listing.records[-200:])
            del listing.records[-200:]
            middle = len(listing.records) // 2
            gone.update(record["id"] for record in listing.records[middle : middle + 200])
            del listing.records[middle : middle + 200]

    listing.before = shrink
    found = await read(listing, tmp_path, "incidents:read", ALL)
    assert len(found) == len(set(found))
    assert gone
    assert set(listing.ids) <= set(found)


async def test_a_server_that_gives_the_same_page_for_ever_is_left_with_an_error(tmp_path: Path) -> None:
    class Stuck(Listing):
        def _span(self, since: str | None, until: str | None) -> tuple[int, int]:
            return 0, len(self.records)

    listing = Stuck("users", 200_000, counts=False)
    async with connected(Server(listing), tmp_path) as pd:
        with pytest.raises(PaginationLimitError):
            [record async for record in pd.iterate("users:read")]
    assert len(listing.pages) <= CEILING / 100 + 1


async def _measured(listing: Listing, folder: Path, most: int = 0) -> dict[str, int]:
    async with serving(Server(listing)) as address:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _CHILD, address, str(folder), "incidents:read", str(most)),
            cwd=Path(__file__).parents[2],
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            out, _ = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
    assert child.returncode == 0
    measured: dict[str, int] = json.loads(out)
    return measured


@pytest.mark.slow
async def test_memory_is_that_of_the_pages_in_flight_not_of_the_list(tmp_path: Path, figures: list[str]) -> None:
    listing = incidents(25_000)
    measured = await _measured(listing, tmp_path)
    before, peak = measured["before"] / MEGABYTE, measured["peak"] / MEGABYTE
    figures.append(f"25,000 incidents: peak memory {peak:.1f} MB, {before:.1f} MB before the first")
    assert measured["records"] == measured["distinct"] == 25_000
    assert measured["peak"] < 70 * MEGABYTE
    assert measured["peak"] - measured["before"] < 30 * MEGABYTE, "the list is 96 MB"
