"""The code, text and id that are taken from an unsuccessful response, however large or odd it is."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from arx_wrapper import AuthenticationError, PagerDutyConnector
from arx_wrapper.credentials import Secret
from arx_wrapper.transport.response import failure, retry_after
from tests.support import EVERYTHING


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit-reset": "7", "retry-after": "9"}, 7.0),
        ({"ratelimit-reset": "1767225600", "retry-after": "9"}, 9.0),
        ({"retry-after": "1767225600"}, None),
        ({"retry-after": "31622400"}, 31_622_400.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "Thu, 01 Jan 2026 00:01:00 GMT"}, 60.0),
        ({"retry-after": "Thu, 01 Jan 2099 00:00:00 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_a_number_of_seconds_below_a_year(headers: dict[str, str], seconds: float | None) -> None:
    """A larger number is a point in time, and would keep the key from all calls."""
    assert retry_after(headers, datetime(2026, 1, 1, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    "errors",
    [
        ["x"] * 10_000,
        [{str(number): "x" for number in range(10_000)}] * 3,
        [[[["x"] * 10_000]] * 100],
        [{"a": "x"}] * 60,
        ["x"] * 49 + [{str(number): "x" for number in range(60)}],
    ],
)
def test_an_errors_details_are_the_first_fifty(errors: object) -> None:
    content = msgspec.json.encode({"error": {"message": "no", "errors": errors}})
    found = failure(400, {}, content, "incidents:update", False, Secret("k"))
    assert len(found.errors) == 50


async def test_a_rejected_key_that_the_vault_still_has_is_not_sent_again() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        assert pd.sandbox_account is not None
        pd.sandbox_account.faults.unauthorized(times=None)
        with pytest.raises(AuthenticationError):
            await pd.list_teams()
        assert len(pd.sandbox_account.requests) == 1
