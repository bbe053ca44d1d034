"""Read a seed file: an account with your own teams, people, services and incidents, as YAML or JSON.

    teams: [{name: Payments, description: Cards and invoices}]
    people: [{name: Ada Nkemelu, email: ada@example.com, role: user, job: Engineer, team: Payments}]
    services: [{id: PPAY123, name: Card Gateway, team: Payments, urgency: high}]
    incidents: [{service: Card Gateway, title: Declines above 5 %, status: triggered, minutes_ago: 12}]
    history: 20

Each team gets a schedule and an escalation policy with its people. A key that is left out keeps its default content.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import yaml
from attrs import evolve

from arx_wrapper.files import read_text
from arx_wrapper.sandbox.seed_content import DEFAULT, Plan

__all__ = ["read_plan"]

_MEMBERS: Final[dict[str, dict[str, Any]]] = {
    "teams": {"name": None, "description": ""},
    "people": {"name": None, "email": None, "role": "user", "job": "", "team": ""},
    "services": {"id": "", "name": None, "team": None, "urgency": "high"},
    "incidents": {"id": "", "service": None, "title": None, "status": "triggered", "urgency": "high", "minutes_ago": 5},
}
_CHOICES: Final = {
    ("services", "urgency"): ("high", "low", "severity_based"),
    ("incidents", "urgency"): ("high", "low"),
    ("incidents", "status"): ("triggered", "acknowledged", "resolved"),
    ("people", "role"): ("admin", "limited_user", "observer", "owner", "read_only_user", "user"),
}


def read_plan(path: str | os.PathLike[str]) -> Plan:
    """Read the plan in a seed file.

    Raises:
        ValueError: an entry is malformed; the message names file, entry, problem and what is accepted.
        OSError: the file cannot be read.
    """
    try:
        found = yaml.safe_load(read_text(Path(path)))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path} is neither YAML nor JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold an object of {', '.join((*_MEMBERS, 'history'))}")
    if unknown := found.keys() - _MEMBERS.keys() - {"history"}:
        raise ValueError(
            f"{path}: {min(map(str, unknown))!r} is not a key; accepted: {', '.join((*_MEMBERS, 'history'))}"
        )
    given: dict[str, Any] = {name: _entries(path, name, found[name]) for name in _MEMBERS if name in found}
    plan = evolve(DEFAULT, **given)
    if "services" in found or "incidents" in found:
        plan = evolve(plan, history=0, incidents=given.get("incidents", ()))
    if "history" in found:
        if type(found["history"]) is not int or not 0 <= found["history"] <= 10_000:
            raise ValueError(f"{path}: history must be a number of incidents, 0 to 10,000")
        plan = evolve(plan, history=found["history"])
    _check_names(path, plan)
    return plan


def _entries(path: object, name: str, given: object) -> tuple[dict[str, Any], ...]:
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise ValueError(f"{path}: {name} must be a list of objects")
    return tuple(_entry(f"{path}: {name}[{number}]", name, entry) for number, entry in enumerate(given))


def _entry(where: str, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    members = _MEMBERS[kind]
    if unknown := given.keys() - members.keys():
        raise ValueError(f"{where}: {min(map(str, unknown))!r} is not a member; accepted: {', '.join(members)}")
    found = {**members, **given}
    for name, value in found.items():
        if value is None:
            raise ValueError(f"{where} needs a {name}")
        if name == "minutes_ago":
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise ValueError(f"{where}.minutes_ago must be a number of minutes")
        elif not isinstance(value, str):
            raise ValueError(f"{where}.{name} must be text")
        if (choices := _CHOICES.get((kind, name))) and value not in choices:
            raise ValueError(f"{where}.{name} must be one of {', '.join(choices)}")
    return found


def _check_names(path: object, plan: Plan) -> None:
    """Refuse references to names that do not exist: a service's team, an incident's service."""
    teams = {team["name"] for team in plan.teams}
    services = {known for service in plan.services for known in (service["name"], service["id"]) if known}
    for kind, member, known in (("services", "team", teams), ("people", "team", teams | {""}),
                                ("incidents", "service", services)):  # fmt: skip
        for number, entry in enumerate(getattr(plan, kind)):
            if entry[member] not in known:
                accepted = ", ".join(sorted(name for name in known if name)) or "none"
                raise ValueError(f"{path}: {kind}[{number}].{member} is {entry[member]!r}; accepted: {accepted}")
