"""Events of incidents arrive as PagerDuty's v3 webhooks, signed, on this machine only."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.webhooks import Webhooks
from tests.serving import listening
from tests.support import PATIENCE, connector_on

SECRET = "a-secret-for-tests"  # noqa: S105


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A server that keeps what it is sent."""
    arrived: list[tuple[dict[str, str], bytes]] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head if line)}
        arrived.append((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with listening(take) as port:
        yield f"http://127.0.0.1:{port}/hook", arrived


async def until(count: int, arrived: list[Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(arrived) < count:
            await asyncio.sleep(0.01)


async def test_each_event_is_sent_once_and_signed() -> None:
    async with receiver() as (url, arrived):
        account = Sandbox(webhooks=Webhooks(url=url, secret=SECRET))
        async with connector_on(account) as pd:
            await pd.list_incidents()
            await pd.acknowledge_incident("P1234AB")
            await until(1, arrived)
            await pd.add_incident_note("P1234AB", "Seen.")
            await pd.resolve_incident("P1234AB")
            await until(3, arrived)
    events = [json.loads(body)["event"] for _, body in arrived]
    kinds = {"incident.acknowledged", "incident.annotated", "incident.resolved"}
    assert {event["event_type"] for event in events} == kinds
    assert {event["data"]["id"] for event in events} == {"P1234AB"}
    assert events[0]["agent"]["type"] == "user_reference"
    for headers, body in arrived:
        signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
        assert headers["x-pagerduty-signature"] == f"v1={signature}"


async def test_a_receiver_that_is_down_stops_nothing() -> None:
    account = Sandbox(webhooks=Webhooks(url="http://127.0.0.1:1/hook", secret=SECRET))
    async with connector_on(account) as pd:
        await pd.acknowledge_incident("P1234AB")
        assert (await pd.get_incident("P1234AB")).status == "acknowledged"
        await asyncio.gather(*account._sending)


@pytest.mark.parametrize(
    "url", ["http://example.com/hook", "https://127.0.0.1/hook", "http://10.0.0.1/", "file:///x", ""]
)
def test_nothing_is_sent_to_other_machines(url: str) -> None:
    with pytest.raises(ValueError, match="on this machine only"):
        Webhooks(url=url, secret=SECRET)


def test_webhooks_are_signed_with_a_secret() -> None:
    with pytest.raises(ValueError, match="need a secret"):
        Webhooks(url="http://127.0.0.1:1/", secret="")
