"""Slack: what it is told cannot deceive, and what it reports counts only if Slack itself said so, now, once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from arx_wrapper import approvals
from arx_wrapper.approvals import slack
from arx_wrapper.approvals.slack.callbacks import _InteractionHandler
from arx_wrapper.approvals.slack.card import card, plain
from arx_wrapper.errors import ConfigError
from tests.approvals.conftest import terms
from tests.approvals.loopback import serve
from tests.approvals.test_request_text import DECEPTIONS
from tests.support import PATIENCE

TOKEN = "xoxb-k4n4ry"  # noqa: S105 - opens nothing
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"  # noqa: S105 - of Slack's published example
USERS = {"U0ALICE": "alice", "U0BOB": "bob"}


class StandIn:
    """Slack's Web API, as far as a bot's token reaches."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict]] = []
        self.error: str | None = None

    def __call__(self) -> Starlette:
        return Starlette(routes=[Route("/api/{method}", self.take, methods=["POST"])])

    async def take(self, request):
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return JSONResponse({"ok": False, "error": "invalid_auth"})
        if self.error:
            return JSONResponse({"ok": False, "error": self.error})
        self.calls.append((request.path_params["method"], json.loads(await request.body())))
        return JSONResponse({"ok": True, "channel": "C1", "ts": "1.2"})

    def of(self, method: str) -> list[dict]:
        return [told for called, told in self.calls if called == method]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/approvals.db"


@pytest.fixture
async def stand_in():
    stand_in = StandIn()
    async with serve(stand_in()) as address:
        stand_in.address = f"{address}/api/"
        yield stand_in


@pytest.fixture
async def desk(stand_in, url, clock):
    """The whole arrangement: a store that announces in Slack, and the application that takes presses."""
    channel = slack.Slack(token=TOKEN, channel="#fallback", base_url=stand_in.address)
    store = approvals.open(url, clock=clock, channels=[channel], proof="name")
    app = slack.app(store, signing_secret=SECRET, reviewers=USERS, slack=channel, team="T1", clock=clock)
    async with serve(app) as address, httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
        yield Desk(store, client, clock)
    await store.aclose()


class Desk:
    """Presses buttons as Slack would, or as somebody who is not Slack."""

    def __init__(self, store, client, clock) -> None:
        self.store, self.client, self.clock = store, client, clock

    async def send(self, body: bytes, *, secret: str = SECRET, age: int = 0, **headers: str) -> int:
        timestamp = str(int(self.clock().timestamp()) - age)
        mac = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        signed = {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={mac}"}
        signed |= {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await self.client.post("/slack/interactions", content=body, headers=signed | headers)
        return answer.status_code

    async def state(self, asked) -> str:
        return (await self.store.get(asked.id)).state


def press(asked, user="U0ALICE", action="arx_approve", team="T1", changed=None) -> bytes:
    payload = {
        "type": "block_actions",
        "user": {"id": user},
        "team": {"id": team},
        "container": {"channel_id": "C1", "message_ts": "1.2"},
        "actions": [{"action_id": action, "value": f"{asked.id} {asked.digest}"}],
        **(changed or {}),
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


async def test_a_card_goes_where_the_policy_says_with_two_buttons(desk, stand_in):
    asked = await desk.store.request(**terms())
    while not stand_in.of("chat.postMessage"):
        await asyncio.sleep(0.01)
    [posted] = stand_in.of("chat.postMessage")
    assert posted["channel"] == "#pd-admin-approvals"
    text = json.dumps(posted)
    for expected in (asked.id, asked.digest, "agent-001", "maintenance:create", "HIGH", "PABC123"):
        assert expected in text
    [buttons] = [block["elements"] for block in posted["blocks"] if block["type"] == "actions"]
    assert [button["action_id"] for button in buttons] == ["arx_approve", "arx_deny"]
    assert {button["value"] for button in buttons} == {f"{asked.id} {asked.digest}"}


@pytest.mark.parametrize(("action", "state"), [("arx_approve", "approved"), ("arx_deny", "denied")])
async def test_a_reviewers_press_decides_and_the_card_loses_its_buttons(desk, stand_in, action, state):
    asked = await desk.store.request(**terms())
    assert await desk.send(press(asked, action=action)) == 200
    decided = await desk.store.get(asked.id)
    assert (decided.state, decided.decisions[0].reviewer) == (state, "alice")
    while not stand_in.of("chat.update"):
        await desk.store.get(asked.id)
    [updated] = stand_in.of("chat.update")
    assert (updated["channel"], updated["ts"]) == ("C1", "1.2")
    assert "actions" not in [block["type"] for block in updated["blocks"]]
    assert f"{state} by alice" in json.dumps(updated)


async def test_two_approvals_take_two_users(desk):
    asked = await desk.store.request(**terms(min_approvals=2))
    await desk.send(press(asked))
    await desk.send(press(asked), age=1)
    assert await desk.state(asked) == "pending"
    await desk.send(press(asked, user="U0BOB"))
    assert await desk.state(asked) == "approved"


@pytest.mark.parametrize(
    "forgery",
    [
        {"secret": "another"},
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": "v0="},
        {"X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Signature": "v1=" + "0" * 64},
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "now"},
        {"X-Slack-Request-Timestamp": "1e9"},
        {"X-Slack-Request-Timestamp": "-1"},
        {"X-Slack-Request-Timestamp": "9" * 400},
        {"age": 301},
        {"age": -301},
    ],
    ids=str,
)
async def test_a_press_that_slack_did_not_sign_just_now_is_refused(desk, forgery):
    asked = await desk.store.request(**terms())
    assert await desk.send(press(asked), **forgery) == 401
    assert await desk.state(asked) == "pending"


async def test_a_body_changed_after_signing_is_refused(desk):
    asked = await desk.store.request(**terms())
    deny = press(asked, action="arx_deny")
    timestamp = str(int(desk.clock().timestamp()))
    mac = hmac.new(SECRET.encode(), b"v0:" + timestamp.encode() + b":" + deny, hashlib.sha256).hexdigest()
    assert await desk.send(press(asked), **{"X-Slack-Signature": f"v0={mac}"}) == 401
    assert await desk.state(asked) == "pending"


async def test_a_replayed_press_is_refused_even_by_another_process(desk, url, stand_in):
    asked = await desk.store.request(**terms(min_approvals=2))
    body = press(asked)
    assert await desk.send(body) == 200
    assert await desk.send(body) == 409
    other = approvals.open(url, clock=desk.clock, proof="name")
    channel = slack.Slack(token=TOKEN, base_url=stand_in.address)
    app = slack.app(other, signing_secret=SECRET, reviewers=USERS, slack=channel, clock=desk.clock)
    async with serve(app) as address, httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
        assert await Desk(other, client, desk.clock).send(body) == 409
    await other.aclose()
    assert len((await desk.store.get(asked.id)).decisions) == 1


@pytest.mark.parametrize(
    ("user", "agent", "told"),
    [
        ("U0MALLORY", "agent-001", "not on the list"),
        ("u0alice", "agent-001", "not on the list"),
        ("U0ALICE", "cli:alice", "another reviewer"),
    ],
)
async def test_a_press_by_the_wrong_person_decides_nothing_and_they_are_told(desk, stand_in, user, agent, told):
    asked = await desk.store.request(**terms(agent_id=agent))
    assert await desk.send(press(asked, user=user)) == 200
    assert await desk.state(asked) == "pending"
    while not stand_in.of("chat.postEphemeral"):
        await desk.store.get(asked.id)
    [answer] = stand_in.of("chat.postEphemeral")
    assert answer["user"] == user
    assert told in answer["text"]


async def test_a_press_too_late_decides_nothing(desk):
    asked = await desk.store.request(**terms())
    desk.clock.move(3600)
    assert await desk.send(press(asked)) == 200
    assert await desk.state(asked) == "expired"


async def test_a_press_from_another_workspace_is_refused(desk):
    asked = await desk.store.request(**terms())
    assert await desk.send(press(asked, team="T2")) == 400
    assert await desk.state(asked) == "pending"


@pytest.mark.parametrize(
    "changed",
    [
        {"actions": [{"action_id": "arx_approve", "value": "x"}]},
        {"actions": [{"action_id": "other", "value": "x y"}]},
        {"actions": []},
        {"type": "view_submission"},
        {"user": None},
        {"container": {}},
        {"team": "T1"},
        {"user": {"id": ["U0ALICE"]}},
    ],
    ids=str,
)
async def test_a_signed_payload_of_another_kind_is_refused(desk, changed):
    asked = await desk.store.request(**terms())
    assert await desk.send(press(asked, changed=changed)) == 400
    assert await desk.state(asked) == "pending"


@pytest.mark.parametrize(
    "body", [b"", b"payload", b"payload=", b"payload=[]", b"payload={}", b"\xff\x00", b"payload={}&payload={}"]
)
async def test_a_signed_body_of_another_kind_is_refused(desk, body):
    assert await desk.send(body) == 400


async def test_an_endless_body_is_cut_off(desk):
    assert await desk.send(b"x" * (300 * 1024)) == 413


async def test_a_press_under_another_calls_card_decides_nothing(desk):
    asked = await desk.store.request(**terms())
    actions = [{"action_id": "arx_approve", "value": f"{asked.id} {'0' * 64}"}]
    assert await desk.send(press(asked, changed={"actions": actions})) == 200
    assert await desk.state(asked) == "pending"


async def test_a_decision_stands_when_slack_cannot_be_told(desk, stand_in, caplog):
    asked = await desk.store.request(**terms())
    while not stand_in.of("chat.postMessage"):
        await asyncio.sleep(0.01)
    stand_in.error = "internal_error"
    assert await desk.send(press(asked)) == 200
    assert await desk.state(asked) == "approved"
    while "was not updated (SlackApiError)" not in caplog.text:
        await asyncio.sleep(0.01)
    assert "k4n4ry" not in caplog.text


def test_the_signature_is_slacks_own():
    """The example in Slack's documentation, "Verifying requests from Slack"."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foo"
        b"bar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks."
        b"slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121"
        b".803a0bc887a14d10d2c447fce8b6703c"
    )
    at = datetime.fromtimestamp(1531420618, UTC)
    desk = _InteractionHandler(
        approvals=None, secret=SECRET.encode(), reviewers={}, slack=None, team=None, clock=lambda: at
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert desk._genuine(body, "1531420618", signature)
    assert not desk._genuine(body + b" ", "1531420618", signature)


@pytest.mark.parametrize(
    "text",
    [*DECEPTIONS.values(), "<!channel>", "<@U0ALICE>", "<https://evil.example|Deny>", "*bold* `x`", "&lt;!here&gt;"],
)
async def test_nothing_that_a_model_wrote_is_markup(url, clock, text):
    store = approvals.open(url, clock=clock, proof="name")
    params = json.dumps({"title": text}, ensure_ascii=False).encode()
    asked = await store.request(**terms(params=params, reason=text, target={"name": text}))
    await store.aclose()
    for block in card(asked):
        for element in [block.get("text"), *block.get("elements", [])]:
            if element and element["type"] != "button":
                assert element["type"] == "plain_text"
                assert not set("<>") & set(element["text"])
                assert text not in element["text"] or text == "*bold* `x`"


@pytest.mark.parametrize("character", ["x", "&", "\u202e", "🔥", "é"])
async def test_a_long_field_fits_and_says_how_much_is_missing(url, clock, character):
    store = approvals.open(url, clock=clock, proof="name")
    params = json.dumps({"body": character * 20_000}, ensure_ascii=False).encode()
    asked = await store.request(**terms(params=params))
    await store.aclose()
    [shown] = [b["text"]["text"] for b in card(asked) if b["type"] == "section" and "Parameters" in b["text"]["text"]]
    assert len(shown) < 3000
    assert "TRUNCATED" in shown
    assert asked.digest in shown


def test_short_text_is_whole():
    assert plain("a < b & c") == "a &lt; b &amp; c"


async def test_the_token_goes_to_slack_only_and_is_never_shown(clock, monkeypatch, stand_in, url):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    channel = slack.Slack(token=TOKEN, channel="#x", base_url=stand_in.address)
    assert "k4n4ry" not in repr(channel)
    store = approvals.open(url, clock=clock, proof="name")
    await channel.announce(await store.request(**terms()))
    await store.aclose()
    assert len(stand_in.of("chat.postMessage")) == 1


@pytest.mark.parametrize("bad", [{"token": ""}, {"token": "x\ny"}, {"base_url": "http://slack.example/api/"}])
def test_a_bad_configuration_is_refused(bad):
    with pytest.raises(ConfigError) as caught:
        slack.Slack(**{"token": TOKEN, **bad})
    assert "k4n4ry" not in str(caught.value)


@pytest.mark.parametrize("empty", ["", " "])
async def test_an_empty_signing_secret_is_refused(store, empty):
    with pytest.raises(ConfigError, match="signing secret"):
        slack.app(store, signing_secret=empty, reviewers=USERS, slack=slack.Slack(token=TOKEN))


async def test_refused_presses_are_on_record_but_do_not_fill_the_log(stand_in, url, clock):
    recorded = []

    async def refused(problem):
        recorded.append(problem)

    channel = slack.Slack(token=TOKEN, channel="#fallback", base_url=stand_in.address)
    store = approvals.open(url, clock=clock, channels=[channel], proof="name")
    app = slack.app(
        store, signing_secret=SECRET, reviewers=USERS, slack=channel, team="T1", refused=refused, clock=clock
    )
    async with serve(app) as address, httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
        desk = Desk(store, client, clock)
        asked = await store.request(**terms())
        assert await desk.send(press(asked), secret="forged " * 5) == 401
        assert await desk.send(press(asked, team="T2")) == 400
        assert await desk.send(press(asked, user="U0MALLORY")) == 200
        assert [each.partition("refused. ")[2] for each in recorded] == [
            "It is not signed by Slack, or its time is too far from now.",
            "It is not a press of a card's button in this workspace.",
            "The user who pressed it is not on the list of reviewers.",
        ]
        for _ in range(30):
            await desk.send(press(asked), secret="forged " * 5)
        assert len(recorded) == 20
        clock.move(60)
        await desk.send(press(asked), secret="forged " * 5)
        assert len(recorded) == 21
        assert await desk.state(asked) == "pending"
    await store.aclose()
