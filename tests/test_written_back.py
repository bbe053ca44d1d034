"""The result of a read can be written back: with the parameters that there are, and `fields` for the rest."""

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
        request = pd.plan("escalation:create", {"name": "Rota", "rules": [rule]}).request
    (sent,) = request.json["escalation_policy"]["escalation_rules"]
    assert sent == {**RULE, "targets": [{"id": "PU1", "type": "user_reference"}]}


READ_ONLY_SERVICE = {
    *("id", "summary", "self", "html_url", "created_at", "last_incident_timestamp"),
    *("teams", "integrations", "addons", "response_play"),
}
# Of `status`, all but `active` and `disabled` is derived from the open incidents.
OF_SERVICE = {"name", "description", "status", "escalation_policy"}
READ_ONLY_POLICY = {"id", "summary", "self", "html_url", "services"}
OF_POLICY = {"name", "description", "num_loops", "escalation_rules", "teams"}


async def test_a_service_is_written_back_as_it_was_read() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        before = (await pd.execute("services:read_detail", {"service_id": "PABC123"}))["service"]
        params = {
            "service_id": before["id"],
            **{name: before[name] for name in ("name", "description")},
            "escalation_policy_id": before["escalation_policy"]["id"],
            "fields": {name: value for name, value in before.items() if name not in READ_ONLY_SERVICE | OF_SERVICE},
        }
        after = (await pd.execute("services:update", params))["service"]
    assert {name: after[name] for name in params["fields"]} == params["fields"]
    assert after["escalation_policy"] == before["escalation_policy"]


async def test_an_escalation_policy_without_team_and_description_is_written_back_as_it_was_read() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        user = (await pd.list_users())[0]
        rules = [{"escalation_delay_in_minutes": 5, "targets": [{"id": user.id, "type": "user_reference"}]}]
        made = await pd.execute(
            "escalation:create", {"name": "Bare", "rules": rules, "description": "", "team_ids": []}
        )
        before = made["escalation_policy"]
        assert before["teams"] == []
        params = {
            "policy_id": before["id"],
            **{name: before[name] for name in ("name", "description", "num_loops")},
            "rules": before["escalation_rules"],
            "team_ids": [team["id"] for team in before["teams"]],
            "fields": {name: value for name, value in before.items() if name not in READ_ONLY_POLICY | OF_POLICY},
        }
        after = (await pd.execute("escalation:update", params))["escalation_policy"]
    assert after == before
