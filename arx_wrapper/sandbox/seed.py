"""Fill a new account: the same seed and clock give the same content.

Two ids come from PagerDuty's documentation: service `PABC123` and its triggered incident `P1234AB`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from arx_wrapper.sandbox import lifecycle
from arx_wrapper.sandbox.account import JSON, Account, Incident, Ref, Resource
from arx_wrapper.sandbox.routes.services import SERVICE_DEFAULTS
from arx_wrapper.sandbox.seed_content import BOT, DEFAULT, REQUESTER, Plan

__all__ = ["DEFAULT", "REQUESTER", "Plan", "add_incidents", "seed"]

_TROUBLES = (
    ("Replication lag above 30 s", "critical"),
    ("Disk 90 % full", "warning"),
    ("Error rate above 5 %", "error"),
    ("p99 latency above 2 s", "warning"),
    ("Certificate expires in 3 days", "info"),
    ("Pods restarting in a loop", "error"),
    ("Queue is not draining", "critical"),
)
_PRIORITIES = ("P1", "P2", "P3", "P4", "P5")


def seed(account: Account, plan: Plan = DEFAULT) -> None:
    """Fill an empty account."""
    now = account.clock.now()
    teams = [
        account.add(
            "team", "/teams", {"name": team["name"], "description": team["description"], "default_role": "manager"}
        )
        for team in plan.teams
    ]
    by_name = {str(team["name"]): team for team in teams}
    users = [
        _user(account, person["name"], person["email"], person["role"], person["job"],
              by_name.get(person["team"]) or teams[number % len(teams)])
        for number, person in enumerate((BOT, *plan.people))
    ]  # fmt: skip
    for name in _PRIORITIES:
        account.add("priority", "/priorities", {"name": name, "description": f"Priority {name[1:]}"})
    rota = users[1:5] or users
    policies = {
        str(team["name"]): _policy(account, team, rota, rota[0], now, turn % len(rota))
        for turn, team in enumerate(teams)
    }
    services = [
        _service(account, each["id"] or None, each["name"], policies[each["team"]], each["urgency"], now)
        for each in plan.services
    ]
    _history(account, services, rota, now, plan.history)
    if plan is DEFAULT or plan.services == DEFAULT.services:
        _documented(account, services[0], rota, now)
    for incident in sorted(plan.incidents, key=lambda each: -float(each["minutes_ago"])):
        _planned(account, services, rota, now, incident)
    if len(services) > 1:
        _windows(account, services, users[0], now)
        _event_rules(account, services)


def _user(account: Account, name: str, email: str, role: str, job: str, team: Resource) -> Resource:
    id_ = account.new_id()
    home = f"/users/{id_}"
    methods = [
        account.add(
            "contact_method",
            f"{home}/contact_methods",
            {"type": "email_contact_method", "label": "Work", "address": email, "send_short_email": False},
        ),
        account.add(
            "contact_method",
            f"{home}/contact_methods",
            {
                "type": "sms_contact_method",
                "label": "Mobile",
                "address": "5550100",
                "country_code": 1,
                "enabled": True,
                "blacklisted": False,
            },
        ),
    ]
    rules = [
        account.add(
            "notification_rule",
            f"{home}/notification_rules",
            {
                "type": "assignment_notification_rule",
                "summary": f"{delay} minutes: {method.summary}",
                "start_delay_in_minutes": delay,
                "contact_method": method.ref,
                "urgency": urgency,
            },
        )
        for delay, method, urgency in (
            (0, methods[0], "high"),
            (5, methods[1], "high"),
            (0, methods[0], "low"),
        )
    ]
    members = {
        "id": id_,
        "name": name,
        "email": email,
        "time_zone": "Etc/UTC",
        "color": "green",
        "role": role,
        "avatar_url": f"https://example.com/avatars/{id_}.png",
        "description": None,
        "invitation_sent": False,
        "job_title": job,
        "created_via_sso": False,
        "teams": [team.ref],
        "contact_methods": [method.ref for method in methods],
        "notification_rules": [rule.ref for rule in rules],
    }
    return account.add("user", "/users", members)


def _policy(
    account: Account, team: Resource, rota: list[Resource], lead: Resource, now: datetime, turn: int
) -> Resource:
    """Add a weekly rotation, and an escalation policy that notifies it first and the lead second."""
    started = now.replace(hour=9, minute=0, second=0) - timedelta(days=60)
    order = [user.ref for user in (*rota[turn:], *rota[:turn])]
    layer = {
        "id": account.new_id(),
        "name": "Layer 1",
        "start": started,
        "end": None,
        "rotation_virtual_start": started,
        "rotation_turn_length_seconds": 604_800,
        "users": [{"user": user} for user in order],
        "restrictions": [],
    }
    schedule = account.add(
        "schedule",
        "/schedules",
        {
            "name": f"{team['name']} On-Call",
            "description": f"Weekly rotation of {team['name']}",
            "time_zone": "Etc/UTC",
            "users": order,
            "teams": [team.ref],
        },
        {"schedule_layers": [layer]},
    )
    return account.add(
        "escalation_policy",
        "/escalation_policies",
        {
            "name": f"{team['name']} Escalation",
            "description": f"Who is called for {team['name']}",
            "num_loops": 2,
            "on_call_handoff_notifications": "if_has_services",
            "escalation_rules": [
                {"id": account.new_id(), "escalation_delay_in_minutes": delay, "targets": [target]}
                for delay, target in ((15, schedule.ref), (30, lead.ref))
            ],
            "teams": [team.ref],
        },
    )


def _service(account: Account, id_: str | None, name: str, policy: Resource, urgency: str, now: datetime) -> Resource:
    service = account.add(
        "service",
        "/services",
        {
            **({"id": id_} if id_ else {}),
            "name": name,
            **SERVICE_DEFAULTS,
            "description": f"{name}, as seeded",
            "escalation_policy": policy.ref,
            "teams": list(policy["teams"]),
            "integrations": [],
            "created_at": now - timedelta(days=400),
            "incident_urgency_rule": {"type": "constant", "urgency": urgency},
        },
    )
    integration = account.add(
        "integration",
        f"{service.path}/integrations",
        {
            "type": "events_api_v2_inbound_integration",
            "name": "Prometheus",
            "service": service.ref,
            "created_at": service["created_at"],
            "vendor": None,
            "integration_key": f"sandbox-integration-key-{account.new_id()}",
        },
    )
    service["integrations"].append(integration.ref)
    return service


def _history(account: Account, services: list[Resource], rota: list[Resource], now: datetime, count: int) -> None:
    """Add a month of incidents: most resolved, the newest two still open."""
    hours = sorted((account.random.uniform(6, 29 * 24) for _ in range(count)), reverse=True)
    for number, ago in enumerate(hours):
        at = (now - timedelta(hours=ago)).replace(microsecond=0)
        incident = _triggered(account, account.random.choice(services), at)
        if number < count - 2:
            _worked_on(account, incident, account.random.choice(rota).ref, at, resolved=True)
        elif number == count - 2:
            _worked_on(account, incident, rota[0].ref, at, resolved=False)


def _documented(account: Account, service: Resource, rota: list[Resource], now: datetime) -> None:
    """Add the open incident of PagerDuty's documentation."""
    at = now - timedelta(minutes=12)
    title = "Orders Database: replication lag above 30 s"
    open_one = _triggered(account, service, at, id="P1234AB", title=title)
    lifecycle.add_alert(account, open_one, at=at, severity="critical", source="db-02.example.com")
    lifecycle.add_note(account, open_one, "Failover candidate is healthy.", at=at, by=rota[min(1, len(rota) - 1)].ref)


def _planned(account: Account, services: list[Resource], rota: list[Resource], now: datetime, plan: JSON) -> None:
    """Add an incident of a seed file."""
    service = next(each for each in services if plan["service"] in (each["id"], each["name"]))
    at = (now - timedelta(minutes=float(plan["minutes_ago"]))).replace(microsecond=0)
    own = {"id": plan["id"]} if plan["id"] else {}
    incident = _triggered(account, service, at, title=plan["title"], urgency=plan["urgency"], **own)
    if plan["status"] != "triggered":
        lifecycle.acknowledge(account, incident, at=at, by=rota[0].ref)
    if plan["status"] == "resolved":
        lifecycle.resolve(account, incident, at=now, by=rota[0].ref)


def _triggered(account: Account, service: Resource, at: datetime, **members: Any) -> Incident:
    trouble, severity = account.random.choice(_TROUBLES)
    given = {
        "title": f"{service['name']}: {trouble}",
        "service": service.ref,
        "escalation_policy": service["escalation_policy"],
        "urgency": "low" if service["incident_urgency_rule"]["urgency"] == "low" else "high",
        "incident_key": f"{account.random.getrandbits(128):032x}",
        **members,
    }
    hidden = {"body": None, "conference_bridge": None}
    summary = "Triggered through the Events API."
    incident = lifecycle.trigger(account, given, hidden, at=at, by=service.ref, summary=summary)
    lifecycle.escalate(account, incident, 1, at=at, by=service.ref, quietly=True)
    lifecycle.add_alert(account, incident, at=at, severity=severity, source="monitor.example.com")
    return incident


def _worked_on(account: Account, incident: Incident, user: Ref, at: datetime, *, resolved: bool) -> None:
    acked = at + timedelta(seconds=account.random.randint(30, 900))
    lifecycle.acknowledge(account, incident, at=acked, by=user)
    if resolved:
        done = acked + timedelta(seconds=account.random.randint(120, 14_000))
        lifecycle.resolve(account, incident, at=done, by=user)


def _windows(account: Account, services: Iterable[Resource], author: Resource, now: datetime) -> None:
    """Add one past and one future maintenance window; none is active."""
    first, second, *_ = services
    day = timedelta(days=1)
    for number, (service, start, text) in enumerate(
        ((first, now - 9 * day, "Index rebuild"), (second, now + 9 * day, "Broker upgrade")), start=1
    ):
        account.add(
            "maintenance_window",
            "/maintenance_windows",
            {
                "sequence_number": number,
                "start_time": start,
                "end_time": start + timedelta(hours=2),
                "description": text,
                "services": [service.ref],
                "teams": list(service["teams"]),
                "created_by": author.ref,
            },
        )


def _event_rules(account: Account, services: list[Resource]) -> None:
    for catch_all, condition, target in (
        (False, ["and", ["contains", ["path", "payload", "source"], "db-"]], services[0]),
        (True, None, services[1]),
    ):
        members = {"condition": condition, "catch_all": catch_all, "actions": [["route", target["id"]]]}
        account.add("event_rule", "/event_rules", {"disabled": False, **members})


def add_incidents(account: Account, count: int) -> None:
    """Add open incidents to the first service, spread evenly over the last 25 days."""
    service = next(iter(account.all("service")))
    now, step = account.clock.now(), timedelta(days=25) / max(count, 1)
    for number in range(count):
        _triggered(account, service, (now - step * (count - number)).replace(microsecond=0))
