"""`call --dry-run`: show the decision, the request, and whom it would page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from arx_wrapper.cli.output import Output, print_json, print_table, say, warn
from arx_wrapper.errors import ArxError, PagerDutyError
from arx_wrapper.model import Paged, Verdict
from arx_wrapper.pagerduty.decoding import member

if TYPE_CHECKING:
    from arx_wrapper.pagerduty.connector import PagerDutyConnector

_NAMED = 10


class _NotKnownError(Exception):
    """The people whom a call would page cannot be found; the message says why."""


async def plan(connector: PagerDutyConnector, operation: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return what a call would do. The call itself is neither sent nor recorded.

    For a call that pages, the people are looked up by governed reads, on record as any other, and only those that
    policy permits outright.

    Raises:
        InvalidParamsError: as the call would.
    """
    planned = connector.plan(operation, params)
    call, request, decision = planned.call, planned.request, planned.decision
    found = {
        "verdict": decision.verdict.value,
        "risk": decision.risk.name,
        "policy": decision.policy,
        "source": decision.source,
        "reason": decision.reason,
        "effects": [[effect.operation, effect.risk.name, effect.count] for effect in call.effects],
        "request": {
            "method": request.method,
            "path": request.path,
            "query": [list(pair) for pair in request.query],
            "body": None if request.method in ("GET", "DELETE") else request.json,
        },
    }
    judged = decision.verdict is not Verdict.DENY  # a denied call pages no one
    paged = call.operation.pages
    if judged and paged and (pages := await _Pages(connector).of(paged(call.params), call.params)):
        found["pages"] = pages
    return found


class _Pages:
    """Finds out whom a call would page."""

    def __init__(self, connector: PagerDutyConnector) -> None:
        self._connector, self._read, self._gap = connector, list[str](), ""

    async def of(self, paged: Iterable[Paged], params: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the people by escalation level, how they were found, and the reads; None when no one is paged."""
        people: list[dict[str, Any]] = []
        ways: list[str] = []
        for group in paged:
            try:
                way, found = await self._group(group)
            except (_NotKnownError, PagerDutyError) as reason:
                way, found = f"not known: {reason}", []
            people += [person for person in found if person not in people]
            ways += [way] if way not in ways else []
        if not ways:
            return None
        how = "; ".join(ways)
        if params.get("urgency") == "low":
            how += "; by their rules for low urgency"
        how += self._gap
        return {"how": how, "people": people, "read": self._read}

    async def _group(self, paged: Paged) -> tuple[str, list[dict[str, Any]]]:
        if users := paged.users:
            people = [await self._person(user) for user in users[:_NAMED]]
            return "the people it is assigned to", people + [_person(user, None) for user in users[_NAMED:]]
        if paged.escalation_policy:
            policy, whose = paged.escalation_policy, ""
        elif paged.service:
            policy, whose = (
                await self._policy_of("services:read_detail", service_id=paged.service),
                ", the service's own",
            )
        else:
            policy = await self._policy_of("incidents:read_detail", incident_id=str(paged.incident))
            whose = ", the incident's own"
        level = f" at level {paged.level}" if paged.level else ""
        return f"on call{level} for escalation policy {policy}{whose}", await self._on_call(policy, paged.level)

    async def _policy_of(self, operation: str, **params: str) -> str:
        row = self._connector.operations[operation]
        found = member(await self._look(operation, **params), str(row.envelope), operation, dict)
        policy = _id_of(found.get("escalation_policy"))
        if policy is None:
            raise _NotKnownError(f"{row.envelope} {', '.join(params.values())} names no escalation policy")
        return policy

    async def _on_call(self, policy_id: str, level: int | None) -> list[dict[str, Any]]:
        operation = "schedules:read_oncall"
        answer = await self._look(operation, escalation_policy_ids=[policy_id], limit=100)
        found = {
            (entry.get("escalation_level"), user_id): entry["user"]
            for entry in member(answer, "oncalls", operation, list)
            if isinstance(entry, Mapping)
            and level in (None, entry.get("escalation_level"))
            and (user_id := _id_of(entry.get("user")))
        }
        if not found:
            raise _NotKnownError(f"nobody is on call for escalation policy {policy_id}: nobody would be paged")
        ordered = sorted(found.items(), key=lambda item: (item[0][0] if isinstance(item[0][0], int) else 0, item[0][1]))
        return [_person(user_id, level, user) for (level, user_id), user in ordered]

    async def _person(self, user_id: str) -> dict[str, Any]:
        """Return a person by id, with their name where policy permits reading it."""
        try:
            return _person(user_id, None, (await self._look("users:read_detail", user_id=user_id)).get("user"))
        except _NotKnownError as reason:
            self._gap = f"; not named: {reason}"
            return _person(user_id, None)

    async def _look(self, operation: str, **params: Any) -> dict[str, Any]:
        decision = self._connector.explain(operation, params)
        if decision.verdict is not Verdict.PERMIT:
            raise _NotKnownError(f"policy does not permit {operation}, which would tell: {decision.reason}")
        try:
            answer = await self._connector.execute(operation, params)
        except ArxError as error:
            raise _NotKnownError(str(error)) from None
        self._read.append(operation)
        return answer


def _id_of(reference: object) -> str | None:
    found = reference.get("id") if isinstance(reference, Mapping) else None
    return found if isinstance(found, str) else None


def _person(user_id: str, level: int | None, user: Mapping[str, Any] | None = None) -> dict[str, Any]:
    user = user if isinstance(user, Mapping) else {}
    return {"level": level, "id": user_id, "name": user.get("summary") or user.get("name")}


def show_plan(plan: Mapping[str, Any], output: Output) -> None:
    """Print a plan, and on stderr that the call was not sent."""
    read = plan.get("pages", {}).get("read", [])
    warn(
        "Dry run: the call was not sent."
        + (f" To find whom it would page, these reads were: {', '.join(read)}." if read else "")
    )
    if output is Output.JSON:
        print_json(plan)
        return
    request = plan["request"]
    say(f"{plan['verdict']} at {plan['risk']}: {plan['reason']}")
    say(f"{request['method']} {request['path']}" + "".join(f" {name}={value}" for name, value in request["query"]))
    if request["body"] is not None:
        print_json(request["body"])
    pages = plan.get("pages")
    if pages is None:
        return
    say(f"Pages: {pages['how']}")
    if pages["people"]:
        print_table(("level", "id", "name"), ([p["level"], p["id"], p["name"]] for p in pages["people"]))
