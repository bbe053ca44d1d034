"""A configured proxy is the way out for everything beyond this machine; it sees where calls go, and no key."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from arx_wrapper import ConfigError, CredentialError, PagerDutyConnector, TransportError, approvals, vault
from arx_wrapper.config import Config
from arx_wrapper.core.backends import channels
from arx_wrapper.credentials import Credentials
from arx_wrapper.http_client import client
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import serve
from arx_wrapper.transport import Transport
from arx_wrapper.urls import Proxy
from arx_wrapper.vault.fixed import FixedVault
from tests.approvals.conftest import terms
from tests.proxy import proxying
from tests.support import CANARY, EVERYTHING, PATIENCE
from tests.transport.test_transport import READ, send

NAME = "localhost.example"  # resolves nowhere


class Account:
    """The sandbox over TLS, under a name that only a proxy can reach."""

    def __init__(self, sandbox: Sandbox, port: int, ca_file: Path) -> None:
        self.sandbox, self.port, self.ca_file = sandbox, port, ca_file
        self.base_url = f"https://{NAME}:{port}"


@pytest.fixture
async def account(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Account]:
    sandbox = Sandbox()
    async with serve(sandbox, tls=True) as served:
        monkeypatch.setenv("SSL_CERT_FILE", str(served.ca_file))
        assert served.ca_file
        yield Account(sandbox, urlsplit(served.url).port or 0, served.ca_file)


async def teams(account: Account, proxy: str, folder: Path) -> int:
    config = Config.load({"HOME": str(folder), "PAGERDUTY_PROXY": proxy}, folder)
    vault = FixedVault(api_key=account.sandbox.token, requester_email=account.sandbox.email)
    pd = PagerDutyConnector("a", "o", policies=[EVERYTHING], config=config, vault=vault, base_url=account.base_url)
    async with pd:
        for _ in range(3):
            found = await pd.list_teams()
    return len(found)


async def test_a_call_goes_through_the_proxy_encrypted_to_its_end(account: Account, tmp_path: Path) -> None:
    async with proxying(account.port) as proxy:
        assert await teams(account, proxy.url, tmp_path) > 0
    assert proxy.targets() == [f"{NAME}:{account.port}"], "one tunnel, kept for all calls"
    assert account.sandbox.token not in "".join(proxy.heads)
    assert len(account.sandbox.requests) == 3


async def test_a_proxys_user_and_password_are_for_the_proxy_alone(account: Account, tmp_path: Path) -> None:
    async with proxying(account.port) as proxy:
        address = proxy.url.replace("http://", "http://user:s3cr%2Ft@")
        await teams(account, address, tmp_path)
    login = base64.b64encode(b"user:s3cr/t").decode()
    assert f"Proxy-Authorization: Basic {login}\r\n" in proxy.heads[0]
    assert "proxy-authorization" not in str(account.sandbox.requests[-1]).lower()


async def test_the_way_to_the_proxy_may_be_encrypted_too(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority, trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), trustme.CA(), account.ca_file
    authority.issue_cert("127.0.0.1").configure_cert(context)
    both = tmp_path / "both.pem"
    both.write_bytes(trusted.read_bytes() + authority.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(both))
    async with proxying(account.port, tls=context) as proxy:
        assert await teams(account, proxy.url, tmp_path) > 0
    assert proxy.targets()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "answered 407; check user and password"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "answered 403"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "is too long"),
        (b"\x00garbage\r\n\r\n", "is not HTTP"),
        (b"", "closed the connection"),
    ],
)
async def test_a_proxy_that_refuses_is_named_and_nothing_was_sent(account: Account, answer: bytes, said: str) -> None:
    async with proxying(account.port, answer=answer) as proxy:
        address = proxy.url.replace("http://", f"http://user:{CANARY}@")
        transport = Transport(base_url=account.base_url, proxy=Proxy.parse(address), attempts=1)
        with pytest.raises(TransportError, match=said) as refused:
            await send(transport)
        await transport.aclose()
    assert refused.value.outcome == "not_sent"
    assert CANARY not in str(refused.value)
    assert not account.sandbox.requests


async def test_a_certificate_behind_the_proxy_is_verified(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with proxying(account.port) as proxy:
        transport = Transport(base_url=account.base_url, proxy=Proxy.parse(proxy.url), attempts=1)
        with pytest.raises(TransportError) as refused:
            await send(transport)
        await transport.aclose()
    assert (refused.value.outcome, len(proxy.targets())) == ("not_sent", 1)


async def test_this_machine_and_hosts_on_the_list_are_reached_directly(account: Account) -> None:
    async with proxying(account.port) as proxy:
        direct = Transport(base_url=f"https://127.0.0.1:{account.port}", proxy=Proxy.parse(proxy.url))
        key = Credentials(api_key=account.sandbox.token)
        await direct.send(READ, key, direct.grant(READ), operation="users:read", writes=False)
        listed = Transport(base_url=account.base_url, proxy=Proxy.parse(proxy.url, ("example",)), attempts=1)
        with pytest.raises(TransportError, match="no connection"):
            await send(listed)
        await direct.aclose()
        await listed.aclose()
    assert proxy.heads == []


async def test_a_client_for_vaults_and_webhooks_takes_the_same_way(account: Account) -> None:
    async with proxying(account.port) as proxy:
        through = Proxy.parse(proxy.url.replace("http://", "http://user:s3cr3t@"))
        async with client(account.base_url, timeout=PATIENCE, proxy=through) as http:
            assert (await http.get(account.base_url)).status_code < 500
        async with client(f"https://127.0.0.1:{account.port}", timeout=PATIENCE, proxy=through) as http:
            assert (await http.get(f"https://127.0.0.1:{account.port}")).status_code < 500
    assert proxy.targets() == [f"{NAME}:{account.port}"]
    assert base64.b64encode(b"user:s3cr3t").decode() in proxy.heads[0]


async def test_the_command_is_told_of_a_proxy_and_ignores_the_environments(account: Account, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text('- {name: a, connector: pagerduty, operations: ["*"], risk_max: high, approval: none}\n')
    environ = {
        **os.environ,
        "PAGERDUTY_API_KEY": account.sandbox.token,
        "PAGERDUTY_BASE_URL": account.base_url,
        "ARX_POLICY": str(policy),
        "ARX_AUDIT_URL": f"sqlite:///{tmp_path}/audit.db",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }

    async def run(*arguments: str, **more: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "arx_wrapper.cli", *arguments),
            env={**environ, **more},
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    async with proxying(account.port) as proxy:
        status, out = await run("call", "teams:read", "limit=1", PAGERDUTY_PROXY=proxy.url)
        assert (status, '"teams"' in out) == (0, True), out
        status, out = await run("doctor", PAGERDUTY_PROXY=proxy.url)
        assert f"answers through {proxy.url}" in " ".join(out.split()), out
    assert set(proxy.targets()) == {f"{NAME}:{account.port}"}


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("hi", "holds no certificate")])
async def test_certificates_that_cannot_be_used_are_a_configuration_error_and_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, said: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    config = Config.load({"HOME": str(tmp_path)}, tmp_path)
    vault = FixedVault(api_key=CANARY, requester_email="a@example.com")
    pd = PagerDutyConnector("a", "o", policies=[EVERYTHING], config=config, vault=vault, base_url="https://127.0.0.1:9")
    async with pd:
        with pytest.raises(ConfigError, match=f"SSL_CERT_FILE names .*{said}") as refused:
            await pd.resolve_incident("P1")
        await pd.audit.flush()
        last = [record async for record in pd.audit.records()][-1]
    assert (last.status, last.error) == ("error", "ConfigError")
    assert not any(attempt["sent"] for attempt in last.metadata.get("attempts", ()))
    assert "Nothing was sent" in str(refused.value)


REFUSING = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"


async def test_every_vault_that_is_elsewhere_is_reached_through_the_proxy(tmp_path: Path) -> None:
    environ = {
        "VAULT_ADDR": "https://vault.example",
        "VAULT_TOKEN": CANARY,
        "PAGERDUTY_OAUTH_CLIENT_ID": "app",
        "PAGERDUTY_OAUTH_CLIENT_SECRET": CANARY,
        "PAGERDUTY_OAUTH_SCOPE": "incidents.read",
        "PAGERDUTY_OAUTH_URL": "https://identity.example/oauth/token",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    async with proxying(1, answer=REFUSING) as proxy:
        through = Proxy.parse(proxy.url, ("internal",))
        for url in ("hashicorp://secret/arx", "oauth:"):
            opened = vault.open(url, environ=environ, proxy=through)
            with pytest.raises(CredentialError):
                await opened.read("o")
            await opened.aclose()
        assert set(proxy.targets()) == {"vault.example:443", "identity.example:443"}
        assert CANARY not in "".join(proxy.heads)
        before = len(proxy.heads)
        direct = vault.open(
            "hashicorp://secret/arx", environ={**environ, "VAULT_ADDR": "https://v.internal"}, proxy=through
        )
        with pytest.raises(CredentialError):
            await direct.read("o")
        assert len(proxy.heads) == before


async def test_slack_and_webhooks_are_reached_through_the_configured_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", CANARY)
    monkeypatch.setenv("ARX_WEBHOOK_SECRET", "s" * 32)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with proxying(1, answer=REFUSING) as proxy:
        environ = {
            "HOME": str(tmp_path),
            "PAGERDUTY_PROXY": proxy.url,
            "ARX_SLACK_CHANNEL": "#x",
            "ARX_SLACK_URL": "https://slack.example/api/",
            "ARX_WEBHOOK_URL": "https://hooks.example/x",
        }
        found = channels(Config.load(environ, tmp_path))
        store = approvals.open(f"sqlite:///{tmp_path}/a.db", proof="name")
        asked = await store.request(**terms())
        for channel in found:
            with pytest.raises(Exception, match=r".*"):  # each library's own
                await channel.announce(asked)
            await channel.aclose()
        await store.aclose()
    assert set(proxy.targets()) == {"slack.example:443", "hooks.example:443"}
    assert CANARY not in "".join(proxy.heads)
