"""The behaviour of a log in every kind of database."""

from __future__ import annotations

import asyncio
import sys
import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from arx_wrapper import audit
from arx_wrapper.audit import Refused
from arx_wrapper.model import Limit
from tests.audit.conftest import entry, everything


async def test_a_record_is_there_for_others_when_append_returns(url: str) -> None:
    log, other = audit.open(url), audit.open(url)
    record = (await log.append(entry(metadata={"ids": {"incident_id": "P1"}}))).record()
    assert await everything(other) == [record]
    assert (record.seq, record.prev_hash) == (1, "0" * 64)
    assert record.metadata == {"ids": {"incident_id": "P1"}, "writer": record.metadata["writer"]}
    await log.aclose()
    await other.aclose()


async def test_closing_writes_what_is_left(url: str) -> None:
    log = audit.open(url, idle=60)
    await log.append(entry())
    for _ in range(100):
        log.append_soon(entry())
    await log.aclose()
    again = audit.open(url)
    assert len(await everything(again, action_type="connector.called")) == 101
    assert (await again.verify()).ok
    await again.aclose()


async def test_filters_select(url: str) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]

    def clock() -> datetime:
        now[0] += timedelta(minutes=1)
        return now[0]

    log = audit.open(url, clock=clock)
    for number in range(10):
        await log.append(
            entry(
                agent_id=f"agent-{number % 2}",
                operation="users:read" if number % 3 else "teams:read",
                status="success" if number < 5 else "error",
                policy_verdict="PERMIT",
            )
        )
    assert [r.seq for r in await everything(log, agent_id="agent-1")] == [2, 4, 6, 8, 10]
    assert [r.seq for r in await everything(log, operation="teams:*")] == [1, 4, 7, 10]
    assert [r.seq for r in await everything(log, status="error", limit=2, newest_first=True)] == [10, 9]
    assert [r.seq for r in await everything(log, after_seq=8, verdict="PERMIT")] == [9, 10]
    since = datetime.fromisoformat((await everything(log))[2].created_at)
    assert [r.seq for r in await everything(log, since=since, until=since + timedelta(minutes=2))] == [3, 4]
    assert await everything(log, operation="t?ams:*") == []
    assert await everything(log, operation="t_ams:%") == []
    await log.aclose()


async def test_bodies_are_those_of_the_records_and_since_leaves_none_out_that_is_later(url: str) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]

    def clock() -> datetime:
        now[0] += timedelta(minutes=1)
        return now[0]

    log = audit.open(url, clock=clock)
    for _ in range(6):  # more than two blocks of the index
        await asyncio.gather(*(log.append(entry()) for _ in range(100)))
    records = await everything(log)
    parsed = await log.read(lambda reader: [audit.AuditRecord.parse(body, "") for body in reader.bodies()])
    assert [record.seq for record in parsed] == list(range(1, 601))
    since = records[500].created_at
    late = await log.read(lambda reader: [audit.AuditRecord.parse(body, "") for body in reader.bodies(since)])
    assert {record.seq for record in records if record.created_at >= since} <= {record.seq for record in late}
    assert len(late) < 600
    await log.aclose()


async def test_a_call_is_found_by_its_intent(url: str) -> None:
    log = audit.open(url)
    intent = await log.append(entry())
    await log.append(entry())
    log.append_soon(entry(action_type="connector.completed", status="success", intent_id=intent.id))
    await log.flush()
    assert [record.seq for record in await everything(log, call=intent.id)] == [1, 3]
    assert await everything(log, id=intent.id) == [intent.record()]
    await log.aclose()


async def test_every_character_can_be_recorded(url: str) -> None:
    log = audit.open(url)
    odd = '\0 \\u0000 \x7f \ufffd é 🚨 "quoted" back\\slash {curly,"array"} \u2028'
    await log.append(entry(agent_id=odd, operation=odd, reason=odd, metadata={odd: odd}))
    (record,) = await everything(log)
    assert (record.agent_id, record.operation, record.reason, record.metadata[odd]) == (odd, odd, odd, odd)
    await log.suspend(odd, org_id="org", by="ada", reason=odd)
    with pytest.raises(Refused):
        await log.append(entry(agent_id=odd))
    assert (await log.verify()).ok
    await log.aclose()


async def test_a_limit_holds_across_writers_and_slides(url: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    one, other = audit.open(url, clock=lambda: now), audit.open(url, clock=lambda: now)
    limit = Limit(operation="incidents:create", count=3, seconds=60, text="3/m", policy="p")
    usage = [("incidents:create", 1)]
    for log in (one, other, one):
        await log.append(entry(), usage=usage, limits=[limit])
    with pytest.raises(Refused, match="used up") as refused:
        await other.append(entry(), usage=usage, limits=[limit])
    assert refused.value.limit == limit
    await other.append(entry(agent_id="another"), usage=usage, limits=[limit])
    now += timedelta(seconds=61)
    if not url.startswith("sqlite"):  # the database's own clock counts there
        with psycopg.connect(url) as owner:
            owner.execute("UPDATE arx_audit.usage SET at = at - interval '61 seconds'")
    await other.append(entry(), usage=usage, limits=[limit])
    with pytest.raises(Refused):
        await one.append(entry(), usage=[("incidents:create", 3)], limits=[limit])
    assert len(await everything(one)) == 5
    await one.aclose()
    await other.aclose()


async def test_a_limit_holds_within_one_commit(url: str) -> None:
    log = audit.open(url)
    limit = Limit(operation="incidents:create", count=5, seconds=60, text="5/m", policy="p")
    calls = (log.append(entry(), usage=[("incidents:create", 1)], limits=[limit]) for _ in range(40))
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, Refused) for result in done) == 35
    assert len(await everything(log)) == 5
    await log.aclose()


@pytest.mark.parametrize("reason", ["", " "])
async def test_a_suspension_says_why(url: str, reason: str) -> None:
    log = audit.open(url)
    with pytest.raises(ValueError, match="reason"):
        await log.suspend("agent", org_id="org", by="ada", reason=reason)
    assert await log.suspension("agent") is None
    await log.suspend("agent", org_id="org", by="ada", reason="paged everybody")
    assert await log.suspension("agent") == "Agent 'agent' is suspended: paged everybody."
    await log.aclose()


async def test_a_suspended_agent_is_refused_everywhere_until_it_is_resumed(url: str) -> None:
    log, other = audit.open(url), audit.open(url)
    await log.suspend("agent", org_id="org", by="ada", reason="paged everybody")
    await log.suspend("agent", org_id="org", by="ada", reason="paged everybody again")
    with pytest.raises(Refused, match="paged everybody again"):
        await other.append(entry())
    await other.append(entry(agent_id="another"))
    await other.resume("agent", org_id="org", by="ada")
    await log.append(entry())
    assert [r.action_type for r in await everything(log)][:1] == ["agent.suspended"]
    assert {r.metadata.get("by") for r in await everything(log, action_type="agent.resumed")} == {"ada"}
    await log.aclose()
    await other.aclose()


async def test_a_log_serves_several_threads_and_event_loops(url: str) -> None:
    log = audit.open(url)

    def work() -> None:
        async def main() -> None:
            await asyncio.gather(*(log.append(entry()) for _ in range(50)))

        asyncio.run(main())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
    assert (await log.verify()).records == 200
    await log.aclose()


async def test_the_intents_of_a_dead_process_become_unknown_and_those_of_a_living_one_do_not(url: str) -> None:
    living = audit.open(url)
    mine = await living.append(entry(operation="users:read"))
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, url, stdout=asyncio.subprocess.PIPE)
    assert await child.wait() == -9
    log = audit.open(url)
    outcomes = await everything(log, action_type="connector.completed")
    assert {(outcome.status, outcome.error) for outcome in outcomes} == {("unknown", "ProcessDied")}
    assert len(outcomes) == 50
    assert mine.id not in {outcome.metadata["intent"] for outcome in outcomes}
    assert (await log.verify()).ok
    await log.aclose()
    again = audit.open(url)
    assert len(await everything(again, action_type="connector.completed")) == 50, "once"
    await again.aclose()
    await living.aclose()


DYING = """
import asyncio, os, sys
from arx_wrapper import audit
from tests.audit.conftest import entry

async def main(url):
    log = audit.open(url, timeout=30)
    await asyncio.gather(*(log.append(entry()) for _ in range(50)))
    os.kill(os.getpid(), 9)

asyncio.run(main(sys.argv[1]))
"""
