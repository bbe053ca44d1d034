"""Read who is on call for an escalation policy, for policy entries whose reviewers are the people on call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from arx_wrapper.model import Lookup


async def on_call(lookup: Lookup, escalation_policy: str) -> Mapping[int, frozenset[str]]:
    """Read the users who are on call now, by level: their ids and addresses, in lower case (`GET /oncalls`)."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    offset = 0
    while True:
        read = await lookup(
            "schedules.list_oncalls",
            escalation_policy_ids=[escalation_policy],
            include=["users"],
            limit=100,
            offset=offset,
        )
        entries = read.get("oncalls") or ()
        for entry in entries:
            user = entry.get("user") or {}
            names = (user.get("id"), user.get("email"))
            found[int(entry.get("escalation_level") or 0)] |= {str(name).casefold() for name in names if name}
        if not read.get("more") or not entries:
            return {level: frozenset(users) for level, users in found.items()}
        offset += len(entries)
