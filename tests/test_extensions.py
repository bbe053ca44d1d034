"""Reads outside the reference's table: governed, typed, listed and recorded like all others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arx_wrapper import (
    EXTENSIONS,
    OPERATIONS,
    InvalidParamsError,
    PagerDutyConnector,
    PaginationLimitError,
    PermissionDeniedError,
    ValidationError,
)
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.faults import Fault
from tests.support import EVERYTHING, connector_on, denying, trail


def test_the_reference_has_45_operations_and_the_extensions_are_others() -> None:
    assert len(OPERATIONS) == 45
    assert {"priorities:read", "users:read_me", "audit:read"} <= set(EXTENSIONS)
    assert not OPERATIONS.keys() & EXTENSIONS.keys()
    assert all(row.extension for row in EXTENSIONS.values())
    assert not any(row.extension for row in OPERATIONS.values())
    assert list(PagerDutyConnector.operations) == [*OPERATIONS, *EXTENSIONS]


async def test_priorities_are_what_an_incident_can_be_given() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        priorities = await pd.list_priorities(limit=2)
        assert (len(priorities), priorities.more) == (2, True)
        changed = await pd.update_incident("P1234AB", priority_id=priorities[0].id)
        assert changed.priority is not None
        assert changed.priority.id == priorities[0].id
        assert [priority.name async for priority in pd.iterate("priorities:read")][:2] == [p.name for p in priorities]


async def test_the_keys_own_user_is_found_and_the_read_is_on_record() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        assert pd.sandbox_account
        with pytest.raises(ValidationError, match="account-level access token"):
            await pd.get_current_user()
        pd.sandbox_account.options.personal_key = True
        assert (await pd.get_current_user()).email == pd.sandbox_account.email
        assert [record.operation for record in await trail(pd)] == ["users:read_me"] * 4


async def test_audit_records_are_read_page_by_page_and_span_by_span() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        account = pd.sandbox_account
        assert account
        began = account.clock.now()
        for _ in range(35):
            account.advance(timedelta(days=1))
            account.record_change("update", "team", "P41PJSO", at=account.clock.now(), address="203.0.113.7")
        since = account.clock.now() - timedelta(days=5)
        page = await pd.list_audit_records(since=since, limit=4)
        assert (len(page), page.more) == (4, True)
        assert len(await pd.list_audit_records(since=since, cursor=page.next_cursor)) == 2
        account.requests.clear()
        span = {"since": began, "until": account.clock.now(), "limit": 10}
        read = [record async for record in pd.iterate("audit:read", span)]
        assert len({record.id for record in read}) == len(read) == 35
        assert [record.execution_time for record in read] == sorted((r.execution_time for r in read), reverse=True)
        # 31 days in four pages, four more in one; each span's later pages keep its bounds.
        assert len(account.requests) == 5
        assert all("since=" in request.query and "until=" in request.query for request in account.requests)
        last = pd.iterate("audit:read", span, max_items=12)
        assert [record.id async for record in last] == [record.id for record in read[:12]]


async def test_a_span_that_ends_before_it_begins_is_refused_and_a_list_without_end_is_left() -> None:
    account = Sandbox()
    async with connector_on(account) as pd:
        with pytest.raises(InvalidParamsError, match="is not before until"):
            [record async for record in pd.iterate("audit:read", {"since": "2025-06-02T00:00:00Z",
                                                                  "until": "2025-06-01T00:00:00Z"})]  # fmt: skip
        assert not account.requests
        body = {"records": [{"id": "R1"}], "limit": 1, "next_cursor": "again"}
        account.faults.add(Fault(status=200, body=body, times=None, path="/audit/records"))
        with pytest.raises(PaginationLimitError, match="the same cursor twice"):
            [record async for record in pd.iterate("audit:read")]
        assert len(account.requests) == 2


async def test_the_values_that_a_record_repeats_are_hidden_unless_policy_shows_them() -> None:
    hidden = {name: value for name, value in EVERYTHING.items() if name != "show"}
    seen = {**EVERYTHING, "show": ["details.fields.value"]}
    for policy, value in ((hidden, "[hidden]"), (seen, "moved")):
        async with PagerDutyConnector.sandbox(policies=[policy]) as pd:
            await pd.update_service("PABC123", description="moved")
            [record] = await pd.list_audit_records()
            assert record.details
            assert [(each.name, each.value) for each in record.details.fields or ()] == [("description", value)]


async def test_policy_denies_them_by_name_and_by_glob() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING, denying("users:read_*", "priorities:read")]) as pd:
        with pytest.raises(PermissionDeniedError):
            await pd.get_current_user()
        with pytest.raises(PermissionDeniedError):
            await pd.list_priorities()
        assert pd.sandbox_account
        assert not pd.sandbox_account.requests
