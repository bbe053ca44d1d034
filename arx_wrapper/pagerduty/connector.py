"""The PagerDuty connector: the table of operations on the governed pipeline, and what is PagerDuty's own about it."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, final

from attrs import evolve

from arx_wrapper.config import MEMORY, Config
from arx_wrapper.core.dispatch import Dispatch
from arx_wrapper.errors import ArxError, InvalidParamsError, PagerDutyError, ServerError, TransportError
from arx_wrapper.model import Operation, Params
from arx_wrapper.pagerduty.decoding import Model, typed
from arx_wrapper.pagerduty.operations import OPERATIONS
from arx_wrapper.pagerduty.pagination import DEFAULT_SPAN, OLDEST, ListReader, Unread
from arx_wrapper.pagerduty.recovery import OWN_KEY, SETTLE, InconclusiveError
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
from arx_wrapper.pagerduty.target_state import TARGETS

if TYPE_CHECKING:
    import httpx

    from arx_wrapper.sandbox import Sandbox

_NOT_SERVED: Final = frozenset({404, 405})
# Seconds before each look for a write's effect: by the last it would have to be there.
_LOOKS: Final = (0.0, 0.25, 1.0, 3.0)
# A look that failed, was inconclusive, or was answered in a shape of its own.
_SHOWS_NOTHING: Final = (ArxError, InconclusiveError, AttributeError, LookupError, TypeError, ValueError)
_BY_TIME: Final = frozenset({"incidents:read", "incidents:read_log"})


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
        transport: httpx.AsyncBaseTransport | None = None,
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

    def _records(self, dispatch: Dispatch, most: int | None) -> AsyncIterator[Any]:
        row, asked = dispatch.call.operation, dispatch.call.params
        model = self.model_of(row.name)

        async def fetch(changes: Mapping[str, Any]) -> Unread:
            if not changes:
                whole = await self._perform(dispatch)
                return lambda: whole
            merged = {name: value for name, value in {**asked, **changes}.items() if value is not None}
            return (await dispatch.fetch(self._request(row, merged))).json

        key, _ = _listed(row)
        reading = ListReader(fetch, key, row.name, most)
        if "limit" not in model.names:
            return reading.once()
        size, start = asked.get("limit"), asked.get("offset", 0)
        if start or row.name not in _BY_TIME:
            return reading.by_offset(start=start, size=size)
        zone, now = asked.get("time_zone"), self._backends.clock()
        if asked.get("date_range") == "all":  # then PagerDuty looks at neither of the two
            since, until = OLDEST, now
        else:
            until = _moment(asked.get("until"), zone) or now
            default = until - DEFAULT_SPAN if row.name == "incidents:read" else OLDEST
            since = _moment(asked.get("since"), zone) or default
        return reading.by_time(
            since,
            until,
            oldest_first=_first(asked.get("sort_by")) == "created_at:asc",
            size=size,
        )

    async def _target(self, dispatch: Dispatch) -> Mapping[str, Any] | None:
        read_target = TARGETS.get(dispatch.call.operation.name)
        return await read_target(self._looker(dispatch), dispatch.call.params) if read_target else None

    async def _perform(self, dispatch: Dispatch) -> dict[str, Any]:
        row, request, params = dispatch.call.operation, dispatch.request, dispatch.call.params
        if row.name == "incidents:create" and "incident_key" not in params:
            # A key of its own, by which the incident can be found again when the answer is lost.
            params = {**params, "incident_key": f"{OWN_KEY}{dispatch.call.id}"}
            request = self._request(row, dict(params))
        try:
            return await dispatch.send(request)
        except (TransportError, ServerError) as lost:
            if row.writes and getattr(lost, "outcome", "unknown") == "unknown":
                return await self._settled(dispatch, params, lost)
            raise
        except PagerDutyError as error:
            if row.name == "services:read_integrations" and error.status in _NOT_SERVED:
                return await self._integrations_of(dispatch)
            raise

    async def _settled(self, dispatch: Dispatch, params: Params, lost: PagerDutyError) -> dict[str, Any]:
        """Find out what became of a write whose answer was lost or a 5xx, or say that it is not known."""
        import asyncio

        operation = dispatch.call.operation.name
        settle = SETTLE.get(operation)
        if settle is None:
            raise lost
        for pause in _LOOKS:
            await asyncio.sleep(pause)
            try:
                found = await settle(self._looker(dispatch), params, dispatch.began)
            except _SHOWS_NOTHING:
                raise lost from None
            if found is not None:
                dispatch.facts["settled"] = "found"
                return found
        if operation != "incidents:create":
            raise lost
        dispatch.facts["settled"] = "not found"
        if isinstance(lost, ServerError):
            raise ServerError(
                f"{lost.message}; no incident has this call's key: it was not created",
                status=lost.status,
                code=lost.code,
                errors=lost.errors,
                request_id=lost.request_id,
                operation=operation,
            ) from None
        raise TransportError(
            "the answer was lost, and no incident has this call's key: it was not created",
            outcome="not_sent",
            operation=operation,
        )

    async def _integrations_of(self, dispatch: Dispatch) -> dict[str, Any]:
        """Published is only the service with its integrations included; some accounts serve this path too."""
        from pagerduty_client.api.services import get_service

        answer = await dispatch.send(get_service.request(dispatch.call.params["service_id"], include=["integrations"]))
        return {"integrations": answer.get("service", {}).get("integrations", [])}

    def _looker(self, dispatch: Dispatch) -> Callable[..., Awaitable[Mapping[str, Any]]]:
        async def read(endpoint: str, *path: str, **query: object) -> Mapping[str, Any]:
            module = importlib.import_module(f"{self.client}.api.{endpoint}")
            return await dispatch.look(module.request(*path, **query))

        return read


def _listed(row: Operation) -> tuple[str, type[Model]]:
    """Under which key an operation's answer lists records, and of which model they are."""
    key, name = ("data", "AnalyticsIncidentMetrics") if row.family == "analytics" else (row.answer, row.model)
    if name is None or key is None or row.writes or not key.endswith(("s", "data")):
        raise InvalidParamsError(row.name, "operation", "does not list records", "an operation whose method lists")
    from pagerduty_client import models

    model: type[Model] = getattr(models, name)
    return key, model


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
