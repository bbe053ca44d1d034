"""The typed methods that the table and PagerDuty's document say all of, and `iterate()`.

Written by `python -m codegen methods`, from `operations.py` and `spec/pagerduty.json`. Do not edit: a method that needs
more than they say is written by hand in the module of its family, and is left out here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Literal, overload

from pagerduty_client import models as m

from arx_wrapper.pagerduty.iteration import Bounds, Given, Iteration
from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.params import (
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
    """The methods whose rows say all there is to say."""

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

        PagerDuty looks back one month unless told otherwise, spans six at most, and ignores both with
        `date_range="all"`. With `user_ids` it never returns resolved incidents.

        Args:
            sort_by: `incident_number`, `created_at`, `resolved_at` or `urgency`, each with `:asc` or `:desc`.
            limit: Records a page, 1 to 100; PagerDuty's default is 25.
            total: Whether to count all matching records, which is slow.

        Source: `GET /incidents`. Risk: LOW.
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

        Source: `GET /incidents/{incident_id}`. Risk: LOW.
        """
        return await self._one(m.Incident, "incidents:read_detail", locals())

    async def snooze_incident(
        self, incident_id: Id, duration: SnoozeSeconds, *, requester_email: Email | None = None
    ) -> m.Incident:
        """Acknowledge an incident for `duration` seconds, after which it notifies again.

        Also needs `incidents:acknowledge`. Source: `POST /incidents/{incident_id}/snooze`. Risk: LOW.
        """
        return await self._one(m.Incident, "incidents:snooze", locals())

    async def merge_incidents(
        self, incident_id: Id, source_incident_ids: SourceIds, *, requester_email: Email | None = None
    ) -> m.Incident:
        """Merge other incidents into this one: their alerts move here and they are resolved.

        Also needs `incidents:resolve`. Source: `PUT /incidents/{incident_id}/merge`. Risk: MEDIUM.
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

        Also needs `alerts:read`. Source: `GET /incidents/{incident_id}/alerts`. Risk: LOW.
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
            is_overview: Only the most important entries.

        Source: `GET /incidents/{incident_id}/log_entries`. Risk: LOW.
        """
        return await self._page(m.LogEntry, "incidents:read_log", locals())

    async def list_incident_notes(self, incident_id: Id) -> Page[m.IncidentNote]:
        """Get notes on an incident.

        Source: `GET /incidents/{incident_id}/notes`. Risk: LOW.
        """
        return await self._page(m.IncidentNote, "incidents:read_notes", locals())

    async def add_incident_note(
        self, incident_id: Id, content: Note, *, requester_email: Email | None = None
    ) -> m.IncidentNote:
        """Add a note of up to 2,000 characters to an incident.

        Source: `POST /incidents/{incident_id}/notes`. Risk: LOW.
        """
        return await self._one(m.IncidentNote, "incidents:add_note", locals())

    async def reassign_incident(
        self, incident_id: Id, assignee_ids: Ids, *, requester_email: Email | None = None
    ) -> m.Incident:
        """Assign an incident to these users instead: they are notified.

        Source: `PUT /incidents/{incident_id}`. Risk: MEDIUM.
        """
        return await self._one(m.Incident, "incidents:reassign", locals())

    async def resolve_incident(
        self, incident_id: Id, *, resolution: Text | None = None, requester_email: Email | None = None
    ) -> m.Incident:
        """Resolve an incident, with a note on its log if `resolution` is given.

        Source: `PUT /incidents/{incident_id}`. Risk: MEDIUM.
        """
        return await self._one(m.Incident, "incidents:resolve", locals())

    async def acknowledge_incident(self, incident_id: Id, *, requester_email: Email | None = None) -> m.Incident:
        """Acknowledge an incident: it stops escalating.

        Source: `PUT /incidents/{incident_id}`. Risk: LOW.
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

        Also needs `incidents:read_alerts`. Source: `GET /incidents/{incident_id}/alerts`. Risk: LOW.
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

        Source: `PUT /incidents/{incident_id}/alerts/{alert_id}`. Risk: MEDIUM.
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
            name: Matches a whole name.

        Source: `GET /services`. Risk: LOW.
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

        Source: `GET /services/{service_id}`. Risk: LOW.
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
            fields: Further writable members of PagerDuty's service schema; an unknown name is refused.

        Source: `POST /services`. Risk: HIGH.
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
        """Change a service; what is not given stays as it is.

        `status="disabled"`, and fields that stop or weaken its alerts, silence the service and are judged at HIGH.

        Source: `PUT /services/{service_id}`. Risk: MEDIUM.
        """
        return await self._one(m.Service, "services:update", locals())

    async def delete_service(self, service_id: Id, *, requester_email: Email | None = None) -> None:
        """Delete a service and its integrations, permanently.

        Source: `DELETE /services/{service_id}`. Risk: HIGH.
        """
        await self._gone("services:delete", locals())

    async def list_service_integrations(self, service_id: Id) -> Page[m.Integration]:
        """List the integrations of a service.

        An account that does not serve this path (404 or 405) is asked for the service with its integrations instead.
        `integration_key` lets its holder raise incidents: treat it as a secret.

        Source: `GET /services/{service_id}/integrations`. Risk: LOW.
        """
        return await self._page(m.Integration, "services:read_integrations", locals())

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

        Source: `GET /escalation_policies`. Risk: LOW.
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

        Source: `GET /escalation_policies/{policy_id}`. Risk: LOW.
        """
        return await self._one(m.EscalationPolicy, "escalation:read_detail", locals())

    async def delete_escalation_policy(self, policy_id: Id, *, requester_email: Email | None = None) -> None:
        """Delete an escalation policy that no service uses.

        Source: `DELETE /escalation_policies/{policy_id}`. Risk: HIGH.
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
            include_next_oncall_for_user: A user's id; each schedule says when that user is on call next.

        Source: `GET /schedules`. Risk: LOW.
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
            overflow: Keep entries whole that reach over the range, instead of cutting them to it.
            include_next_oncall_for_user: A user's id; the schedule says when that user is on call next.

        Source: `GET /schedules/{schedule_id}`. Risk: LOW.
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
            earliest: Only the first on-call of each policy, level and user.

        Source: `GET /oncalls`. Risk: LOW.
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

        Source: `GET /users`. Risk: LOW.
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

        Source: `GET /users/{user_id}`. Risk: LOW.
        """
        return await self._one(m.User, "users:read_detail", locals())

    async def list_user_contact_methods(self, user_id: Id) -> Page[m.ContactMethod]:
        """List how a user is reached: phone, e-mail, text message, push.

        Source: `GET /users/{user_id}/contact_methods`. Risk: LOW.
        """
        return await self._page(m.ContactMethod, "users:read_contact", locals())

    async def list_user_notification_rules(
        self,
        user_id: Id,
        *,
        urgency: Literal["high", "low", "all"] | None = None,
        include: NonEmpty[Literal["contact_methods"]] | None = None,
    ) -> Page[m.NotificationRule]:
        """List when and how a user is notified.

        Args:
            urgency: For incidents of which urgency; PagerDuty's default is `high`.

        Source: `GET /users/{user_id}/notification_rules`. Risk: LOW.
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

        Source: `GET /teams`. Risk: LOW.
        """
        return await self._page(m.Team, "teams:read", locals())

    async def get_team(self, team_id: Id, *, include: NonEmpty[Literal["privileges"]] | None = None) -> m.Team:
        """Get one team.

        Source: `GET /teams/{team_id}`. Risk: LOW.
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

        Source: `GET /maintenance_windows`. Risk: LOW.
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

        Source: `POST /maintenance_windows`. Risk: HIGH.
        """
        return await self._one(m.MaintenanceWindow, "maintenance:create", locals())

    async def delete_maintenance_window(self, window_id: Id, *, requester_email: Email | None = None) -> None:
        """Delete a future maintenance window or end an ongoing one; alerting comes back.

        Source: `DELETE /maintenance_windows/{window_id}`. Risk: MEDIUM.
        """
        await self._gone("maintenance:delete", locals())

    async def list_event_rules(
        self, *, limit: Limit | None = None, offset: Offset | None = None, total: bool | None = None
    ) -> Page[m.EventRule]:
        """List global event rules.

        Source: `GET /event_rules`. Risk: LOW.
        """
        return await self._page(m.EventRule, "rules:read", locals())

    async def list_priorities(
        self, *, limit: Limit | None = None, offset: Offset | None = None, total: bool | None = None
    ) -> Page[m.Priority]:
        """List the priorities that incidents can have, most severe first; `priority_id` takes their ids.

        Source: `GET /priorities`. Risk: LOW.
        """
        return await self._page(m.Priority, "priorities:read", locals())

    async def get_current_user(
        self,
        *,
        include: NonEmpty[Literal["contact_methods", "notification_rules", "teams", "subdomains", "calendar_urls"]]
        | None = None,
    ) -> m.User:
        """Get the user whose API key is in use. PagerDuty refuses it for keys of an account (400).

        Also needs `users:read_detail`. Source: `GET /users/me`. Risk: LOW.
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
            since: Default: 24 hours before `until`.
            until: Default: now. One page reaches over 31 days at most; `iterate()` reads more.
            actor_id: Needs `actor_type`.
            method_truncated_token: Needs `method_type`.
            cursor: The page's `next_cursor`, for the next one.

        Source: `GET /audit/records`. Risk: MEDIUM.
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

        Pages are read up to eight at a time and handed out in order, each record once. Past 10,000 records, incidents
        and log entries are read in spans of time; their order then holds within a span, newest span first unless
        `sort_by` starts with `created_at:asc`. A `since` without `until` reaches to now; an `until` without `since`
        goes back a month for incidents, and to the beginning for log entries. Between pages policy is asked again.

        Args:
            operation: One of the operations that list, `incidents:read`.
            params: The parameters of its method; `limit` is the page size, `offset` where to begin.
            max_items: Stop after this many records.
            approval_id: An approval to use up, as `execute()` does.

        Returns:
            An iterator over the generated models of `operation`.

        Raises:
            InvalidParamsError: the operation does not list.
            PermissionDeniedError: policy denies it, by now, or the agent was suspended.
            PaginationLimitError: the list reaches past 10,000 records and cannot be narrowed by time.
        """
        return self._iterate(operation, params, max_items=max_items, approval_id=approval_id)
