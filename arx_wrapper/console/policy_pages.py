"""Show the verdicts of policy, and the calls that a proposed policy would have decided differently."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from arx_wrapper.console import template_values
from arx_wrapper.console.agent_activity import recent_agents
from arx_wrapper.console.context import Console
from arx_wrapper.console.request_checks import signed_in
from arx_wrapper.console.templating import page
from arx_wrapper.core.resolution import minimal_call
from arx_wrapper.errors import ConfigError, PolicyError
from arx_wrapper.model import Verdict
from arx_wrapper.policy.reload import policy_from_text

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_AGENT_COLUMNS: Final = 6
_VERDICTS: Final = {
    frozenset[Verdict](): "deny",
    frozenset({Verdict.PERMIT}): "permit",
    frozenset({Verdict.ESCALATE}): "ask",
}


async def policy(console: Console, request: Request) -> Response:
    """Show the possible verdicts for each operation and agent, and the explanation of one of them."""
    session = await signed_in(console, request)
    agent, operation = (request.query_params.get(name, "") for name in ("agent", "operation"))
    known = await _known(console)
    if agent and agent not in known:
        known = [agent, *known[: _AGENT_COLUMNS - 1]]
    cell = _explained(console, agent, operation) if agent and operation in console.operations else None
    return page(console, "policy.html", session, **_shown(console, known), cell=cell, proposed=None, text="")


async def proposed_policy(console: Console, request: Request, text: str) -> Response:
    """Show which calls of the last 30 days a proposed policy file would have decided differently."""
    from arx_wrapper.core.simulation import simulate

    session = await signed_in(console, request)
    known = await _known(console)
    problem, found = None, None
    try:
        rules = policy_from_text(
            text, file="proposed.yaml", registry=console.operations, connector=console.backends.connector
        )
        since = console.clock() - timedelta(days=30)
        log, org_id = console.backends.audit, console.org_id
        found = await simulate(log, rules, console.operations, console.is_alias, since=since, org_id=org_id)
    except (PolicyError, ConfigError) as error:
        problem = template_values.visible(error)
    result = {"problem": problem, "found": found}
    return page(console, "policy.html", session, **_shown(console, known), cell=None, proposed=result, text=text)


def _shown(console: Console, agents: list[str]) -> dict[str, Any]:
    """Return what the page shows of the policy in force: the possible verdicts for each operation and agent."""
    return {"title": "Policy", "agents": agents, "matrix": _matrix(console, agents)}


async def _known(console: Console) -> list[str]:
    """Return the agents whose verdicts are shown: those that called last."""
    found, _ = await recent_agents(console)
    return [each["agent"] for each in found][:_AGENT_COLUMNS] or ["any-agent"]


def _matrix(console: Console, known: list[str]) -> list[tuple[str, list[str]]]:
    policies, now = console.backends.policies, console.clock()
    rows = []
    for name, row in console.operations.items():
        cells = []
        for agent in known:
            call = minimal_call(row, console.operations, agent_id=agent, org_id=console.org_id)
            cells.append(_VERDICTS.get(policies.possible_verdicts(call, now), "depends"))
        rows.append((name, cells))
    return rows


def _explained(console: Console, agent: str, operation: str) -> dict[str, Any]:
    row = console.operations[operation]
    call = minimal_call(row, console.operations, agent_id=agent, org_id=console.org_id)
    decision = console.backends.policies.decide(call, console.clock())
    return {"agent": agent, "operation": row, "decision": decision}
