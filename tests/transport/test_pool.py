"""The connections of an event loop: so many and no more, kept for a while, closed when their users are gone."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import socket
from collections.abc import Callable

import pytest

from arx_wrapper.credentials import Secret
from arx_wrapper.transport.backend import HttpRequest, HttpResponse, ResponseLost
from arx_wrapper.transport.connection_pool import CONNECTIONS, ConnectionPool
from arx_wrapper.transport.dialing import first_connected
from tests.serving import listening
from tests.support import PATIENCE, advance
from tests.transport.test_transport import OK, hang, serving


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.005)


def get(
    pool: ConnectionPool, origin: str, *, deadline: float = float("inf"), target: str = "/x"
) -> asyncio.Task[HttpResponse]:
    request = HttpRequest(
        method="GET", origin=origin, target=target, headers=(("Host", "x"),), authorization=Secret("Bearer x")
    )
    return asyncio.create_task(pool.send(request, None, 1000, lambda: None, deadline))


async def test_no_more_connections_are_opened_than_the_limit() -> None:
    release = asyncio.Event()

    async def wait(writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(OK)

    async with serving(wait) as (server, transport):
        pool = ConnectionPool()
        calls = [get(pool, transport.origin) for _ in range(CONNECTIONS + 20)]
        await until(lambda: server.requests == CONNECTIONS)
        await asyncio.sleep(0.05)
        assert (server.requests, server.open) == (CONNECTIONS, CONNECTIONS)
        release.set()
        assert {(await call).status for call in calls} == {200}
        assert server.connections == CONNECTIONS
        await pool.aclose()
        await until(lambda: server.open == 0)


async def test_an_idle_connection_is_closed_after_a_while() -> None:
    async with serving(OK) as (server, transport):
        pool = ConnectionPool(keep_alive=PATIENCE)
        await get(pool, transport.origin)
        await get(pool, transport.origin)
        assert (server.connections, server.open) == (1, 1)
        advance(2 * PATIENCE)
        await until(lambda: server.open == 0)
        await get(pool, transport.origin)
        assert server.connections == 2
        await pool.aclose()


async def test_a_later_request_on_a_kept_connection_is_given_up_too_when_nothing_comes() -> None:
    async with serving(OK, OK, hang) as (server, transport):
        pool = ConnectionPool(read_timeout=20)
        await get(pool, transport.origin)
        advance(25)  # idle: of no request's time
        assert (await get(pool, transport.origin)).status == 200
        late = get(pool, transport.origin)
        await until(lambda: server.requests == 3)
        advance(25)
        with pytest.raises(ResponseLost, match="no response in time"):
            await late
        assert server.connections == 1
        await pool.aclose()


async def test_a_request_that_is_late_ends_with_its_deadline_and_its_connection() -> None:
    async with serving(OK, hang) as (server, transport):
        pool, loop = ConnectionPool(), asyncio.get_running_loop()
        await get(pool, transport.origin)
        late = get(pool, transport.origin, deadline=loop.time() + 20)
        await until(lambda: server.requests == 2)
        advance(25)
        with pytest.raises(TimeoutError):
            await late
        assert server.connections == 1
        await pool.aclose()


async def test_a_given_up_request_frees_its_place_and_ends_its_connection() -> None:
    opened = closed = 0

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened, closed
        opened += 1
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass
        closed += 1
        writer.close()

    pool = ConnectionPool()
    async with listening(mute) as port:
        for round_ in (1, 2):
            calls = [get(pool, f"http://127.0.0.1:{port}") for _ in range(CONNECTIONS)]
            await until(lambda: opened == CONNECTIONS * round_)  # noqa: B023 - awaited within the round
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await until(lambda: closed == CONNECTIONS * round_)  # noqa: B023
        await pool.aclose()


async def test_closing_the_pool_ends_the_requests_that_wait_for_their_responses() -> None:
    async with serving(hang) as (server, transport):
        pool = ConnectionPool()
        call = get(pool, transport.origin)
        await until(lambda: server.requests == 1)
        await pool.aclose()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ResponseLost, match="closed here"):
                await call


async def test_a_response_never_reaches_another_request_however_calls_are_given_up() -> None:
    """Each response repeats its request's target, in pieces, while other calls are cancelled or late."""
    chance = random.Random(1)  # noqa: S311 - the same course in each run

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
                left = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(target), target)
                while left:
                    size = chance.choice((7, 20, 1000))
                    writer.write(left[:size])
                    left = left[size:]
                    await asyncio.sleep(0)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async with listening(echo) as port:
        pool, loop = ConnectionPool(), asyncio.get_running_loop()
        finished = 0
        for _ in range(25):
            calls: dict[str, asyncio.Task[HttpResponse]] = {}
            for number in range(20):
                late = loop.time() + chance.choice((0.001, 0.003)) if chance.random() < 0.2 else float("inf")
                target = f"/{chance.random()}"
                calls[target] = get(pool, f"http://127.0.0.1:{port}", deadline=late, target=target)
                if number % 3 == 0:
                    loop.call_later(chance.random() * 0.005, calls[target].cancel)
            responses = await asyncio.gather(*calls.values(), return_exceptions=True)
            for target, response in zip(calls, responses, strict=True):
                if isinstance(response, HttpResponse):
                    finished += 1
                    assert response.content == target.encode()
                else:
                    assert isinstance(response, TimeoutError | asyncio.CancelledError)
        assert 0 < finished < 500
        await pool.aclose()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def addresses(*ports: int) -> list[tuple[int, tuple[object, ...]]]:
    return [(socket.AF_INET, ("127.0.0.1", port)) for port in ports]


async def test_the_first_address_that_answers_is_used_and_the_others_sockets_are_closed() -> None:
    async with listening(hang_up) as port:
        with socket.socket() as full:  # accepts nobody: its queue is full
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            silent = full.getsockname()[1]
            with socket.create_connection(("127.0.0.1", silent)):
                before = len(os.listdir("/proc/self/fd"))
                for order in ((1, port), (silent, silent, 1, port)):
                    with await first_connected(addresses(*order), delay=0.01) as connected:
                        assert connected.getpeername()[1] == port
                assert len(os.listdir("/proc/self/fd")) <= before + 2  # the server's ends may not be closed yet


async def test_when_no_address_answers_the_last_problem_is_raised() -> None:
    with pytest.raises(ConnectionRefusedError):
        await first_connected(addresses(1, 1))
    with pytest.raises(OSError, match="no address"):
        await first_connected([])


async def test_giving_up_while_connecting_leaves_no_socket_open() -> None:
    async with listening(hang_up) as port:
        tasks = [asyncio.create_task(first_connected(addresses(port, port))) for _ in range(64)]
        await asyncio.sleep(0)
        for task in tasks:
            await asyncio.sleep(0)
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        for connected in done:
            if isinstance(connected, socket.socket):
                connected.close()
        assert any(isinstance(failure, asyncio.CancelledError) for failure in done)
        gc.collect()  # a socket that was left open warns, and a warning is an error
