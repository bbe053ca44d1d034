"""Whatever is sent, the sandbox answers as an API does: it never breaks."""

from __future__ import annotations

import os
import re

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.endpoint import Endpoint, Shape
from arx_wrapper.sandbox.routes import ENDPOINTS
from tests.sandbox.api import headers

KNOWN_IDS = ["P1234AB", "PABC123", "PNONE"]
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([*KNOWN_IDS, "", "resolved", "triggered", "2025-06-30T00:00:00Z", "incident", "service", "é"])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def bodies(shape: Shape) -> st.SearchStrategy[object]:
    """Bodies that go as deep as an endpoint looks, with junk anywhere on the way."""
    members = {name: JUNK if inner is None else bodies(inner) for name, inner in shape.items()}
    whole = st.fixed_dictionaries({}, optional=members)
    return st.one_of(whole, whole, st.lists(whole, max_size=2), JUNK)


EXAMPLES = 25 if os.environ.get("CI") else 10


@pytest.fixture(scope="module")
def account() -> Sandbox:
    """One account for all examples: each begins with `reset()`."""
    return Sandbox(rate_limit=None)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_junk_is_refused_or_ignored(account: Sandbox, endpoint: Endpoint, data: st.DataObject) -> None:
    if endpoint.method != "GET":
        account.reset()
    path = re.sub(r"\{\w+\}", lambda _: data.draw(st.sampled_from(KNOWN_IDS)), endpoint.path)
    values = st.sampled_from([*KNOWN_IDS, "", "all", "true", "resolved", "2025-06-01", "name:asc", "7", "é"])
    query = data.draw(st.dictionaries(st.sampled_from(sorted(endpoint.query or {""})), values, max_size=3))
    body = data.draw(bodies(endpoint.body)) if endpoint.body else None
    async with httpx.AsyncClient(
        transport=account.transport(), base_url=account.base_url, headers=headers(account)
    ) as client:
        answer = await client.request(endpoint.method, path, params=query, json=body)
    assert answer.status_code < 500
