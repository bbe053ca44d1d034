"""A call given up at any point leaves a true record; closing waits for calls; deadlines hold; keys are read anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from arx_wrapper import AuthenticationError, PagerDutyConnector, RateLimitError, TransportError, audit
from arx_wrapper.audit import AuditRecord
from arx_wrapper.credentials import Credentials
from tests.resilience import faults as f
from tests.resilience.harness import KEY, connected, connector_at, last_record
from tests.resilience.listing import Listing
from tests.resilience.server import Exchange, FaultPlan, Reply, Server, refusal, serving
from tests.support import PATIENCE, advance, sqlite_at

ACK = ("incidents:acknowledge", {"incident_id": "P1"})
CREATE = ("incidents:create", {"title": "Replication lag", "service_id": "PSVC"})
READ = ("incidents:read_detail", {"incident_id": "P1"})


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.005)


async def abandon(call: asyncio.Task[Any]) -> None:
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@define
class Vault:
    """A vault that can be slow, and whose key can change."""

    keys: list[str] = field(factory=lambda: [KEY])
    slow: float = 0.0
    reads: list[bool] = field(factory=list)

    async def locate(self, org_id: str) -> str:
        return "here"

    async def read(self, org_id: str, *, fresh: bool = False) -> Credentials:
        self.reads.append(fresh)
        await asyncio.sleep(self.slow)
        return Credentials(api_key=self.keys[min(sum(self.reads), len(self.keys) - 1)], requester_email="a@b.example")

    async def aclose(self) -> None: ...


@frozen(kw_only=True)
class Phase:
    """A place on its way at which a call is given up, and the record that has to be there then.

    Attributes:
        fault_plan: What the server does.
        reached: How many requests the server has read by then.
        pause: Seconds after that.
        call: What is given up.
        record: Kind and status of the last record.
        attempts: How many tries it names.
    """

    call: tuple[str, dict[str, Any]]
    record: tuple[str, str]
    attempts: int
    fault_plan: Callable[[Exchange], Awaitable[None]] = f.silent_before
    reached: int = 1
    pause: float = 0.05
    effects: int = 0


PHASES = {
    "waiting for the answer to a write": Phase(
        call=ACK, record=("connector.completed", "unknown"), attempts=1, fault_plan=f.silent_after, effects=1
    ),
    "waiting for the answer to a read": Phase(call=READ, record=("connector.completed", "error"), attempts=1),
    "reading the answer": Phase(
        call=ACK, record=("connector.completed", "unknown"), attempts=1, fault_plan=f.dripping, effects=1
    ),
    "waiting out a rate limit": Phase(
        call=CREATE,
        record=("connector.completed", "error"),
        attempts=1,
        fault_plan=f.answering(429, "Retry-After: 25"),
        pause=0.3,
    ),
    "waiting to read again": Phase(
        call=READ,
        record=("connector.completed", "error"),
        attempts=5,
        fault_plan=f.answering(503),
        reached=4,
        pause=0.0,
    ),
    "looking what became of it": Phase(
        call=CREATE, record=("connector.completed", "unknown"), attempts=1, fault_plan=f.reset_before, reached=2
    ),
}


@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES.keys())
async def test_a_call_given_up_on_its_way_is_on_record_as_what_it_was(phase: Phase, tmp_path: Path) -> None:
    server = Server(fault_plan=lambda asked: phase.fault_plan)
    async with connected(server, tmp_path) as pd:
        call = asyncio.create_task(pd.execute(*phase.call))
        await until(lambda: len(server.seen) >= phase.reached)
        await asyncio.sleep(phase.pause)
        await abandon(call)
        record = await last_record(pd)
    assert (record.action_type, record.status) == phase.record
    assert record.error == "CancelledError"
    assert 1 <= len(record.metadata["attempts"]) <= phase.attempts
    assert server.account.effects.total() == phase.effects


async def test_a_call_given_up_while_its_credentials_are_read_was_not_sent(tmp_path: Path) -> None:
    server, vault = Server(), Vault(slow=10)
    async with connected(server, tmp_path, vault=vault) as pd:
        call = asyncio.create_task(pd.execute(*ACK))
        await until(lambda: vault.reads)
        await abandon(call)
        record = await last_record(pd)
    assert (record.action_type, record.status, record.error) == ("connector.refused", "error", "CancelledError")
    assert server.connections == 0


async def test_a_call_given_up_while_it_waits_its_turn_was_not_sent(tmp_path: Path) -> None:
    server = Server(fault_plan=lambda asked: f.silent_before)
    async with connected(server, tmp_path) as pd:
        calls = [asyncio.create_task(pd.execute(*ACK)) for _ in range(20)]
        await until(lambda: len(server.seen) == 8)
        await asyncio.sleep(0.1)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        records = [record for record in await _trail(pd) if record.action_type != "connector.called"]
    assert len(server.seen) == 8
    assert sorted(record.action_type for record in records) == ["connector.completed"] * 8 + ["connector.refused"] * 12
    assert {(record.action_type, record.status) for record in records} == {
        ("connector.completed", "unknown"),
        ("connector.refused", "error"),
    }


async def test_a_call_given_up_while_its_intent_is_written_was_not_sent_and_has_its_end_on_record(
    tmp_path: Path,
) -> None:
    server = Server()
    async with connected(server, tmp_path) as pd:
        await pd.execute(*READ)
        with sqlite_at(tmp_path / "audit.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            call = asyncio.create_task(pd.execute(*ACK))
            await asyncio.sleep(0.2)
            await abandon(call)
            other.execute("ROLLBACK")
        other.close()
        record = await last_record(pd)
        assert (record.action_type, record.status, record.error) == ("connector.refused", "error", "CancelledError")
    assert len(server.seen) == 1


async def test_an_iteration_given_up_leaves_no_page_behind(tmp_path: Path) -> None:
    server = Server(Listing("incidents", 5_000), delay=0.05)
    async with connected(server, tmp_path) as pd:

        async def read() -> None:
            async for _ in pd.iterate("incidents:read", {"date_range": "all"}):
                pass

        call = asyncio.create_task(read())
        await until(lambda: len(server.seen) >= 5)
        await abandon(call)
        await asyncio.sleep(0.05)
        asked = len(server.seen)
        await asyncio.sleep(0.2)
        record = await last_record(pd)
        assert len(server.seen) == asked
        assert not any("ListReader" in repr(task) for task in asyncio.all_tasks())
    assert (record.action_type, record.error) == ("connector.completed", "CancelledError")


async def test_closing_lets_the_calls_under_way_end(tmp_path: Path) -> None:
    server = Server(delay=0.2)
    async with serving(server) as address, connector_at(address, tmp_path) as pd:
        calls = [asyncio.create_task(pd.execute(*CREATE)) for _ in range(30)]
        await until(lambda: len(server.seen) > 3)
        await pd.aclose()
        assert all(call.done() for call in calls)
        await asyncio.gather(*calls)
    log = audit.open(f"sqlite:///{tmp_path}/audit.db")
    records = [record async for record in log.records(action_type="connector.completed")]
    assert (await log.verify()).ok
    await log.aclose()
    assert [record.status for record in records] == ["success"] * 30
    assert server.account.effects.total() == 30


async def test_an_iteration_that_was_left_early_ends_before_the_connector_does(tmp_path: Path) -> None:
    async with serving(Server(Listing("incidents", 500))) as address, connector_at(address, tmp_path) as pd:
        async for _ in pd.iterate("incidents:read", {"date_range": "all"}):
            break
    log = audit.open(f"sqlite:///{tmp_path}/audit.db")
    (record,) = [record async for record in log.records(action_type="connector.completed")]
    await log.aclose()
    assert (record.status, record.metadata["records"]) == ("success", 1)


@pytest.mark.parametrize(("call", "claim"), [(READ, "not_sent"), (ACK, "unknown")], ids=["read", "write"])
async def test_a_deadline_ends_the_call_and_what_looks_after_it(
    call: tuple[str, dict[str, Any]], claim: str, tmp_path: Path
) -> None:
    server = Server(fault_plan=lambda asked: f.silent_before)
    async with connected(server, tmp_path) as pd:
        late = asyncio.create_task(pd.execute(*call, timeout=20))
        await until(lambda: server.seen)
        await asyncio.sleep(0.05)
        assert not late.done()
        advance(25)
        if claim == "unknown":
            await until(lambda: len(server.seen) == 2)
            assert not late.done(), "it looks what became of it"
            advance(25)
        with pytest.raises(TransportError, match=r"no response within 20 s") as caught:
            await late
        assert caught.value.outcome == claim
        assert (await last_record(pd)).error == "TransportError"


async def test_a_wait_that_does_not_fit_into_the_deadline_is_an_error_at_once(tmp_path: Path) -> None:
    server = Server(fault_plan=lambda asked: f.answering(429, "Retry-After: 90"))
    async with connected(server, tmp_path) as pd:
        for _ in range(2):
            with pytest.raises(RateLimitError) as caught:
                async with asyncio.timeout(PATIENCE):  # else it waited, though the wait cannot fit into the deadline
                    await pd.execute(*CREATE, timeout=PATIENCE + 10)
            assert PATIENCE + 10 < (caught.value.retry_after or 0) <= 90
    assert len(server.seen) == 1


@pytest.mark.parametrize("call", [READ, ACK, CREATE], ids=["read", "acknowledge", "create"])
async def test_a_rejected_key_is_read_again_once_and_the_call_made_with_the_new_one(
    call: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    server, vault = Server(fault_plan=_only_takes("u0-new-key")), Vault(keys=[KEY, "u0-new-key"])
    async with connected(server, tmp_path, vault=vault) as pd:
        await pd.execute(*call)
        record = await last_record(pd)
    assert vault.reads == [False, True]
    assert record.metadata["attempts"][0]["status"] == 401
    assert record.status == "success"
    assert len(server.seen) == 2
    assert server.account.effects.total() == (call is not READ)


@pytest.mark.parametrize("keys", [[KEY], [KEY, "u0-wrong-too"]], ids=["the same key", "another key"])
async def test_a_key_that_stays_rejected_is_an_error_and_not_a_loop(keys: list[str], tmp_path: Path) -> None:
    server, vault = Server(fault_plan=_only_takes("u0-new-key")), Vault(keys=keys)
    async with connected(server, tmp_path, vault=vault) as pd:
        with pytest.raises(AuthenticationError) as caught:
            await pd.execute(*CREATE)
        record = await last_record(pd)
    assert len(server.seen) == len(keys)
    assert vault.reads == [False, True]
    assert record.status == "error"
    assert "u0-" not in str(caught.value)


def _only_takes(key: str) -> FaultPlan:
    async def reject(exchange: Exchange) -> None:
        reply: Reply = refusal(401, 2006, "Authentication failed")
        await exchange.send(reply.wire())

    return lambda asked: None if key in asked.headers["authorization"] else reject


async def _trail(pd: PagerDutyConnector) -> list[AuditRecord]:
    await pd.audit.flush()
    return [record async for record in pd.audit.records() if record.action_type != "policy.loaded"]
