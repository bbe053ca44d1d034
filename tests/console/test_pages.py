"""The pages show what a reviewer has to know, and nobody else is shown anything."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest
from attrs import evolve

from arx_wrapper import PermissionDeniedError
from arx_wrapper.audit.record import Entry
from arx_wrapper.console import agent_activity
from tests.approvals.authenticator import encoded
from tests.approvals.deployment import DELETE
from tests.console.conftest import Pages
from tests.effort import Calls
from tests.support import decide, trail

PAGES = ("/", "/history", "/agents", "/log", "/policy", "/reviewers")


async def test_nobody_sees_a_page_without_signing_in(pages: Pages) -> None:
    asked = await pages.deployment.ask()
    stranger = await pages.browser()
    for path in (*PAGES, f"/requests/{asked.id}", "/log/x"):
        answer = await stranger.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path}")
    assert (await stranger.get("/events")).status_code == 303


async def test_what_waits_is_shown_as_a_sentence_with_risk_agent_and_time(pages: Pages) -> None:
    alice = await pages.browser("alice")
    assert "No request waits" in (await alice.get("/")).text
    asked = await pages.deployment.ask()
    shown = (await alice.get("/")).text
    assert "Delete service &#34;Orders Database&#34;." in shown
    for expected in ("HIGH", "agent-001", "min left", f'href="/requests/{asked.id}"'):
        assert expected in shown


async def test_a_request_shows_what_changes_why_and_what_the_agent_did(pages: Pages) -> None:
    await pages.deployment.pd.execute("services:read_detail", {"service_id": "PABC123"})
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    shown = (await alice.get(f"/requests/{asked.id}")).text
    for expected in (
        "Delete service",
        "ask-about-high",
        "services:read_detail",
        asked.digest,
        "&#34;service_id&#34;: &#34;PABC123&#34;",
        "deleted",
        "Approve</button>",
        "Deny</button>",
        pages.deployment.account.email,
    ):
        assert expected in shown
    assert "<noscript>" in shown


async def test_a_decision_is_made_on_the_page_and_used(pages: Pages) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    path = f"/requests/{asked.id}"
    await alice.get(path)
    answer = await alice.signed(f"{path}/decision", {"verdict": "approve", "note": "go ahead"})
    assert answer.json() == {"go": path}
    shown = (await alice.get(path)).text
    for expected in ("Approved by alice", "go ahead", "Proof: passkey, verified", "clientDataJSON"):
        assert expected in shown
    await pages.deployment.use(asked)
    assert "Approved by alice, and used." in (await alice.get(path)).text
    history = await alice.get("/history?reviewer=alice&state=consumed&operation=services")
    assert asked.id in history.text
    assert asked.id not in (await alice.get("/history?reviewer=bob")).text
    assert asked.id not in (await alice.get("/history?since=2100-01-01")).text


async def test_a_denial_and_its_note_reach_the_agent(pages: Pages) -> None:
    asked = await pages.deployment.ask()
    bob = await pages.browser("bob")
    await bob.signed(f"/requests/{asked.id}/decision", {"verdict": "deny", "note": "not during the sale"})
    found = await pages.deployment.pd.approval(asked.id)
    assert (found.state, found.decisions[0].note) == ("denied", "not during the sale")
    for day, listed in (("9999-12-31", True), ("2001-01-01", False), ("9999-12-31T23:59-14:00", True)):
        assert (asked.id in (await bob.get(f"/history?until={day}")).text) is listed
    await pages.deployment.require_refused(asked, "denied by bob")


async def test_a_request_is_withdrawn_on_the_page(pages: Pages) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    await alice.signed(f"/requests/{asked.id}/decision", {"verdict": "approve"})
    assert (await alice.submit(f"/requests/{asked.id}/revoke")).status_code == 303
    assert "It was withdrawn." in (await alice.get(f"/requests/{asked.id}")).text
    again = await alice.submit(f"/requests/{asked.id}/revoke")
    assert (again.status_code, "revoked already" in again.text) == (409, True)
    await pages.deployment.require_refused(asked, "withdrawn")


async def test_an_agent_is_stopped_and_started_again(pages: Pages) -> None:
    await pages.deployment.ask()
    alice = await pages.browser("alice")
    assert "agent-001" in (await alice.get("/agents")).text
    await alice.submit("/agents", agent="agent-001", do="suspend", reason="it deletes everything")
    assert "it deletes everything" in (await alice.get("/agents")).text
    assert await pages.deployment.pd.audit.suspension("agent-001")
    with pytest.raises(PermissionDeniedError, match="suspended"):
        await pages.deployment.pd.list_teams()
    await alice.submit("/agents", agent="agent-001", do="resume")
    assert await pages.deployment.pd.audit.suspension("agent-001") is None
    await pages.deployment.pd.list_teams()
    switches = [r for r in await trail(pages.deployment.pd) if r.action_type.startswith("agent.")]
    assert {record.metadata["by"] for record in switches} == {"alice"}


async def test_the_log_and_a_record_with_its_call(pages: Pages) -> None:
    await pages.deployment.pd.execute("services:read_detail", {"service_id": "PABC123"})
    await pages.deployment.pd.audit.flush()
    alice = await pages.browser("alice")
    assert "being verified" in (await alice.get("/log")).text
    assert (await alice.submit("/log/verify")).status_code == 303
    shown = (await alice.get("/log?operation=services:read_detail")).text
    assert "records verified" in shown
    record = re.findall(r'href="/log/([0-9a-f]+)"', shown)[0]
    one = (await alice.get(f"/log/{record}")).text
    assert "connector.called" in one
    assert "connector.completed" in one
    assert (await alice.get("/log/nope")).status_code == 404


async def test_the_policy_as_a_matrix_a_cell_and_a_proposed_file(pages: Pages) -> None:
    await pages.deployment.ask()
    alice = await pages.browser("alice")
    shown = (await alice.get("/policy")).text
    assert shown.count("<tr>") >= len(pages.console.operations)
    cell = (await alice.get("/policy?agent=agent-001&operation=services:delete")).text
    assert "ESCALATE" in cell
    assert "ask-about-high" in cell
    text = "- name: none\n  connector: pagerduty\n  deny: ['services:*']\n"
    tried = await alice.submit("/policy", policy=text)
    assert "<td>services:delete</td>" in tried.text
    broken = await alice.submit("/policy", policy="- nonsense: [")
    assert (broken.status_code, 'role="alert"' in broken.text) == (200, True)
    assert "proposed.yaml:1" in broken.text
    marked = await alice.submit("/policy", policy="\ufeff" + text)
    assert "<td>services:delete</td>" in marked.text, "a byte order mark changes nothing, as in a file"


async def test_reviewers_are_invited_registered_confirmed_and_removed_on_the_page(pages: Pages) -> None:
    alice = await pages.browser("alice")
    await alice.get("/reviewers")
    made = await alice.submit("/reviewers/invite", name="carol", user="PUSER1")
    link = re.search(r"http://localhost:8788(/enrol/[\w-]+)", made.text)
    assert link
    carol = await pages.browser()
    assert "carol" in (await carol.get(link[1])).text
    options = (await carol.post(f"{link[1]}/options", {})).json()["publicKey"]
    held = {each["id"] for each in options["excludeCredentials"]}
    assert encoded(pages.deployment.passkeys["alice"].id) in held, "an authenticator that holds it refuses"
    assert (await carol.signed(link[1], {})).json() == {"go": "/enrolled"}
    assert "has to confirm you" in (await carol.get("/enrolled")).text
    assert (await carol.sign_in()).status_code == 403, "not yet"
    dead = await carol.get(link[1])
    assert (dead.status_code, "This link is dead" in dead.text) == (404, True)
    invitation = re.search(r'name="invitation" value="(\w+)"', (await alice.get("/reviewers")).text)
    assert invitation
    confirmed = await alice.signed("/reviewers/confirm", {"invitation": invitation[1]})
    assert confirmed.json() == {"go": "/reviewers"}
    assert (await carol.sign_in()).json() == {"go": "/"}
    assert (await alice.signed("/reviewers/remove", {"name": "carol"})).json() == {"go": "/reviewers"}
    assert (await carol.get("/")).status_code == 303, "her session is over"
    assert (await carol.sign_in()).status_code == 403


async def test_the_first_reviewer_is_signed_in_after_registering(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from arx_wrapper.core import enrolment_records
    from tests.approvals.deployment import Deployment

    deployment = Deployment(tmp_path)
    async with deployment.pd:
        await deployment.pd.audit.open()
        token = await enrolment_records.invite(deployment.pd.audit, await deployment.enrolments(), "alice", by="root")
        alice = await Pages(deployment).browser()
        assert "You are the first reviewer" in (await alice.get(f"/enrol/{token}")).text
        assert (await alice.signed(f"/enrol/{token}", {})).json() == {"go": "/"}
        assert (await alice.get("/")).status_code == 200


async def test_what_a_model_wrote_cannot_deceive_the_page(pages: Pages) -> None:
    name = '<script>alert(1)</script>\u202egnp.exe" onload="x'
    call = ("services:create", {"name": name, "escalation_policy_id": "PC5Z6QY"})
    policies = await pages.deployment.pd.execute("escalation:read", {})
    call[1]["escalation_policy_id"] = policies["escalation_policies"][0]["id"]
    asked = await pages.deployment.ask(call)
    alice = await pages.browser("alice")
    for path in ("/", f"/requests/{asked.id}"):
        shown = (await alice.get(path)).text
        assert "<script>alert" not in shown
        assert "\u202e" not in shown
        assert "\\u202e" in shown


@pytest.mark.parametrize("path", ["/requests/nope", "/nothing", "/static/nothing.js", "/requests/%00"])
async def test_what_is_not_there_is_said_on_a_page(pages: Pages, path: str) -> None:
    alice = await pages.browser("alice")
    answer = await alice.get(path)
    assert (answer.status_code, "<h1>" in answer.text) == (404, True)


async def test_a_page_of_a_thousand_requests_is_as_light_and_as_little_work_as_one_of_a_hundred(pages: Pages) -> None:
    store = pages.deployment.pd.backends.approvals
    base = await pages.deployment.ask()
    alice = await pages.browser("alice")
    await alice.get("/")
    effort = []
    for start, end in ((1, 100), (100, 1_000)):
        for first in range(start, end, 50):  # each within the store's time, on a slow disk, too
            some = range(first, min(first + 50, end))
            await store._store.run(lambda inner, numbers=some: _fill(inner, base, numbers))
        shown, made = await _counted(store, alice)
        effort.append(made)
        assert f"{end} requests wait" in shown.text
    assert effort[1] < 1.1 * effort[0]
    script = re.search(r'src="(/static/[^"]+)"', shown.text)
    assert script
    weight = len(shown.content) + len((await alice.get(script[1])).content)
    assert weight <= 40 * 1024
    for path in (*PAGES, f"/requests/{base.id}"):
        assert len((await alice.get(path)).content) <= 36 * 1024, path


async def _counted(store, alice):  # type: ignore[no-untyped-def]
    """Return the start page, and how many functions it took in this thread and in the store's."""
    calls = Calls()
    await store._store.run(lambda _: sys.setprofile(calls))
    sys.setprofile(calls)
    shown = await alice.get("/")
    sys.setprofile(None)
    await store._store.run(lambda _: sys.setprofile(None))
    return shown, calls.made


def _fill(store, base, numbers) -> None:  # type: ignore[no-untyped-def]
    for number in numbers:
        asked = evolve(base, id=f"{number:016x}", agent_id=f"agent-{number}")
        asked = evolve(asked, call_digest=asked.expected_call_digest())
        store.create(evolve(asked, digest=asked.expected_digest()), cap=20)


async def test_the_page_needs_no_second_request_for_its_content(pages: Pages) -> None:
    alice = await pages.browser("alice")
    shown = (await alice.get("/")).text
    assert "<link" not in shown, "the stylesheet is within the page"
    assert re.findall(r"<script([^>]*)>", shown)[0].endswith("defer")
    assert not re.findall(r"(?:src|href)=\"https?:", shown)


async def test_a_decision_by_name_is_shown_as_not_proved(pages: Pages) -> None:
    from tests.approvals.deployment import Deployment

    deployment = Deployment(pages.deployment.file.parent, approvals_proof="name", agent="agent-002")
    async with deployment.pd:
        asked = await deployment.ask(DELETE)
        await decide(deployment.pd, asked.id, "somebody")
        alice = await pages.browser("alice")
        assert "none: by name alone, not signed" in (await alice.get(f"/requests/{asked.id}")).text


async def test_the_page_says_whose_approvals_count(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from tests.approvals.deployment import Deployment
    from tests.support import ASK_ABOUT_HIGH

    deployment = Deployment(tmp_path, policies=[{**ASK_ABOUT_HIGH, "reviewers": ["bob", "group:sre"]}])
    async with deployment.pd:
        await deployment.enrol("alice")
        asked = await deployment.ask()
        alice = await Pages(deployment).browser("alice")
        path = f"/requests/{asked.id}"
        assert "bob or group sre (ask-about-high)" in (await alice.get(path)).text
        refused = await alice.signed(f"{path}/decision", {"verdict": "approve"})
        assert (refused.status_code, "none of its reviewers" in refused.json()["problem"]) == (409, True)


async def test_who_requested_or_has_decided_is_told_why_they_cannot_decide(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from tests.approvals.deployment import Deployment
    from tests.support import ASK_ABOUT_HIGH

    deployment = Deployment(tmp_path, policies=[{**ASK_ABOUT_HIGH, "min_approvals": 2}], agent="cli:bob")
    async with deployment.pd:
        await deployment.enrol("alice")
        await deployment.enrol("bob", by="alice")
        path = f"/requests/{(await deployment.ask()).id}"
        pages = Pages(deployment)
        alice, bob = await pages.browser("alice"), await pages.browser("bob")
        assert "You requested this yourself" in (await bob.get(path)).text
        assert "<textarea" in (await alice.get(path)).text
        assert (await alice.signed(f"{path}/decision", {"verdict": "approve"})).status_code == 200
        shown = (await alice.get(path)).text
        assert "You have decided; another reviewer has to agree as well." in shown
        assert "<textarea" not in shown


LATEST = "9999-12-31T23:59:59-14:00"  # after the last year in UTC
WINDOW = {"start_time": "2030-06-15T02:00:00Z", "end_time": "2030-06-15T04:00:00Z", "service_ids": ["PABC123"]}


@pytest.mark.parametrize(
    ("operation", "params", "said"),
    [
        ("maintenance:create", WINDOW, ("Silent", "Orders Database, until 2030-06-15 04:00 UTC")),
        ("maintenance:create", {**WINDOW, "end_time": LATEST}, ("Silent", f"Orders Database, until {LATEST}")),
        (
            "services:update",
            {"service_id": "PABC123", "status": "disabled"},
            ("Silent", "Orders Database, until it is enabled again"),
        ),
        (
            "incidents:create",
            {"title": "Disk full", "service_id": "PABC123"},
            ("Pages", "who is on call for Data Escalation"),
        ),
        ("incidents:update", {"incident_id": "P1234AB", "urgency": "low"}, None),
    ],
)
async def test_a_request_says_who_is_paged_or_silent_and_until_when(  # type: ignore[no-untyped-def]
    tmp_path, operation: str, params: dict[str, object], said: tuple[str, str] | None
) -> None:
    from arx_wrapper.console.template_values import affected
    from arx_wrapper.pagerduty.operations import TABLE
    from tests.approvals.deployment import Deployment
    from tests.support import EVERYTHING

    deployment = Deployment(tmp_path, policies=[{**EVERYTHING, "approval": "hitl", "hitl_channel": "#a"}])
    async with deployment.pd:
        asked = await deployment.ask((operation, params))
        assert affected(TABLE[operation], asked) == ([said] if said else [])
        if said:
            await deployment.enrol("alice")
            alice = await Pages(deployment).browser("alice")
            assert f"<dt>{said[0]}</dt><dd>{said[1]}</dd>" in (await alice.get(f"/requests/{asked.id}")).text


async def refuse(pages: Pages, name: str, times: int) -> None:
    """Put refused calls of an agent on record."""
    entry = Entry(
        action_type="connector.refused", org_id="org-acme", agent_id=name, connector="pagerduty", status="blocked"
    )
    await asyncio.gather(*[pages.deployment.pd.backends.audit.append(entry) for _ in range(times)])


async def test_the_agents_are_those_of_the_newest_records_and_any_other_can_be_named(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_activity, "_MAX_RECORDS_READ", 4)
    await refuse(pages, "seldom-seen", 1)
    await refuse(pages, "busy", 6)
    alice = await pages.browser("alice")
    shown = (await alice.get("/agents")).text
    assert ("busy" in shown, "seldom-seen" in shown) == (True, False)
    assert "The agents of the newest 4 records. Name any other below." in shown
    await alice.submit("/agents", agent="seldom-seen", do="suspend", reason="it is named")
    assert "it is named" in (await alice.get("/agents")).text
    await alice.submit("/agents", agent="seldom-seen", do="resume")
    assert await pages.deployment.pd.backends.audit.suspensions() == {}


@pytest.mark.parametrize("path", ["/agents", "/policy"])
async def test_a_page_reads_no_more_of_a_longer_log(pages: Pages, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_activity, "_MAX_RECORDS_READ", 100)
    alice = await pages.browser("alice")
    made = []
    for more in (100, 3_000):
        await refuse(pages, "busy", more)
        await alice.get(path)
        calls = Calls()
        sys.setprofile(calls)
        try:
            await alice.get(path)
        finally:
            sys.setprofile(None)
        made.append(calls.made)
    assert made[1] < 1.1 * made[0]
