"""An account in a file: nothing is lost between processes, and two of them share it."""

from __future__ import annotations

import asyncio
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from arx_wrapper import Config, ConfigError, PagerDutyConnector
from arx_wrapper.sandbox import Sandbox
from tests.cases import calls
from tests.sandbox.api import headers
from tests.subjects import subjects
from tests.support import EVERYTHING, connector_on

ALL = {"date_range": "all", "limit": 100}


async def whole(sandbox: Sandbox) -> list[object]:
    """Everything that the account shows."""
    paths = (
        "/incidents?date_range=all&limit=100&include[]=acknowledgers",
        "/log_entries?limit=100",
        "/services",
        "/users?include[]=contact_methods",
        "/escalation_policies",
        "/schedules",
        "/maintenance_windows?filter=all",
        "/incidents/P1234AB/notes",
        "/incidents/P1234AB/alerts",
        "/event_rules",
        "/priorities",
    )
    async with httpx.AsyncClient(
        transport=sandbox.transport(), base_url=sandbox.base_url, headers=headers(sandbox)
    ) as client:
        return [(await client.get(path)).json() for path in paths]


async def test_everything_that_every_operation_changes_is_there_in_the_next_process(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    first = Sandbox(state=file, rate_limit=None)
    async with connector_on(first) as pd:
        for operation, params in calls(await subjects(pd)).items():
            await pd.execute(operation, params)
    second = Sandbox(state=file, rate_limit=None)
    assert await whole(second) == await whole(first)
    assert second.account.random.getstate() == first.account.random.getstate()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_two_processes_share_the_account_while_both_run(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    one, other = Sandbox(state=file), Sandbox(state=file)
    async with connector_on(one) as first, connector_on(other) as second:
        created = await first.create_incident("Disk full", "PABC123")
        await second.acknowledge_incident(str(created.id))
        await first.add_incident_note(str(created.id), "Seen.")
        assert (await first.get_incident(str(created.id))).status == "acknowledged"
        assert [note.content for note in await second.list_incident_notes(str(created.id))] == ["Seen."]


def test_what_many_change_at_once_is_all_kept(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    Sandbox(state=file)

    async def add_notes() -> None:
        async with connector_on(Sandbox(state=file, rate_limit=None)) as pd:
            for number in range(8):
                await pd.add_incident_note("P1234AB", f"note {number}")

    with ThreadPoolExecutor(4) as pool:  # a lock of a file is between its openings, as between processes
        for done in [pool.submit(lambda: asyncio.run(add_notes())) for _ in range(4)]:
            done.result()
    incident = Sandbox(state=file).account.incident("P1234AB")
    assert len(incident.notes) == 1 + 4 * 8


async def test_what_falls_due_comes_after_a_restart_too(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    first = Sandbox(state=file)
    async with connector_on(first) as pd:
        await pd.snooze_incident("P1234AB", 600)
    second = Sandbox(state=file)
    second.advance(timedelta(hours=1))
    async with connector_on(second) as pd:
        assert (await pd.get_incident("P1234AB")).status == "triggered"


async def test_a_reset_begins_anew_for_all(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    one, other = Sandbox(state=file), Sandbox(state=file)
    async with connector_on(one) as first, connector_on(other) as second:
        await first.resolve_incident("P1234AB")
        one.reset()
        assert (await second.get_incident("P1234AB")).status == "triggered"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 99}', b"\xff"])
def test_a_file_that_holds_no_account_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "account.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"account\.json holds no account"):
        Sandbox(state=file)
    assert file.read_bytes() == content
    config = Config.load({"ARX_SANDBOX": str(file)})
    with pytest.raises(ConfigError, match="account"):
        PagerDutyConnector("a", "o", config=config, policies=[EVERYTHING])


async def test_a_path_in_the_environment_keeps_the_account(tmp_path: Path) -> None:
    config = Config.load({"ARX_SANDBOX": str(tmp_path / "account.json"), "XDG_STATE_HOME": str(tmp_path)})
    async with PagerDutyConnector("a", "o", config=config, policies=[EVERYTHING]) as pd:
        await pd.resolve_incident("P1234AB")
    async with PagerDutyConnector("a", "o", config=config, policies=[EVERYTHING]) as pd:
        assert (await pd.get_incident("P1234AB")).status == "resolved"
