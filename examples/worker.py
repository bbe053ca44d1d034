"""A worker without a framework: finds new incidents, and acknowledges them with a note, a few at a time.

    ARX_SANDBOX=1 ARX_POLICY=policy.yaml python examples/worker.py

Its tasks share one connector. SIGTERM stops the search, lets what was found be finished, then closes the connector,
which writes out the audit log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from logs import configure

from arx_wrapper import ArxError, Config, PagerDutyConnector

log = logging.getLogger("worker")

TASKS = 4
EVERY = float(os.environ.get("WORKER_EVERY", "10"))
NOTE = "Seen by the triage worker."


async def find(pd: PagerDutyConnector, found: asyncio.Queue[str | None], stopping: asyncio.Event) -> None:
    """Put every new incident into the queue, until told to stop; then tell each task that no more will come."""
    seen: set[str] = set()
    while not stopping.is_set():
        try:
            async for incident in pd.iterate("incidents:read", {"statuses": ["triggered"]}):
                if incident.id not in seen:
                    seen.add(incident.id)
                    await found.put(incident.id)
        except ArxError as error:  # the next look may do better
            log.warning("cannot look", extra={"fields": {"error": type(error).__name__, "why": str(error)}})
        try:
            await asyncio.wait_for(stopping.wait(), EVERY)
        except TimeoutError:
            continue
    for _ in range(TASKS):
        await found.put(None)


async def handle(pd: PagerDutyConnector, found: asyncio.Queue[str | None]) -> None:
    """Take incidents from the queue until none will come."""
    while (incident_id := await found.get()) is not None:
        try:
            await pd.acknowledge_incident(incident_id)
            await pd.add_incident_note(incident_id, NOTE)
        except ArxError as error:  # one that cannot be handled must not keep the others waiting
            fields = {"incident": incident_id, "error": type(error).__name__, "why": str(error)}
            log.warning("not handled", extra={"fields": fields})
        else:
            log.info("handled", extra={"fields": {"incident": incident_id}})


async def main() -> None:
    configure()
    stopping, found = asyncio.Event(), asyncio.Queue[str | None](maxsize=100)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    config = Config.load()
    async with PagerDutyConnector(config.agent_id, config.org_id, config=config) as pd, asyncio.TaskGroup() as tasks:
        for _ in range(TASKS):
            tasks.create_task(handle(pd, found))
        log.info("started", extra={"fields": {"tasks": TASKS, "agent": config.agent_id}})
        await find(pd, found, stopping)
        log.info("draining", extra={"fields": {"left": found.qsize()}})
    log.info("closed")


if __name__ == "__main__":
    asyncio.run(main())
