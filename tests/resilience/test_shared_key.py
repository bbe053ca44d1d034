"""Hosts that share a key, in virtual time: their ratio to the ideal is the same in every run."""

from __future__ import annotations

import asyncio

import httpx

from arx_wrapper.credentials import Credentials
from arx_wrapper.model import Request
from arx_wrapper.transport.transport import Transport
from tests import virtual_time
from tests.resilience.server import Bucket

RATE = 16
CALLS = 80
KEY = Credentials(api_key="one-key-for-two-hosts")
READ = Request(method="GET", path="/incidents/P1", operation_id="get_incident")


class Limited(httpx.AsyncBaseTransport):
    """Answers after 20 ms, as far as the key's allowance goes."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.02)
        allowed, lines = self.bucket.take()
        headers = dict(line.split(": ") for line in lines)
        return httpx.Response(200 if allowed else 429, headers=headers, json={})


async def share(hosts: int) -> tuple[float, int]:
    """Return the time that the hosts take for their calls over the ideal one, and how many calls were refused."""
    loop = asyncio.get_running_loop()
    bucket = Bucket(rate=RATE, size=RATE, clock=loop.time)
    began = loop.time()
    wires = [
        Transport(base_url="http://127.0.0.1", transport=Limited(bucket))  # with a limiter of its own
        for _ in range(hosts)
    ]
    await asyncio.gather(
        *(
            wire.send(READ, KEY, wire.grant(READ), operation="incidents:read_detail", writes=False)
            for wire in wires
            for _ in range(CALLS)
        )
    )
    for wire in wires:
        await wire.aclose()
    return (loop.time() - began) / ((hosts * CALLS - RATE) / RATE), bucket.refused


def test_two_hosts_on_one_key_take_little_more_than_the_ideal_time_and_are_seldom_refused() -> None:
    ratio, refused = virtual_time.run(share(2))
    assert ratio <= 1.15
    assert refused <= CALLS


def test_one_host_alone_takes_little_more_than_the_ideal_time_and_is_seldom_refused() -> None:
    ratio, refused = virtual_time.run(share(1))
    assert ratio <= 1.15
    assert refused <= RATE
