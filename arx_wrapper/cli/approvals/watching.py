"""`approvals watch` and `approvals review`: show waiting requests in a terminal, and decide them one by one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from arx_wrapper.cli.output import Output, print_json, say, warn
from arx_wrapper.cli.prompts import ask
from arx_wrapper.errors import ApprovalError, ConfigError

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest, Approvals

_REMINDS_BEFORE = timedelta(minutes=5)


async def watch(approvals: Approvals, org_id: str, every: float, output: Output, ends: int | None = None) -> None:
    """Print each request once when it is asked for, once before it expires, and once when it is over.

    Args:
        approvals: The requests.
        org_id: The organisation.
        every: Seconds between two looks.
        output: `json` prints an object a line.
        ends: Stop after this many lines; None to go on until Ctrl-C.
    """
    known: dict[str, str] = {}
    printed = 0
    while True:
        waiting = {request.id: request for request in await approvals.list("pending", org_id=org_id, limit=1000)}
        for request_id in [each for each in known if each not in waiting]:
            del known[request_id]
            over = await approvals.get(request_id)
            printed += _tell(over.state, over, output)
        for request in reversed(waiting.values()):
            soon = request.expires_at - datetime.now(UTC) < _REMINDS_BEFORE
            step = "reminder" if soon else "asked"
            if known.get(request.id) != step:
                printed += _tell("reminder" if soon and request.id in known else "asked", request, output)
                known[request.id] = step
        if ends is not None and printed >= ends:
            return
        await asyncio.sleep(every)


async def review(
    approvals: Approvals, org_id: str, decide: Callable[[ApprovalRequest, bool, str], Awaitable[None]]
) -> None:
    """Step through the requests that wait, the oldest first, and take a decision for each.

    Args:
        approvals: The requests.
        org_id: The organisation.
        decide: Takes a decision: the request, yes or no, and the note.

    Raises:
        ConfigError: there is no terminal to ask on.
    """
    from arx_wrapper.approvals import render

    if not sys.stdin.isatty():
        raise ConfigError("There is no terminal to ask on. `approvals list` shows what waits; nothing was decided.")
    waiting = tuple(reversed(await approvals.list("pending", org_id=org_id, limit=1000)))
    if not waiting:
        say("Nothing waits.")
    for number, request in enumerate(waiting, 1):
        say(f"\n{number} of {len(waiting)}\n{render(request)}")
        match ask("[a]pprove, [d]eny, [s]kip or [q]uit", default="s").strip().lower()[:1]:
            case "q":
                return
            case "a" | "d" as verdict:
                note = ask("Note to the agent", default="")
                try:
                    await decide(request, verdict == "a", note)
                except ApprovalError as error:
                    warn(str(error))
                else:
                    say("Approved." if verdict == "a" else "Denied.")
            case _:
                say("Skipped; it waits on.")


def _tell(what: str, request: ApprovalRequest, output: Output) -> int:
    from arx_wrapper.approvals.request_text import escape

    if output is Output.JSON:
        shown: dict[str, Any] = {"what": what, "id": request.id, "state": request.state, "sentence": request.sentence}
        print_json({**shown, "agent_id": request.agent_id, "expires_at": request.expires_at.isoformat()})
    else:
        now = datetime.now(UTC)
        minutes = max(0, int((request.expires_at - now).total_seconds()) // 60)
        sentence = escape(request.sentence or request.operation)
        by = ", ".join(f" by {review.reviewer}" for review in request.decisions[-1:])
        detail = f"{minutes} min left" if request.state == "pending" else f"{request.state}{by}"
        about = f"{sentence} ({escape(request.agent_id)}, {detail})"
        say(f"{now:%H:%M} {what:<9} {request.id} {request.risk.name:<6} {about}")
    sys.stdout.flush()
    return 1
