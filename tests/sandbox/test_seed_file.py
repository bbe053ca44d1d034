"""An account of one's own: what the file says is there, and what is wrong with it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from arx_wrapper.sandbox import Sandbox
from tests.support import connector_on

FILE = """
teams: [{name: Payments, description: Cards}]
people: [{name: Ada Nkemelu, email: ada@example.com, team: Payments}]
services: [{id: PPAY123, name: Card Gateway, team: Payments}]
incidents:
  - {id: QPAY1, service: Card Gateway, title: Declines above 5 %, minutes_ago: 12}
  - {service: PPAY123, title: Old trouble, status: resolved, urgency: low, minutes_ago: 600}
  - {service: PPAY123, title: Seen, status: acknowledged}
"""


async def test_the_account_is_what_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "seed.yaml"
    file.write_text(FILE)
    async with connector_on(Sandbox(seed_file=file)) as pd:
        assert [(service.id, service.name) for service in await pd.list_services()] == [("PPAY123", "Card Gateway")]
        incidents = await pd.list_incidents(date_range="all")
        assert [(incident.title, incident.status) for incident in incidents] == [
            ("Old trouble", "resolved"), ("Declines above 5 %", "triggered"), ("Seen", "acknowledged"),
        ]  # fmt: skip
        assert (await pd.get_incident("QPAY1")).urgency == "high"
        on_call = await pd.get_oncall_users()
        assert {entry.user.summary for entry in on_call if entry.user} == {"Ada Nkemelu"}
        await pd.resolve_incident("QPAY1")


async def test_history_and_people_alone_change_no_more_than_that(tmp_path: Path) -> None:
    file = tmp_path / "seed.json"
    file.write_text('{"history": 3}')
    async with connector_on(Sandbox(seed_file=file)) as pd:
        assert len(await pd.list_incidents(date_range="all")) == 4
        assert (await pd.get_incident("P1234AB")).status == "triggered"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- a", "must hold an object of teams"),
        ("{", "neither YAML nor JSON"),
        ("servises: []", "'servises' is not a key; accepted: teams"),
        ("services: {}", "services must be a list"),
        ("services: [{name: A}]", r"services\[0\] needs a team"),
        ("services: [{name: A, team: Nobody}]", r"services\[0\]\.team is 'Nobody'; accepted: Data"),
        ("services: [{name: A, team: Data, urgency: mild}]", "urgency must be one of high"),
        ("incidents: [{title: A, service: B}]", r"incidents\[0\]\.service is 'B'"),
        ("incidents: [{title: A, service: PABC123, minutes_ago: -1}]", "minutes_ago must be a number"),
        ("incidents: [{title: 7, service: PABC123}]", "title must be text"),
        ("people: [{name: A, email: a@example.com, shoe: 42}]", r"people\[0\]: 'shoe' is not a member"),
        ("history: many", "history must be a number"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "seed.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=said):
        Sandbox(seed_file=file)
