"""The server knows nothing of PagerDuty: another API's connector is served as well."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from attrs import evolve
from mcp import Client

from arx_wrapper import Config
from arx_wrapper.mcp.server import ToolServer
from arx_wrapper.mcp.tools import Tools
from arx_wrapper.vault.fixed import FixedVault
from tests.mcp.conftest import structured

FILE = Path(__file__).parent.parent.parent / "examples" / "other_connector.py"


@pytest.fixture
def example() -> ModuleType:
    spec = spec_from_file_location("other_connector", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_another_apis_operations_are_tools_too(example: ModuleType, tmp_path: Path) -> None:
    doors = example.Doors(
        "watchman",
        "acme",
        policies=example.POLICY,
        audit=f"sqlite:///{tmp_path}/audit.db",
        approvals=f"sqlite:///{tmp_path}/audit.db",
        vault=FixedVault(api_key="k", requester_email="watch@example.com"),
        base_url="https://doors.example.com",
        transport=httpx.MockTransport(example.building),
        config=evolve(Config.load(), approvals_mode="raise"),
    )
    async with doors, Client(ToolServer(Tools(doors))) as client:
        assert client.server_info is not None
        assert client.server_info.name == "arx-doors"
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["doors_read", "doors_unlock", "approval_status"]
        assert tools["doors_unlock"].input_schema["properties"]["minutes"]["maximum"] == 60
        assert (tools["doors_unlock"].description or "").startswith("Unlock a door; it locks itself again")
        found = structured(await client.call_tool("doors_read", {}))
        assert found["data"] == {"doors": [{"id": "D1", "locked": True}]}
        stopped = structured(await client.call_tool("doors_unlock", {"door_id": "D1", "minutes": 5}))
        assert stopped["approval"]["state"] == "pending"
        refused = structured(await client.call_tool("doors_unlock", {"door_id": "D1", "minutes": 500}))
        assert refused["error"]["param"] == "minutes"
