"""The sandbox's objects that `cases.calls` needs."""

from __future__ import annotations

from typing import Any

from arx_wrapper import PagerDutyConnector
from tests.cases import Subjects


async def subjects(pd: PagerDutyConnector, service: str = "PABC123", incident: str = "P1234AB") -> Subjects:
    """Find one object of each kind by reading, so that it works against any account that has them."""

    async def first(operation: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        body = await pd.execute(operation, params)
        key = pd.operations[operation].envelope
        records: list[dict[str, Any]] = body[str(key)]
        return records[0]

    open_ones = {"statuses": ["triggered", "acknowledged"], "date_range": "all"}
    incidents = (await pd.execute("incidents:read", {**open_ones, "limit": 100}))["incidents"]
    with_alerts = next(i for i in incidents if i["id"] != incident and i["alert_counts"]["triggered"])
    other = next(i for i in incidents if i["id"] not in (incident, with_alerts["id"]))
    policies = (await pd.execute("escalation:read", {"include": ["services"]}))["escalation_policies"]
    rule = {"escalation_delay_in_minutes": 5, "targets": [{"id": (await first("users:read"))["id"], "type": "user"}]}
    unused = await pd.execute("escalation:create", {"name": "Unused", "rules": [rule]})
    window = await pd.execute(
        "maintenance:create",
        {"start_time": "2025-06-20T02:00:00Z", "end_time": "2025-06-20T04:00:00Z", "service_ids": [service]},
    )
    return Subjects(
        service=service,
        incident=incident,
        other_incident=other["id"],
        alert_incident=with_alerts["id"],
        alert=(await first("incidents:read_alerts", {"incident_id": with_alerts["id"], "statuses": ["triggered"]}))[
            "id"
        ],
        policy=policies[0]["id"],
        unused_policy=unused["escalation_policy"]["id"],
        schedule=(await first("schedules:read"))["id"],
        user=(await first("users:read"))["id"],
        team=(await first("teams:read"))["id"],
        window=window["maintenance_window"]["id"],
        rule=(await first("rules:read"))["id"],
    )
