"""Users, teams and what is asked about the account."""

from __future__ import annotations

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import Api, ids


async def test_users_are_found_by_name_address_and_team(api: Api) -> None:
    users = (await api("GET", "/users"))["users"]
    assert all(user["email"].endswith("@example.com") for user in users)
    [ada] = (await api("GET", "/users", query="ADA.NK"))["users"]
    assert (await api("GET", f"/users/{ada['id']}"))["user"] == ada
    team = ada["teams"][0]["id"]
    assert ada["id"] in ids((await api("GET", "/users", team_ids_list=[team]))["users"])
    assert await api.refused("GET", "/users/PNONE", status=404) == 2100


async def test_notification_rules_are_the_high_urgency_ones_by_default(api: Api) -> None:
    user = (await api("GET", "/users"))["users"][0]["id"]
    path = f"/users/{user}/notification_rules"
    high = (await api("GET", path))["notification_rules"]
    every = (await api("GET", path, urgency="all"))["notification_rules"]
    assert {rule["urgency"] for rule in high} == {"high"}
    assert {rule["urgency"] for rule in every} == {"high", "low"}
    [low] = (await api("GET", path, urgency="low", include_list=["contact_methods"]))["notification_rules"]
    assert low["contact_method"]["address"].endswith("@example.com")
    assert (await api("GET", f"{path}/{low['id']}"))["notification_rule"]["id"] == low["id"]


async def test_contact_methods_belong_to_their_user(api: Api) -> None:
    first, second = ids((await api("GET", "/users"))["users"])[:2]
    methods = (await api("GET", f"/users/{first}/contact_methods"))["contact_methods"]
    assert [method["type"] for method in methods] == ["email_contact_method", "sms_contact_method"]
    await api("GET", f"/users/{first}/contact_methods/{methods[0]['id']}")
    assert await api.refused("GET", f"/users/{second}/contact_methods/{methods[0]['id']}", status=404) == 2100


async def test_an_accounts_key_has_no_user_but_a_users_token_has(sandbox: Sandbox, api: Api) -> None:
    answer = await api("GET", "/users/me", status=400)
    assert "account-level access token" in answer["error"]
    api.client.headers["Authorization"] = f"Bearer {sandbox.token}"
    assert (await api("GET", "/users/me"))["user"]["email"] == sandbox.email


async def test_teams_priorities_and_abilities_are_there(api: Api) -> None:
    team = (await api("GET", "/teams"))["teams"][0]
    assert (await api("GET", f"/teams/{team['id']}"))["team"] == team
    assert [p["name"] for p in (await api("GET", "/priorities"))["priorities"]] == ["P1", "P2", "P3", "P4", "P5"]
    assert "teams" in (await api("GET", "/abilities"))["abilities"]
    await api("GET", "/abilities/teams", status=204)
    assert await api.refused("GET", "/abilities/telepathy", status=404) == 2100
