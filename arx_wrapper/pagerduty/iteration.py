"""Every record of a list, page by page, under one permission."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict, overload

from arx_wrapper.core.dispatch import Dispatch
from arx_wrapper.core.resolution import Asked
from arx_wrapper.errors import InvalidParamsError
from arx_wrapper.model import ByCursor, ByTime, Operation, Params
from arx_wrapper.pagerduty.decoding import Model, typed
from arx_wrapper.pagerduty.pagination import OLDEST, ListReader, Unread
from arx_wrapper.pagerduty.resources.base import Resource

if TYPE_CHECKING:
    from typing import Unpack

    from pagerduty_client import models as m

    Given = Mapping[str, Any] | None


class Bounds(TypedDict, total=False):
    """The end of an iteration.

    Attributes:
        max_items: Stop after this many records.
        approval_id: An approval to use up, as `execute()` does.
    """

    max_items: int | None
    approval_id: str | None


class Iteration(Resource):
    """`iterate()`, typed for each operation that lists."""

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
    async def iterate(
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
        from arx_wrapper.core import pipeline  # only now: it brings asyncio and the audit log's threads

        def lists(row: Operation) -> None:
            _listed(row)
            if max_items is not None and (type(max_items) is not int or max_items < 0):
                raise InvalidParamsError(row.name, "max_items", f"is {max_items!a}", "a whole number from 0, or None")

        def made(record: Any) -> Any:
            _, model = _listed(self.operations[operation])
            return typed(model, record, operation)

        def read(dispatch: Dispatch) -> AsyncGenerator[Any, None]:
            return self._read(dispatch, max_items)

        asked = Asked(
            operation=operation,
            params=params,
            approval_id=approval_id,
            iteration={"max_items": max_items},
            check=lists,
        )
        with self._in_flight:
            async with aclosing(pipeline.stream(self._env, asked, read, made)) as models:
                async for model in models:
                    yield model

    async def _read(self, dispatch: Dispatch, most: int | None) -> AsyncGenerator[Any, None]:
        """Yield the records of a list."""
        dispatch.records = 0
        if most == 0:
            return
        async with aclosing(self._records(dispatch, most)) as records:
            async for record in records:
                dispatch.records += 1
                yield record

    def _records(self, dispatch: Dispatch, most: int | None) -> AsyncGenerator[Any, None]:
        row, asked = dispatch.call.operation, dispatch.call.params

        async def fetch(changes: Mapping[str, Any]) -> Unread:
            if not changes:
                whole = await dispatch.perform()
                return lambda: whole
            merged = {name: value for name, value in {**asked, **changes}.items() if value is not None}
            return (await dispatch.fetch(merged)).json

        key, _ = _listed(row)
        reading = ListReader(fetch, key, row.name, most)
        if "limit" not in self.model_of(row.name).names:
            return reading.once()
        size, start = asked.get("limit"), asked.get("offset", 0)
        if isinstance(row.paging, ByCursor):
            return reading.by_cursor(_spans(row, row.paging, asked, self.backends.clock()), size=size)
        if start or row.paging is None:
            return reading.by_offset(start=start, size=size)
        since, until = _span(row.paging, asked, self.backends.clock())
        oldest_first = _first(asked.get("sort_by")) == "created_at:asc"
        bounded = asked.get("date_range") != "all" and ("since" in asked or "until" in asked)
        return reading.by_time(since, until, oldest_first=oldest_first, size=size, whole=not bounded)


def _listed(row: Operation) -> tuple[str, type[Model]]:
    """Return the response's key of an operation's list, and the model of its items."""
    if row.records is None or row.records.model is None:
        raise InvalidParamsError(row.name, "operation", "does not list records", "an operation whose method lists")
    from pagerduty_client import models

    model: type[Model] = getattr(models, row.records.model)
    return row.records.envelope, model


def _spans(row: Operation, paging: ByCursor, asked: Params, now: datetime) -> list[dict[str, str]]:
    """Return the bounds of the spans that a list is read in, newest first: the whole span, in parts that are taken.

    With a cursor, which holds the bounds of its list, and without bounds, which PagerDuty then sets, nothing is added.

    Raises:
        InvalidParamsError: the span ends before it begins.
    """
    if "cursor" in asked or not ("since" in asked or "until" in asked):
        return [{}]
    since, until = _span(paging, asked, now)
    if since >= until:
        raise InvalidParamsError(row.name, "since", "is not before until", "an earlier time")
    spans = []
    while until - since > paging.widest:
        spans.append((until - paging.widest, until))
        until -= paging.widest
    spans.append((since, until))
    return [{"since": begin.isoformat(), "until": end.isoformat()} for begin, end in spans]


def _span(paging: ByTime | ByCursor, asked: Params, now: datetime) -> tuple[datetime, datetime]:
    """Return the span of time that a list covers, as its parameters say."""
    if asked.get("date_range") == "all":  # then PagerDuty looks at neither of the two
        return OLDEST, now
    zone = asked.get("time_zone")
    until = _moment(asked.get("until"), zone) or now
    default = until - paging.default_span if paging.default_span else OLDEST
    return _moment(asked.get("since"), zone) or default, until


def _moment(text: str | None, zone: str | None) -> datetime | None:
    """Return a bound as PagerDuty reads it: a date begins in the zone that the call names."""
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
