"""The PagerDuty connector: the table of operations on the governed pipeline, and what is PagerDuty's own about it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

from attrs import evolve

from arx_wrapper.config import MEMORY, Config
from arx_wrapper.core.dispatch import Dispatch
from arx_wrapper.core.resolution import Asked
from arx_wrapper.errors import InvalidParamsError
from arx_wrapper.model import Operation
from arx_wrapper.pagerduty import effects, tool_parameters
from arx_wrapper.pagerduty.decoding import Model, typed
from arx_wrapper.pagerduty.operations import OPERATIONS
from arx_wrapper.pagerduty.pagination import OLDEST, ListReader, Unread
from arx_wrapper.pagerduty.resources.alerts import Alerts
from arx_wrapper.pagerduty.resources.analytics import Analytics
from arx_wrapper.pagerduty.resources.escalation_policies import Escalation
from arx_wrapper.pagerduty.resources.event_rules import Rules
from arx_wrapper.pagerduty.resources.incident_timeline import Timeline
from arx_wrapper.pagerduty.resources.incidents import Incidents
from arx_wrapper.pagerduty.resources.maintenance_windows import Maintenance
from arx_wrapper.pagerduty.resources.schedules import Schedules
from arx_wrapper.pagerduty.resources.services import Services
from arx_wrapper.pagerduty.resources.teams import Teams
from arx_wrapper.pagerduty.resources.users import Users

if TYPE_CHECKING:
    from arx_wrapper.http_client import AsyncTransport
    from arx_wrapper.sandbox import Sandbox


@final
class PagerDutyConnector(
    Incidents, Timeline, Alerts, Services, Escalation, Schedules, Users, Teams, Maintenance, Rules, Analytics
):
    """PagerDuty, governed: policy, approval and audit before every call.

    One connector may be shared by many coroutines, and works with or without `async with`.

        pd = PagerDutyConnector(agent_id="agent-001", org_id="org-acme")
        incidents = await pd.list_incidents(statuses=["triggered"], urgencies=["high"])
        await pd.acknowledge_incident(incidents[0].id)
    """

    connector: ClassVar[str] = "pagerduty"
    operations: ClassVar[Mapping[str, Operation]] = OPERATIONS
    client: ClassVar[str] = "pagerduty_client"
    requester_header: ClassVar[str | None] = "From"
    accept: ClassVar[str] = "application/vnd.pagerduty+json;version=2"
    key_prefix: ClassVar[str] = "Token token="
    tool_descriptions: ClassVar[Mapping[str, str]] = tool_parameters.DESCRIPTIONS
    tool_omissions: ClassVar[frozenset[str]] = tool_parameters.OMITTED
    recorded_fields: ClassVar[frozenset[str]] = frozenset(
        {"id", "incident", "type", "status", "urgency", "created_at", "updated_at", "start_time", "end_time"}
    )

    def __init__(
        self,
        agent_id: str,
        org_id: str,
        *,
        policies: object = None,
        audit: object = None,
        vault: object = None,
        approvals: object = None,
        base_url: str | None = None,
        transport: AsyncTransport | None = None,
        config: Config | None = None,
    ) -> None:
        config = config or Config.load()
        self.sandbox_account: Sandbox | None = None
        if config.sandbox and transport is None and base_url is None:
            from arx_wrapper.sandbox import Sandbox
            from arx_wrapper.vault.fixed import FixedVault

            account = self.sandbox_account = Sandbox(config.sandbox_seed)
            vault = vault or FixedVault(api_key=account.token, requester_email=account.email)
            transport, base_url = account.transport(), account.base_url
        super().__init__(
            agent_id,
            org_id,
            policies=policies,
            audit=audit,
            vault=vault,
            approvals=approvals,
            base_url=base_url,
            transport=transport,
            config=config,
        )

    @classmethod
    def sandbox(
        cls,
        agent_id: str = "agent-sandbox",
        org_id: str = "org-sandbox",
        *,
        seed: int | None = None,
        config: Config | None = None,
        **options: Any,
    ) -> Self:
        """A connector to a PagerDuty account of its own, inside this process; needs the extra `sandbox`.

        Policy, approval and audit are as real as elsewhere: without policies everything is denied. Unless told
        otherwise the audit log lives in memory and is gone with the connector. The account is `sandbox_account`.

        Args:
            agent_id, org_id: Who calls, for which organisation.
            seed: Decides the account's ids and history.
            options: Everything else the connector takes.
        """
        config = config or Config.load(audit_default=MEMORY)
        return cls(agent_id, org_id, config=evolve(config, sandbox=True, sandbox_seed=seed), **options)

    async def iterate(
        self,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        max_items: int | None = None,
        approval_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Read every record of a list, page by page, under one permission and one intent record.

        Pages are read up to eight at a time and handed out in order, each record once. Past 10,000 records, incidents
        and log entries are read in spans of time; their order then holds within a span, newest span first unless
        `sort_by` starts with `created_at:asc`.

        Args:
            operation: One of the operations that list, `incidents:read`.
            params: The parameters of its method; `limit` is the page size, `offset` where to begin.
            max_items: Stop after this many records.
            approval_id: An approval to use up, as `execute()` does.

        Returns:
            An iterator over the generated models of `operation`.

        Raises:
            InvalidParamsError: the operation does not list.
            PaginationLimitError: the list reaches past 10,000 records and cannot be narrowed by time.
        """

        from arx_wrapper.core import pipeline  # only now: it brings asyncio and the audit log's threads

        def lists(row: Operation) -> None:
            _listed(row)
            if max_items is not None and (type(max_items) is not int or max_items < 0):
                raise InvalidParamsError(row.name, "max_items", f"is {max_items!a}", "a whole number from 0, or None")

        asked = Asked(operation=operation, params=params, approval_id=approval_id, check=lists)
        with self._in_flight:
            async with aclosing(pipeline.stream(self._env, asked, lambda sent: self._read(sent, max_items))) as models:
                async for model in models:
                    yield model

    async def _read(self, dispatch: Dispatch, most: int | None) -> AsyncGenerator[Any, None]:
        """Yield the records of a list as models."""
        _, model = _listed(dispatch.call.operation)
        dispatch.records = 0
        if most == 0:
            return
        async with aclosing(self._records(dispatch, most)) as records:
            async for record in records:
                dispatch.records += 1
                yield typed(model, record, dispatch.call.operation.name)

    async def _previous_iterate(
        self,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        max_items: int | None = None,
        approval_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        def lists(row: Operation) -> None:
            _listed(row)
            if max_items is not None and (type(max_items) is not int or max_items < 0):
                raise InvalidParamsError(row.name, "max_items", f"is {max_items!a}", "a whole number from 0, or None")

        with self._in_flight:
            async with self._governed(operation, params, approval_id, only=lists) as dispatch:
                _, model = _listed(dispatch.call.operation)
                dispatch.facts["records"] = 0
                if max_items == 0:
                    return
                async for record in self._records(dispatch, max_items):
                    dispatch.facts["records"] += 1
                    yield typed(model, record, operation)

    @staticmethod
    def is_alias(name: str, value: Any) -> bool:
        """Tell whether a parameter names an incident by its number."""
        return effects.is_incident_number(name, value)

    def _records(self, dispatch: Any, most: int | None) -> AsyncGenerator[Any, None]:
        row, asked = dispatch.call.operation, dispatch.call.params
        model = self.model_of(row.name)

        async def fetch(changes: Mapping[str, Any]) -> Unread:
            if not changes:
                whole = await dispatch.perform()
                return lambda: whole
            merged = {name: value for name, value in {**asked, **changes}.items() if value is not None}
            if isinstance(dispatch, Dispatch):
                response: Any = await dispatch.fetch(merged)
                parse: Unread = response.json
                return parse
            previous: Unread = (await dispatch.fetch(self._request(row, merged))).json
            return previous

        key, _ = _listed(row)
        reading = ListReader(fetch, key, row.name, most)
        if "limit" not in model.names:
            return reading.once()
        size, start = asked.get("limit"), asked.get("offset", 0)
        if start or row.paging is None:
            return reading.by_offset(start=start, size=size)
        zone, now = asked.get("time_zone"), self._backends.clock()
        if asked.get("date_range") == "all":  # then PagerDuty looks at neither of the two
            since, until = OLDEST, now
        else:
            until = _moment(asked.get("until"), zone) or now
            default = until - row.paging.default_span if row.paging.default_span else OLDEST
            since = _moment(asked.get("since"), zone) or default
        return reading.by_time(
            since,
            until,
            oldest_first=_first(asked.get("sort_by")) == "created_at:asc",
            size=size,
        )


def _listed(row: Operation) -> tuple[str, type[Model]]:
    """Return the response's key of an operation's list, and the model of its items."""
    if row.records is None or row.records.model is None:
        raise InvalidParamsError(row.name, "operation", "does not list records", "an operation whose method lists")
    from pagerduty_client import models

    model: type[Model] = getattr(models, row.records.model)
    return row.records.envelope, model


def _moment(text: str | None, zone: str | None) -> datetime | None:
    """A bound as PagerDuty reads it: a date begins in the zone that the call names."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo:
        return moment
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # only now: few calls name dates

    try:
        return moment.replace(tzinfo=ZoneInfo(zone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        return moment.replace(tzinfo=UTC)  # PagerDuty says what it thinks of such a zone


def _first(sort_by: str | list[str] | None) -> str | None:
    return sort_by[0] if isinstance(sort_by, list) else sort_by
