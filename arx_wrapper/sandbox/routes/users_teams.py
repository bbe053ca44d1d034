"""Serve users, their contact methods and notification rules, teams, priorities and abilities."""

from __future__ import annotations

from arx_wrapper.sandbox.account import Ref, Resource
from arx_wrapper.sandbox.endpoint import PAGE, Call, Endpoint, Reply, no_content, ok
from arx_wrapper.sandbox.errors import ApiError, refuse
from arx_wrapper.sandbox.paging import matching, page, shown

__all__ = ["ENDPOINTS"]

_USER_INCLUDE = ("contact_methods", "notification_rules", "teams", "subdomains", "calendar_urls")
_ABILITIES = ("teams", "urgencies", "advanced_reports", "service_support_hours")


def list_users(call: Call) -> Reply:
    teams = {Ref("team", id_) for id_ in call.many("team_ids")}
    wanted = (call.one("query") or "").casefold()
    users = [
        user
        for user in call.account.all("user")
        if wanted in f"{user['name']} {user['email']}".casefold() and (not teams or not teams.isdisjoint(user["teams"]))
    ]
    users.sort(key=lambda user: str(user["name"]).casefold())
    return page(call, "users", users, _USER_INCLUDE)


def get_user(call: Call) -> Reply:
    return ok({"user": shown(call, call.account.get("user", call.path["id"]), _USER_INCLUDE)})


def get_me(call: Call) -> Reply:
    """Return the owner of a user's token; an account's key has none."""
    if call.requester is None:
        # The one error that PagerDuty sends as a bare string; its own client looks for this text.
        raise ApiError(400, {"error": "Can't find the current user: this is an account-level access token"})
    return ok({"user": shown(call, call.requester, _USER_INCLUDE)})


def list_contact_methods(call: Call) -> Reply:
    return ok({"contact_methods": _belongings(call, "contact_methods")})


def get_contact_method(call: Call) -> Reply:
    return ok({"contact_method": _belonging(call, "contact_methods")})


def list_notification_rules(call: Call) -> Reply:
    urgency = call.choice("urgency", ("high", "low", "all")) or "high"
    rules = [rule for rule in _belongings(call, "notification_rules") if urgency in ("all", rule["urgency"])]
    return ok({"notification_rules": shown(call, rules, ("contact_methods",))})


def get_notification_rule(call: Call) -> Reply:
    return ok({"notification_rule": _belonging(call, "notification_rules")})


def _belongings(call: Call, name: str) -> list[Resource]:
    user = call.account.get("user", call.path["id"])
    return [call.account.get(ref.kind, ref.id) for ref in user[name]]


def _belonging(call: Call, name: str) -> Resource:
    for item in _belongings(call, name):
        if item["id"] == call.path["item_id"]:
            return item
    raise refuse(2100)


def list_teams(call: Call) -> Reply:
    return page(call, "teams", matching(call, call.account.all("team")))


def get_team(call: Call) -> Reply:
    return ok({"team": shown(call, call.account.get("team", call.path["id"]), ("privileges",))})


def list_priorities(call: Call) -> Reply:
    return page(call, "priorities", list(call.account.all("priority")))


def list_abilities(_: Call) -> Reply:
    return ok({"abilities": _ABILITIES})


def get_ability(call: Call) -> Reply:
    if call.path["id"] not in _ABILITIES:
        raise refuse(2100)
    return no_content()


_INCLUDE = frozenset({"include[]"})

ENDPOINTS = (
    Endpoint("GET", "/users", list_users, PAGE | {"query", "team_ids[]", "include[]"}),
    Endpoint("GET", "/users/me", get_me, _INCLUDE),
    Endpoint("GET", "/users/{id}", get_user, _INCLUDE),
    Endpoint("GET", "/users/{id}/contact_methods", list_contact_methods),
    Endpoint("GET", "/users/{id}/contact_methods/{item_id}", get_contact_method),
    Endpoint("GET", "/users/{id}/notification_rules", list_notification_rules, _INCLUDE | {"urgency"}),
    Endpoint("GET", "/users/{id}/notification_rules/{item_id}", get_notification_rule),
    Endpoint("GET", "/teams", list_teams, PAGE | {"query"}),
    Endpoint("GET", "/teams/{id}", get_team, _INCLUDE),
    Endpoint("GET", "/priorities", list_priorities, PAGE),
    Endpoint("GET", "/abilities", list_abilities),
    Endpoint("GET", "/abilities/{id}", get_ability),
)
