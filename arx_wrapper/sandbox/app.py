"""Serve one simulated account as an ASGI application: `Sandbox`."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from arx_wrapper.http_client import library
from arx_wrapper.sandbox import audit_trail
from arx_wrapper.sandbox import seed as seeding
from arx_wrapper.sandbox.account import Account, Resource
from arx_wrapper.sandbox.asgi import Answer, Headers, decoded, drop, failure, read, send_answer
from arx_wrapper.sandbox.audit_trail import Origin
from arx_wrapper.sandbox.clock import EPOCH, AccountClock, system_time
from arx_wrapper.sandbox.control_api import control
from arx_wrapper.sandbox.endpoint import Call, Endpoint
from arx_wrapper.sandbox.errors import ApiError, refuse
from arx_wrapper.sandbox.faults import Fault, Faults, Options
from arx_wrapper.sandbox.lifecycle import run_due
from arx_wrapper.sandbox.limits import Limiter, RateLimit
from arx_wrapper.sandbox.recorded_request import Recorded
from arx_wrapper.sandbox.responses import encode
from arx_wrapper.sandbox.routes import ENDPOINTS
from arx_wrapper.sandbox.seed_file import read_plan
from arx_wrapper.sandbox.state_file import StateFile, restore
from arx_wrapper.sandbox.webhooks import Webhooks

if TYPE_CHECKING:
    from arx_wrapper.http_client import AsgiTransport

__all__ = ["Recorded", "Sandbox"]

CONTROL = "/_sandbox/"
KEPT = 20_000
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie"})


class Sandbox:
    """A simulated PagerDuty account. Its state ends with the process unless a file keeps it.

    Use `transport()` in-process, or serve it with `arx_wrapper.sandbox.server`.

    Args:
        seed: Determines ids and history; the same seed and clock give the same account. None is seed 0.
        clock: Returns the time, aware. None starts at 2025-06-01T12:00:00Z and runs, so that the documented
            examples work as written; pass `arx_wrapper.sandbox.clock.system_time` for the real time.
        rate_limit: `960/min` like PagerDuty, `16/s`, a `RateLimit`, or None for no limit.
        state: A file that keeps the account; other processes may use it at the same time.
        seed_file: A file with the initial teams, people, services and incidents; see `seed_file.py`.
        webhooks: The subscription to which events are sent.

    Raises:
        ValueError: a file is malformed.

    Attributes:
        token: The API key that is accepted, as `Token token=…` or as `Bearer …`.
        email: The requester's address, for the `From` header.
        base_url: The base address for a client that uses `transport()`.
        faults: The faults that tests inject.
        options: Options for behaviour that PagerDuty does not document.
        requests: The requests that arrived, oldest first; at least the newest 10,000.
        account: The account's state, for tests that check it directly.
    """

    token = "sandbox-token-not-a-secret"  # noqa: S105 - opens this sandbox, which holds nothing
    email = seeding.REQUESTER
    base_url = "http://127.0.0.1"

    def __init__(
        self,
        seed: int | None = None,
        clock: Callable[[], datetime] | None = None,
        rate_limit: RateLimit | str | None = "960/min",
        *,
        state: str | os.PathLike[str] | None = None,
        seed_file: str | os.PathLike[str] | None = None,
        webhooks: Webhooks | None = None,
    ) -> None:
        self._plan = read_plan(seed_file) if seed_file else seeding.DEFAULT
        self._state, self.webhooks = StateFile(state) if state else None, webhooks
        self._sending: set[asyncio.Task[None]] = set()
        self.faults, self.options, self.requests = Faults(), Options(), list[Recorded]()
        self._seed, self._source = seed or 0, clock
        self._rate_limit = RateLimit.parse(rate_limit) if isinstance(rate_limit, str) else rate_limit
        self._begin()
        if self._state:
            with self._state.locked():
                self._load_or_save(self._state)

    def reset(self) -> None:
        """Restore the initial account, clock, rate limit and options; clear faults and recorded requests."""
        self._begin()
        if self._state:
            with self._state.locked():
                self._state.save(self.account, self._began, self.clock.advanced)

    def _begin(self) -> None:
        self._began = system_time()
        self.clock = AccountClock(self._source or self._told_by_system_time if self._state else self._source)
        self.account = Account(self.clock, random.Random(self._seed))  # noqa: S311 - ids of a test account
        self._limiter = Limiter(self._rate_limit, self.clock.elapsed)
        self.faults.clear()
        self.options.reset()
        self.requests.clear()
        seeding.seed(self.account, self._plan)

    def _told_by_system_time(self) -> datetime:
        """Return the time of an account in a file: it also passes while no process runs."""
        return EPOCH + (system_time() - self._began)

    def _load_or_save(self, state: StateFile) -> None:
        if found := state.load():
            self._began = datetime.fromisoformat(found["began"])
            self.clock.advanced = timedelta(seconds=found["advanced"])
            restore(self.account, found)
        else:
            state.save(self.account, self._began, self.clock.advanced)

    @contextmanager
    def _shared(self) -> Iterator[None]:
        """Load the account from the file for one request, and save the request's changes."""
        before = len(self.account.tables["log_entry"])
        if self._state is None:
            yield
        else:
            with self._state.locked():
                if self._state.changed():
                    self._load_or_save(self._state)
                    before = len(self.account.tables["log_entry"])
                yield
                if self.requests[-1].method != "GET" or len(self.account.tables["log_entry"]) != before:
                    self._state.save(self.account, self._began, self.clock.advanced)
        if self.webhooks:
            self._announce(self.webhooks, before)

    def _announce(self, webhooks: Webhooks, before: int) -> None:
        for entry in list(self.account.tables["log_entry"].values())[before:]:
            if body := webhooks.event(self.account, entry):
                task = asyncio.ensure_future(webhooks.send(body))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)

    def advance(self, by: timedelta) -> None:
        """Move the account's clock forward: events due by then happen, and rate limits renew."""
        self.clock.advance(by)

    def add_incidents(self, count: int) -> None:
        """Add open incidents to the first service, spread over the last 25 days, for tests with large lists."""
        seeding.add_incidents(self.account, count)

    def record_change(self, action: str, kind: str, id_: str, **origin: Any) -> None:
        """Add an audit record of a change that was made elsewhere: in the web interface, or with another key.

        Args:
            action: `create`, `update` or `delete`.
            kind, id_: The object: `user`, `team`, `schedule`, `service`, `escalation_policy` or `maintenance_window`.
            origin: Who and from where; see `Origin`. `by` is a user's e-mail address.

        Raises:
            ValueError: there is no such kind of change, or no such user.
        """
        audit_trail.add_record(self.account, action, kind, id_, **origin)

    def transport(self) -> AsgiTransport:
        """Return a transport for httpx that calls the sandbox in this process."""
        transport: AsgiTransport = library().ASGITransport(self.app)
        return transport

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request, as an ASGI application."""
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
            with self._shared():
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
            address=(scope.get("client") or (None, 0))[0],
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
        self.account.counted["requests"] += 1
        sent: Headers = {"x-request-id": f"sandbox-{self.account.counted['requests']}"}
        try:
            self._authenticate(request, headers)
            sent |= self._limiter.take()
            if endpoint is None:
                raise refuse(2100)
            call = self._call(request, endpoint, ids, headers)
            change = audit_trail.watch(self.account, endpoint, ids)
            reply = endpoint.handler(call)
            if change:
                change.record(reply.body, Origin.of(request, call, self.token, sent["x-request-id"]), call.now)
            content = b"" if reply.body is None else encode(self.account, base, reply.body)
            return Answer(reply.status, content, sent)
        except ApiError as error:
            sent |= error.headers
            if isinstance(error.body, str):
                return Answer(error.status, error.body.encode(), sent, "text/plain; charset=utf-8")
            return Answer(error.status, orjson.dumps(error.body), sent)

    def _call(self, request: Recorded, endpoint: Endpoint, ids: dict[str, str], headers: Headers) -> Call:
        now = self.clock.now()
        run_due(self.account, now)
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
    raise AssertionError("routes are only matched, never called")


_ROUTES = tuple((Route(endpoint.path, _unused, methods=[endpoint.method]), endpoint) for endpoint in ENDPOINTS)


def _route(scope: Scope, path: str) -> tuple[Endpoint | None, dict[str, str]]:
    """Match the path as it was sent, not decoded: an encoded slash or dot never becomes another path."""
    literal = {**scope, "path": path}
    for route, endpoint in _ROUTES:
        match, found = route.matches(literal)
        if match is Match.FULL:
            return endpoint, found["path_params"]
    return None, {}
