"""The page against those who would use it as somebody else: nothing is changed, and failures are on record."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from arx_wrapper.cli.console import make_app
from tests.approvals.authenticator import ORIGIN, PRESENT, Authenticator
from tests.approvals.deployment import Deployment
from tests.console.conftest import Browser, Pages
from tests.support import ASK_ABOUT_HIGH, trail


async def last_refusal(pages: Pages) -> str:
    record = (await trail(pages.deployment.pd))[-1]
    assert (record.action_type, record.status, record.metadata["step"]) == ("reviewer.enrolled", "error", "refused")
    return str(record.reason)


async def test_sign_ins_are_on_record(pages: Pages) -> None:
    await pages.browser("alice")
    record = (await trail(pages.deployment.pd))[-1]
    assert (record.metadata["step"], record.metadata["reviewer"]) == ("signed in", "alice")


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"origin": "https://evil.example"}, "origin"),
        ({"rp_id": "evil.example"}, "RP ID"),
        ({"flags": PRESENT}, "User verification"),
    ],
    ids=["wrong origin", "wrong RP id", "no user verification"],
)
async def test_a_forged_sign_in_is_refused(pages: Pages, how: dict[str, object], match: str) -> None:
    browser = Browser(pages.application, pages.deployment.passkeys["alice"])
    assert (await browser.sign_in(**how)).status_code == 403
    assert match in await last_refusal(pages)
    assert (await browser.get("/")).status_code == 303


async def test_a_strangers_passkey_does_not_sign_in(pages: Pages) -> None:
    stranger = Browser(pages.application)
    assert (await stranger.sign_in()).status_code == 403
    assert "no reviewer's passkey" in await last_refusal(pages)


async def test_a_sign_in_cannot_be_replayed(pages: Pages) -> None:
    alice = Browser(pages.application, pages.deployment.passkeys["alice"])
    sent: list[httpx.Request] = []

    async def keep(request: httpx.Request) -> None:
        sent.append(request)

    alice.http.event_hooks["request"] = [keep]
    await alice.sign_in()
    posted = next(each for each in sent if each.method == "POST" and each.url.path == "/sign-in")
    thief = Browser(pages.application)
    again = await thief.http.post("/sign-in", content=posted.content, headers=dict(posted.headers))
    assert (again.status_code, "too late" in again.json()["problem"]) == (403, True)
    assert "arx" not in thief.http.cookies


async def test_17_session_fixation(pages: Pages) -> None:
    planted = "planted-by-somebody-else"
    alice = Browser(pages.application, pages.deployment.passkeys["alice"])
    alice.http.cookies.set("arx", planted, domain="localhost.local")
    first = await alice.signed("/sign-in", {"next": "/"})
    token = re.search(r"arx=([^;]+)", first.headers["set-cookie"])
    assert token
    assert token[1] != planted
    thief = Browser(pages.application)
    thief.http.cookies.set("arx", planted)
    assert (await thief.get("/")).status_code == 303
    again = await alice.signed("/sign-in", {"next": "/"})
    assert again.status_code == 200
    thief.http.cookies.set("arx", token[1])
    assert (await thief.get("/")).status_code == 303, "the session before is over"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "guess"},
    ],
    ids=["another site", "a sandboxed frame", "no origin", "no token", "a guessed token"],
)
async def test_18_a_request_that_another_site_makes(pages: Pages, headers: dict[str, str]) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    posts = {
        f"/requests/{asked.id}/decision/options": {"verdict": "approve"},
        f"/requests/{asked.id}/decision": {"verdict": "approve", "credential": {}, "at": "2026-01-01"},
        f"/requests/{asked.id}/revoke": {},
        "/agents": {"agent": "agent-001", "do": "suspend"},
        "/reviewers/invite": {"name": "mallory"},
        "/reviewers/confirm/options": {"invitation": "x"},
        "/reviewers/remove/options": {"name": "bob"},
        "/policy": {"policy": ""},
        "/log/verify": {},
        "/sign-out": {},
    }
    before = len(await trail(pages.deployment.pd))
    for path, body in posts.items():
        answer = await alice.post(path, body, **headers)
        assert (answer.status_code, "Not from this page" in answer.json()["problem"]) == (403, True), path
    assert len(await trail(pages.deployment.pd)) == before
    assert (await pages.deployment.pd.approval(asked.id)).state == "pending"
    assert (await alice.get("/")).status_code == 200


async def test_a_form_of_an_earlier_session_changes_nothing(pages: Pages) -> None:
    alice = await pages.browser("alice")
    old = alice.csrf
    await alice.sign_in()
    assert alice.csrf != old
    alice.csrf = old
    assert (await alice.submit("/agents", agent="agent-001", do="suspend")).status_code == 403


async def test_a_reviewer_decides_with_their_own_passkey_only(pages: Pages) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    path = f"/requests/{asked.id}/decision"
    alice.passkey = pages.deployment.passkeys["bob"]
    stolen = await alice.signed(path, {"verdict": "approve"})
    assert (stolen.status_code, "did not sign" in stolen.json()["problem"]) == (409, True)
    alice.passkey = Authenticator()
    assert (await alice.signed(path, {"verdict": "approve"})).status_code == 409
    reviewed = [r for r in await trail(pages.deployment.pd) if r.action_type == "approval.reviewed"]
    assert [record.status for record in reviewed] == ["error", "error"]
    assert (await pages.deployment.pd.approval(asked.id)).decisions == ()


async def test_a_signature_for_a_denial_does_not_approve(pages: Pages) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    path = f"/requests/{asked.id}/decision"
    post = alice.post

    async def swapped(to: str, body: dict[str, object], **headers: str) -> httpx.Response:
        return await post(to, {**body, "verdict": "approve"} if to == path else body, **headers)

    alice.post = swapped  # type: ignore[method-assign,assignment]
    assert (await alice.signed(path, {"verdict": "deny"})).status_code == 409


async def test_without_scripts_a_decision_is_explained_and_not_made(pages: Pages) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    answer = await alice.submit(f"/requests/{asked.id}/decision", verdict="approve")
    assert (answer.status_code, "needs JavaScript" in answer.text) == (400, True)
    assert (await pages.deployment.pd.approval(asked.id)).state == "pending"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"a":' * 50_000, "application/json", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"x", "multipart/form-data", 400),
        (b"x" * 600_000, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_what_no_page_sends_is_refused(pages: Pages, body: bytes, kind: str, status: int) -> None:
    alice = await pages.browser("alice")
    headers = {"Origin": alice.origin, "X-CSRF-Token": alice.csrf, "Content-Type": kind}
    assert (await alice.http.post("/agents", content=body, headers=headers)).status_code == status


@pytest.mark.parametrize("verdict", ["", "maybe", "Approve"])
async def test_a_decision_is_approve_or_deny(pages: Pages, verdict: str) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    assert (await alice.signed(f"/requests/{asked.id}/decision", {"verdict": verdict})).status_code == 400


async def test_every_page_has_the_headers_that_keep_others_out(pages: Pages) -> None:
    alice = await pages.browser("alice")
    for path in ("/", "/policy", "/sign-in", "/nothing"):
        headers = (await alice.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    shown = (await alice.get("/")).text
    assert not re.findall(r"\son\w+=|style=|javascript:", shown), "no code or style within the page"


async def test_cookies_are_strict_and_bound_to_the_host(pages: Pages) -> None:
    alice = Browser(pages.application, pages.deployment.passkeys["alice"])
    cookie = (await alice.signed("/sign-in", {"next": "/"})).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    application = make_app(pages.deployment.pd.backends, "org-acme", "https://approvals.example.com")
    abroad = Browser(application, origin="https://approvals.example.com")
    given = await abroad.post("/sign-in/options", {})
    assert "Secure" in given.headers["set-cookie"]
    assert given.headers["strict-transport-security"]
    assert application.state.console.cookie == "__Host-arx"


async def test_attempts_to_sign_in_are_limited(pages: Pages) -> None:
    stranger = Browser(pages.application)
    answers = [(await stranger.post("/sign-in/options", {})).status_code for _ in range(25)]
    assert answers.count(200) == 20
    assert answers[-1] == 429
    assert "Wait a minute" in (await stranger.post("/sign-in/options", {})).json()["problem"]


async def test_a_session_ends_by_itself(pages: Pages) -> None:
    from datetime import timedelta

    alice = await pages.browser("alice")
    real = pages.console.sessions._clock
    pages.console.sessions._clock = lambda: real() + timedelta(minutes=14)
    assert (await alice.get("/")).status_code == 200
    pages.console.sessions._clock = lambda: real() + timedelta(minutes=30)
    assert (await alice.get("/")).status_code == 303
    late = await alice.post("/agents", {"agent": "a"})
    assert (late.status_code, "session has ended" in late.json()["problem"]) == (401, True)


async def test_signing_out_ends_the_session(pages: Pages) -> None:
    alice = await pages.browser("alice")
    assert (await alice.submit("/sign-out")).status_code == 303
    assert (await alice.get("/")).status_code == 303


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb"])
async def test_signing_in_leads_to_the_console_only(pages: Pages, path: str) -> None:
    alice = Browser(pages.application, pages.deployment.passkeys["alice"])
    assert (await alice.signed("/sign-in", {"next": path})).json() == {"go": "/"}


async def test_another_organisations_request_is_not_there(pages: Pages) -> None:
    from attrs import evolve

    asked = await pages.deployment.ask()
    store = pages.deployment.pd.backends.approvals
    other = evolve(asked, id="f" * 16, org_id="org-other")
    other = evolve(other, call_digest=other.expected_call_digest())
    other = evolve(other, digest=other.expected_digest())
    await store._store.run(lambda inner: inner.create(other, cap=20))
    alice = await pages.browser("alice")
    assert (await alice.get(f"/requests/{other.id}")).status_code == 404
    assert other.id not in (await alice.get("/")).text


async def test_a_link_that_was_guessed_is_on_record_and_says_nothing(pages: Pages) -> None:
    stranger = await pages.browser()
    answer = await stranger.get("/enrol/guess")
    assert answer.status_code == 404
    assert "invitation was opened" in await last_refusal(pages)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"flags": PRESENT}, "User verification"),
        ({"origin": "https://evil.example"}, "origin"),
    ],
    ids=["no user verification", "wrong origin"],
)
async def test_a_forged_registration_is_refused(pages: Pages, how: dict[str, object], match: str) -> None:
    alice = await pages.browser("alice")
    made = await alice.submit("/reviewers/invite", name="carol")
    link = re.search(r"(/enrol/[\w-]+)</code>", made.text)
    assert link
    carol = await pages.browser()
    refused = await carol.signed(link[1], {}, **how)
    assert (refused.status_code, match in refused.json()["problem"]) == (409, True)
    assert match in await last_refusal(pages)
    assert (await pages.deployment.enrolments()).candidates == {}


@pytest.mark.parametrize("anew", [False, True])
async def test_a_reviewer_who_is_removed_elsewhere_is_signed_out(pages: Pages, anew: bool) -> None:
    """Enrolled anew with another passkey, because the first was stolen: the thief's session stays ended."""
    bob = await pages.browser("bob")
    await pages.deployment.remove("bob", by="alice")
    if anew:
        await pages.deployment.enrol("bob", by="alice")
        assert (await (await pages.browser("bob")).get("/")).status_code == 200
    assert (await bob.get("/")).status_code == 303


async def test_a_session_needs_the_passkey_that_it_began_with_to_be_verified(pages: Pages) -> None:
    options = (await Browser(pages.application).post("/sign-in/options", {})).json()["publicKey"]
    assert options["userVerification"] == "required"
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    deciding = await alice.post(f"/requests/{asked.id}/decision/options", {"verdict": "approve"})
    assert deciding.json()["publicKey"]["userVerification"] == "required"


@pytest.mark.parametrize("agent", ["", "a\nb", "a" * 201])
async def test_an_agent_that_is_no_name_is_neither_stopped_nor_started(pages: Pages, agent: str) -> None:
    alice = await pages.browser("alice")
    before = len(await trail(pages.deployment.pd))
    for what in ("suspend", "resume"):
        assert (await alice.post("/agents", {"agent": agent, "do": what})).status_code == 400
    assert len(await trail(pages.deployment.pd)) == before


@pytest.mark.parametrize(("at", "status"), [("", 400), ("yesterday", 400), ("{at}", 200), ("2020-01-01T00:00:00", 409)])
async def test_a_decision_states_the_time_of_signing(pages: Pages, at: str, status: int) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    path = f"/requests/{asked.id}/decision"
    post = alice.post

    async def changed(to: str, body: dict[str, object], **headers: str) -> httpx.Response:
        return await post(to, {**body, "at": at.format(**body)} if to == path else body, **headers)

    alice.post = changed  # type: ignore[method-assign,assignment]
    assert (await alice.signed(path, {"verdict": "approve"})).status_code == status


async def test_a_withdrawals_note_is_cut(pages: Pages) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    assert (await alice.submit(f"/requests/{asked.id}/revoke", note="n" * 100_000)).status_code == 303
    [record] = [r for r in await trail(pages.deployment.pd) if r.action_type == "approval.reviewed"]
    assert len(record.metadata["note"]) == 2000


async def test_a_form_of_very_many_fields_is_refused(pages: Pages) -> None:
    alice = await pages.browser("alice")
    fields = {f"f{number}": "" for number in range(60)}
    assert (await alice.submit("/agents", agent="a", do="suspend", **fields)).status_code == 400


async def test_whoever_is_on_call_decides_on_the_page(tmp_path: Path) -> None:
    asks = {**ASK_ABOUT_HIGH, "reviewers": {"on_call": "PESC123"}}
    deployment = Deployment(tmp_path, policies=[asks])
    shift = {1: frozenset({"bo1"})}

    async def ask_on_call(escalation_policy: str) -> dict[int, frozenset[str]]:
        assert escalation_policy == "PESC123"
        return shift

    async with deployment.pd:
        await deployment.enrol("alice", user="ADA1")
        application = make_app(deployment.pd.backends, "org-acme", ORIGIN, ask_on_call=ask_on_call)
        alice = Browser(application, deployment.passkeys["alice"])
        await alice.sign_in()
        path = f"/requests/{(await deployment.ask()).id}/decision"
        refused = await alice.signed(path, {"verdict": "approve"})
        assert (refused.status_code, "is not on call" in refused.json()["problem"]) == (409, True)
        shift[1] = frozenset({"ada1"})
        assert (await alice.signed(path, {"verdict": "approve"})).status_code == 200
