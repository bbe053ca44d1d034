"""The rate limit."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from arx_wrapper.sandbox import RateLimit, Sandbox
from tests.sandbox.api import headers


async def statuses(sandbox: Sandbox, count: int) -> list[int]:
    async with httpx.AsyncClient(
        transport=sandbox.transport(), base_url=sandbox.base_url, headers=headers(sandbox)
    ) as client:
        return [(await client.get("/teams")).status_code for _ in range(count)]


@pytest.mark.parametrize(
    ("text", "limit"), [("960/min", RateLimit(960, 60)), ("16/s", RateLimit(16, 1)), ("5/m", RateLimit(5, 60))]
)
def test_limits_are_written_per_second_or_per_minute(text: str, limit: RateLimit) -> None:
    assert RateLimit.parse(text) == limit


@pytest.mark.parametrize("text", ["960", "16/fortnight", "x/s", "-1/s", "0/s"])
def test_a_wrong_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rate limit|must be"):
        RateLimit.parse(text)


async def test_calls_beyond_the_limit_are_429_until_the_window_is_over() -> None:
    sandbox = Sandbox(rate_limit="5/min")
    assert await statuses(sandbox, 7) == [200] * 5 + [429] * 2
    sandbox.advance(timedelta(seconds=60))
    assert await statuses(sandbox, 1) == [200]


async def test_every_answer_says_what_is_left() -> None:
    sandbox = Sandbox(rate_limit="2/min")
    async with httpx.AsyncClient(
        transport=sandbox.transport(), base_url=sandbox.base_url, headers=headers(sandbox)
    ) as client:
        answers = [await client.get("/teams") for _ in range(3)]
    assert [a.headers["ratelimit-remaining"] for a in answers] == ["1", "0", "0"]
    assert all(a.headers["ratelimit-limit"] == "2" and 59 <= int(a.headers["ratelimit-reset"]) <= 60 for a in answers)
    assert answers[-1].json() == {"error": {"message": "Rate Limit Exceeded", "code": 2020}}


async def test_without_limit_there_are_no_headers() -> None:
    sandbox = Sandbox(rate_limit=None)
    assert await statuses(sandbox, 50) == [200] * 50
    async with httpx.AsyncClient(
        transport=sandbox.transport(), base_url=sandbox.base_url, headers=headers(sandbox)
    ) as client:
        assert "ratelimit-limit" not in (await client.get("/teams")).headers
