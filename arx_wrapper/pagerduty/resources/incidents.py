"""Define the methods of incidents that cannot be derived.

Every method may raise `InvalidParamsError`, `PermissionDeniedError`, `ApprovalError` and `AuditError`, with nothing
sent, and `PagerDutyError` in one of its classes. Times are ISO 8601 text with an offset, or aware datetimes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from pagerduty_client import models as m

from arx_wrapper.pagerduty.resources.base import Resource
from arx_wrapper.params import (
    Email,
    Id,
    Ids,
    Null,
    Status,
    Text,
    Title,
    Urgency,
)

Level = Annotated[int, Meta(ge=1, le=100, description="an escalation level, from 1")]


class ConferenceBridge(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The phone number or URL, or both, where responders meet."""

    conference_number: Text | UnsetType = UNSET
    conference_url: Text | UnsetType = UNSET


class IncidentChange(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One entry of a bulk change: an incident's id, and its changes."""

    id: Id
    status: Status | UnsetType = UNSET
    title: Title | UnsetType = UNSET
    urgency: Urgency | UnsetType = UNSET
    resolution: Text | UnsetType = UNSET
    priority_id: Id | UnsetType | None = UNSET
    escalation_level: Level | UnsetType = UNSET
    escalation_policy_id: Id | UnsetType = UNSET
    assignee_ids: Ids | UnsetType = UNSET
    conference_bridge: ConferenceBridge | UnsetType = UNSET
    incident_type: Title | UnsetType = UNSET


if TYPE_CHECKING:  # callers write these as mappings, whose members are validated at run time
    Bridge = ConferenceBridge | Mapping[str, Any]
    Changes = Sequence[IncidentChange | Mapping[str, Any]]
else:
    Bridge = ConferenceBridge
    Changes = Annotated[
        Sequence[IncidentChange],
        Meta(
            min_length=1,
            max_length=250,
            description="1 to 250 changes, each an id with any of status, title, urgency, resolution, priority_id, "
            "escalation_level, escalation_policy_id, assignee_ids, conference_bridge and incident_type",
        ),
    ]


class Incidents(Resource):
    """The `incidents:*` operations that are written by hand."""

    async def create_incident(
        self,
        title: Title,
        service_id: Id,
        *,
        urgency: Urgency | None = None,
        body: Text | None = None,
        incident_key: Annotated[str, Meta(min_length=1, max_length=255)] | None = None,
        priority_id: Id | None = None,
        escalation_policy_id: Id | None = None,
        assignee_ids: Ids | None = None,
        conference_bridge: Bridge | None = None,
        incident_type: Title | None = None,
        requester_email: Email | None = None,
    ) -> m.Incident:
        """Create an incident on a service: the people on call are notified.

        Args:
            body: A detailed description.
            incident_key: The deduplication key; a second open incident with the same key on the service is refused.
            incident_type: The name of a type that the account has.
            escalation_policy_id: Replaces the service's own policy; not together with `assignee_ids`.
            requester_email: The PagerDuty user for whom the write is made; by default the vault's.

        Source: `POST /incidents`. Risk: MEDIUM. Raises `ArxError`, as `execute()` does.
        """
        return await self._one(m.Incident, "incidents:create", locals())

    async def update_incident(
        self,
        incident_id: Id,
        *,
        status: Status | None = None,
        title: Title | None = None,
        urgency: Urgency | None = None,
        resolution: Text | None = None,
        priority_id: Id | Null | None = None,
        escalation_level: Level | None = None,
        escalation_policy_id: Id | None = None,
        assignee_ids: Ids | None = None,
        conference_bridge: Bridge | None = None,
        service_id: Id | None = None,
        incident_type: Title | None = None,
        requester_email: Email | None = None,
    ) -> m.Incident:
        """Change an incident. Each effect of the change needs its own permission.

        `status="resolved"` also needs `incidents:resolve`, `"acknowledged"` needs `incidents:acknowledge`;
        assignees, escalation policy, escalation level and service need `incidents:reassign`.

        Args:
            service_id: Moves the incident to another service, whose people it then notifies.
            incident_type: The name of a type that the account has.
            resolution: Becomes a note on the resolve log entry.
            priority_id: `NULL` removes the priority.
            escalation_level: Assigns the incident to this level of its escalation policy, from 1.

        Source: `PUT /incidents/{incident_id}`. Risk: MEDIUM. Raises `ArxError`, as `execute()` does.
        """
        return await self._one(m.Incident, "incidents:update", locals())

    async def manage_incidents(self, incidents: Changes, *, requester_email: Email | None = None) -> list[m.Incident]:
        """Change up to 250 incidents at once: all of them or none.

        Policy judges each entry by its effects, with its own parameters: resolving as `incidents:resolve`, an edit as
        `incidents:update`, and so on. When one entry is denied, the whole call is.

        Args:
            incidents: `{"id": ..., "status": ..., ...}`, with the parameters of `update_incident()`.

        Source: `PUT /incidents`. Risk: MEDIUM. Raises `ArxError`, as `execute()` does.
        """
        return await self._many(m.Incident, "incidents:manage", locals())
