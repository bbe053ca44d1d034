"""Analytics: the numbers are those of the account's own incidents."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import JSON, Api

ALL, SERVICES = "/analytics/metrics/incidents/all", "/analytics/metrics/incidents/services"


async def rows(api: Api, path: str = ALL, **body: object) -> list[JSON]:
    return list((await api("POST", path, body))["data"])


async def test_what_happens_to_an_incident_shows_in_the_numbers(sandbox: Sandbox, api: Api) -> None:
    since = {"created_at_start": sandbox.clock.now().isoformat()}
    assert await rows(api, filters=since) == []
    incident = await api.create()
    sandbox.advance(timedelta(seconds=60))
    await api.change(incident, status="acknowledged")
    sandbox.advance(timedelta(seconds=240))
    await api.change(incident, status="resolved")
    await api.create(urgency="low")
    [row] = await rows(api, filters=since)
    assert (row["total_incident_count"], row["total_incidents_acknowledged"]) == (2, 1)
    assert 60 <= row["mean_seconds_to_first_ack"] <= 62
    assert 300 <= row["mean_seconds_to_resolve"] <= 302
    assert 240 <= row["total_engaged_seconds"] <= 242
    assert (row["total_notifications"], row["total_interruptions"]) == (2, 1)


async def test_the_sum_over_services_is_the_whole(api: Api) -> None:
    [whole] = await rows(api)
    each = await rows(api, SERVICES)
    assert sum(row["total_incident_count"] for row in each) == whole["total_incident_count"]
    assert len({row["service_id"] for row in each}) == len(each)


@pytest.mark.parametrize("unit", ["day", "week", "month"])
async def test_the_sum_over_time_is_the_whole(api: Api, unit: str) -> None:
    [whole] = await rows(api)
    each = await rows(api, aggregate_unit=unit, order="asc")
    assert sum(row["total_incident_count"] for row in each) == whole["total_incident_count"]
    starts = [row["range_start"] for row in each]
    assert starts == sorted(set(starts))


async def test_rows_are_ordered_by_a_column(api: Api) -> None:
    counts = [row["total_incident_count"] for row in await rows(api, SERVICES, order_by="total_incident_count")]
    assert counts == sorted(counts, reverse=True)
    assert await api.refused("POST", SERVICES, {"order_by": "luck"}) == 2001


async def test_filters_select_incidents(api: Api) -> None:
    [high] = await rows(api, filters={"urgency": "high"})
    [low] = await rows(api, filters={"urgency": "low"})
    [whole] = await rows(api)
    assert high["total_incident_count"] + low["total_incident_count"] == whole["total_incident_count"]
    [row] = await rows(api, SERVICES, filters={"service_ids": ["PABC123"]})
    assert (row["service_id"], row["service_name"]) == ("PABC123", "Orders Database")
    assert await rows(api, filters={"team_ids": ["PNONE"]}) == []


async def test_at_most_a_year_can_be_asked_for(api: Api) -> None:
    span = {"created_at_start": "2024-01-01T00:00:00Z", "created_at_end": "2025-06-01T00:00:00Z"}
    assert await api.refused("POST", ALL, {"filters": span}) == 2001
    await rows(api, filters={"created_at_start": "2024-01-01T00:00:00Z"})


async def test_a_wrong_unit_or_zone_is_refused(api: Api) -> None:
    assert await api.refused("POST", ALL, {"aggregate_unit": "year"}) == 2001
    assert await api.refused("POST", ALL, {"time_zone": "Nowhere"}) == 2001


async def test_new_incidents_can_be_made_to_lag(sandbox: Sandbox, api: Api) -> None:
    [before] = await rows(api)
    sandbox.options.analytics_lag = 86_400.0
    [lagging] = await rows(api)
    assert lagging["total_incident_count"] < before["total_incident_count"]
