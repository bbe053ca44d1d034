"""Define the typed methods that are derived from the table and PagerDuty's document, and `iterate()`.

Written by `python -m codegen methods` from `operations.py` and `spec/pagerduty.json`; do not edit. A method that needs
more than these define is written by hand in `resources/`, and is not derived.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Literal, overload

from pagerduty_client import models as m

from arx_wrapper.pagerduty.escalation_rules import Loops, Rules
from arx_wrapper.pagerduty.iteration import Bounds, Given, Iteration
from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.params import (
    AnyIds,
    Cursor,
    Description,
    Email,
    Fields,
    Id,
    Ids,
    Instant,
    Limit,
    LocalTime,
    NonEmpty,
    Note,
    Null,
    Offset,
    Query,
    SnoozeSeconds,
    SortFields,
    SourceIds,
    Text,
    Title,
    Token,
    Zone,
)

if TYPE_CHECKING:
    from typing import Unpack


class Methods(Iteration):
    """The derived methods.

    Each method runs one call through policy, approval and audit. When nothing was sent, it raises `InvalidParamsError`,
    `CredentialError`, `PermissionDeniedError`, `ApprovalError` or `AuditError`. When PagerDuty refused or failed the
    call, it raises `PagerDutyError`, in the class of the response's status. Times are ISO 8601 text with an offset, or
    aware datetimes; the returned models hold aware datetimes.
    """

    async def list_incidents(
        self,
        *,
        date_range: Literal["all"] | None = None,
        incident_key: Text | None = None,
        service_ids: Ids | None = None,
        team_ids: Ids | None = None,
        user_ids: Ids | None = None,
        urgencies: NonEmpty[Literal["high", "low"]] | None = None,
        time_zone: Zone | None = None,
        statuses: NonEmpty[Literal["triggered", "acknowledged", "resolved"]] | None = None,
        since: LocalTime | None = None,
        until: LocalTime | None = None,
        sort_by: SortFields | None = None,
        include: NonEmpty[
            Literal[
                "acknowledgers",
                "agents",
                "assignees",
                "conference_bridge",
                "escalation_policies",
                "first_trigger_log_entries",
                "priorities",
                "services",
                "teams",
                "users",
            ]
        ]
        | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Incident]:
        """List incidents, by default those of the last month.

        A span of time covers at most six months; `date_range="all"` lists all times instead. With `user_ids` PagerDuty
        never returns resolved incidents.

        Args:
            date_range: `all` lists all times and ignores since and until.
            incident_key: Only the incidents with this deduplication key.
            service_ids: Only those of these services, by id.
            team_ids: Only those of these teams, by id.
            user_ids: Only those of these users, by id.
            urgencies: Only those with these urgencies.
            time_zone: The zone of the times in the response, by its IANA name; else the account's.
            statuses: Only those with these statuses.
            since: The start of the time span, ISO 8601 with an offset. A time without an offset is local to
                `time_zone`.
            until: The end of the time span, ISO 8601 with an offset. A time without an offset is local to
                `time_zone`.
            sort_by: `incident_number`, `created_at`, `resolved_at` or `urgency`, each with `:asc` or `:desc`.
            include: The references to return as whole objects.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /incidents`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.Incident, "incidents:read", locals())

    async def get_incident(
        self,
        incident_id: Id,
        *,
        include: NonEmpty[
            Literal[
                "acknowledgers",
                "agents",
                "assignees",
                "conference_bridge",
                "custom_fields",
                "escalation_policies",
                "first_trigger_log_entries",
                "priorities",
                "services",
                "teams",
                "users",
            ]
        ]
        | None = None,
    ) -> m.Incident:
        """Get one incident, by its id or its number.

        Args:
            include: The references to return as whole objects.

        Source: `GET /incidents/{incident_id}`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Incident, "incidents:read_detail", locals())

    async def snooze_incident(
        self, incident_id: Id, duration: SnoozeSeconds, *, requester_email: Email | None = None
    ) -> m.Incident:
        """Acknowledge an incident for `duration` seconds, after which it notifies again.

        Also needs `incidents:acknowledge`.

        Args:
            duration: Seconds until the incident triggers again, 1 to 604,800.
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `POST /incidents/{incident_id}/snooze`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Incident, "incidents:snooze", locals())

    async def merge_incidents(
        self, incident_id: Id, source_incident_ids: SourceIds, *, requester_email: Email | None = None
    ) -> m.Incident:
        """Merge other incidents into this one: their alerts move here and they are resolved.

        Also needs `incidents:resolve`.

        Args:
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `PUT /incidents/{incident_id}/merge`. Risk: MEDIUM.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Incident, "incidents:merge", locals())

    async def list_incident_alerts(
        self,
        incident_id: Id,
        *,
        alert_key: Text | None = None,
        statuses: NonEmpty[Literal["triggered", "resolved"]] | None = None,
        sort_by: SortFields | None = None,
        include: NonEmpty[Literal["services", "first_trigger_log_entries", "incidents"]] | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Alert]:
        """List the alerts of an incident.

        Also needs `alerts:read`.

        Args:
            alert_key: Only the alerts with this deduplication key.
            statuses: Only those with these statuses.
            sort_by: Fields to sort by, each with `:asc` or `:desc`.
            include: The references to return as whole objects.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /incidents/{incident_id}/alerts`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.Alert, "incidents:read_alerts", locals())

    async def list_incident_log_entries(
        self,
        incident_id: Id,
        *,
        time_zone: Zone | None = None,
        since: LocalTime | None = None,
        until: LocalTime | None = None,
        is_overview: bool | None = None,
        include: NonEmpty[Literal["incidents", "services", "channels", "teams"]] | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.LogEntry]:
        """List an incident's timeline.

        Args:
            time_zone: The zone of the times in the response, by its IANA name; else the account's.
            since: The start of the time span, ISO 8601 with an offset. A time without an offset is local to
                `time_zone`.
            until: The end of the time span, ISO 8601 with an offset. A time without an offset is local to
                `time_zone`.
            is_overview: Whether to list only the important entries.
            include: The references to return as whole objects.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /incidents/{incident_id}/log_entries`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.LogEntry, "incidents:read_log", locals())

    async def list_incident_notes(self, incident_id: Id) -> Page[m.IncidentNote]:
        """Get notes on an incident.

        Source: `GET /incidents/{incident_id}/notes`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.IncidentNote, "incidents:read_notes", locals())

    async def add_incident_note(
        self, incident_id: Id, content: Note, *, requester_email: Email | None = None
    ) -> m.IncidentNote:
        """Add a note of up to 2,000 characters to an incident.

        Args:
            content: The note, 1 to 2,000 characters.
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `POST /incidents/{incident_id}/notes`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.IncidentNote, "incidents:add_note", locals())

    async def reassign_incident(
        self, incident_id: Id, assignee_ids: Ids, *, requester_email: Email | None = None
    ) -> m.Incident:
        """Assign an incident to these users instead: they are notified.

        Args:
            assignee_ids: The present assignments; empty when it is resolved.
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `PUT /incidents/{incident_id}`. Risk: MEDIUM.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Incident, "incidents:reassign", locals())

    async def resolve_incident(
        self, incident_id: Id, *, resolution: Text | None = None, requester_email: Email | None = None
    ) -> m.Incident:
        """Resolve an incident, with a note on its log if `resolution` is given.

        Args:
            resolution: A note that is kept when the incident is resolved.
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `PUT /incidents/{incident_id}`. Risk: MEDIUM.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Incident, "incidents:resolve", locals())

    async def acknowledge_incident(self, incident_id: Id, *, requester_email: Email | None = None) -> m.Incident:
        """Acknowledge an incident: it stops escalating.

        Args:
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `PUT /incidents/{incident_id}`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Incident, "incidents:acknowledge", locals())

    async def list_alerts(
        self,
        incident_id: Id,
        *,
        alert_key: Text | None = None,
        statuses: NonEmpty[Literal["triggered", "resolved"]] | None = None,
        sort_by: SortFields | None = None,
        include: NonEmpty[Literal["services", "first_trigger_log_entries", "incidents"]] | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Alert]:
        """List the alerts of an incident.

        Also needs `incidents:read_alerts`.

        Args:
            alert_key: Only the alerts with this deduplication key.
            statuses: Only those with these statuses.
            sort_by: Fields to sort by, each with `:asc` or `:desc`.
            include: The references to return as whole objects.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /incidents/{incident_id}/alerts`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.Alert, "alerts:read", locals())

    async def update_alert(
        self,
        incident_id: Id,
        alert_id: Id,
        *,
        status: Literal["resolved", "triggered"] | None = None,
        parent_incident_id: Id | None = None,
        requester_email: Email | None = None,
    ) -> m.Alert:
        """Resolve or re-trigger an alert, or move it to another incident.

        Resolving also needs `incidents:resolve`, because an incident resolves with its last alert; moving also needs
        `incidents:merge`.

        Args:
            status: Its state.
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `PUT /incidents/{incident_id}/alerts/{alert_id}`. Risk: MEDIUM.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Alert, "alerts:update", locals())

    async def list_services(
        self,
        *,
        query: Query | None = None,
        team_ids: Ids | None = None,
        time_zone: Zone | None = None,
        name: Title | None = None,
        sort_by: Literal["name", "name:asc", "name:desc"] | None = None,
        include: NonEmpty[
            Literal["escalation_policies", "teams", "integrations", "auto_pause_notifications_parameters"]
        ]
        | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Service]:
        """List all services.

        Args:
            query: Matches part of a name.
            team_ids: Only those of these teams, by id.
            time_zone: The zone of the times in the response, by its IANA name; else the account's.
            name: Matches a whole name.
            sort_by: Fields to sort by, each with `:asc` or `:desc`.
            include: The references to return as whole objects.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /services`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.Service, "services:read", locals())

    async def get_service(
        self,
        service_id: Id,
        *,
        include: NonEmpty[
            Literal["escalation_policies", "teams", "auto_pause_notifications_parameters", "integrations"]
        ]
        | None = None,
    ) -> m.Service:
        """Get one service.

        Args:
            include: The references to return as whole objects.

        Source: `GET /services/{service_id}`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Service, "services:read_detail", locals())

    async def create_service(
        self,
        name: Title,
        escalation_policy_id: Id,
        *,
        description: Description | None = None,
        fields: Fields | None = None,
        requester_email: Email | None = None,
    ) -> m.Service:
        """Create a service whose incidents follow an escalation policy.

        Args:
            escalation_policy_id: The policy that decides who is notified, and in which order.
            fields: Further writable members of PagerDuty's schema; an unknown name is refused.
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `POST /services`. Risk: HIGH.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Service, "services:create", locals())

    async def update_service(
        self,
        service_id: Id,
        *,
        name: Title | None = None,
        description: Description | Null | None = None,
        status: Literal["active", "disabled"] | None = None,
        escalation_policy_id: Id | None = None,
        fields: Fields | None = None,
        requester_email: Email | None = None,
    ) -> m.Service:
        """Change a service; omitted parameters are not changed.

        `status="disabled"`, and fields that stop or weaken its alerts, silence the service and are judged at HIGH.

        Args:
            status: Its state.
            escalation_policy_id: The policy that decides who is notified, and in which order.
            fields: Further writable members of PagerDuty's schema; an unknown name is refused.
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `PUT /services/{service_id}`. Risk: MEDIUM.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Service, "services:update", locals())

    async def delete_service(self, service_id: Id, *, requester_email: Email | None = None) -> None:
        """Delete a service and its integrations, permanently.

        Args:
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `DELETE /services/{service_id}`. Risk: HIGH.

        Raises:
            ArxError: as in `execute()`.
        """
        await self._gone("services:delete", locals())

    async def list_service_integrations(self, service_id: Id) -> Page[m.Integration]:
        """List the integrations of a service.

        For an account that does not serve this path (404 or 405), the service is read with its integrations instead.
        `integration_key` lets its holder raise incidents: treat it as a secret.

        Source: `GET /services/{service_id}/integrations`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.Integration, "services:read_integrations", locals())

    async def create_service_integration(
        self,
        service_id: Id,
        type: Literal[  # noqa: A002 - PagerDuty's name for it
            "aws_cloudwatch_inbound_integration",
            "cloudkick_inbound_integration",
            "event_transformer_api_inbound_integration",
            "generic_email_inbound_integration",
            "generic_events_api_inbound_integration",
            "keynote_inbound_integration",
            "nagios_inbound_integration",
            "pingdom_inbound_integration",
            "sql_monitor_inbound_integration",
            "events_api_v2_inbound_integration",
        ],
        *,
        name: Title | None = None,
        vendor_id: Id | None = None,
        fields: Fields | None = None,
        requester_email: Email | None = None,
    ) -> m.Integration:
        """Create an integration, through which events can raise incidents on the service.

        Args:
            type: The kind of object; a reference's ends in `_reference`.
            fields: Further writable members of PagerDuty's schema; an unknown name is refused.
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `POST /services/{service_id}/integrations`. Risk: MEDIUM.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Integration, "services:create_integration", locals())

    async def list_escalation_policies(
        self,
        *,
        query: Query | None = None,
        user_ids: Ids | None = None,
        team_ids: Ids | None = None,
        sort_by: Literal["name", "name:asc", "name:desc"] | None = None,
        include: NonEmpty[Literal["services", "teams", "targets", "escalation_rule_assignment_strategies"]]
        | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.EscalationPolicy]:
        """List escalation policies.

        Args:
            query: Text to search for in the name.
            user_ids: Only those of these users, by id.
            team_ids: Only those of these teams, by id.
            sort_by: Fields to sort by, each with `:asc` or `:desc`.
            include: The references to return as whole objects.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /escalation_policies`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.EscalationPolicy, "escalation:read", locals())

    async def get_escalation_policy(
        self,
        policy_id: Id,
        *,
        include: NonEmpty[Literal["services", "teams", "targets", "escalation_rule_assignment_strategies"]]
        | None = None,
    ) -> m.EscalationPolicy:
        """Get escalation policy details.

        Args:
            include: The references to return as whole objects.

        Source: `GET /escalation_policies/{policy_id}`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.EscalationPolicy, "escalation:read_detail", locals())

    async def create_escalation_policy(
        self,
        name: Title,
        rules: Rules,
        *,
        description: Description | None = None,
        num_loops: Loops | None = None,
        team_ids: AnyIds | None = None,
        fields: Fields | None = None,
        requester_email: Email | None = None,
    ) -> m.EscalationPolicy:
        """Create a new escalation policy.

        Args:
            rules: The levels, in their order.
            num_loops: The number of repetitions of the policy when no one acknowledges.
            team_ids: The teams that it belongs to.
            fields: Further writable members of PagerDuty's schema; an unknown name is refused.
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `POST /escalation_policies`. Risk: MEDIUM.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.EscalationPolicy, "escalation:create", locals())

    async def update_escalation_policy(
        self,
        policy_id: Id,
        *,
        name: Title | None = None,
        description: Description | Null | None = None,
        num_loops: Loops | None = None,
        rules: Rules | None = None,
        team_ids: AnyIds | None = None,
        fields: Fields | None = None,
        requester_email: Email | None = None,
    ) -> m.EscalationPolicy:
        """Change an escalation policy: the next incident follows the new rules; omitted ones are not changed.

        Args:
            num_loops: The number of repetitions of the policy when no one acknowledges.
            rules: The levels, in their order.
            team_ids: The teams that it belongs to.
            fields: Further writable members of PagerDuty's schema; an unknown name is refused.
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `PUT /escalation_policies/{policy_id}`. Risk: MEDIUM.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.EscalationPolicy, "escalation:update", locals())

    async def delete_escalation_policy(self, policy_id: Id, *, requester_email: Email | None = None) -> None:
        """Delete an escalation policy that no service uses.

        Args:
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `DELETE /escalation_policies/{policy_id}`. Risk: HIGH.

        Raises:
            ArxError: as in `execute()`.
        """
        await self._gone("escalation:delete", locals())

    async def list_schedules(
        self,
        *,
        query: Query | None = None,
        time_zone: Zone | None = None,
        include_next_oncall_for_user: Id | None = None,
        since: LocalTime | None = None,
        until: LocalTime | None = None,
        team_ids: Ids | None = None,
        include: NonEmpty[Literal["schedule_layers", "overrides_subschedule", "final_schedule"]] | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Schedule]:
        """List on-call schedules.

        Args:
            query: Text to search for in the name.
            time_zone: The zone of the times in the response, by its IANA name; else the account's.
            include_next_oncall_for_user: A user's id; each schedule says when that user is on call next.
            since: The start of the time span, ISO 8601 with an offset. A time without an offset is local to
                `time_zone`.
            until: The end of the time span, ISO 8601 with an offset. A time without an offset is local to
                `time_zone`.
            team_ids: Only those of these teams, by id.
            include: The references to return as whole objects.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /schedules`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.Schedule, "schedules:read", locals())

    async def get_schedule(
        self,
        schedule_id: Id,
        *,
        time_zone: Zone | None = None,
        since: LocalTime | None = None,
        until: LocalTime | None = None,
        overflow: bool | None = None,
        include_next_oncall_for_user: Id | None = None,
    ) -> m.Schedule:
        """Get one schedule, rendered between `since` and `until`.

        Args:
            time_zone: The zone of the times in the response, by its IANA name; else the account's.
            since: The start of the time span, ISO 8601 with an offset. A time without an offset is local to
                `time_zone`.
            until: The end of the time span, ISO 8601 with an offset. A time without an offset is local to
                `time_zone`.
            overflow: Whether entries may reach beyond the range, instead of being cut to it.
            include_next_oncall_for_user: A user's id; the schedule says when that user is on call next.

        Source: `GET /schedules/{schedule_id}`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Schedule, "schedules:read_detail", locals())

    async def get_oncall_users(
        self,
        *,
        time_zone: Zone | None = None,
        user_ids: Ids | None = None,
        escalation_policy_ids: Ids | None = None,
        schedule_ids: Ids | None = None,
        since: LocalTime | None = None,
        until: LocalTime | None = None,
        earliest: bool | None = None,
        include: NonEmpty[Literal["escalation_policies", "users", "schedules"]] | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Oncall]:
        """List who is on call: now, or between `since` and `until`, at most 90 days ahead.

        An entry without start and end is permanent.

        Args:
            time_zone: The zone of the times in the response, by its IANA name; else the account's.
            user_ids: Only those of these users, by id.
            escalation_policy_ids: Only those of these escalation policies, by id.
            schedule_ids: Only those of these schedules, by id.
            since: The start of the time span, ISO 8601 with an offset. A time without an offset is local to
                `time_zone`.
            until: The end of the time span, ISO 8601 with an offset. A time without an offset is local to
                `time_zone`.
            earliest: Whether to list only the first on-call of each policy, level and user.
            include: The references to return as whole objects.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /oncalls`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.Oncall, "schedules:read_oncall", locals())

    async def list_users(
        self,
        *,
        query: Query | None = None,
        team_ids: Ids | None = None,
        include: NonEmpty[Literal["contact_methods", "notification_rules", "teams", "subdomains"]] | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.User]:
        """List all users.

        Args:
            query: Matches part of a name or e-mail address.
            team_ids: Only those of these teams, by id.
            include: The references to return as whole objects.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /users`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.User, "users:read", locals())

    async def get_user(
        self,
        user_id: Id,
        *,
        include: NonEmpty[Literal["contact_methods", "notification_rules", "teams", "subdomains", "calendar_urls"]]
        | None = None,
    ) -> m.User:
        """Get one user.

        Args:
            include: The references to return as whole objects.

        Source: `GET /users/{user_id}`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.User, "users:read_detail", locals())

    async def list_user_contact_methods(self, user_id: Id) -> Page[m.ContactMethod]:
        """List a user's contact methods: phone, e-mail, text message, push.

        Source: `GET /users/{user_id}/contact_methods`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.ContactMethod, "users:read_contact", locals())

    async def list_user_notification_rules(
        self,
        user_id: Id,
        *,
        urgency: Literal["high", "low", "all"] | None = None,
        include: NonEmpty[Literal["contact_methods"]] | None = None,
    ) -> Page[m.NotificationRule]:
        """List a user's notification rules.

        Args:
            urgency: The urgency of incidents that the rules are for; PagerDuty's default is `high`.
            include: The references to return as whole objects.

        Source: `GET /users/{user_id}/notification_rules`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.NotificationRule, "users:read_notification", locals())

    async def list_teams(
        self,
        *,
        query: Query | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.Team]:
        """List all teams.

        Args:
            query: Text to search for in the name.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /teams`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.Team, "teams:read", locals())

    async def get_team(self, team_id: Id, *, include: NonEmpty[Literal["privileges"]] | None = None) -> m.Team:
        """Get one team.

        Args:
            include: The references to return as whole objects.

        Source: `GET /teams/{team_id}`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.Team, "teams:read_detail", locals())

    async def list_maintenance_windows(
        self,
        *,
        query: Query | None = None,
        team_ids: Ids | None = None,
        service_ids: Ids | None = None,
        filter: Literal["past", "future", "ongoing", "open", "all"] | None = None,  # noqa: A002 - PagerDuty's name for it
        include: NonEmpty[Literal["teams", "services", "users"]] | None = None,
        limit: Limit | None = None,
        offset: Offset | None = None,
        total: bool | None = None,
    ) -> Page[m.MaintenanceWindow]:
        """List maintenance windows.

        Args:
            query: Text to search for in the name.
            team_ids: Only those of these teams, by id.
            service_ids: Only those of these services, by id.
            filter: Only those of this kind.
            include: The references to return as whole objects.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /maintenance_windows`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.MaintenanceWindow, "maintenance:read", locals())

    async def create_maintenance_window(
        self,
        start_time: Instant,
        end_time: Instant,
        service_ids: Ids,
        *,
        description: Description | None = None,
        requester_email: Email | None = None,
    ) -> m.MaintenanceWindow:
        """Silence services between two times: no incident is raised on them, no one is notified.

        PagerDuty takes a start in the past as now; the end must lie in the future and after the start.

        Args:
            start_time: Its start, with zone.
            end_time: Its end, with zone.
            service_ids: Its services.
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `POST /maintenance_windows`. Risk: HIGH.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.MaintenanceWindow, "maintenance:create", locals())

    async def delete_maintenance_window(self, window_id: Id, *, requester_email: Email | None = None) -> None:
        """Delete a future maintenance window or end an ongoing one; alerting comes back.

        Args:
            requester_email: The e-mail address of the PagerDuty user for whom the write is made; by default the
                vault's.

        Source: `DELETE /maintenance_windows/{window_id}`. Risk: MEDIUM.

        Raises:
            ArxError: as in `execute()`.
        """
        await self._gone("maintenance:delete", locals())

    async def list_event_rules(
        self, *, limit: Limit | None = None, offset: Offset | None = None, total: bool | None = None
    ) -> Page[m.EventRule]:
        """List global event rules.

        Args:
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /event_rules`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.EventRule, "rules:read", locals())

    async def list_priorities(
        self, *, limit: Limit | None = None, offset: Offset | None = None, total: bool | None = None
    ) -> Page[m.Priority]:
        """List the priorities that incidents can have, most severe first; `priority_id` takes their ids.

        Args:
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            offset: Records to skip; with the limit at most 10,000.
            total: Whether to count all matching records, which is slow.

        Source: `GET /priorities`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.Priority, "priorities:read", locals())

    async def get_current_user(
        self,
        *,
        include: NonEmpty[Literal["contact_methods", "notification_rules", "teams", "subdomains", "calendar_urls"]]
        | None = None,
    ) -> m.User:
        """Get the user whose API key is in use. PagerDuty refuses it for keys of an account (400).

        Also needs `users:read_detail`.

        Args:
            include: The references to return as whole objects.

        Source: `GET /users/me`. Risk: LOW.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._one(m.User, "users:read_me", locals())

    async def list_audit_records(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        root_resource_types: NonEmpty[
            Literal["users", "teams", "schedules", "escalation_policies", "services", "ip_allow_lists"]
        ]
        | None = None,
        actor_type: Literal["user_reference", "api_key_reference", "app_reference"] | None = None,
        actor_id: Id | None = None,
        method_type: Literal["browser", "oauth", "api_token", "identity_provider", "other"] | None = None,
        method_truncated_token: Token | None = None,
        actions: NonEmpty[Literal["create", "update", "delete"]] | None = None,
        limit: Limit | None = None,
        cursor: Cursor | None = None,
    ) -> Page[m.AuditRecord]:
        """List who changed what in the account's configuration, newest first.

        PagerDuty records changes of users, teams, schedules, escalation policies and services, and keeps them for 18
        months. Only an account's key, or one of an admin, may read them (403), and only on plans that include the audit
        trail (402).

        Args:
            since: The start of the span; by default 24 hours before `until`.
            until: The end of the span; by default now. One page covers at most 31 days; `iterate()` reads more.
            root_resource_types: Only changes of these kinds of object.
            actor_type: Only changes by this kind of actor.
            actor_id: Only changes by this actor; needs `actor_type`.
            method_type: Only changes made in this way.
            method_truncated_token: Only changes made with the key that ends in these characters; needs
                `method_type`.
            actions: Only these kinds of change.
            limit: Records in a page, 1 to 100; PagerDuty's default is 25.
            cursor: The start of the page: the `next_cursor` of the page before it.

        Source: `GET /audit/records`. Risk: MEDIUM.

        Raises:
            ArxError: as in `execute()`.
        """
        return await self._page(m.AuditRecord, "audit:read", locals())

    @overload
    def iterate(
        self, operation: Literal["incidents:read"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.Incident, None]: ...
    @overload
    def iterate(
        self, operation: Literal["incidents:read_alerts", "alerts:read"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.Alert, None]: ...
    @overload
    def iterate(
        self, operation: Literal["incidents:read_log"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.LogEntry, None]: ...
    @overload
    def iterate(
        self, operation: Literal["incidents:read_notes"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.IncidentNote, None]: ...
    @overload
    def iterate(
        self, operation: Literal["services:read"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.Service, None]: ...
    @overload
    def iterate(
        self, operation: Literal["services:read_integrations"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.Integration, None]: ...
    @overload
    def iterate(
        self, operation: Literal["escalation:read"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.EscalationPolicy, None]: ...
    @overload
    def iterate(
        self, operation: Literal["schedules:read"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.Schedule, None]: ...
    @overload
    def iterate(
        self, operation: Literal["schedules:read_oncall"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.Oncall, None]: ...
    @overload
    def iterate(
        self, operation: Literal["users:read"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.User, None]: ...
    @overload
    def iterate(
        self, operation: Literal["users:read_contact"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.ContactMethod, None]: ...
    @overload
    def iterate(
        self, operation: Literal["users:read_notification"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.NotificationRule, None]: ...
    @overload
    def iterate(
        self, operation: Literal["teams:read"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.Team, None]: ...
    @overload
    def iterate(
        self, operation: Literal["maintenance:read"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.MaintenanceWindow, None]: ...
    @overload
    def iterate(
        self, operation: Literal["rules:read"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.EventRule, None]: ...
    @overload
    def iterate(
        self, operation: Literal["analytics:read", "analytics:services"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.AnalyticsIncidentMetrics, None]: ...
    @overload
    def iterate(
        self, operation: Literal["priorities:read"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.Priority, None]: ...
    @overload
    def iterate(
        self, operation: Literal["audit:read"], params: Given = None, **bounds: Unpack[Bounds]
    ) -> AsyncGenerator[m.AuditRecord, None]: ...
    @overload
    def iterate(self, operation: str, params: Given = None, **bounds: Unpack[Bounds]) -> AsyncGenerator[Any, None]: ...
    def iterate(
        self,
        operation: str,
        params: Given = None,
        *,
        max_items: int | None = None,
        approval_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Read every record of a list, page by page, under one permission and one intent record.

        Up to eight pages are read at a time, and each record is yielded once, in order. Past 10,000 records, incidents
        and log entries are read in spans of time; their order then holds within a span, newest span first unless
        `sort_by` starts with `created_at:asc`. A `since` without `until` reaches to now. An `until` without `since`
        goes back a month for incidents, and to the beginning for log entries. Policy judges the call again between
        pages.

        Args:
            operation: One of the operations that list, `incidents:read`.
            params: The parameters of its method; `limit` is the page size, `offset` the number of records to skip.
            max_items: Stop after this many records.
            approval_id: An approval to use, as in `execute()`.

        Returns:
            An iterator over the generated models of `operation`.

        Raises:
            InvalidParamsError: the operation does not list.
            PermissionDeniedError: policy denies the call, possibly only between pages, or the agent was suspended.
            PaginationLimitError: the list reaches past 10,000 records and cannot be narrowed by time.
            ArxError: as in `execute()`.
        """
        return self._iterate(operation, params, max_items=max_items, approval_id=approval_id)
