"""The generated package's README: its examples run against a server, and its table names every endpoint."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pagerduty_client
import pytest
from pagerduty_client import Client

from tests.client.server import Server
from tests.client.test_requests import OPERATIONS

README = (Path(pagerduty_client.__file__).parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
ANSWERS = json.loads((Path(__file__).parent / "examples.json").read_text(encoding="utf-8"))
ANSWERS["create_event_rule"] = {"response": {"id": "r-1"}}


def functions() -> dict[str, Any]:
    """Run the examples and return their functions, one after another in one module, as a reader would try them."""
    module: dict[str, Any] = {"__name__": "readme"}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec", dont_inherit=True), module)  # noqa: S102 - our own
    return {name: each for name, each in module.items() if inspect.iscoroutinefunction(each)}


EXAMPLES = {
    name: function for name, function in functions().items() if "client" in inspect.signature(function).parameters
}


def test_every_resource_has_an_example() -> None:
    tags = {operation["tags"][0] for _, _, operation in (each.values for each in OPERATIONS)}
    assert set(re.findall(r"^### (\w+)$", README, re.MULTILINE)) == tags
    assert len(EXAMPLES) == len(tags)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_works_as_it_is_written(name: str) -> None:
    called = next(each for each in OPERATIONS if f"{each.values[2]['operationId']}.call" in inspect_source(name))
    answer = next(iter(ANSWERS[called.values[2]["operationId"]].values()))
    async with Server(content=json.dumps(answer).encode()).running() as server, Client(server.url) as client:
        assert await EXAMPLES[name](client) is not None or name == "never_resolve_by_itself"
    (sent,) = server.received
    assert sent.method == called.values[1]


def inspect_source(name: str) -> str:
    return next(block for block in BLOCKS if f"async def {name}(" in block)


@pytest.mark.slow
def test_the_examples_are_typed(tmp_path: Path) -> None:
    (tmp_path / "readme.py").write_text("\n".join(BLOCKS), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path), "readme.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_endpoint_is_in_the_table() -> None:
    for path, method, operation in (each.values for each in OPERATIONS):
        row = next(line for line in README.splitlines() if line.startswith(f"| `{method} {path}`"))
        assert f"`{operation['tags'][0]}.{operation['operationId']}(" in row
        assert all(scope in row for scope in operation.get("x-scopes", ["unknown"]))
