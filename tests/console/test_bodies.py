"""Bodies and addresses that no page sends: each is answered with a sentence, and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.console.conftest import Pages
from tests.support import trail

# The posts of the console, each with the members that its page sends; {} is the request's id.
POSTS: dict[str, dict[str, str]] = {
    "/requests/{}/decision/options": {"verdict": "approve", "note": "n"},
    "/requests/{}/decision": {"verdict": "approve", "note": "n", "at": "2026-01-01T00:00:00+00:00"},
    "/requests/{}/revoke": {"note": "n"},
    "/agents": {"agent": "agent-001", "do": "resume", "reason": "r"},
    "/log/verify": {},
    "/policy": {"policy": "[]"},
    "/sign-in/options": {},
    "/sign-in": {"next": "/"},
    "/enrol/none/options": {},
    "/enrol/none": {},
    "/reviewers/invite": {"name": "carol", "user": "P1"},
    "/reviewers/confirm/options": {"invitation": "x"},
    "/reviewers/confirm": {"invitation": "x", "at": "2026-01-01T00:00:00+00:00"},
    "/reviewers/remove/options": {"name": "bob"},
    "/reviewers/remove": {"name": "bob", "at": "2026-01-01T00:00:00+00:00"},
    "/sign-out": {},
}
WRONG: list[Any] = [["x"], {"x": "y"}, [], {}, 7, 1.5, True, False]
TEXTS = [
    "\x00",
    "\ufeff",
    "x" * 100_000,
    "\u202e",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "{",
    "-1",
    "\ud800",
]
CREDENTIALS: list[Any] = [
    *WRONG,
    None,
    "text",
    {"id": ["x"], "rawId": 7, "response": [], "type": {}},
    {"id": "x", "rawId": "x", "response": {"clientDataJSON": "%%%", "authenticatorData": "", "signature": []}},
    {
        "id": "x",
        "rawId": "x",
        "response": {"clientDataJSON": "e30", "attestationObject": "o2NmbXQ"},
        "type": "public-key",
    },
    {"id": "é" * 5000, "rawId": "\x00", "response": {"clientDataJSON": "bnVsbA"}, "type": "public-key"},
]


def said(answer: httpx.Response) -> str:
    """Return the sentence of an answer that is no success."""
    assert answer.status_code in (400, 403, 404, 409, 413), (answer.status_code, answer.text[:300])
    assert "Traceback" not in answer.text
    return str(answer.json()["problem"])


@pytest.mark.parametrize("path", POSTS)
async def test_a_member_that_is_no_text_is_refused_by_name(pages: Pages, path: str) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    before = len(await trail(pages.deployment.pd))
    for name in (*POSTS[path], "csrf", "unknown"):
        for value in WRONG:
            answer = await alice.post(path.format(asked.id), {**POSTS[path], name: value})
            assert answer.status_code == 400
            assert f"The member '{name}' must be text. Nothing was changed." in said(answer)
    assert len(await trail(pages.deployment.pd)) == before


@pytest.mark.parametrize("path", POSTS)
async def test_any_text_in_any_member_is_answered(pages: Pages, path: str) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    for name in POSTS[path]:
        for text in TEXTS:
            alice = alice if path != "/sign-out" else await pages.browser("alice")
            body = json.dumps({**POSTS[path], name: text})
            sent = {"Origin": alice.origin, "X-CSRF-Token": alice.csrf, "Content-Type": "application/json"}
            answer = await alice.http.post(path.format(asked.id), content=body, headers=sent)
            if answer.status_code not in (200, 303):
                assert said(answer)


@pytest.mark.parametrize("path", [path for path in POSTS if not path.endswith("options")])
async def test_any_credential_is_answered(pages: Pages, path: str) -> None:
    asked = await pages.deployment.ask()
    alice = await pages.browser("alice")
    pages.console.sign_ins.allows = lambda _: True  # type: ignore[method-assign]
    for credential in CREDENTIALS:
        if path == "/sign-in":
            await alice.post("/sign-in/options", {})
        answer = await alice.post(path.format(asked.id), {**POSTS[path], "credential": credential})
        if path in ("/agents", "/log/verify", "/policy", "/reviewers/invite", "/sign-out", "/requests/{}/revoke"):
            continue
        assert said(answer)
    assert not (await pages.deployment.pd.approval(asked.id)).decisions


@pytest.mark.parametrize(
    "path",
    [
        "/?page={}", "/history?page={}", "/history?since={}", "/history?until={}", "/history?state={}",
        "/history?operation={}&target={}&agent={}&reviewer={}", "/log?agent={}&operation={}&target={}",
        "/log/{}", "/requests/{}", "/policy?agent={}&operation={}", "/policy?agent={}&operation=services:delete",
        "/sign-in?next={}", "/enrol/{}", "/static/{}.js", "/{}",
    ],
)  # fmt: skip
async def test_any_text_in_an_address_is_answered(pages: Pages, path: str) -> None:
    from urllib.parse import quote

    alice = await pages.browser("alice")
    for text in (*TEXTS[:-1], "%", "99999999999999999999", "é", "'\"<>", "../../etc/passwd"):
        answer = await alice.get(path.replace("{}", quote(text[:3000], safe="")))
        assert answer.status_code in (200, 303, 404, 429), (answer.status_code, text[:50])


async def test_a_fault_of_the_console_is_a_page_with_a_sentence(
    pages: Pages, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await pages.browser("alice")
    monkeypatch.setattr(pages.console, "operations", None)
    answer = await alice.get("/policy")
    assert answer.status_code == 500
    assert "look at the request, the agents or the log before you repeat it" in answer.text
    assert "AttributeError" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    assert "The console has a fault (AttributeError)" in caplog.text
    assert "pages.py" in caplog.text
