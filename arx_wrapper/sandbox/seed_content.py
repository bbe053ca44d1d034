"""Define the content that an account starts with: the default, or that of a seed file."""

from __future__ import annotations

from attrs import frozen

from arx_wrapper.sandbox.account import JSON

__all__ = ["BOT", "DEFAULT", "REQUESTER", "Plan"]

REQUESTER = "oncall-bot@example.com"
BOT = {"name": "Oncall Bot", "email": REQUESTER, "role": "admin", "job": "Automation", "team": ""}


@frozen(kw_only=True)
class Plan:
    """The content that an account starts with; `seed_file.py` reads it from a file.

    Attributes:
        teams: Each with name and description.
        people: Each with name, email, role, job and team; those without a team are spread over all.
        services: Each with id (may be empty), name, team and urgency.
        incidents: Each with id (may be empty), service, title, status, urgency and minutes_ago.
        history: The number of further incidents, spread over the last month.
    """

    teams: tuple[JSON, ...]
    people: tuple[JSON, ...]
    services: tuple[JSON, ...]
    incidents: tuple[JSON, ...] = ()
    history: int = 0


def _person(name: str, role: str, job: str) -> JSON:
    return {
        "name": name,
        "email": f"{name.lower().replace(' ', '.')}@example.com",
        "role": role,
        "job": job,
        "team": "",
    }


DEFAULT = Plan(
    people=(
        _person("Ada Nkemelu", "owner", "Director of Engineering"),
        _person("Bram Visser", "user", "Database Engineer"),
        _person("Chiara Fontana", "user", "Site Reliability Engineer"),
        _person("Dmitri Sokol", "user", "Platform Engineer"),
        _person("Esra Yalin", "limited_user", "Support Engineer"),
        _person("Farid Anwar", "observer", "Product Manager"),
    ),
    teams=(
        {"name": "Data", "description": "Databases and pipelines"},
        {"name": "Platform", "description": "Clusters and networks"},
        {"name": "Storefront", "description": "What customers see"},
    ),
    services=(
        {"id": "PABC123", "name": "Orders Database", "team": "Data", "urgency": "high"},
        {"id": "", "name": "Event Pipeline", "team": "Data", "urgency": "high"},
        {"id": "", "name": "Kubernetes Cluster", "team": "Platform", "urgency": "high"},
        {"id": "", "name": "Checkout", "team": "Storefront", "urgency": "severity_based"},
        {"id": "", "name": "Internal Wiki", "team": "Platform", "urgency": "low"},
    ),
    history=40,
)
