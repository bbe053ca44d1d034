"""Two reads outside the reference's table: governed, typed, listed and recorded like all others."""

from __future__ import annotations

import pytest

from arx_wrapper import EXTENSIONS, OPERATIONS, PagerDutyConnector, PermissionDeniedError, ValidationError
from tests.support import EVERYTHING, denying, trail


def test_the_reference_has_45_operations_and_the_extensions_are_others() -> None:
    assert len(OPERATIONS) == 45
    assert {"priorities:read", "users:read_me"} <= set(EXTENSIONS)
    assert not OPERATIONS.keys() & EXTENSIONS.keys()
    assert all(row.extension and not row.writes for row in EXTENSIONS.values())
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


async def test_policy_denies_them_by_name_and_by_glob() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING, denying("users:read_*", "priorities:read")]) as pd:
        with pytest.raises(PermissionDeniedError):
            await pd.get_current_user()
        with pytest.raises(PermissionDeniedError):
            await pd.list_priorities()
        assert pd.sandbox_account
        assert not pd.sandbox_account.requests
