"""Turn what people type into ids: a name, an e-mail address, an incident's number, `me`, or `-` for stdin.

Names are looked up by governed reads: policy decides about them, and they are on record. An id needs none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer
from attrs import frozen

from arx_wrapper.cli.stdin import read_stdin
from arx_wrapper.pagerduty.connector import PagerDutyConnector
from arx_wrapper.pagerduty.decoding import member, objects

# PagerDuty's own ids: P or Q, then 6 or 13 capital letters and digits.
_ID = re.compile(r"[PQ][A-Z0-9]{6}(?:[A-Z0-9]{7})?")
_BY_NAME = "name:"
_LISTED = 5


@frozen
class Kind:
    """A kind of object that has a name.

    Attributes:
        noun: Its name in messages.
        reads: The operation that finds it by `query`.
    """

    noun: str
    reads: str


SERVICE = Kind("service", "services:read")
USER = Kind("user", "users:read")
TEAM = Kind("team", "teams:read")
SCHEDULE = Kind("schedule", "schedules:read")
ESCALATION_POLICY = Kind("escalation policy", "escalation:read")


async def ids(connector: PagerDutyConnector, kind: Kind, texts: Sequence[str]) -> list[str]:
    """Return the id of each object, in their order."""
    return [await id_of(connector, kind, text) for text in texts]


async def id_of(connector: PagerDutyConnector, kind: Kind, text: str) -> str:
    """Return the id of an object by its id, its name, a part of the name that fits one alone, or `me` for a user.

    A name that looks like an id is written `name:PAYMENT`.

    Raises:
        typer.BadParameter: nothing has this name, or several have; the message lists them.
    """
    if kind is USER and text == "me":
        return await _me(connector)
    if _ID.fullmatch(text):
        return text
    wanted = text.removeprefix(_BY_NAME)
    if not wanted.strip():
        raise typer.BadParameter(f"a {kind.noun} without a name")
    found = await _search(connector, kind, wanted)
    exact = [record for record in found if wanted.casefold() in _names(record)]
    candidates = exact or found
    if len(candidates) == 1:
        return str(candidates[0]["id"])
    if not candidates:
        raise typer.BadParameter(f"no {kind.noun} is called {wanted!a}; `call {kind.reads}` lists them")
    shown = ", ".join(
        f"{record.get('summary') or record.get('name')} ({record['id']})" for record in candidates[:_LISTED]
    )
    more = f" and {len(candidates) - _LISTED} more" if len(candidates) > _LISTED else ""
    raise typer.BadParameter(f"{wanted!a} fits {len(candidates)} {kind.noun}s: {shown}{more}. Name one by its id")


async def incident_id(connector: PagerDutyConnector, text: str) -> str:
    """Return an incident's id by its id or its number: `P1234AB`, `41` or `#41`."""
    number = text.removeprefix("#")
    if not number.isascii() or not number.isdecimal():
        return text
    operation = "incidents:read_detail"
    body = await connector.execute(operation, {"incident_id": number})
    return str(member(member(body, "incident", operation, dict), "id", operation, str))


def expand(texts: Sequence[str]) -> list[str]:
    """Return ids with `-` replaced by those on stdin: one a line, or JSON as `-o json` prints it.

    Raises:
        typer.BadParameter: stdin holds none.
    """
    if "-" not in texts:
        return list(dict.fromkeys(texts))
    try:
        read = list(_from_stdin(read_stdin()))
    except OSError as error:
        raise typer.BadParameter(f"stdin cannot be read: {error.strerror}") from None
    if not read:
        raise typer.BadParameter("stdin holds no ids")
    expanded = [item for text in texts for item in (read if text == "-" else [text])]
    return list(dict.fromkeys(expanded))


def _from_stdin(text: str) -> Iterator[str]:
    try:
        yield from _ids_in(json.loads(text))
    except (ValueError, RecursionError):
        yield from (line.split()[0] for line in text.splitlines() if line.split() and line.split()[0] != "id")


def _ids_in(document: Any) -> Iterator[str]:
    """Yield the ids of a response's records: not those of what they refer to."""
    if isinstance(document, list):
        for item in document:
            yield from _ids_in(item)
    elif isinstance(document, Mapping) and isinstance(document.get("id"), str):
        yield document["id"]
    elif isinstance(document, Mapping):
        for item in document.values():
            if isinstance(item, Mapping | list):
                yield from _ids_in(item)
    elif isinstance(document, str):
        yield document
    elif isinstance(document, int):
        yield str(document)


async def _me(connector: PagerDutyConnector) -> str:
    email = await connector.requester_email()
    if email is None:
        raise typer.BadParameter("`me` is the requester, and none is known: set PAGERDUTY_REQUESTER_EMAIL")
    for record in await _search(connector, USER, email):
        if str(record.get("email", "")).casefold() == email.casefold():
            return str(record["id"])
    raise typer.BadParameter(f"`me` is {email}, and the account has no such user")


async def _search(connector: PagerDutyConnector, kind: Kind, query: str) -> list[Mapping[str, Any]]:
    body = await connector.execute(kind.reads, {"query": query, "limit": 100})
    return objects(body, str(connector.operations[kind.reads].envelope), kind.reads)


def _names(record: Mapping[str, Any]) -> set[str]:
    return {str(record[member]).casefold() for member in ("name", "summary", "email") if record.get(member)}
