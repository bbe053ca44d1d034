"""Describe parameters to agents: their meaning, and the operation that returns their values.

`{services:read}` becomes the name of that operation's tool. Python's users read the methods' docstrings instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_TIME: Final = "2025-01-31T09:00:00Z"

DESCRIPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alert_id": "From {incidents:read_alerts}",
        "assignee_ids": "From {users:read}",
        "duration": "Seconds",
        "end_time": _TIME,
        "escalation_policy_id": "From {escalation:read}",
        "escalation_policy_ids": "From {escalation:read}",
        "incident_id": "From {incidents:read}",
        "num_loops": "Repetitions, 0 to 9",
        "parent_incident_id": "From {incidents:read}",
        "policy_id": "From {escalation:read}",
        "priority_id": "From {priorities:read}",
        "rule_id": "From {rules:read}",
        "schedule_id": "From {schedules:read}",
        "schedule_ids": "From {schedules:read}",
        "service_id": "From {services:read}",
        "service_ids": "From {services:read}",
        "sort_by": "created_at:desc",
        "source_incident_ids": "From {incidents:read}",
        "start_time": _TIME,
        "team_id": "From {teams:read}",
        "team_ids": "From {teams:read}",
        "user_id": "From {users:read}",
        "user_ids": "From {users:read}",
        "vendor_id": "A PagerDuty vendor's id",
        "window_id": "From {maintenance:read}",
    }
)

# Parameters that no tool offers to agents, although calls accept them; each row may name further ones. The operator
# decides on the requester of writes, lists return their counts anyway, times carry their offsets, and further records
# are read with operations of their own instead of `include`.
OMITTED: Final = frozenset(
    {
        "conference_bridge",
        "incident_type",
        "include_next_oncall_for_user",
        "order",
        "order_by",
        "include",
        "requester_email",
        "time_zone",
        "total",
    }
)
