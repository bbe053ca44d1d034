"""Define the fault plan: every way in which a response goes missing, comes late, comes wrong or never ends."""

from __future__ import annotations

import asyncio
import zlib

from tests.resilience.server import Asked, Exchange, Fault, FaultPlan, Reply, fair, refusal

PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
FAILED = (500, 502, 503, 504)
LONG = 3600.0


def answering(status: int, *headers: str, body: bytes = b"", processed: bool = False) -> Fault:
    """Answers with this, whatever was asked."""

    async def fault(exchange: Exchange) -> None:
        if processed:
            exchange.process()
        await exchange.send(Reply(status, body, headers).wire())

    return fault


def spoilt(
    *, body: bytes | None = None, length: int | None = None, cut: int | None = None, ends: bool = False
) -> Fault:
    """Processes the request, then spoils the answer: another body, another length, only its beginning, the end."""

    async def fault(exchange: Exchange) -> None:
        reply = exchange.process()
        if body is not None:
            reply = Reply(reply.status, body, reply.headers)
        claimed = None if length is None else len(reply.body) + length
        wire = reply.wire(length=claimed)
        await exchange.send(wire if cut is None else wire[:-cut])
        if ends:
            await exchange.close()

    return fault


async def reset_before(exchange: Exchange) -> None:
    await exchange.reset()


async def reset_after(exchange: Exchange) -> None:
    exchange.process()
    await exchange.reset()


async def closed_before(exchange: Exchange) -> None:
    await exchange.close()


async def reset_then_processed(exchange: Exchange) -> None:
    """The connection breaks, and the request is still on its way inside."""
    await exchange.reset()
    await asyncio.sleep(0.4)
    exchange.process()


async def silent_before(exchange: Exchange) -> None:
    await asyncio.sleep(LONG)


async def silent_after(exchange: Exchange) -> None:
    exchange.process()
    await asyncio.sleep(LONG)


async def limited(exchange: Exchange) -> None:
    headers = ("ratelimit-limit: 960", "ratelimit-remaining: 0", "ratelimit-reset: 1")
    await exchange.send(refusal(429, 2020, "Rate Limit Exceeded", *headers).wire())


async def chunked_cut(exchange: Exchange) -> None:
    reply = exchange.process()
    head = f"HTTP/1.1 {reply.status} X\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    await exchange.send(head + b"%x\r\n%b\r\n" % (len(reply.body), reply.body))
    await exchange.close()


async def spoilt_and_reset(exchange: Exchange) -> None:
    await exchange.send(exchange.process().wire()[:-20])
    await exchange.reset()


async def bomb(exchange: Exchange) -> None:
    exchange.process()
    squeeze = zlib.compressobj(9, wbits=31)
    packed = squeeze.compress(b" " * 20_000_000) + squeeze.flush()
    await exchange.send(Reply(200, packed, ["Content-Encoding: gzip"]).wire())


async def endless_body(exchange: Exchange) -> None:
    exchange.process()
    await exchange.send(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await exchange.send(b"10000\r\n" + b" " * 65536 + b"\r\n")


async def endless_head(exchange: Exchange) -> None:
    exchange.process()
    await exchange.send(b"HTTP/1.1 200 X\r\n")
    while True:
        await exchange.send(b"X-Filler: %b\r\n" % (b"x" * 4000) * 16)


async def dripping(exchange: Exchange) -> None:
    """A byte now and then, so that no time-out between two bytes ever fires."""
    exchange.process()
    await exchange.send(b"HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await exchange.send(b" ")
        await asyncio.sleep(0.1)


async def hinted(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    await fair(exchange)


async def only_hints(exchange: Exchange) -> None:
    exchange.process()
    while True:
        await exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        await asyncio.sleep(0.05)


async def garbage(exchange: Exchange) -> None:
    exchange.process()
    await exchange.send(b"\x00\x01\x02 this is not HTTP\r\n\r\n")


async def mislabelled(exchange: Exchange) -> None:
    reply = exchange.process()
    await exchange.send(b"HTTP/1.1 %d X\r\nContent-Length: many\r\n\r\n%b" % (reply.status, reply.body))


async def then_closing(exchange: Exchange) -> None:
    """Answers, and closes the connection without having said so."""
    await fair(exchange)
    await exchange.close()


async def then_straying(exchange: Exchange) -> None:
    """Answers, and a moment later answers once more what nobody asked."""
    await fair(exchange)
    await asyncio.sleep(0.03)
    await exchange.send(Reply.of(200, {"incident": {"id": "STRAY"}}).wire())


def once(fault: Fault, writes: bool) -> FaultPlan:
    """Strikes the first request of the kind under test; later requests are answered."""
    struck: list[Asked] = []

    def plan(asked: Asked) -> Fault | None:
        if struck or asked.writes is not writes:
            return None
        struck.append(asked)
        return fault

    return plan


def always(fault: Fault, writes: bool) -> FaultPlan:
    """Strikes every request, also those that look what became of a write."""
    return lambda asked: fault
