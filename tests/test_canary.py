"""A key is in no exception: neither in its text nor in the variables of any frame that error trackers show."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from arx_wrapper import (
    ArxError,
    AuditError,
    ConfigError,
    InvalidParamsError,
    PagerDutyConnector,
    PagerDutyError,
    PolicyError,
    vault,
)
from arx_wrapper.config import Config
from arx_wrapper.core.backends import channels
from arx_wrapper.credentials import Credentials, Secret, Variables
from arx_wrapper.transport import Transport
from arx_wrapper.transport.response import short
from arx_wrapper.vault.fixed import FixedVault
from tests.leaks import leaks
from tests.support import CANARY, EVERYTHING
from tests.transport.test_transport import READ, WRITE, abort, answer, hang, send, serving
from tests.vault.kv_server import StandIn, running


def test_the_search_finds_what_a_tracker_would_show() -> None:
    def fail(hidden: dict[str, list[str]], key: Secret) -> None:
        raise ValueError("no")

    namespace: dict[str, Any] = {"fail": fail}
    exec(compile("def outer(key, deep): fail(deep, None)", "/srv/app.py", "exec"), namespace)  # noqa: S102
    with pytest.raises(ValueError, match="no") as caught:
        namespace["outer"]("x", {"headers": ["x", f"Token token={CANARY}"]})
    assert leaks(caught.value, CANARY) == [
        "ValueError /srv/app.py:1 outer: deep (repr)",
        *leaks(caught.value, CANARY)[1:],
    ]
    with pytest.raises(ValueError, match="no") as caught:
        namespace["outer"](Secret(CANARY), {})
    assert leaks(caught.value, CANARY) == []


async def cut(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"a":')
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
@pytest.mark.parametrize(
    "step",
    [
        abort,
        cut,
        hang,
        b"garbage\r\n\r\n",
        answer(302, b"", "Location: https://x.example"),
        answer(500),
        answer(200, b"x" * 2000),
    ],
    ids=["abort", "cut", "time-out", "garbage", "redirect", "500", "too large"],
)
async def test_no_failed_call_shows_the_key(step: Any, request_: Any) -> None:
    async with serving(step, attempts=2, max_body=1000, sleep=no_sleep) as (_, transport):
        with pytest.raises(ArxError) as caught:
            await send(transport, request_, timeout=0.3 if step is hang else None)
    assert leaks(caught.value, CANARY) == []


async def test_a_refused_connection_does_not_show_the_key() -> None:
    transport = Transport(base_url="http://127.0.0.1:9", attempts=2, sleep=no_sleep)
    with pytest.raises(ArxError) as caught:
        await send(transport, WRITE)
    await transport.aclose()
    assert leaks(caught.value, CANARY) == []


async def test_a_cancelled_call_does_not_show_the_key() -> None:
    async with serving(hang) as (server, transport):
        call = asyncio.create_task(send(transport, WRITE))
        while not server.requests:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    assert leaks(caught.value, CANARY) == []


class Failing:
    """A transport of either library that fails in a frame which holds the request in clear text."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    async def handle_async_request(self, request: Any) -> Any:
        await foreign(list(request.headers.raw), self.error)


_FOREIGN: dict[str, Any] = {"asyncio": asyncio}
exec(  # a frame that is not the tests' own  # noqa: S102
    compile(
        "async def foreign(headers, error):\n"
        "    try: raise KeyError(headers)\n"
        "    except KeyError:\n"
        "        if error is None: await asyncio.sleep(30)\n"
        "        raise error",
        "/srv/library.py",
        "exec",
    ),
    _FOREIGN,
)
foreign: Callable[..., Awaitable[None]] = _FOREIGN["foreign"]


def failing(library: Any, error: BaseException | None) -> Any:
    return type("Own", (Failing, library.AsyncBaseTransport), {})(error)


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("kind", ["ConnectError", "ReadError", "ProxyError", "bug", "cancelled"])
async def test_a_transport_of_the_callers_does_not_show_the_key_by_failing(library: Any, kind: str) -> None:
    error = {"bug": RuntimeError("x"), "cancelled": None}.get(kind, getattr(library, kind, Exception)("x"))
    transport = Transport(base_url="https://api.pagerduty.com", transport=failing(library, error), attempts=1)
    call = asyncio.create_task(send(transport, WRITE))
    if error is None:
        await asyncio.sleep(0.05)
        call.cancel()
    with pytest.raises((ArxError, asyncio.CancelledError)) as caught:
        await call
    assert leaks(caught.value, CANARY) == []


async def no_sleep(seconds: float) -> None: ...


REPEATED = {
    "message": answer(400, b'{"error":{"message":"bad key %s, sorry"}}' % CANARY.encode()),
    "upper case": answer(400, b'{"error":{"message":"bad key %s"}}' % CANARY.upper().encode()),
    "base64": answer(400, b'{"error":{"message":"%s"}}' % base64.b64encode(CANARY.encode())),
    "detail": answer(400, b'{"error":{"message":"m","errors":["%s"]}}' % CANARY.encode()),
    "name of a detail": answer(400, b'{"error":{"message":"m","errors":{"%s":1}}}' % CANARY.encode()),
    "nested detail": answer(400, b'{"error":{"message":"m","errors":{"a":{"b":["%s"]}}}}' % CANARY.encode()),
    "text": answer(400, b'{"error":"%s"}' % CANARY.encode()),
    "list": answer(400, b'{"error":["x","%s"]}' % CANARY.encode()),
    "past what is shown": answer(400, b'{"error":{"message":"%s"}}' % (b"x" * 290 + CANARY.encode())),
    "request id": answer(400, b"", f"X-Request-Id: {CANARY}"),
    "request id of a success": answer(200, b"[]", f"X-Request-Id: {CANARY}"),
    "location": answer(301, b"", f"Location: https://x.example/{CANARY}"),
    "429": answer(429, b'{"error":{"message":"%s"}}' % CANARY.encode(), "Retry-After: 9999"),
}


@pytest.mark.parametrize("step", REPEATED.values(), ids=REPEATED.keys())
async def test_what_the_server_repeats_of_the_key_is_masked(step: bytes) -> None:
    async with serving(step, attempts=1) as (_, transport):
        with pytest.raises(PagerDutyError) as caught:
            (await send(transport, WRITE)).json()
    assert leaks(caught.value, CANARY) == []
    # Nor is the beginning of the key left where the text was cut.
    assert CANARY[:8] not in str(caught.value)


@pytest.mark.parametrize("length", [61, 400, 4_096])
def test_no_part_of_a_long_key_is_shown_where_server_text_is_cut(length: int) -> None:
    key = (CANARY + hashlib.shake_256(b"key").hexdigest(2_048))[:length]
    for before in range(0, length, 1 + length // 50):
        shown = short("x" * before + key * (100_000 // length), Secret(key))
        assert not any(key[at : at + 8] in shown for at in range(length - 8))


async def test_escape_sequences_of_the_server_are_in_no_error() -> None:
    body = b'{"error":{"message":"a\\u001b[2Jb\\u202ec","errors":["\\u0007x","\\u009b1m"],"code":"2100"}}'
    async with serving(answer(400, body, "X-Request-Id: a\xa0b"), attempts=1) as (_, transport):
        with pytest.raises(PagerDutyError) as caught:
            await send(transport, WRITE)
    assert str(caught.value).isprintable()
    assert "".join(caught.value.errors).isprintable()
    assert caught.value.code == 2100


MALFORMED = {
    "line break": f"{CANARY}\n",
    "space": f"{CANARY} {CANARY}",
    "not ASCII": f"{CANARY}é",
    "control character": f"{CANARY}\x07",
}


@pytest.mark.parametrize("key", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_key_is_not_shown_whichever_vault_holds_it(key: str, tmp_path: Path) -> None:
    server = StandIn()
    server.secrets["secret/arx"] = {"api_key": key, "requester_email": "a@example.com"}
    with running(server) as address:
        kv = vault.open("hashicorp://secret/arx", environ={"VAULT_ADDR": address, "VAULT_TOKEN": "root"})
        file = vault.open(f"file://{tmp_path}/vault", environ={"ARX_VAULT_KEY": base64.b64encode(b"k" * 32).decode()})
        env = vault.open("env:", environ={"PAGERDUTY_API_KEY": key})
        tries: list[Callable[[], Awaitable[object]]] = [
            lambda: env.read("o"),
            lambda: FixedVault(api_key=key).read("o"),
            lambda: file.set(key),  # type: ignore[attr-defined]
            lambda: kv.read("o"),
            lambda: kv.set(key),  # type: ignore[attr-defined]
        ]
        for attempt in tries:
            with pytest.raises(ArxError) as caught:
                await attempt()
            assert leaks(caught.value, CANARY) == []
        await kv.aclose()


async def test_a_governed_call_with_a_malformed_key_does_not_show_it(tmp_path: Path) -> None:
    config = Config.load({"HOME": str(tmp_path)}, tmp_path)
    for key in MALFORMED.values():
        async with PagerDutyConnector(
            "a", "o", policies=[EVERYTHING], config=config, vault=FixedVault(api_key=key)
        ) as pd:
            with pytest.raises(ArxError) as caught:
                await pd.list_teams()
            assert leaks(caught.value, CANARY) == []


@pytest.mark.parametrize(
    "environ",
    [
        {"VAULT_ADDR": "https://127.0.0.1:9", "VAULT_TOKEN": f"{CANARY} x"},
        {"VAULT_ADDR": "https://127.0.0.1:9", "VAULT_TOKEN": CANARY},
        {"VAULT_ADDR": "https://127.0.0.1:9", "VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": CANARY},
        {"VAULT_ADDR": f"https://{CANARY}@127.0.0.1", "VAULT_TOKEN": "t"},
    ],
    ids=["malformed token", "token", "AppRole", "address"],
)
async def test_a_login_to_a_vault_that_fails_is_not_shown(environ: dict[str, str]) -> None:
    async def log_in() -> None:
        await vault.open("hashicorp://secret/arx", environ=environ).read("o")

    with pytest.raises(ArxError) as caught:
        await log_in()
    assert leaks(caught.value, CANARY) == []


@pytest.mark.parametrize("response", [answer(500), answer(200, b'{"access_token":"%s"}' % CANARY.encode()), abort])
async def test_an_identity_server_that_fails_does_not_show_the_apps_secret(response: Any) -> None:
    async with serving(response) as (_, transport):
        opened = vault.open(
            "oauth:",
            environ={
                "PAGERDUTY_OAUTH_CLIENT_ID": "app",
                "PAGERDUTY_OAUTH_CLIENT_SECRET": CANARY,
                "PAGERDUTY_OAUTH_SCOPE": "incidents.read",
                "PAGERDUTY_OAUTH_URL": f"{transport.origin}/oauth/token",
            },
        )
        with pytest.raises(ArxError) as caught:
            await opened.read("o")
        assert leaks(caught.value, CANARY) == []
        cancelled = asyncio.create_task(opened.read("o"))
        await asyncio.sleep(0.001)
        cancelled.cancel()
        with pytest.raises((ArxError, asyncio.CancelledError)) as given_up:
            await cancelled
        assert leaks(given_up.value, CANARY) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ARX_APPROVALS_MODE", "nonsense"),
        ("ARX_REVIEWERS", "nonsense"),
        ("PAGERDUTY_PROXY", f"user:{CANARY}@proxy.example"),
        ("ARX_WEBHOOK_URL", f"http://example.com/{CANARY}"),
    ],
)
def test_a_broken_configuration_does_not_show_the_environment(variable: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.load({"PAGERDUTY_API_KEY": CANARY, "HOME": str(tmp_path), variable: value}, tmp_path)
    assert leaks(caught.value, CANARY) == []


def test_a_secret_shows_itself_to_nobody_but_the_call_that_reveals_it() -> None:
    import copy
    import pickle

    secret = Secret(CANARY)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>30}",
        repr([secret]),
        repr({"k": secret}),
    ]
    shown += [repr(Credentials(api_key=CANARY)), repr(FixedVault(api_key=CANARY)), repr(Variables({"X": CANARY}))]
    assert CANARY not in "".join(shown)
    for dump in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            dump(secret)
    assert secret.reveal() == CANARY
    assert secret == CANARY
    assert secret != CANARY + "x"


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("a\x1b[2Jb"),
        PolicyError("\u202emoc", file="\x1b]0;x\x07.yaml", line=3),
        InvalidParamsError("incidents:read", "a\x9b1m", "is unknown", "x"),
        AuditError("\x00\r"),
    ],
)
def test_no_message_carries_escape_sequences_to_a_terminal(error: ArxError) -> None:
    assert str(error).isprintable()
    assert "\\x" in str(error) or "\\u202e" in str(error)
    assert str(ConfigError("two\nlines")) == "two\nlines"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SLACK_BOT_TOKEN", f"{CANARY} x"), ("ARX_WEBHOOK_SECRET", CANARY[:24])],
)
def test_a_channels_malformed_secret_is_not_shown(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    which = {"SLACK_BOT_TOKEN": "ARX_SLACK_CHANNEL", "ARX_WEBHOOK_SECRET": "ARX_WEBHOOK_URL"}[variable]
    config = Config.load({"HOME": str(tmp_path), which: "https://hooks.example/x"}, tmp_path)
    with pytest.raises(ConfigError) as caught:
        channels(config)
    assert leaks(caught.value, value.split()[0]) == []
