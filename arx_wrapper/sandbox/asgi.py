"""Send responses over ASGI: complete, as a fault changes them, or cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from attrs import define, field
from starlette.types import Message, Receive, Scope, Send

from arx_wrapper.http_client import library
from arx_wrapper.sandbox.faults import Fault

__all__ = ["Answer", "Headers", "decoded", "drop", "failure", "read", "send_answer"]

Headers = dict[str, str]


@define
class Answer:
    """A response: status, headers and body."""

    status: int
    body: bytes
    headers: Headers = field(factory=dict)
    content_type: str = "application/json; charset=utf-8"


def failure(fault: Fault) -> Answer | None:
    """Build the response that a fault sends instead of the account's."""
    if fault.status is None:
        return None
    headers = dict(fault.headers)
    if isinstance(fault.body, str):
        return Answer(fault.status, fault.body.encode(), headers, fault.content_type or "text/html")
    content = b"" if fault.body is None else orjson.dumps(fault.body)
    return Answer(fault.status, content, headers, fault.content_type or "application/json")


def decoded(body: bytes) -> Any:
    if not body:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")


async def read(receive: Receive) -> bytes | None:
    """Return the request's body; None when the client disconnected before it was complete."""
    chunks, more = [], True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


async def send_answer(send: Send, answer: Answer, part: bool = False) -> None:
    headers: Sequence[tuple[str, str]] = [*answer.headers.items(), ("content-length", str(len(answer.body)))]
    if answer.body:
        headers = [("content-type", answer.content_type), *headers]
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if answer.status == 204:
        raw = [(name, value) for name, value in raw if name != b"content-length"]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    body = answer.body[: len(answer.body) // 2] if part else answer.body
    await send({"type": "http.response.body", "body": body, "more_body": part})


async def drop(scope: Scope, receive: Receive, send: Send, answer: Answer | None) -> None:
    """Close the connection abruptly, after half of the response when there is one."""
    abort = scope.get("state", {}).get("abort")
    if abort is None:  # in-process there is no connection, so the client's error is raised directly
        raise library().RemoteProtocolError("Server disconnected without sending a response.")
    if answer is not None:
        await send_answer(send, answer, part=True)
    abort()
    await receive()  # returns when the server has noticed
