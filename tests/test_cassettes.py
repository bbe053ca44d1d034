"""Every operation replays from its cassette: all of it is played, matched by method, path, query and body."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from attrs import evolve

from arx_wrapper import OPERATIONS, Config, PagerDutyConnector
from arx_wrapper.config import MEMORY
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.vault.fixed import FixedVault
from tests.record import record
from tests.support import EVERYTHING
from tests.tape import ADDRESS, FOLDER, PARAMS, cassette, cassette_file, params


def test_there_is_one_cassette_an_operation_and_no_other() -> None:
    assert {file.name for file in FOLDER.glob("*.yaml")} == {cassette_file(name).name for name in OPERATIONS}
    assert set(params()) == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_operation_replays_from_its_cassette(operation: str) -> None:
    config = evolve(Config.load(), audit_url=MEMORY, sandbox=True)
    async with PagerDutyConnector(
        "agent-cassettes",
        "org-cassettes",
        policies=[EVERYTHING],
        vault=FixedVault(api_key="not-needed", requester_email="someone@example.com"),
        base_url=ADDRESS,
        transport=httpx.AsyncHTTPTransport(),
        config=config,
    ) as pd:
        with cassette(operation) as tape:
            await pd.execute(operation, params()[operation])
            assert tape.all_played
            assert len(tape) >= 1


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.name)
def test_a_cassette_holds_no_credentials_and_no_address(file: Path) -> None:
    text = file.read_text("utf-8").lower()
    assert "authorization" not in text
    assert "token=" not in text
    assert Sandbox.token not in text
    assert "http://127.0.0.1:" not in text
    assert "pagerduty.com" not in text.replace("vnd.pagerduty+json", "")


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param(("incidents:create", "analytics:read"), id="two of them"),
        pytest.param(tuple(OPERATIONS), id="all", marks=pytest.mark.slow),
    ],
)
def test_recording_again_changes_nothing_and_each_can_be_recorded_alone(
    operations: tuple[str, ...], tmp_path: Path
) -> None:
    assert record(operations, tmp_path) == 0
    assert {file.name for file in tmp_path.glob("*.yaml")} == {cassette_file(name).name for name in operations}
    for name in operations:
        assert cassette_file(name, tmp_path).read_text("utf-8") == cassette_file(name).read_text("utf-8"), (
            f"make cassettes, or python -m tests.record {name}"
        )
    assert json.loads((tmp_path / PARAMS.name).read_text("utf-8")) == {name: params()[name] for name in operations}
