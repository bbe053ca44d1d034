"""Escalation rules are taken exactly as a response holds them."""

from __future__ import annotations

from arx_wrapper import PagerDutyConnector
from tests.support import EVERYTHING

RULE = {
    "escalation_delay_in_minutes": 5,
    "targets": [{"id": "PUADA01", "type": "user_reference"}],
    "escalation_rule_assignment_strategy": {"type": "round_robin"},
}


async def test_rules_go_back_as_they_came_and_keep_their_ids_and_strategy() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        user = (await pd.list_users())[0]
        rule = {**RULE, "targets": [{"id": user.id, "type": "user_reference"}]}
        made = await pd.execute("escalation:create", {"name": "Rota", "rules": [rule]})
        identifier = made["escalation_policy"]["id"]
        before = (await pd.execute("escalation:read_detail", {"policy_id": identifier}))["escalation_policy"]
        assert before["escalation_rules"][0]["targets"][0]["summary"]
        params = {"policy_id": identifier, "rules": before["escalation_rules"]}
        after = (await pd.execute("escalation:update", params))["escalation_policy"]
    assert after["escalation_rules"] == before["escalation_rules"]
    assert after["escalation_rules"][0]["escalation_rule_assignment_strategy"] == {"type": "round_robin"}


async def test_what_a_response_says_of_a_target_beside_its_id_is_not_sent() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        target = {"id": "PU1", "type": "user_reference", "summary": "Ada", "self": None, "html_url": "https://x.test"}
        rule = {**RULE, "targets": [target]}
        _, request = pd._resolve("escalation:create", {"name": "Rota", "rules": [rule]})
    (sent,) = request.json["escalation_policy"]["escalation_rules"]
    assert sent == {**RULE, "targets": [{"id": "PU1", "type": "user_reference"}]}
