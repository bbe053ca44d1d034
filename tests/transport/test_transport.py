"""The wire against a real server on loopback: what is sent, what comes back, what is tried again."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import (
    AuthenticationError,
    ConfigError,
    ConflictError,
    EndpointRetiredError,
    ForbiddenError,
    NotFoundError,
    PagerDutyConnector,
    PagerDutyError,
    RateLimitError,
    ServerError,
    TransportError,
    ValidationError,
)
from arx_wrapper.config import Config
from arx_wrapper.credentials import Credentials
from arx_wrapper.model import Request
from arx_wrapper.transport import Attempt, Transport
from arx_wrapper.vault.fixed import FixedVault
from tests.serving import listening
from tests.support import CANARY, EVERYTHING, PATIENCE, advance, trail

KEY = Credentials(api_key=CANARY, requester_email="bot@example.com")
READ = Request(method="GET", path="/users", query=(("query", "a b&c"), ("team_ids[]", "P1")), operation_id="list_users")
WRITE = Request(
    method="POST", path="/incidents/P1/notes", json={"note": {"content": "n"}}, operation_id="add_incident_note"
)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + b'{"users":1}'
Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers each request with the next of its scripted bytes, or acts; repeats the last."""

    def __init__(self, *script: bytes | Handler) -> None:
        self.script = list(script)
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = self.open = 0

    @property
    def requests(self) -> int:
        return len(self.heads)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head.decode())
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
                )
                self.bodies.append(await reader.readexactly(length))
                step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                if isinstance(step, bytes):
                    writer.write(step)
                    await writer.drain()
                else:
                    await step(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def serving(
    *script: bytes | Handler, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[tuple[Server, Transport]]:
    server = Server(*script)
    manners = {"accept": PagerDutyConnector.accept, "key_prefix": PagerDutyConnector.key_prefix, "sleep": no_sleep}
    async with listening(server.serve, tls=tls) as port:
        wire = Transport(base_url=f"http{'s' if tls else ''}://127.0.0.1:{port}", **{**manners, **options})
        try:
            yield server, wire
        finally:
            await wire.aclose()


async def send(wire: Transport, request: Request = READ, **options: Any) -> Any:
    writes = request.method != "GET"
    return await wire.send(request, KEY, wire.grant(request), operation="users:read", **{"writes": writes, **options})


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def error(message: str, code: int = 2000) -> bytes:
    return b'{"error":{"message":"%s","code":%d,"errors":["first","second"]}}' % (message.encode(), code)


async def no_sleep(seconds: float) -> None: ...


async def abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def test_a_request_is_what_pagerduty_asks_for() -> None:
    async with serving(OK) as (server, wire):
        answer = await send(wire)
        assert answer.json() == {"users": 1}
        await send(wire, WRITE)
    first, second = (head.lower() for head in server.heads)
    assert first.startswith("get /users?query=a%20b%26c&team_ids%5b%5d=p1 http/1.1\r\n")
    assert "accept: application/vnd.pagerduty+json;version=2\r\n" in first
    assert f"authorization: token token={CANARY}\r\n" in first
    assert "user-agent: arx-pagerduty/" in first
    assert "content-type: application/json\r\n" in second
    assert server.bodies[1] == b'{"note":{"content":"n"}}'
    assert server.connections == 1, "the connection is kept"


async def test_oauth_tokens_are_sent_as_bearer() -> None:
    async with serving(OK) as (server, wire):
        bearer = Credentials(api_key="token", scheme="Bearer")
        await wire.send(READ, bearer, wire.grant(READ), operation="users:read", writes=False)
    assert "authorization: bearer token\r\n" in server.heads[0].lower()


async def test_nothing_is_sent_without_a_grant_of_its_own() -> None:
    async with serving(OK) as (server, wire):
        grant = wire.grant(READ)
        await wire.send(READ, KEY, grant, operation="users:read", writes=False)
        for used, request in (
            (grant, READ),
            (wire.grant(READ), WRITE),
            (Transport(base_url="https://x.example").grant(READ), READ),
        ):
            with pytest.raises(RuntimeError, match="grant"):
                await wire.send(request, KEY, used, operation="users:read", writes=False)
    assert server.requests == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ValidationError),
        (401, AuthenticationError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (405, PagerDutyError),
        (408, PagerDutyError),
        (409, ConflictError),
        (413, PagerDutyError),
        (422, ValidationError),
        (500, ServerError),
        (599, ServerError),
    ],
)
async def test_a_status_has_its_class(status: int, kind: type[PagerDutyError]) -> None:
    async with serving(answer(status, error("No.", 2001), "X-Request-Id: r-1")) as (_, wire):
        with pytest.raises(kind) as caught:
            await send(wire, WRITE)
    found = caught.value
    assert type(found) is kind
    assert (found.status, found.code, found.message, found.errors) == (status, 2001, "No.", ("first", "second"))
    assert (found.request_id, found.operation) == ("r-1", "users:read")


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b"", "", None),
        (b"<html>denied</html>", "", None),
        (b"plain text", "", None),
        (b'{"error":"text"}', "text", None),
        (b'{"error":["one","two"]}', "one; two", None),
        (b'{"error":{"message":"m","errors":"just text"}}', "m", None),
        (b'{"error":{"message":"m","errors":{"name":["is taken"]}}}', "m", None),
        (b'{"error":{"message":"m","code":"x"}}', "m", None),
        (b'{"error":{"message":"m","code":"2100"}}', "m", 2100),
        (b'{"error":{"message":"m","code":true}}', "m", None),
        (b'{"message":"m","code":2100}', "m", 2100),
        (b"[1,2]", "", None),
        (b'"x"', "x", None),
        (b"null", "", None),
        (b'{"error":null}', "", None),
    ],
)
async def test_an_error_of_any_shape_is_read(body: bytes, message: str, code: int | None) -> None:
    async with serving(answer(403, body)) as (_, wire):
        with pytest.raises(ForbiddenError) as caught:
            await send(wire)
    assert message in caught.value.message
    assert caught.value.message
    assert caught.value.code == code


async def test_a_retired_endpoint_is_named_as_such() -> None:
    async with serving(answer(410, b"")) as (_, wire):
        with pytest.raises(EndpointRetiredError, match="event orchestrations"):
            await send(wire, deprecated=True)


async def test_any_2xx_is_a_success() -> None:
    for status, body, expected in (
        (201, b'{"a":1}', {"a": 1}),
        (202, b"", {}),
        (204, b"", {}),
        (299, b'{"a":1}', {"a": 1}),
    ):
        async with serving(answer(status, body)) as (_, wire):
            assert (await send(wire, WRITE)).json() == expected


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"a":', b'"text"'])
async def test_a_success_without_json_is_not_taken_for_one(body: bytes) -> None:
    async with serving(answer(200, body)) as (server, wire):
        came = await send(wire, WRITE)
        with pytest.raises(TransportError) as caught:
            came.json()
    assert caught.value.outcome == "unknown"
    assert server.requests == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_error_and_never_followed(status: int) -> None:
    async with serving(answer(status, b"", "Location: http://127.0.0.1:1/elsewhere")) as (server, wire):
        with pytest.raises(TransportError, match="redirect"):
            await send(wire)
    assert server.requests == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_read_is_tried_again_and_a_write_is_not(status: int) -> None:
    async with serving(answer(status), answer(status), OK) as (server, wire):
        attempts: list[Attempt] = []
        await send(wire, attempts=attempts)
        assert server.requests == 3
        assert [attempt.status for attempt in attempts] == [status, status, 200]
    async with serving(answer(status), OK) as (server, wire):
        with pytest.raises(ServerError):
            await send(wire, WRITE)
        assert server.requests == 1


async def test_retries_end() -> None:
    async with serving(answer(503)) as (server, wire):
        with pytest.raises(ServerError):
            await send(wire)
        assert server.requests == 5


async def test_a_rate_limit_is_waited_out_as_long_as_the_server_says() -> None:
    limited = answer(429, error("Rate Limit Exceeded", 2020), "ratelimit-reset: 1")
    for request in (READ, WRITE):
        async with serving(limited, OK) as (server, wire):
            began = asyncio.get_running_loop().time()
            await send(wire, request)
            assert asyncio.get_running_loop().time() - began >= 1
            assert server.requests == 2


async def test_a_rate_limit_that_outlasts_the_budget_is_an_error_that_says_how_long() -> None:
    async with serving(answer(429, b"", "Retry-After: 60")) as (server, wire):
        with pytest.raises(RateLimitError) as caught:
            await send(wire, timeout=0.5)
        assert (caught.value.retry_after, server.requests) == (60, 1)


async def test_a_connection_that_breaks_is_unknown_for_a_write_and_tried_again_for_a_read() -> None:
    async with serving(abort, OK) as (server, wire):
        with pytest.raises(TransportError) as caught:
            await send(wire, WRITE)
        assert (caught.value.outcome, server.requests) == ("unknown", 1)
    async with serving(abort, OK) as (server, wire):
        assert (await send(wire)).json() == {"users": 1}
        assert server.requests == 2


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_a_write_on_a_kept_connection_that_breaks_goes_out_once(method: str) -> None:
    write = Request(method=method, path="/x", json={}, operation_id="x")
    async with serving(OK, abort, OK) as (server, wire):
        await send(wire)
        with pytest.raises(TransportError) as caught:
            await send(wire, write)
        assert (caught.value.outcome, server.requests) == ("unknown", 2)


async def test_a_refused_connection_is_not_sent() -> None:
    listening = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()
    wire = Transport(base_url=f"http://127.0.0.1:{port}", attempts=2)
    for request in (READ, WRITE):
        attempts: list[Attempt] = []
        with pytest.raises(TransportError) as caught:
            await send(wire, request, attempts=attempts)
        assert caught.value.outcome == "not_sent"
        assert [attempt.sent for attempt in attempts] == [False, False]
    await wire.aclose()


async def test_a_certificate_that_nobody_vouches_for_is_not_sent_to() -> None:
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with serving(OK, tls=context, attempts=1) as (server, wire):
        with pytest.raises(TransportError) as caught:
            await send(wire, WRITE, timeout=5)
        assert (caught.value.outcome, server.requests) == ("not_sent", 0)


@pytest.mark.parametrize(("request_", "outcome"), [(WRITE, "unknown"), (READ, "not_sent")])
async def test_a_call_ends_with_its_deadline(request_: Request, outcome: str) -> None:
    async with serving(hang) as (server, wire):
        late = asyncio.create_task(send(wire, request_, timeout=20))
        async with asyncio.timeout(PATIENCE):
            while not server.requests:
                await asyncio.sleep(0.005)
        advance(25)
        with pytest.raises(TransportError, match=r"within 20 s") as caught:
            await late
        assert caught.value.outcome == outcome


async def test_a_cut_answer_is_not_taken_for_whole() -> None:
    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"a":')
        await writer.drain()
        writer.close()

    async with serving(cut) as (_, wire):
        with pytest.raises(TransportError) as caught:
            await send(wire, WRITE)
    assert caught.value.outcome == "unknown"


async def test_a_compressed_answer_is_read_and_a_bomb_is_not() -> None:
    squeezer = zlib.compressobj(9, wbits=31)
    small = zlib.compressobj(wbits=31)
    plain = small.compress(b'{"users":1}') + small.flush()
    bomb = squeezer.compress(b" " * 50_000_000) + squeezer.flush()
    async with serving(answer(200, plain, "Content-Encoding: gzip")) as (_, wire):
        assert (await send(wire)).json() == {"users": 1}
    async with serving(answer(200, bomb, "Content-Encoding: gzip"), max_body=1_000_000) as (_, wire):
        with pytest.raises(TransportError, match="larger than"):
            await send(wire, WRITE)


async def test_a_body_has_as_many_bytes_as_the_limit_and_not_one_more() -> None:
    body = b'{"users":1}'
    async with serving(answer(200, body), max_body=len(body)) as (_, wire):
        assert (await send(wire)).json() == {"users": 1}
    async with serving(answer(200, body), max_body=len(body) - 1) as (_, wire):
        with pytest.raises(TransportError, match="larger than"):
            await send(wire, WRITE)


async def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    squeezer = zlib.compressobj(9, wbits=31)
    bomb = squeezer.compress(b" " * 50_000_000) + squeezer.flush()
    async with serving(answer(200, bomb, "Content-Encoding: gzip"), max_body=1_000_000) as (_, wire):
        tracemalloc.start()
        try:
            with pytest.raises(TransportError, match="larger than"):
                await send(wire, WRITE)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 10_000_000


async def test_an_endless_answer_ends() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
            await writer.drain()

    async with serving(endless, max_body=1_000_000) as (_, wire):
        with pytest.raises(TransportError, match="larger than"):
            await send(wire, WRITE)


async def test_an_early_hint_is_not_the_answer() -> None:
    async with serving(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK) as (_, wire):
        assert (await send(wire)).json() == {"users": 1}


async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(OK) as (server, wire):
        await send(wire)
        assert server.requests == 1


@pytest.mark.parametrize(
    "address",
    [
        "http://api.pagerduty.com",
        "https://api.pagerduty.com@evil.example",
        "https://api.pagerduty.com/v2",
        "https://api.pagerduty.com?x=1",
        "https://api.pagerduty.com#x",
        "ftp://api.pagerduty.com",
        "api.pagerduty.com",
        "https://",
        "",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://10.0.0.1",
        "https://api.pagerduty.com:port",
        "https://api.pаgerduty.com",  # noqa: RUF001 - a Cyrillic a
    ],
)
def test_the_key_goes_to_no_address_but_an_https_origin_or_this_machine(address: str) -> None:
    with pytest.raises(ConfigError, match="Nothing was sent"):
        Transport(base_url=address)


@pytest.mark.parametrize(
    "address",
    [
        "https://api.pagerduty.com",
        "https://api.eu.pagerduty.com/",
        "http://127.0.0.1:8080",
        "http://localhost",
        "http://[::1]:1",
    ],
)
def test_these_addresses_are_taken(address: str) -> None:
    Transport(base_url=address)


async def test_a_cancelled_call_says_that_it_may_have_been_sent() -> None:
    async with serving(hang) as (server, wire):
        attempts: list[Attempt] = []
        call = asyncio.create_task(send(wire, WRITE, attempts=attempts))
        while not server.requests:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert [(attempt.sent, attempt.error) for attempt in attempts] == [(True, "CancelledError")]


async def test_the_key_is_in_no_error() -> None:
    texts = []
    for step in (answer(401), answer(500, CANARY.encode()), abort, answer(302), answer(200, b"x"), b"garbage\r\n\r\n"):
        async with serving(step, attempts=1) as (_, wire):
            with pytest.raises(PagerDutyError) as caught:
                (await send(wire, WRITE)).json()
            failure: BaseException | None = caught.value
            while failure:
                texts += [str(failure), repr(failure)]
                failure = failure.__cause__
            texts.append(repr(wire) + repr(wire.grant(READ)))
    assert CANARY not in "".join(texts)


async def test_connections_are_shared_and_end_with_the_last_transport_of_the_loop() -> None:
    async with serving(OK) as (server, wire):
        other = Transport(base_url=wire.origin)
        await send(wire)
        await send(other)
        await wire.aclose()
        await send(other)
        assert (server.connections, server.open) == (1, 1)
        await other.aclose()
        async with asyncio.timeout(PATIENCE):
            while server.open:
                await asyncio.sleep(0.005)


async def test_a_closed_transport_sends_nothing() -> None:
    async with serving(OK) as (server, wire):
        await send(wire)
        await wire.aclose()
        with pytest.raises(TransportError, match="closed") as caught:
            await send(wire)
    assert (caught.value.outcome, server.requests) == ("not_sent", 1)


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
async def test_closing_ends_a_request_in_flight_which_is_not_tried_again(request_: Request) -> None:
    async with serving(hang) as (server, wire):
        attempts = list[Attempt]()
        call = asyncio.create_task(send(wire, request_, attempts=attempts))
        async with asyncio.timeout(PATIENCE):
            while not server.requests:
                await asyncio.sleep(0.005)
            await wire.aclose()
            with pytest.raises(TransportError, match="closed here") as caught:
                await call
    assert (caught.value.outcome, len(attempts), server.requests) == ("unknown", 1, 1)


async def test_each_request_has_its_own_key_when_threads_send_with_different_ones() -> None:
    """A connector may serve organisations with keys of their own, from event loops in several threads."""
    other, attempts = Credentials(api_key="another-key"), list[Attempt]()

    def send_other() -> None:
        asyncio.run(wire.send(READ, other, wire.grant(READ), operation="users:read", writes=False, attempts=attempts))

    class Interrupted(Request):
        """A request during whose making the other thread sends."""

        def __getattribute__(self, name: str) -> Any:
            if name == "method" and not attempts:
                thread.start()
                until = time.monotonic() + PATIENCE
                while not (attempts and attempts[0].sent) and time.monotonic() < until:
                    time.sleep(0.005)
            return super().__getattribute__(name)

    async with serving(OK) as (server, wire):
        thread = threading.Thread(target=send_other)
        own = Interrupted(method="GET", path="/teams", operation_id="list_teams")
        await wire.send(own, KEY, wire.grant(own), operation="teams:read", writes=False)
        await asyncio.to_thread(thread.join)
    keys = {re.split("[ ?]", head)[1]: re.findall("Authorization: Token token=(.*)\r", head) for head in server.heads}
    assert keys == {"/users": ["another-key"], "/teams": [CANARY]}


def test_one_transport_serves_one_event_loop_after_another() -> None:
    server = Server(OK)
    with socket.create_server(("127.0.0.1", 0)) as at:
        wire = Transport(base_url=f"http://127.0.0.1:{at.getsockname()[1]}", sleep=no_sleep)

        async def once() -> None:
            async with listening(server.serve, at=at.dup()):
                await send(wire)
                await send(wire)

        asyncio.run(once())
        asyncio.run(once())
    assert (server.requests, server.connections) == (4, 2)


def gzipped(*parts: bytes) -> bytes:
    return b"".join(gzip.compress(part) for part in parts)


def framed(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def test_a_gzip_body_may_have_several_members() -> None:
    async with serving(framed(gzipped(b'{"users"', b":1}"))) as (_, wire):
        assert (await send(wire)).json() == {"users": 1}


async def test_a_gzip_body_of_very_many_members_is_refused() -> None:
    """Each member costs a copy of what follows it, also an empty one."""
    body = gzip.compress(b"") * 1_500 + gzip.compress(b'{"users":1}')
    async with serving(answer(200, body, "Content-Encoding: gzip")) as (_, wire):
        with pytest.raises(TransportError, match="larger than"):
            await send(wire, WRITE)


@pytest.mark.parametrize("kept", [1, 5, 12, 25])
async def test_a_gzip_body_that_is_cut_off_is_not_taken_for_a_shorter_one(kept: int) -> None:
    async with serving(framed(gzipped(b'{"users":1}')[:kept])) as (_, wire):
        with pytest.raises(TransportError):
            await send(wire, WRITE)


def nested(levels: int) -> bytes:
    return b'{"a":' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize("levels", [260, 990, 5_000])
async def test_a_body_that_is_nested_too_deep_is_refused_before_anything_walks_it(levels: int) -> None:
    async with serving(answer(200, nested(levels))) as (_, wire):
        came = await send(wire, WRITE)
        with pytest.raises(TransportError) as caught:
            came.json()
    assert caught.value.outcome == "unknown"


async def test_a_body_of_usual_depth_is_read() -> None:
    async with serving(answer(200, nested(200))) as (_, wire):
        assert "a" in (await send(wire)).json()


@pytest.mark.parametrize("levels", [300, 990, 5_000])
async def test_an_error_that_is_nested_deeply_is_an_error_of_its_class(levels: int) -> None:
    deep = nested(levels)
    for body in (deep, b'{"error":%s}' % deep, b'{"error":{"message":%s,"errors":[%s,{"x":%s}]}}' % (deep, deep, deep)):
        async with serving(answer(400, body)) as (_, wire):
            with pytest.raises(ValidationError):
                await send(wire)


@pytest.mark.parametrize(
    ("operation", "params", "status"),
    [("incidents:read_detail", {}, "error"), ("incidents:acknowledge", {}, "unknown")],
    ids=["read", "write"],
)
async def test_a_nested_response_leaves_an_outcome_on_record(
    operation: str, params: dict[str, Any], status: str, tmp_path: Path
) -> None:
    body = b'{"incident":{"id":"P1","x":%s}}' % nested(1_000)
    async with serving(answer(200, body)) as (_, wire):
        config = Config.load({"HOME": str(tmp_path)}, tmp_path)
        vault = FixedVault(api_key=CANARY, requester_email="a@example.com")
        pd = PagerDutyConnector("a", "o", policies=[EVERYTHING], config=config, vault=vault, base_url=wire.origin)
        async with pd:
            with pytest.raises(TransportError):
                await pd.execute(operation, {"incident_id": "P1", **params})
            last = (await trail(pd))[-1]
    assert (last.action_type, last.status) == ("connector.completed", status)


EMPTY_MEMBERS = (b"", gzip.compress(b"") * 10)
EMPTY_BLOCKS = (gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff" * 100)  # stored blocks of no bytes


@pytest.mark.parametrize(("first", "more"), [EMPTY_MEMBERS, EMPTY_BLOCKS], ids=["members", "blocks"])
async def test_what_decompresses_to_nothing_is_counted_too(first: bytes, more: bytes) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
        if first:
            writer.write(b"%x\r\n%s\r\n" % (len(first), first))
        while True:
            writer.write(b"%x\r\n%s\r\n" % (len(more), more))
            await writer.drain()

    async with serving(endless, max_body=100_000) as (_, wire):
        with pytest.raises(TransportError, match="larger than"):
            await send(wire, WRITE)


async def test_trailers_without_end_are_not_read_for_ever() -> None:
    async def trailing(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
        while True:
            writer.write(b"X-Trailer: " + b"x" * 60_000 + b"\r\n")
            await writer.drain()

    async with serving(trailing, max_body=1000) as (_, wire):
        with pytest.raises(TransportError, match="larger than"):
            await send(wire, WRITE)


async def test_a_head_without_end_is_not_read_for_ever() -> None:
    async def heading(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-Header: " + b"x" * 60_000 + b"\r\n")
            await writer.drain()

    async with serving(heading) as (_, wire):
        with pytest.raises(TransportError, match="head that is too long"):
            await send(wire, WRITE)


async def test_more_than_one_response_to_a_request_is_no_response() -> None:
    async with serving(OK + OK) as (server, wire):
        with pytest.raises(TransportError) as caught:
            await send(wire, WRITE)
    assert (caught.value.outcome, server.requests) == ("unknown", 1)


async def test_a_connection_on_which_bytes_come_without_a_request_is_not_used_again() -> None:
    answered = asyncio.Event()

    async def unasked(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await answered.wait()
        writer.write(OK)

    async with serving(unasked, OK) as (server, wire):
        await send(wire)
        answered.set()
        async with asyncio.timeout(PATIENCE):
            while server.open:
                await asyncio.sleep(0.01)
        await send(wire)
        assert server.connections == 2


@pytest.mark.parametrize("status", [200, 201])
async def test_a_success_without_the_body_that_it_has_to_have_is_an_error(status: int) -> None:
    async with serving(answer(status, b"")) as (_, wire):
        for request, outcome in ((READ, "unknown"), (WRITE, "unknown")):
            with pytest.raises(TransportError, match="is empty") as caught:
                (await send(wire, request)).json()
            assert caught.value.outcome == outcome
        gone = Request(method="DELETE", path="/services/P1", operation_id="delete_service")
        assert (await send(wire, gone)).json() == {}


@pytest.mark.parametrize("header", ["Retry-After: 86400", "ratelimit-reset: 100", "Retry-After: 31536000"])
async def test_a_wait_that_no_call_can_sit_out_is_raised_at_once_and_does_not_pause_the_key(header: str) -> None:
    async with serving(answer(429, b"", header), OK, OK) as (server, wire):
        with pytest.raises(RateLimitError) as caught:
            async with asyncio.timeout(PATIENCE):
                await send(wire, WRITE)
        assert caught.value.retry_after == float(header.rpartition(" ")[2])
        assert (await wire.rate_limiter(KEY)).paused_for() <= 1, "the server may recover before that"
        assert (await send(wire, WRITE)).json() == {"users": 1}
        await send(wire)
        assert server.requests == 3


async def test_a_wait_may_be_given_as_a_date() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    async with serving(answer(429, b"", f"Retry-After: {at}")) as (_, wire):
        with pytest.raises(RateLimitError) as caught:
            await send(wire)
    assert 7100 < (caught.value.retry_after or 0) <= 7200


async def test_retries_wait_longer_each_time_and_are_spread() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with serving(answer(503), attempts=8, sleep=sleep, uniform=lambda low, high: high) as (server, wire):
        with pytest.raises(ServerError):
            await send(wire)
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert server.requests == 8


async def test_a_call_that_is_cancelled_before_there_is_a_connection_was_not_sent() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # never answers the TLS handshake
        writer.close()

    listening = await asyncio.start_server(mute, "127.0.0.1", 0)
    wire = Transport(base_url=f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    attempts: list[Attempt] = []
    call = asyncio.create_task(send(wire, WRITE, attempts=attempts))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [(attempt.sent, attempt.error) for attempt in attempts] == [(False, "CancelledError")]
    await wire.aclose()
    listening.close()


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "xn--.example", "127.0.0.1:9"])
async def test_whatever_keeps_a_connection_from_coming_about_nothing_was_sent(host: str) -> None:
    wire = Transport(base_url=f"https://{host}", attempts=1)
    attempts: list[Attempt] = []
    with pytest.raises(TransportError) as caught:
        await send(wire, WRITE, attempts=attempts, timeout=5)
    assert (caught.value.outcome, [attempt.sent for attempt in attempts]) == ("not_sent", [False])
    await wire.aclose()


@pytest.mark.parametrize(
    "request_",
    [
        Request(method="GET", path="/users\r\nX: y", operation_id="x"),
        Request(method="GET", path="/users HTTP/1.1", operation_id="x"),
        Request(method="GET", path="/users", headers=(("From", "a\r\nX: y"),), operation_id="x"),
        Request(method="GET", path="/users", headers=(("From", "a\nX: y"),), operation_id="x"),
        Request(method="GET", path="/usérs", operation_id="x"),
    ],
)
async def test_a_request_that_would_read_as_another_is_not_sent(request_: Request) -> None:
    async with serving(OK, attempts=1) as (server, wire):
        with pytest.raises(TransportError) as caught:
            await send(wire, request_)
    assert (caught.value.outcome, server.requests) == ("not_sent", 0)
