"""Count the last calls of each agent, from the audit log's newest records."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from arx_wrapper.console.context import Console

_MAX_RECORDS_READ: Final = 2_000


async def recent_agents(console: Console) -> tuple[list[dict[str, Any]], int]:
    """Return the suspended agents and those of the newest records, up to 30 days old and a fixed number.

    Returns:
        The agents, and the number of records when there are more in these 30 days; else 0.
    """
    found: dict[str, dict[str, Any]] = {}
    for agent, reason in (await console.backends.audit.suspensions()).items():
        found[agent] = {"agent": agent, "calls": 0, "refused": 0, "last": None, "suspended": reason}
    since = console.clock() - timedelta(days=30)
    count, log = 0, console.backends.audit
    async for each in log.records(org_id=console.org_id, since=since, newest_first=True, limit=_MAX_RECORDS_READ):
        count += 1
        if each.action_type not in ("connector.called", "connector.refused"):
            continue
        unseen = {"agent": each.agent_id, "calls": 0, "refused": 0, "last": None, "suspended": None}
        seen = found.setdefault(each.agent_id, unseen)
        seen["calls" if each.action_type == "connector.called" else "refused"] += 1
        seen["last"] = seen["last"] or each.created_at
    ordered = sorted(found.values(), key=lambda agent: str(agent["last"] or ""), reverse=True)
    return ordered, count if count == _MAX_RECORDS_READ else 0
