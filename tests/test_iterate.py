"""ListReader everything: each record once, in order, no page in vain, no endless loop, no silent end."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import orjson
import pytest

from arx_wrapper import (
    ApprovalDeniedError,
    ApprovalPendingError,
    InvalidParamsError,
    PagerDutyConnector,
    PagerDutyError,
    PaginationLimitError,
    PermissionDeniedError,
    ValidationError,
)
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import Policies
from arx_wrapper.vault.fixed import FixedVault
from tests.support import EVERYTHING, decide, trail

OPEN = {"statuses": ["triggered", "acknowledged"]}


async def ids(
    pd: PagerDutyConnector, operation: str, params: dict[str, Any] | None = None, **options: Any
) -> list[str]:
    return [record.id async for record in pd.iterate(operation, params, **options)]


def connector(account: Any = None, **options: Any) -> PagerDutyConnector:
    return PagerDutyConnector.sandbox(policies=[EVERYTHING], **options)


async def test_every_record_comes_once_and_in_the_servers_order() -> None:
    async with connector() as pd:
        assert pd.sandbox_account is not None
        pd.sandbox_account.add_incidents(730)
        found = await ids(pd, "incidents:read", OPEN)
        pages = [await pd.execute("incidents:read", {**OPEN, "limit": 100, "offset": n}) for n in range(0, 800, 100)]
        records = await trail(pd)
    expected = [incident["id"] for page in pages for incident in page["incidents"]]
    assert found == expected
    assert len(set(found)) == len(found) > 730
    intent, outcome = records[:2]
    assert (intent.action_type, outcome.action_type) == ("connector.called", "connector.completed")
    assert outcome.metadata["records"] == len(found)
    assert outcome.metadata["answers"] == -(-len(found) // 100)


@pytest.mark.slow
async def test_more_than_ten_thousand_incidents_are_read_in_spans_of_time() -> None:
    async with connector() as pd:
        assert pd.sandbox_account is not None
        pd.sandbox_account.add_incidents(25_000)
        before = len(list(pd.sandbox_account.account.incidents()))
        found = await ids(pd, "incidents:read", {"date_range": "all"})
    assert len(found) == len(set(found)) == before


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ({"date_range": "all", "since": "2026-01-01T00:00:00Z"}, "2009-01-01T00:00:00+00:00"),
        ({"since": "2026-01-01", "time_zone": "America/New_York"}, "2026-01-01T00:00:00-05:00"),
    ],
)
async def test_spans_of_time_cover_what_the_call_asks_for(asked: dict[str, str], first: str) -> None:
    since: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        since.append(request.url.params.get("since", ""))
        whole = len(since) == 1
        body = {"incidents": [], "limit": 100, "offset": 0, "more": whole, "total": 10_001 if whole else 0}
        return httpx.Response(200, json=body)

    async with PagerDutyConnector.sandbox(
        policies=[EVERYTHING],
        transport=httpx.MockTransport(answer),
        base_url="http://127.0.0.1",
        vault=FixedVault(api_key="k"),
    ) as pd:
        assert await ids(pd, "incidents:read", asked) == []
    assert min(map(datetime.fromisoformat, since[1:])) == datetime.fromisoformat(first)


async def test_no_page_is_asked_for_beyond_max_items() -> None:
    async with connector() as pd:
        assert pd.sandbox_account is not None
        pd.sandbox_account.add_incidents(500)
        assert len(await ids(pd, "incidents:read", OPEN, max_items=150)) == 150
        assert len(pd.sandbox_account.requests) == 2
        assert len(await ids(pd, "incidents:read", OPEN, max_items=1)) == 1
        assert len(pd.sandbox_account.requests) == 3
        assert await ids(pd, "incidents:read", OPEN, max_items=0) == []
        assert len(pd.sandbox_account.requests) == 3


async def test_leaving_early_stops_reading_and_is_on_record() -> None:
    async with connector() as pd:
        assert pd.sandbox_account is not None
        pd.sandbox_account.add_incidents(3_000)
        reading = pd.iterate("incidents:read", OPEN)
        async for _ in reading:
            break
        await reading.aclose()
        assert len(pd.sandbox_account.requests) <= 9
        outcome = (await trail(pd))[-1]
    assert (outcome.action_type, outcome.status, outcome.metadata["records"]) == ("connector.completed", "success", 1)


@pytest.mark.parametrize(
    "operation",
    [
        "services:read",
        "escalation:read",
        "schedules:read",
        "users:read",
        "teams:read",
        "maintenance:read",
        "rules:read",
    ],
)
async def test_every_paged_list_iterates(operation: str) -> None:
    async with connector() as pd:
        found = await ids(pd, operation, {"limit": 2})
        body = await pd.execute(operation, {"limit": 100})
        assert sorted(found) == sorted(item["id"] for item in body[str(pd.operations[operation].envelope)])


async def test_lists_that_come_whole_and_records_without_ids_iterate_too() -> None:
    async with connector() as pd:
        await pd.add_incident_note("P1234AB", "one more")
        notes = [note async for note in pd.iterate("incidents:read_notes", {"incident_id": "P1234AB"})]
        assert [note.content for note in notes].count("one more") == 1
        assert [x async for x in pd.iterate("services:read_integrations", {"service_id": "PABC123"})]
        oncalls = [entry async for entry in pd.iterate("schedules:read_oncall", {"limit": 2})]
        body = await pd.execute("schedules:read_oncall", {"limit": 100})
        assert len(oncalls) == len({orjson.dumps(entry) for entry in body["oncalls"]})


@pytest.mark.parametrize("operation", ["analytics:read", "analytics:services"])
async def test_figures_iterate(operation: str) -> None:
    async with connector() as pd:
        figures = [figure async for figure in pd.iterate(operation, {"aggregate_unit": "day"})]
        body = await pd.execute(operation, {"aggregate_unit": "day"})
        assert [figure.total_incident_count for figure in figures] == [
            row["total_incident_count"] for row in body["data"]
        ]
        assert len(figures) > 1


async def test_what_does_not_list_cannot_be_iterated() -> None:
    async with connector() as pd:
        for operation, params in (
            ("incidents:read_detail", {"incident_id": "P1234AB"}),
            ("services:delete", {"service_id": "PABC123"}),
        ):
            with pytest.raises(InvalidParamsError, match="does not list"):
                await ids(pd, operation, params)
        assert {record.action_type for record in await trail(pd)} == {"connector.refused"}
        for most in (-1, "3", 1.5, True):
            with pytest.raises(InvalidParamsError, match="max_items"):
                await ids(pd, "incidents:read", max_items=most)
        assert {record.action_type for record in await trail(pd)} == {"connector.refused"}


async def test_a_list_that_a_reviewer_has_to_allow_is_read_with_the_approval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARX_APPROVALS_MODE", "raise")
    async with PagerDutyConnector.sandbox(policies=[{**EVERYTHING, "approval": "hitl", "hitl_channel": "#a"}]) as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await ids(pd, "users:read")
        approval_id = str(pending.value.approval_id)
        await decide(pd, approval_id)
        assert await ids(pd, "users:read", approval_id=approval_id)


class Server:
    """A list that behaves badly."""

    def __init__(self, count: int) -> None:
        self.records = [{"id": f"U{number:05}"} for number in range(count)]
        self.asked: list[int] = []
        self.total: int | None = count
        self.always_more = False
        self.cap = 100

    def __call__(self, request: httpx.Request) -> httpx.Response:
        offset, limit = int(request.url.params["offset"]), min(int(request.url.params["limit"]), self.cap)
        self.asked.append(offset)
        self.before(offset)
        page = self.records[offset : offset + limit]
        more = self.always_more or offset + limit < len(self.records)
        body = {"users": page, "limit": limit, "offset": offset, "more": more, "total": self.total}
        return httpx.Response(200, json=body)

    def before(self, offset: int) -> None:
        """Act on the server just before a page is read."""

    def connector(self) -> PagerDutyConnector:
        return PagerDutyConnector.sandbox(
            policies=[EVERYTHING],
            transport=httpx.MockTransport(self),
            base_url="http://127.0.0.1",
            vault=FixedVault(api_key="k"),
        )


async def test_an_empty_page_ends_the_list_whatever_it_says_of_more() -> None:
    server = Server(0)
    server.always_more, server.total = True, None
    async with server.connector() as pd:
        assert await ids(pd, "users:read") == []
    assert server.asked == [0]


async def test_a_server_that_does_not_count_is_read_to_its_end() -> None:
    server = Server(350)
    server.total = None
    async with server.connector() as pd:
        assert len(await ids(pd, "users:read")) == 350
    assert server.asked == [0, 99, 198, 297], "each page begins with the last record of the one before"


async def test_a_server_with_smaller_pages_loses_nothing() -> None:
    server = Server(120)
    server.cap = 25
    async with server.connector() as pd:
        assert len(await ids(pd, "users:read")) == 120


@pytest.mark.parametrize("broken_at", [0, 99])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"users": null}', b'{"error": {"message": "no", "code": 1}}'])
async def test_a_page_without_its_list_is_an_error_not_the_lists_end(body: bytes, broken_at: int) -> None:
    class Broken(Server):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            whole = super().__call__(request)
            return whole if self.asked[-1] < broken_at else httpx.Response(200, content=body)

    async with Broken(300).connector() as pd:
        with pytest.raises(PagerDutyError, match=r"holds no 'users'|is empty"):
            await ids(pd, "users:read")
        assert (await trail(pd))[-1].status == "error"


async def test_a_list_that_holds_something_else_than_objects_is_an_error() -> None:
    server = Server(3)
    server.records = ["U1"]  # type: ignore[list-item]  # what the server should not send
    async with server.connector() as pd:
        for reading in (ids(pd, "users:read"), pd.list_users(limit=3, offset=0)):
            with pytest.raises(PagerDutyError, match="instead of an object"):
                await reading


async def test_records_that_appear_meanwhile_are_neither_doubled_nor_a_loop() -> None:
    class Growing(Server):
        def before(self, offset: int) -> None:
            if offset == 200:
                self.records[:0] = [{"id": f"N{number}"} for number in range(30)]

    server = Growing(500)
    async with server.connector() as pd:
        found = await ids(pd, "users:read")
    assert len(found) == len(set(found))
    assert {f"U{number:05}" for number in range(500)} <= set(found)


async def test_records_that_slide_past_when_others_vanish_are_looked_for_again() -> None:
    class Shrinking(Server):
        def before(self, offset: int) -> None:
            if offset == 200 and len(self.records) == 500:
                del self.records[:30]
                self.total = len(self.records)

    server = Shrinking(500)
    async with server.connector() as pd:
        found = await ids(pd, "users:read")
    assert len(found) == len(set(found))
    assert {f"U{number:05}" for number in range(30, 500)} <= set(found)


async def test_a_list_past_the_ceiling_fails_before_its_first_record() -> None:
    server = Server(10_001)
    async with server.connector() as pd:
        with pytest.raises(PaginationLimitError, match="10,001"):
            await anext(pd.iterate("users:read"))
        assert len(await ids(pd, "users:read", max_items=300)) == 300


async def test_a_list_past_the_ceiling_that_nobody_counted_ends_with_an_error_not_silently() -> None:
    server = Server(10_050)
    server.total = None
    async with server.connector() as pd:
        with pytest.raises(PaginationLimitError):
            await ids(pd, "users:read")


async def test_a_server_that_always_says_more_is_not_asked_for_ever() -> None:
    class Endless(Server):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            self.asked.append(int(request.url.params["offset"]))
            body = {"users": self.records[:1], "limit": 1, "offset": self.asked[-1], "more": True, "total": None}
            return httpx.Response(200, json=body)

    server = Endless(1)
    async with server.connector() as pd:
        with pytest.raises(PaginationLimitError, match="still says that there is more"):
            await ids(pd, "users:read")
        assert (await trail(pd))[-1].metadata["records"] == 1
    assert len(server.asked) <= 1_010


async def test_since_alone_reaches_to_now_and_until_alone_goes_back_a_month() -> None:
    spans: list[tuple[str | None, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        spans.append((request.url.params.get("since"), request.url.params.get("until")))
        key = "log_entries" if "log_entries" in request.url.path else "incidents"
        return httpx.Response(200, json={key: [], "limit": 100, "offset": 0, "more": False, "total": 0})

    now = datetime.now(UTC)
    async with PagerDutyConnector.sandbox(
        policies=[EVERYTHING],
        transport=httpx.MockTransport(answer),
        base_url="http://127.0.0.1",
        vault=FixedVault(api_key="k"),
    ) as pd:
        started = (now - timedelta(days=90)).isoformat()
        assert await ids(pd, "incidents:read", {"since": started}) == []
        assert await ids(pd, "incidents:read", {"until": started}) == []
        assert await ids(pd, "incidents:read_log", {"incident_id": "P1", "since": started}) == []
        assert await ids(pd, "incidents:read", {}) == []
        assert await ids(pd, "incidents:read", {"since": started, "date_range": "all"}) == []
    first, second, third, neither, everything = spans
    assert first[0] == third[0] == started
    for _, until in (first, third):
        assert abs(datetime.fromisoformat(str(until)) - now) < timedelta(minutes=1)
    assert second == ((now - timedelta(days=121)).isoformat(), started)
    assert neither == (None, None), "PagerDuty's own default is the last month"
    assert everything == (started, None), "with date_range=all PagerDuty looks at neither"


FIRST, LAST = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"


@pytest.mark.parametrize("bounds", [(FIRST, LAST), (None, FIRST), (FIRST, None), (FIRST, FIRST), (LAST, FIRST)])
@pytest.mark.parametrize("operation", ["incidents:read", "audit:read"])
async def test_no_year_without_records_is_asked_for(operation: str, bounds: tuple[str | None, str | None]) -> None:
    since, until = bounds
    asked = ({"since": since} if since else {}) | ({"until": until} if until else {})
    async with connector() as pd:
        assert pd.sandbox_account is not None
        with contextlib.suppress(InvalidParamsError, ValidationError):  # bounds in the wrong order
            await ids(pd, operation, asked)
        assert len(pd.sandbox_account.requests) < 300  # one a month, from 2009 on
        *_, last = await trail(pd)
        assert last.action_type in ("connector.completed", "connector.refused")


@pytest.mark.parametrize("oldest_first", [True, False])
async def test_a_span_of_two_years_is_read_in_spans_that_pagerduty_takes(oldest_first: bool) -> None:
    async with connector() as pd:
        account = pd.sandbox_account
        assert account is not None
        account.advance(timedelta(days=700))
        account.add_incidents(5)
        known = {incident["id"] for incident in account.account.incidents()}
        asked = {"since": "2025-01-01T00:00:00Z", "until": account.clock.now().isoformat()}
        account.requests.clear()
        found = await ids(pd, "incidents:read", asked | ({"sort_by": "created_at:asc"} if oldest_first else {}))
        bounds = [
            tuple(datetime.fromisoformat(parse_qs(request.query)[name][0]) for name in ("since", "until"))
            for request in account.requests
        ]
    assert len(found) == len(set(found))
    assert set(found) == known
    assert all(timedelta(0) < until - since <= timedelta(days=180) for since, until in bounds)
    assert bounds == sorted(bounds, reverse=not oldest_first)


async def test_an_iteration_is_one_use_of_a_limit_however_many_pages_it_reads() -> None:
    limited = {**EVERYTHING, "limits": {"users:read": "1/hour"}}
    async with PagerDutyConnector.sandbox(policies=[limited]) as pd:
        assert len([user async for user in pd.iterate("users:read", {"limit": 2})]) == 7
        intent, outcome = await trail(pd)
        assert outcome.metadata["answers"] > 1
        assert intent.metadata["counted"] == {"users:read": 1}
        with pytest.raises(PermissionDeniedError, match="used up"):
            await pd.list_users()


async def test_an_iteration_ends_when_its_agent_is_suspended() -> None:
    async with connector() as pd:
        assert pd.sandbox_account is not None
        pd.sandbox_account.add_incidents(3_000)
        found: list[str] = []

        async def read() -> None:
            async for incident in pd.iterate("incidents:read", OPEN):
                found.append(str(incident.id))
                if len(found) == 150:
                    await pd.audit.suspend(pd.agent_id, org_id=pd.org_id, by="ada", reason="enough")

        with pytest.raises(PermissionDeniedError, match="suspended: enough"):
            await read()
        requests = len(pd.sandbox_account.requests)
        outcome = (await trail(pd))[-1]
    assert requests <= 12, "the pages that were on their way, and no more"
    assert len(found) < 1_500
    assert (outcome.action_type, outcome.status, outcome.error) == (
        "connector.completed",
        "error",
        "PermissionDeniedError",
    )
    assert outcome.metadata["records"] == len(found)


async def test_a_page_requested_ahead_is_not_handed_out_after_its_agent_is_suspended() -> None:
    async with connector() as pd:
        assert pd.sandbox_account is not None
        pd.sandbox_account.add_incidents(30)
        found: list[str] = []

        async def read() -> None:
            async for incident in pd.iterate("incidents:read", {**OPEN, "limit": 1}):
                found.append(str(incident.id))
                if len(found) == 2:
                    await pd.audit.suspend(pd.agent_id, org_id=pd.org_id, by="ada", reason="enough")

        with pytest.raises(PermissionDeniedError, match="suspended: enough"):
            await read()
        requests, outcome = len(pd.sandbox_account.requests), (await trail(pd))[-1]
    assert requests > 2, "further pages were on their way"
    assert (len(found), outcome.metadata["records"]) == (2, 2)


async def test_an_iteration_ends_when_policy_is_tightened(tmp_path: Path) -> None:
    file, ticks = tmp_path / "policy.yaml", itertools.count()
    file.write_text(json.dumps([EVERYTHING]))
    policies = Policies(
        file,
        registry=RISKS,
        connector="pagerduty",
        clock=lambda: float(next(ticks)),
        wall=lambda: time.time() + 60,
    )
    async with PagerDutyConnector.sandbox(policies=policies) as pd:
        assert pd.sandbox_account is not None
        pd.sandbox_account.add_incidents(3_000)
        found: list[str] = []

        async def read() -> None:
            async for incident in pd.iterate("incidents:read", OPEN):
                found.append(str(incident.id))
                if len(found) == 150:
                    file.write_text(json.dumps([{**EVERYTHING, "deny": ["incidents:read"]}]))

        with pytest.raises(PermissionDeniedError):
            await read()
        assert len(pd.sandbox_account.requests) <= 12


async def test_an_approval_is_for_one_page_or_for_so_many_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARX_APPROVALS_MODE", "raise")
    async with PagerDutyConnector.sandbox(policies=[{**EVERYTHING, "approval": "hitl", "hitl_channel": "#a"}]) as pd:

        async def asked(reading: Any) -> str:
            with pytest.raises(ApprovalPendingError) as pending:
                await reading
            approval_id = str(pending.value.approval_id)
            await decide(pd, approval_id)
            return approval_id

        page = await asked(pd.execute("users:read", {"limit": 2}))
        with pytest.raises(ApprovalDeniedError, match="another call"):
            await ids(pd, "users:read", {"limit": 2}, approval_id=page)
        assert len((await pd.execute("users:read", {"limit": 2}, approval_id=page))["users"]) == 2
        three = await asked(ids(pd, "users:read", {"limit": 2}, max_items=3))
        request = await pd.approval(three)
        assert json.loads(request.params) == {"limit": 2, "iterate": {"max_items": 3}}, "reviewers see it"
        assert request.sentence == "List all users. Up to 3 records are read."
        for most in (4, None):
            with pytest.raises(ApprovalDeniedError, match="another call"):
                await ids(pd, "users:read", {"limit": 2}, max_items=most, approval_id=three)
        with pytest.raises(ApprovalDeniedError, match="another call"):
            await pd.execute("users:read", {"limit": 2}, approval_id=three)
        assert len(await ids(pd, "users:read", {"limit": 2}, max_items=3, approval_id=three)) == 3
