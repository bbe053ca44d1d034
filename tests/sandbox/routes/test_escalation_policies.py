"""Escalation policies."""

from __future__ import annotations

import pytest

from tests.sandbox.api import JSON, Api, ids, ref


async def rule(api: Api, **members: object) -> JSON:
    user = (await api("GET", "/users"))["users"][0]["id"]
    return {"escalation_delay_in_minutes": 10, "targets": [ref("user", user)], **members}


async def create(api: Api, **members: object) -> JSON:
    policy = {"type": "escalation_policy", "name": "New", "escalation_rules": [await rule(api)], **members}
    answer = await api("POST", "/escalation_policies", {"escalation_policy": policy}, status=201)
    return dict(answer["escalation_policy"])


async def test_a_policy_lives_from_creation_to_deletion(api: Api) -> None:
    policy = await create(api)
    path = f"/escalation_policies/{policy['id']}"
    body = {"escalation_policy": {"num_loops": 3}}
    assert (await api("PUT", path, body))["escalation_policy"] == {**policy, "num_loops": 3}
    await api("DELETE", path, status=204)
    assert await api.refused("GET", path, status=404) == 2100


async def test_a_policy_in_use_cannot_be_deleted_and_says_by_whom(api: Api) -> None:
    policy = (await api("GET", "/services/PABC123"))["service"]["escalation_policy"]["id"]
    error = (await api("DELETE", f"/escalation_policies/{policy}", status=400))["error"]
    assert "Orders Database" in error["errors"][0]
    assert "PABC123" in ids((await api("GET", f"/escalation_policies/{policy}"))["escalation_policy"]["services"])


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        None,
        [{"escalation_delay_in_minutes": 10, "targets": []}],
        [{"escalation_delay_in_minutes": 10, "targets": [ref("user", "PNONE")]}],
        [{"escalation_delay_in_minutes": 10, "targets": [ref("team", "PNONE")]}],
        ["rule"],
    ],
)
async def test_a_policy_needs_rules_with_targets_that_exist(api: Api, wrong: object) -> None:
    policy = {"type": "escalation_policy", "name": "New", "escalation_rules": wrong}
    assert await api.refused("POST", "/escalation_policies", {"escalation_policy": policy}) == 2001


async def test_a_rule_has_at_most_ten_targets_and_a_delay(api: Api) -> None:
    good = await rule(api)
    for wrong in ({"targets": good["targets"] * 11}, {"escalation_delay_in_minutes": 0}):
        policy = {"type": "escalation_policy", "name": "New", "escalation_rules": [{**good, **wrong}]}
        assert await api.refused("POST", "/escalation_policies", {"escalation_policy": policy}) == 2001


async def test_names_are_unique(api: Api) -> None:
    policy = await create(api)
    again = {"type": "escalation_policy", "name": "NEW", "escalation_rules": [await rule(api)]}
    assert await api.refused("POST", "/escalation_policies", {"escalation_policy": again}) == 2001
    body = {"escalation_policy": {"name": "New"}}
    await api("PUT", f"/escalation_policies/{policy['id']}", body)


async def test_policies_are_found_by_user_team_and_name(api: Api) -> None:
    policy = await create(api)
    user = policy["escalation_rules"][0]["targets"][0]["id"]
    found = (await api("GET", "/escalation_policies", user_ids_list=[user]))["escalation_policies"]
    assert policy["id"] in ids(found)
    assert all(user in str(entry["escalation_rules"]) for entry in found)
    assert ids((await api("GET", "/escalation_policies", query="new"))["escalation_policies"]) == [policy["id"]]
