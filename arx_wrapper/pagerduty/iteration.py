"""Implement `iterate()`: read every record of a list, page by page, under one permission."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

from arx_wrapper.core.resolution import RequestedCall
from arx_wrapper.errors import InvalidParamsError
from arx_wrapper.model import ByCursor, ByTime, Operation, Params
from arx_wrapper.pagerduty.decoding import Model, typed
from arx_wrapper.pagerduty.pagination import OLDEST, WIDEST, ListReader, Unread
from arx_wrapper.pagerduty.resources.base import Resource

if TYPE_CHECKING:
    from arx_wrapper.core.dispatch import Dispatch

Given = Mapping[str, Any] | None
_FIRST = datetime.min.replace(tzinfo=UTC)


class Bounds(TypedDict, total=False):
    """Options of an iteration.

    Attributes:
        max_items: Stop after this many records.
        approval_id: An approval to use, as in `execute()`.
    """

    max_items: int | None
    approval_id: str | None


class Iteration(Resource):
    """Read lists page by page; the derived `iterate()` types it for each operation that lists."""

    async def _iterate(
        self,
        operation: str,
        params: Given = None,
        *,
        max_items: int | None = None,
        approval_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Read every record of a list; `iterate()` says how."""
        from arx_wrapper.core import pipeline  # imported late: it loads asyncio and the audit log

        def check(listed: Operation) -> None:
            _listed(listed)
            if max_items is not None and (type(max_items) is not int or max_items < 0):
                accepted = "a whole number from 0, or None"
                raise InvalidParamsError(listed.name, "max_items", f"is {max_items!a}", accepted)

        def made(record: Any) -> Any:
            _, model = _listed(self.operations[operation])
            return typed(model, record, operation)

        def read(dispatch: Dispatch) -> AsyncGenerator[Any, None]:
            return self._read(dispatch, max_items)

        requested = RequestedCall(
            operation=operation,
            params=params,
            approval_id=approval_id,
            iteration={"max_items": max_items},
            check=check,
        )
        with self._in_flight:
            async with aclosing(pipeline.stream(self._env, requested, read, made)) as models:
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
        operation, params = dispatch.call.operation, dispatch.call.params

        async def fetch(changes: Mapping[str, Any]) -> Unread:
            if not changes:
                whole = await dispatch.perform()
                return lambda: whole
            merged = {name: value for name, value in {**params, **changes}.items() if value is not None}
            return (await dispatch.send_page(merged)).json

        key, _ = _listed(operation)
        reading = ListReader(fetch, dispatch.judge_again, key, operation.name, most)
        if "limit" not in self.model_of(operation.name).names:
            return reading.once()
        size, start = params.get("limit"), params.get("offset", 0)
        if isinstance(operation.paging, ByCursor):
            return reading.by_cursor(_spans(operation, operation.paging, params, self.backends.clock()), size=size)
        if start or operation.paging is None:
            return reading.by_offset(start=start, size=size)
        since, until = _span(operation.paging, params, self.backends.clock())
        oldest_first = _first(params.get("sort_by")) == "created_at:asc"
        bounded = params.get("date_range") != "all" and ("since" in params or "until" in params)
        return reading.by_time(since, until, oldest_first=oldest_first, size=size, whole=not bounded)


def _listed(operation: Operation) -> tuple[str, type[Model]]:
    """Return the response's key of an operation's list, and the model of its items."""
    if operation.records is None or operation.records.model is None:
        raise InvalidParamsError(
            operation.name, "operation", "does not list records", "an operation whose method lists"
        )
    from pagerduty_client import models

    model: type[Model] = getattr(models, operation.records.model)
    return operation.records.envelope, model


def _spans(operation: Operation, paging: ByCursor, params: Params, now: datetime) -> list[dict[str, str]]:
    """Return the bounds of the spans in which a list is read, newest first, each as wide as PagerDuty accepts.

    A call with a cursor gets none, because the cursor holds its list's bounds. A call without bounds gets none either:
    PagerDuty then uses its default.

    Raises:
        InvalidParamsError: the span ends before it begins.
    """
    if "cursor" in params or not ("since" in params or "until" in params):
        return [{}]
    since, until = _span(paging, params, now)
    if since >= until:
        raise InvalidParamsError(operation.name, "since", "is not before until", "an earlier time")
    spans = []
    while until - since > paging.widest:
        spans.append((until - paging.widest, until))
        until -= paging.widest
    spans.append((since, until))
    return [{"since": begin.isoformat(), "until": end.isoformat()} for begin, end in spans]


def _span(paging: ByTime | ByCursor, params: Params, now: datetime) -> tuple[datetime, datetime]:
    """Return the span of time that a list's parameters select, without the years in which no record can be."""
    if params.get("date_range") == "all":  # then PagerDuty ignores both bounds
        return OLDEST, now
    zone = params.get("time_zone")
    since, until = _moment(params.get("since"), zone), _moment(params.get("until"), zone) or now
    if since is None:
        span = paging.default_span
        since = max(until, _FIRST + span) - span if span else OLDEST
    if since < OLDEST < until:
        since = OLDEST
    latest = now + WIDEST  # this host's clock may be slow
    return since, latest if since < latest < until else until


def _moment(text: str | None, zone: str | None) -> datetime | None:
    """Return a bound as PagerDuty interprets it: a date begins in the zone that the call names."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo:
        return moment
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # imported late: few calls use dates

    try:
        return moment.replace(tzinfo=ZoneInfo(zone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        return moment.replace(tzinfo=UTC)  # PagerDuty refuses an unknown zone itself


def _first(sort_by: str | list[str] | None) -> str | None:
    return sort_by[0] if isinstance(sort_by, list) else sort_by
