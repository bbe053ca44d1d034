from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import Api, headers


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(seed=7)


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[Api]:
    async with httpx.AsyncClient(
        transport=sandbox.transport(), base_url=sandbox.base_url, headers=headers(sandbox)
    ) as client:
        yield Api(client)
