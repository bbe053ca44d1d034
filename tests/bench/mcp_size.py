"""Bytes that an agent reads for twelve tasks: here, and from PagerDuty's own MCP server, on equal accounts.

    python -m tests.bench.mcp_size /path/to/pagerduty-mcp

PagerDuty's server is `pagerduty-mcp` of PyPI, which needs Python 3.12: install it into an environment of its own, and
give its command. Counted is what comes back over stdio: the list of tools, and every answer of every call of a task.
Prints the table of `docs/mcp.md`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import frozen
from mcp import Client, StdioServerParameters

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import serve

Call = tuple[str, Mapping[str, Any]]
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
MONTH = {"since": "2025-05-02T00:00:00Z", "until": "2025-06-01T12:00:00Z"}
CREATED = {"created_at_start": MONTH["since"], "created_at_end": MONTH["until"]}
OPEN = {"statuses": ["triggered", "acknowledged"]}
ONE = "P1234AB"
SERVICE = "PABC123"


@frozen
class Task:
    """A task, as calls of either server; None where PagerDuty's server has no tool for it."""

    name: str
    here: Sequence[Call]
    there: Sequence[Call] | None


def tasks(ids: Mapping[str, str]) -> list[Task]:
    policy, user, schedule = ids["policy"], ids["user"], ids["schedule"]
    return [
        Task(
            "triage the open incidents",
            [("incidents_read", {**OPEN, "date_range": "all"}), ("incidents_read_detail", {"incident_id": ONE}),
             ("incidents_read_alerts", {"incident_id": ONE})],
            [("list_incidents", OPEN), ("get_incident", {"incident_id": ONE}),
             ("list_alerts_from_incident", {"incident_id": ONE})],
        ),
        Task(
            "acknowledge with a note",
            [("incidents_acknowledge", {"incident_id": ONE}),
             ("incidents_add_note", {"incident_id": ONE, "content": "Looking into it."})],
            [("manage_incidents", {"manage_request": {"incident_ids": [ONE], "status": "acknowledged"}}),
             ("add_note_to_incident", {"incident_id": ONE, "note": "Looking into it."})],
        ),
        Task(
            "who is on call for a service",
            [("services_read", {"query": "Orders"}), ("schedules_read_oncall", {"escalation_policy_ids": [policy]})],
            [("list_services", {"query": "Orders"}), ("list_oncalls", {"escalation_policy_ids": [policy]})],
        ),
        Task(
            "hand over a shift",
            [("incidents_read", {**OPEN, "date_range": "all"}), ("incidents_read_log", {"incident_id": ONE}),
             ("incidents_read_notes", {"incident_id": ONE}),
             ("schedules_read_oncall", {"schedule_ids": [schedule]})],
            [("list_incidents", OPEN), ("list_log_entries", {}), ("list_incident_notes", {"incident_id": ONE}),
             ("list_oncalls", {"schedule_ids": [schedule]})],
        ),
        Task(
            "find the noisiest service",
            [("analytics_services", MONTH)],
            [("get_incident_metrics_by_service", CREATED)],
        ),
        Task(
            "open a maintenance window",
            [("services_read", {"query": "Orders"}),
             ("maintenance_create", {"start_time": "2025-06-02T02:00:00Z", "end_time": "2025-06-02T04:00:00Z",
                                     "service_ids": [SERVICE], "description": "Index rebuild"})],
            None,
        ),
        Task(
            "look back at last month's incidents",
            [("incidents_read", {**MONTH, "limit": 100})],
            [("list_incidents", MONTH)],
        ),
        Task("find a colleague", [("users_read", {"query": "Bram"})], [("list_users", {"query": "Bram"})]),
        Task("list the teams and their people", [("teams_read", {}), ("users_read", {})],
             [("list_teams", {}), ("list_users", {})]),
        Task(
            "reassign to somebody",
            [("users_read", {"query": "Chiara"}), ("incidents_reassign", {"incident_id": ONE, "assignee_ids": [user]})],
            [("list_users", {"query": "Chiara"}),
             ("manage_incidents", {"manage_request": {"incident_ids": [ONE], "assignement": {"id": user}}})],
        ),
        Task("explain the escalation of a service",
             [("services_read_detail", {"service_id": SERVICE}), ("escalation_read_detail", {"policy_id": policy})],
             [("get_service", {"service_id": SERVICE}), ("get_escalation_policy", {"policy_id": policy})]),
        Task(
            "resolve",
            [("incidents_resolve", {"incident_id": ONE, "resolution": "Failed over."})],
            [("manage_incidents", {"manage_request": {"incident_ids": [ONE], "status": "resolved"}})],
        ),
    ]  # fmt: skip


async def measured(client: Client, calls: Sequence[Sequence[Call] | None]) -> tuple[int, list[int | None]]:
    """Return the bytes of the tool list, and of the answers of each task."""
    listed = len((await client.list_tools()).model_dump_json(by_alias=True, exclude_none=True))
    found: list[int | None] = []
    for each in calls:
        if each is None:
            found.append(None)
            continue
        size = 0
        for tool, arguments in each:
            result = await client.call_tool(tool, dict(arguments))
            answer = result.model_dump_json(by_alias=True, exclude_none=True)
            if result.is_error:
                raise SystemExit(f"{tool} {arguments}: {answer[:500]}")
            size += len(answer)
        found.append(size)
    return listed, found


async def main(there: str) -> None:
    reference = Sandbox(clock=lambda: NOW)
    account = reference.account
    service = account.get("service", SERVICE)
    ids = {
        "policy": service["escalation_policy"].id,
        "user": next(user["id"] for user in account.all("user") if user["name"].startswith("Chiara")),
        "schedule": next(iter(account.all("schedule")))["id"],
    }
    wanted = tasks(ids)
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.yaml"
        permitted = {"name": "all", "connector": "pagerduty", "operations": ["*"], "risk_max": "high",
                     "approval": "none"}  # fmt: skip
        policy.write_text(json.dumps([permitted]))
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("ARX_", "PAGERDUTY_"))}
        sizes: list[tuple[int, list[int | None]]] = []
        for command, more, calls in (
            ([sys.executable, "-m", "arx_wrapper.cli", "mcp"], {}, [task.here for task in wanted]),
            ([there, "--enable-write-tools"], {}, [task.there for task in wanted]),
        ):
            sandbox = Sandbox(clock=lambda: NOW)
            async with serve(sandbox) as served:
                own = {"HOME": folder, "ARX_POLICY": str(policy), "PAGERDUTY_BASE_URL": served.url,
                       "PAGERDUTY_API_KEY": sandbox.token, "PAGERDUTY_REQUESTER_EMAIL": sandbox.email,
                       "PAGERDUTY_API_HOST": served.url, "PAGERDUTY_USER_API_KEY": sandbox.token}  # fmt: skip
                sandbox.options.personal_key = True
                server = StdioServerParameters(command=command[0], args=command[1:], env=environ | own | more)
                async with Client(server, mode="legacy") as client:
                    sizes.append(await measured(client, calls))
    _print(wanted, *sizes)


def _print(wanted: Sequence[Task], here: tuple[int, list[int | None]], there: tuple[int, list[int | None]]) -> None:
    print("| task | here | PagerDuty's server |")
    print("|---|---|---|")
    print(f"| the list of tools | {here[0]:,} | {there[0]:,} |")
    total_here, total_there = here[0], there[0]
    for task, own, other in zip(wanted, here[1], there[1], strict=True):
        print(f"| {task.name} | {own:,} | {f'{other:,}' if other is not None else 'no tool'} |")
        total_here += own or 0
        total_there += other or 0
    print(f"| **all** | **{total_here:,}** | **{total_there:,}** ({total_here / total_there:.0%}) |")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
