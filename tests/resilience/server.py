"""A small PagerDuty on loopback, in plain sockets, that can be mistreated request by request.

What it did is counted from its own state: an effect is a change that it made, whatever became of the answer.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from attrs import define, field, frozen

from tests.serving import listening

JSON = dict[str, Any]


def now() -> str:
    """The time as PagerDuty tells it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@frozen(kw_only=True)
class Asked:
    """A request as it arrived.

    Attributes:
        turn: Which request of the server's life it is, from 1.
    """

    turn: int
    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: JSON
    at: float

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    def one(self, name: str) -> str | None:
        return self.query[name][0] if name in self.query else None


@frozen
class Reply:
    """The account's answer."""

    status: int
    body: bytes
    headers: Sequence[str] = ()

    @classmethod
    def of(cls, status: int, body: object, *headers: str) -> Reply:
        return cls(status, orjson.dumps(body), headers)

    def wire(self, *, length: int | None = None) -> bytes:
        """Its bytes, with the length that it has or claims."""
        lines = [
            f"HTTP/1.1 {self.status} X",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body) if length is None else length}",
            *self.headers,
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


def refusal(status: int, code: int, message: str, *headers: str) -> Reply:
    return Reply.of(status, {"error": {"message": message, "code": code}}, *headers)


class Account:
    """Incidents that can be read, acknowledged and created.

    Attributes:
        effects: How often each change was made: `acknowledge P1`, `create key`, `note P1 text`.
    """

    def __init__(self) -> None:
        self.incidents: dict[str, JSON] = {}
        self.keyed: dict[str, JSON] = {}
        self.notes: dict[str, list[JSON]] = {}
        self.windows: list[JSON] = []
        self.effects: Counter[str] = Counter()
        self.add("P1")

    def add(self, identity: str, **members: Any) -> JSON:
        incident = self.incidents[identity] = {"id": identity, "type": "incident", "status": "triggered", **members}
        return incident

    def __call__(self, asked: Asked) -> Reply:
        match asked.method, asked.path.strip("/").split("/"):
            case "GET", ["incidents"]:
                return self._list(asked)
            case "GET", ["incidents", identity] if identity in self.incidents:
                return Reply.of(200, {"incident": self.incidents[identity]})
            case "PUT", ["incidents", identity] if identity in self.incidents:
                return self._change(identity, asked.body["incident"]["status"])
            case "POST", ["incidents"]:
                return self._create(asked.body["incident"])
            case "GET", ["incidents", identity, "notes"]:
                return Reply.of(200, {"notes": self.notes.get(identity, [])})
            case "POST", ["incidents", identity, "notes"] if identity in self.incidents:
                return self._note(identity, asked.body["note"]["content"])
            case "GET", ["maintenance_windows"]:
                page = {"limit": 100, "offset": 0, "more": False, "total": None}
                return Reply.of(200, {"maintenance_windows": self.windows, **page})
            case "POST", ["maintenance_windows"]:
                return self._open(asked.body["maintenance_window"])
        return refusal(404, 2100, "Not Found")

    def _list(self, asked: Asked) -> Reply:
        key = asked.one("incident_key")
        found = list(self.incidents.values()) if key is None else [self.keyed[key]] if key in self.keyed else []
        page = {"limit": 25, "offset": 0, "more": False, "total": None}
        return Reply.of(200, {"incidents": found[:25], **page})

    def _change(self, identity: str, status: str) -> Reply:
        incident = self.incidents[identity]
        self.effects[f"{status} {identity}"] += 1
        incident["status"] = status
        return Reply.of(200, {"incident": incident})

    def _create(self, wanted: JSON) -> Reply:
        key = wanted["incident_key"]
        if key in self.keyed:
            return refusal(400, 2002, "Open incident with matching dedup key already exists on this service")
        self.effects[f"create {key}"] += 1
        made = self.keyed[key] = self.add(f"N{len(self.incidents)}", **wanted, created_at=now())
        return Reply.of(201, {"incident": made})

    def _open(self, wanted: JSON) -> Reply:
        self.effects["window"] += 1
        # One that should have begun before begins now.
        begins = max(now(), wanted["start_time"], key=datetime.fromisoformat)
        window = {"description": None, **wanted, "id": f"MW{len(self.windows) + 1}", "start_time": begins}
        self.windows.append(window)
        return Reply.of(201, {"maintenance_window": window})

    def _note(self, identity: str, content: str) -> Reply:
        self.effects[f"note {identity} {content}"] += 1
        note = {"id": f"M{sum(self.effects.values())}", "content": content, "created_at": now()}
        self.notes.setdefault(identity, []).append(note)
        return Reply.of(200, {"note": note})


class Exchange:
    """One request, and every way to answer it or not to.

    Attributes:
        asked: The request.
    """

    def __init__(self, asked: Asked, handle: Callable[[Asked], Reply], writer: asyncio.StreamWriter) -> None:
        self.asked, self._handle, self._writer = asked, handle, writer
        self.over = False

    def process(self) -> Reply:
        """Do what was asked, and tell what should be answered."""
        return self._handle(self.asked)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        """End the connection in an orderly way."""
        self.over = True
        self._writer.close()

    async def reset(self) -> None:
        """Break the connection: the other side gets a reset, not an end."""
        self.over = True
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Fault = Callable[[Exchange], Awaitable[None]]
FaultPlan = Callable[[Asked], Fault | None]


@define(eq=False)
class Bucket:
    """The rate limit as PagerDuty states it: a bucket that holds `size` and gets `rate` a second."""

    rate: float
    size: float
    refused: int = 0
    clock: Callable[[], float] = time.monotonic
    _left: float = field(init=False)
    _at: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._left, self._at = self.size, self.clock()

    def take(self) -> tuple[bool, list[str]]:
        """Take one; return whether there was one left, and the headers that say how many there are."""
        now = self.clock()
        self._left, self._at = min(self.size, self._left + (now - self._at) * self.rate), now
        allowed = self._left >= 1
        self._left -= allowed
        self.refused += not allowed
        full = math.ceil((self.size - self._left) / self.rate)
        return allowed, [
            f"ratelimit-limit: {self.size:g}",
            f"ratelimit-remaining: {int(self._left)}",
            f"ratelimit-reset: {full}",
        ]


class Server:
    """Serve an account, with the faults that a plan picks.

    Attributes:
        fault_plan: Picks the fault for each request; None for no faults.
        seen: Every request whose last byte arrived.
        connections: How many were opened.
        open: How many are open now.
        missed: Set once a request was tried in vain.
    """

    def __init__(
        self, handle: Callable[[Asked], Reply] | None = None, *, fault_plan: FaultPlan | None = None, delay: float = 0.0
    ) -> None:
        self.account = Account()
        self.handle = handle or self.account
        self.fault_plan, self.delay = fault_plan, delay
        self.bucket: Bucket | None = None
        self.seen: list[Asked] = []
        self.connections = self.open = 0
        self.missed = asyncio.Event()
        self._turn = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while not writer.is_closing():
                exchange = Exchange(await self._read(reader), self._answer, writer)
                if self.delay:
                    await asyncio.sleep(self.delay)
                fault = self.fault_plan(exchange.asked) if self.fault_plan else None
                await (fault or fair)(exchange)
                if exchange.over:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass  # the other side is gone
        finally:
            self.open -= 1
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = first.split(" ")
        parts = urlsplit(target)
        self._turn += 1
        asked = Asked(
            turn=self._turn,
            method=method,
            path=parts.path,
            query=parse_qs(parts.query),
            headers=headers,
            body=orjson.loads(body) if body else {},
            at=time.monotonic(),
        )
        self.seen.append(asked)
        return asked

    def _answer(self, asked: Asked) -> Reply:
        if self.bucket is None:
            return self.handle(asked)
        allowed, headers = self.bucket.take()
        if not allowed:
            return refusal(429, 2020, "Rate Limit Exceeded", *headers)
        reply = self.handle(asked)
        return Reply(reply.status, reply.body, [*reply.headers, *headers])


async def fair(exchange: Exchange) -> None:
    """Answer as the account does."""
    await exchange.send(exchange.process().wire())


@asynccontextmanager
async def serving(server: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The server on a port of its own; gives its address, and takes all its connections down at the end."""
    async with listening(server.serve, tls=tls) as port:
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
