"""Serve global event rules, a retired API with bodies that have no envelope; `Options.event_rules` switches it off."""

from __future__ import annotations

from typing import Any

from arx_wrapper.sandbox.account import JSON
from arx_wrapper.sandbox.endpoint import PAGE, Call, Endpoint, Reply, Shape, created, ok
from arx_wrapper.sandbox.errors import ApiError, refuse
from arx_wrapper.sandbox.paging import page

__all__ = ["ENDPOINTS"]

_WRITABLE = ("condition", "advanced_condition", "actions", "disabled")
_GONE = {
    404: {"error": {"message": "Not Found", "code": 2100}},
    406: {"error": {"message": "The rules use features that this API does not know"}},
    410: {"error": {"message": "Event rules have been retired; use event orchestrations"}},
}


def list_rules(call: Call) -> Reply:
    _in_service(call)
    rules = [_plain(rule) for rule in call.account.all("event_rule")]
    listed = page(call, "rules", rules).body
    routing_key = "sandbox-routing-key-not-a-secret"
    return ok({**listed, "object_version": "1", "format_version": "2", "external_id": routing_key})


def create_rule(call: Call) -> Reply:
    _in_service(call)
    members = {"condition": None, "disabled": False, "catch_all": False, **_members(call)}
    return created(_plain(call.account.add("event_rule", "/event_rules", members)))


def update_rule(call: Call) -> Reply:
    _in_service(call)
    rule = call.account.get("event_rule", call.path["id"])
    if rule["catch_all"]:
        raise refuse(2001, "The catch-all rule cannot be changed")
    rule.update(_members(call))
    return ok(_plain(rule))


def _in_service(call: Call) -> None:
    status = call.options.event_rules
    if status != 200:
        raise ApiError(status, _GONE[status])


def _members(call: Call) -> JSON:
    members = {name: call.body[name] for name in _WRITABLE if name in call.body}
    for name in ("condition", "actions"):
        if not _is_expression(members.get(name)):
            raise refuse(2001, f"{name} must be a list that is not empty")
    return members


def _is_expression(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _plain(rule: JSON) -> JSON:
    """Return a rule without the links and the type that newer resources have."""
    return {name: value for name, value in rule.items() if name != "type"}


_BODY: Shape = {"id": None, **dict.fromkeys(_WRITABLE)}

ENDPOINTS = (
    Endpoint("GET", "/event_rules", list_rules, PAGE),
    Endpoint("POST", "/event_rules", create_rule, body=_BODY),
    Endpoint("PUT", "/event_rules/{id}", update_rule, body=_BODY),
)
