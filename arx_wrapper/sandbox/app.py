"""The sandbox: one account, served as an ASGI application."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson
from attrs import define
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from arx_wrapper.http_client import library
from arx_wrapper.sandbox import seed as seeding
from arx_wrapper.sandbox.account import Account, Resource
from arx_wrapper.sandbox.asgi import Answer, Headers, decoded, drop, failure, read, send_answer
from arx_wrapper.sandbox.clock import AccountClock
from arx_wrapper.sandbox.control_api import control
from arx_wrapper.sandbox.endpoint import Call, Endpoint
from arx_wrapper.sandbox.errors import ApiError, refuse
from arx_wrapper.sandbox.faults import Fault, Faults, Options
from arx_wrapper.sandbox.lifecycle import settle
from arx_wrapper.sandbox.limits import Limiter, RateLimit
from arx_wrapper.sandbox.render import encode
from arx_wrapper.sandbox.routes import ENDPOINTS

if TYPE_CHECKING:
    from arx_wrapper.http_client import AsgiTransport

__all__ = ["Recorded", "Sandbox"]

CONTROL = "/_sandbox/"
KEPT = 20_000
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie"})


@define(kw_only=True)
class Recorded:
    """A request that arrived, faults and refusals included.

    Attributes:
        method: HTTP method.
        path: The path exactly as it was sent, not decoded.
        query: The query string exactly as it was sent.
        headers: Names in lower case; credentials are left out.
        body: The JSON body; text when it is not JSON; None when there is none.
        scheme: How it authenticated: "token", "bearer" or None.
        unknown: What it sent that the endpoint does not know: `query:staus[]`, `body:incident.titel`.
        status: What was answered; None for a connection that was dropped.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: Any
    scheme: str | None
    unknown: tuple[str, ...] = ()
    status: int | None = None

    @property
    def params(self) -> list[tuple[str, str]]:
        """The query's names and values, decoded, in order."""
        return parse_qsl(self.query, keep_blank_values=True)


class Sandbox:
    """A PagerDuty account that lives in this process and forgets everything with it.

    Use `transport()` in-process, or serve it with `arx_wrapper.sandbox.server`.

    Args:
        seed: Decides ids and history; the same seed and clock give the same account. None is seed 0.
        clock: Tells the time, aware. None starts on 2025-06-01T12:00:00Z and ticks, so that the documented
            examples run as written; pass `arx_wrapper.sandbox.clock.system_time` for the real time.
        rate_limit: `960/min` like PagerDuty, `16/s`, a `RateLimit`, or None for no limit.

    Attributes:
        token: The API key that is accepted, as `Token token=…` or as `Bearer …`.
        email: The requester's address, for the `From` header.
        base_url: Where `transport()` is reached.
        faults: What goes wrong on demand.
        options: How it behaves where PagerDuty's documents are silent.
        requests: The requests that arrived, oldest first; at least the newest 10,000.
        account: The state, for tests that look behind the API.
    """

    token = "sandbox-token-not-a-secret"  # noqa: S105 - opens this sandbox, which holds nothing
    email = seeding.REQUESTER
    base_url = "http://127.0.0.1"

    def __init__(
        self,
        seed: int | None = None,
        clock: Callable[[], datetime] | None = None,
        rate_limit: RateLimit | str | None = "960/min",
    ) -> None:
        self.faults, self.options, self.requests = Faults(), Options(), list[Recorded]()
        self._seed, self._source = seed or 0, clock
        self._rate_limit = RateLimit.parse(rate_limit) if isinstance(rate_limit, str) else rate_limit
        self.reset()

    def reset(self) -> None:
        """Back to the beginning: account, clock, rate limit, faults, options and recorded requests."""
        self.clock = AccountClock(self._source)
        self.account = Account(self.clock, random.Random(self._seed))  # noqa: S311 - ids of a test account
        self._limiter = Limiter(self._rate_limit, self.clock.elapsed)
        self.faults.clear()
        self.options.reset()
        self.requests.clear()
        seeding.seed(self.account)

    def advance(self, by: timedelta) -> None:
        """Moves the account's clock forward; what falls due happens, and rate limits renew."""
        self.clock.advance(by)

    def add_incidents(self, count: int) -> None:
        """Adds open incidents to the first service, spread over the last 25 days: for tests of size."""
        seeding.add_incidents(self.account, count)

    def transport(self) -> AsgiTransport:
        """Return a transport for httpx that calls the sandbox in this process."""
        transport: AsgiTransport = library().ASGITransport(self.app)
        return transport

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            raise RuntimeError(f"the sandbox serves HTTP, not {scope['type']}")
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        headers = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in scope["headers"]}
        if (body := await read(receive)) is None:
            return
        if path.startswith(CONTROL):
            status, value = control(self, scope["method"], path.removeprefix(CONTROL), headers, body)
            await send_answer(send, Answer(status, orjson.dumps(value)))
            return
        request, endpoint, ids = self._record(scope, path, headers, body)
        fault = self.faults.strike(request.method, path) or Fault()
        if fault.latency:
            await asyncio.sleep(fault.latency)
        answer = failure(fault)
        if fault.drop != "before" and (answer is None or fault.work):
            base = f"{scope['scheme']}://{headers.get('host', '')}"
            done = self._answer(request, endpoint, ids, headers, base)
            answer = answer or done
        if fault.drop or answer is None:
            await drop(scope, receive, send, answer if fault.drop == "midway" else None)
            return
        request.status = answer.status
        await send_answer(send, answer)

    def _record(
        self, scope: Scope, path: str, headers: Headers, body: bytes
    ) -> tuple[Recorded, Endpoint | None, dict[str, str]]:
        endpoint, ids = _route(scope, path)
        request = Recorded(
            method=scope["method"],
            path=path,
            query=scope["query_string"].decode("latin-1"),
            headers={name: value for name, value in headers.items() if name not in _CREDENTIALS},
            body=decoded(body),
            scheme=self._scheme(headers),
        )
        if endpoint:
            request.unknown = tuple(endpoint.unknown(request.params, request.body))
        self.requests.append(request)
        if len(self.requests) > KEPT:
            del self.requests[: KEPT // 2]
        return request, endpoint, ids

    def _answer(
        self, request: Recorded, endpoint: Endpoint | None, ids: dict[str, str], headers: Headers, base: str
    ) -> Answer:
        sent: Headers = {"x-request-id": f"sandbox-{len(self.requests)}"}
        try:
            self._authenticate(request, headers)
            sent |= self._limiter.take()
            if endpoint is None:
                raise refuse(2100)
            reply = endpoint.handler(self._call(request, endpoint, ids, headers))
            content = b"" if reply.body is None else encode(self.account, base, reply.body)
            return Answer(reply.status, content, sent)
        except ApiError as error:
            sent |= error.headers
            if isinstance(error.body, str):
                return Answer(error.status, error.body.encode(), sent, "text/plain; charset=utf-8")
            return Answer(error.status, orjson.dumps(error.body), sent)

    def _call(self, request: Recorded, endpoint: Endpoint, ids: dict[str, str], headers: Headers) -> Call:
        now = self.clock.now()
        settle(self.account, now)
        if endpoint.body is not None and not isinstance(request.body, dict):
            raise refuse(2001, "the body must be a JSON object")
        return Call(
            account=self.account,
            options=self.options,
            now=now,
            path=ids,
            query=request.params,
            body=request.body if isinstance(request.body, dict) else {},
            requester=self._requester(request, endpoint, headers),
        )

    def _requester(self, request: Recorded, endpoint: Endpoint, headers: Headers) -> Resource | None:
        email = headers.get("from")
        if endpoint.requester == "ignored" or (email is None and endpoint.requester == "optional"):
            personal = self.options.personal_key or request.scheme == "bearer"
            return self.account.user_by_email(self.email) if personal else None
        if not email:
            raise refuse(2016)
        if (user := self.account.user_by_email(email)) is None:
            raise refuse(1008)
        return user

    def _scheme(self, headers: Headers) -> str | None:
        given = headers.get("authorization")
        accepted = {f"Token token={self.token}": "token", f"Bearer {self.token}": "bearer"}
        return accepted.get(given) if given else None

    def _authenticate(self, request: Recorded, headers: Headers) -> None:
        if request.scheme is None:
            if "authorization" in headers:
                raise refuse(2006)
            raise ApiError(401, "HTTP Token: Access denied.\n")


async def _unused(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("routes are matched here, not called")


_ROUTES = tuple((Route(endpoint.path, _unused, methods=[endpoint.method]), endpoint) for endpoint in ENDPOINTS)


def _route(scope: Scope, path: str) -> tuple[Endpoint | None, dict[str, str]]:
    """By the path as it was sent: an encoded slash or dot never becomes another path."""
    literal = {**scope, "path": path}
    for route, endpoint in _ROUTES:
        match, found = route.matches(literal)
        if match is Match.FULL:
            return endpoint, found["path_params"]
    return None, {}
