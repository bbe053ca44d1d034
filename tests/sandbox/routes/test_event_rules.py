"""The retired event rules."""

from __future__ import annotations

import pytest

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import JSON, Api

RULE = {
    "condition": ["and", ["contains", ["path", "payload", "source"], "x"]],
    "actions": [["route", "PABC123"]],
}


async def test_rules_are_sent_and_answered_unwrapped(api: Api) -> None:
    rule = await api("POST", "/event_rules", RULE, status=201)
    assert {name: rule[name] for name in RULE} == RULE
    changed = await api("PUT", f"/event_rules/{rule['id']}", {**RULE, "actions": [["suppress"]]})
    assert changed == {**rule, "actions": [["suppress"]]}
    listed = await api("GET", "/event_rules")
    assert changed in listed["rules"]
    assert {"object_version", "format_version", "external_id"} <= listed.keys()


async def test_the_catch_all_rule_cannot_be_changed(api: Api) -> None:
    [catch_all] = [rule for rule in (await api("GET", "/event_rules"))["rules"] if rule["catch_all"]]
    assert await api.refused("PUT", f"/event_rules/{catch_all['id']}", RULE) == 2001


async def test_a_rule_needs_a_condition_and_actions(api: Api) -> None:
    wrongs: list[JSON] = [{}, {"condition": [], "actions": []}, {"condition": "x", "actions": [["suppress"]]}]
    for wrong in wrongs:
        assert await api.refused("POST", "/event_rules", wrong) == 2001
    assert await api.refused("PUT", "/event_rules/PNONE", RULE, status=404) == 2100


@pytest.mark.parametrize("status", [404, 406, 410])
async def test_the_whole_family_can_be_out_of_service(sandbox: Sandbox, api: Api, status: int) -> None:
    sandbox.options.event_rules = status
    await api("GET", "/event_rules", status=status)
    await api("POST", "/event_rules", RULE, status=status)
    await api("PUT", "/event_rules/PANY", RULE, status=status)
