"""Channels carry the question; whatever they do, they never answer it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import signal

import pytest
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from arx_wrapper import approvals
from arx_wrapper.approvals import Webhook
from arx_wrapper.approvals.announcer import Announcer
from arx_wrapper.approvals.notifications import Notify
from arx_wrapper.errors import ApprovalError, ApprovalPendingError, ConfigError
from arx_wrapper.urls import Proxy
from tests.approvals.conftest import terms
from tests.approvals.loopback import serve
from tests.support import PATIENCE

pytestmark = pytest.mark.filterwarnings("ignore:.imghdr. is deprecated")  # of apprise, at its import
SECRET = "s" * 32


class Receiver:
    """Takes webhooks as its documentation says: verifies, then believes."""

    def __init__(self, *answers: int) -> None:
        self.answers, self.taken, self.refused = list(answers), [], 0

    def __call__(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self.receive, methods=["POST"])])

    async def receive(self, request):
        body, timestamp = await request.body(), request.headers["x-arx-timestamp"]
        expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(request.headers["x-arx-signature"], f"v1={expected}"):
            self.refused += 1
            return Response(status_code=401)
        self.taken.append((int(timestamp), json.loads(body)))
        return Response(status_code=self.answers.pop(0) if self.answers else 200)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    defaults = Announcer.__init__.__kwdefaults__
    monkeypatch.setattr(Announcer.__init__, "__kwdefaults__", {**defaults, "attempts": 3, "wait": 0.0})


async def opened(url, clock, address, secret=SECRET):
    return approvals.open(url, clock=clock, channels=[Webhook(f"{address}/hook", secret, clock=clock)], proof="name")


async def test_a_webhook_is_signed_and_says_what_is_asked(url, clock):
    receiver = Receiver()
    async with serve(receiver()) as address:
        store = await opened(url, clock, address)
        asked = await store.request(**terms())
        await store.aclose()
    [(timestamp, told)] = receiver.taken
    assert timestamp == int(clock().timestamp())
    assert (told["id"], told["digest"], told["risk"]) == (asked.id, asked.digest, "high")
    assert "PABC123" in told["text"]
    assert receiver.refused == 0


async def test_reviewers_hear_of_a_request_whose_caller_went_away(url, clock):
    receiver = Receiver()
    async with serve(receiver()) as address:
        store = await opened(url, clock, address)
        asking = asyncio.create_task(store.request(**terms()))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        [asked] = await store.list("pending")
        await store.aclose()
    assert [told["id"] for _, told in receiver.taken] == [asked.id]


async def test_a_webhook_that_answers_without_end_costs_nothing(url, clock):
    async def receive(request):
        async def endless():
            while not await request.is_disconnected():
                yield b"x" * 65_536

        return StreamingResponse(endless())

    async with serve(Starlette(routes=[Route("/hook", receive, methods=["POST"])])) as address:
        store = await opened(url, clock, address)
        await store.request(**terms())
        async with asyncio.timeout(PATIENCE):
            await store.aclose()


async def test_a_webhook_under_another_secret_is_refused_by_its_receiver_and_approves_nothing(url, clock):
    receiver = Receiver()
    async with serve(receiver()) as address:
        store = await opened(url, clock, address, secret="t" * 32)
        asked = await store.request(**terms())
        await store.aclose()
    assert (receiver.taken, receiver.refused) == ([], 3)
    again = approvals.open(url, clock=clock, proof="name")
    assert (await again.get(asked.id)).state == "pending"
    await again.aclose()


async def test_a_request_is_announced_once_however_often_it_is_asked(url, clock):
    receiver = Receiver()
    async with serve(receiver()) as address:
        store = await opened(url, clock, address)
        await asyncio.gather(*(store.request(**terms()) for _ in range(10)))
        await store.aclose()
    assert len(receiver.taken) == 1


async def test_a_failing_channel_is_tried_again(url, clock, caplog):
    receiver = Receiver(500, 302)
    async with serve(receiver()) as address:
        store = await opened(url, clock, address)
        await store.request(**terms())
        await store.aclose()
    assert len(receiver.taken) == 3
    assert "was not announced" not in caplog.text


async def test_a_dead_channel_is_reported_without_its_address_and_is_never_a_yes(url, clock, caplog):
    caplog.set_level(logging.DEBUG, logger="arx_wrapper")
    store = await opened(url, clock, "http://127.0.0.1:1/k4n4ry")
    asked = await store.request(**terms())
    while "was not announced" not in caplog.text:
        await asyncio.sleep(0.01)
    reports = [record.getMessage() for record in caplog.records if record.name.startswith("arx_wrapper")]
    assert len(reports) == 1
    assert asked.id in reports[0]
    assert "k4n4ry" not in reports[0]
    with pytest.raises(ApprovalPendingError):
        await store.consume(asked.id, asked.call_digest)
    assert (await store.decide(asked.id, "alice", True)).state == "approved"
    await store.aclose()


class Stuck:
    """A channel that hangs until it is let go."""

    def __init__(self) -> None:
        self.let_go, self.closed = asyncio.Event(), False

    async def announce(self, request):
        await self.let_go.wait()

    async def aclose(self):
        self.closed = True


async def test_a_stuck_channel_delays_neither_the_request_nor_its_decision(url, clock):
    channel = Stuck()
    store = approvals.open(url, clock=clock, channels=[channel], proof="name")
    async with asyncio.timeout(PATIENCE):
        asked = await store.request(**terms())
        await store.decide(asked.id, "alice", True)
        assert (await store.consume(asked.id, asked.call_digest)).state == "consumed"
    channel.let_go.set()
    await store.aclose()
    assert channel.closed


async def test_a_stuck_channel_does_not_keep_the_process_from_ending_and_is_reported(store, caplog):
    channel = Stuck()
    announcer = Announcer([channel])
    announcer.announce(await store.request(**terms()), store._still_waits)
    async with asyncio.timeout(PATIENCE):
        await announcer.aclose(within=0.05)
    assert channel.closed
    assert "was not announced on Stuck (CancelledError)" in caplog.text


@pytest.mark.parametrize("url", ["http://hooks.example.com/x", "ftp://127.0.0.1/x", "//x", "", "http://[", "https://"])
def test_a_webhook_needs_a_private_address(url, clock):
    with pytest.raises(ConfigError, match="webhook"):
        Webhook(url, SECRET, clock=clock)


def test_a_webhook_needs_a_long_secret(clock):
    with pytest.raises(ConfigError, match="32 characters"):
        Webhook("https://hooks.example.com/x", "short", clock=clock)


class Told:
    """A channel that keeps what it was told, or fails."""

    def __init__(self, name, told, fails=False) -> None:
        self.name, self.told, self.fails = name, told, fails

    async def announce(self, request):
        if self.fails:
            raise RuntimeError("down")
        self.told.append((self.name, "asked"))

    async def remind(self, request):
        self.told.append((self.name, "reminded"))

    async def aclose(self):
        pass


class Steps:
    """Sleeps that end when the test says so, and that move the clock."""

    def __init__(self, clock) -> None:
        self.clock, self.slept, self.waiting = clock, [], asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        go_on = asyncio.Event()
        await self.waiting.put((seconds, go_on))
        await go_on.wait()

    async def pass_by(self) -> None:
        seconds, go_on = await self.waiting.get()
        self.clock.move(seconds)
        go_on.set()


@pytest.fixture
async def staggered(store, clock):
    told, steps = [], Steps(clock)
    channels = [Told("slack", told), Told("mail", told)]
    announcer = Announcer(channels, clock=clock, sleep=steps, stagger=60)
    yield announcer, told, steps
    await announcer.aclose(within=1)


async def test_the_next_channel_is_told_when_nobody_has_decided_and_a_reminder_comes_before_the_end(store, staggered):
    announcer, told, steps = staggered
    announcer.announce(await store.request(**terms()), store._still_waits)
    await steps.pass_by()
    await steps.pass_by()
    await asyncio.gather(*announcer._running)
    assert steps.slept == [60, 3600 - 60 - 300]
    assert told == [("slack", "asked"), ("mail", "asked"), ("slack", "reminded")]


@pytest.mark.parametrize("decided_after", [0, 1])
async def test_nobody_is_told_after_the_decision(store, staggered, decided_after):
    announcer, told, steps = staggered
    asked = await store.request(**terms())
    announcer.announce(asked, store._still_waits)
    for _ in range(decided_after):
        await steps.pass_by()
    _, go_on = await steps.waiting.get()
    await store.decide(asked.id, "alice", True)
    go_on.set()
    await asyncio.gather(*announcer._running)
    assert told == [("slack", "asked"), ("mail", "asked")][: 1 + decided_after]


async def test_a_channel_that_fails_is_followed_by_the_next_at_once(store, clock):
    told, steps = [], Steps(clock)
    channels = [Told("slack", told, fails=True), Told("mail", told)]
    announcer = Announcer(channels, attempts=1, clock=clock, sleep=steps)
    announcer.announce(await store.request(**terms()), store._still_waits)
    await steps.waiting.get()
    assert told == [("mail", "asked")]
    await announcer.aclose(within=1)


async def test_ending_the_process_does_not_wait_for_a_reminder(store, staggered):
    announcer, told, steps = staggered
    announcer.announce(await store.request(**terms()), store._still_waits)
    await steps.waiting.get()
    async with asyncio.timeout(PATIENCE):
        await announcer.aclose()
    assert told == [("slack", "asked")]


async def test_a_message_has_the_sentence_the_time_left_and_a_link(url, clock):
    pytest.importorskip("apprise")
    receiver = Plain()
    async with serve(receiver()) as address:
        sent = Notify([f"json://{address.removeprefix('http://')}/k4n4ry"], clock=clock, origin="https://a.example")
        store = approvals.open(url, clock=clock, channels=[sent], proof="name")
        asked = await store.request(**terms(sentence='Silence service "Checkout".'))
        await store.aclose()
    [told] = receiver.taken
    assert told["title"] == "HIGH request of agent-001, 1 h 0 min left"
    assert told["message"] == f'Silence service "Checkout".\nhttps://a.example/requests/{asked.id}'


async def test_a_service_that_does_not_answer_is_reported_without_its_address(url, clock, caplog):
    pytest.importorskip("apprise")
    caplog.set_level(logging.DEBUG, logger="arx_wrapper")
    sent = Notify(["json://user:k4n4ry@127.0.0.1:1/"], clock=clock)
    store = approvals.open(url, clock=clock, channels=[sent], proof="name")
    await store.request(**terms())
    while "was not announced" not in caplog.text:
        await asyncio.sleep(0.01)
    await store.aclose()
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("arx_wrapper")]
    assert "k4n4ry" not in "".join(ours) + repr(sent)


async def announced(folder, clock, sent):
    """Let a channel announce a request, and wait until it has."""
    store = approvals.open(f"sqlite:///{folder / 'approvals.db'}", clock=clock, channels=[], proof="name")
    try:
        await sent.announce(await store.request(**terms()))
    finally:
        await store.aclose()


async def test_a_message_goes_through_no_proxy_of_the_environment(clock, monkeypatch, tmp_path):
    pytest.importorskip("apprise")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password other")
    for module in ("json", "apprise"):  # the working directory may be an agent's
        (tmp_path / f"{module}.py").write_text("raise SystemExit(0)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    receiver, trap = Plain(), Plain()
    async with serve(receiver()) as address, serve(trap()) as elsewhere:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, elsewhere)
        await announced(tmp_path, clock, Notify([f"json://{address.removeprefix('http://')}/"], clock=clock))
    assert (len(receiver.taken), trap.taken) == (1, [])
    assert "authorization" not in receiver.headers[0]


async def test_a_message_goes_through_the_configured_proxy(clock, monkeypatch, tmp_path):
    pytest.importorskip("apprise")
    receiver = Plain()
    async with serve(receiver()) as address:
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        port = int(address.rpartition(":")[2])
        proxy = Proxy.parse(f"http://user:k4n4ry@127.0.0.1:{port}", bypass=("direct.example",))
        sent = Notify(["json://service.example/"], clock=clock, proxy=proxy)
        await announced(tmp_path, clock, sent)
        with pytest.raises(ApprovalError, match="did not accept"):
            await announced(tmp_path, clock, Notify(["json://direct.example:1/"], clock=clock, proxy=proxy))
    assert [headers["host"] for headers in receiver.headers] == ["service.example"]
    assert "k4n4ry" not in repr(sent)


async def test_a_message_that_is_given_up_is_not_sent_later(clock, monkeypatch, tmp_path):
    pytest.importorskip("apprise")
    started, children = asyncio.Event(), []
    spawn = asyncio.create_subprocess_exec

    async def spawned(*arguments, **options):
        children.append(await spawn(*arguments, **options))
        started.set()
        return children[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawned)
    sending = asyncio.ensure_future(announced(tmp_path, clock, Notify(["json://127.0.0.1:1/"], clock=clock)))
    await started.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert await children[0].wait() == -signal.SIGKILL


def test_an_address_that_apprise_does_not_know_is_named_by_its_number(clock):
    pytest.importorskip("apprise")
    with pytest.raises(ConfigError, match="address 2") as refused:
        Notify(["json://127.0.0.1/", "nonsense://k4n4ry"], clock=clock)
    assert "k4n4ry" not in str(refused.value)


class Plain:
    """Takes anything."""

    def __init__(self) -> None:
        self.taken, self.headers = [], []

    def __call__(self) -> Starlette:
        async def receive(request):
            self.taken.append(await request.json())
            self.headers.append(dict(request.headers))
            return Response(status_code=200)

        return Starlette(routes=[Route("/{path:path}", receive, methods=["POST"])])
