"""Processes that write at the same time, with nothing but the database between them."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest

from arx_wrapper import audit
from tests.audit.conftest import everything

pytestmark = pytest.mark.slow

RECORDS = 1_000

WRITER = """
import asyncio, sys
from arx_wrapper import audit
from tests.audit.conftest import entry

async def main(url, name, count):
    log = audit.open(url, timeout=60)

    async def call(n):
        intent = await log.append(entry(agent_id=name, operation=str(n)))
        done = entry(action_type="connector.completed", status="success", agent_id=name, intent_id=intent.id)
        log.append_soon(done)

    for start in range(0, count // 2, 50):
        await asyncio.gather(*(call(start + n) for n in range(50)))
    await log.aclose()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def write(url: str, processes: int) -> None:
    writers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, url, f"writer-{number}", str(RECORDS))
        for number in range(processes)
    ]
    try:
        assert [await writer.wait() for writer in writers] == [0] * processes
    finally:
        for writer in writers:
            if writer.returncode is None:
                writer.kill()
                await writer.wait()


async def one_chain_of_all(url: str, processes: int) -> None:
    log = audit.open(url)
    found = await log.verify()
    records = await everything(log)
    await log.aclose()
    assert found.ok, found.problem
    assert found.records == len(records) == processes * RECORDS
    asked = {record.id for record in records if record.action_type == "connector.called"}
    answered = Counter(record.metadata["intent"] for record in records if record.action_type == "connector.completed")
    assert answered == dict.fromkeys(asked, 1), "each has one outcome, and it is its own"
    assert {record.status for record in records} == {"in_progress", "success"}
    named = Counter(record.agent_id for record in records)
    assert named == {f"writer-{number}": RECORDS for number in range(processes)}


async def test_eight_processes_write_one_chain_into_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/audit.db"
    await write(url, 8)
    await one_chain_of_all(url, 8)


async def test_four_processes_write_one_chain_into_postgresql(log_in_postgres: str) -> None:
    await write(log_in_postgres, 4)
    await one_chain_of_all(log_in_postgres, 4)
