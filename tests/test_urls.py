"""Addresses that secrets go to: https, or this machine; a password in one is never shown."""

from __future__ import annotations

import pytest

from arx_wrapper import ConfigError
from arx_wrapper.urls import Proxy, https_or_loopback, is_loopback, origin, without_password

CANARY = "k4n4ry"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "127.255.255.254", "::1"])
def test_loopback_is_the_whole_network_everywhere(host: str) -> None:
    shown = f"[{host}]" if ":" in host else host
    assert is_loopback(host)
    assert https_or_loopback(f"http://{shown}:8080/path")
    assert origin(f"http://{shown}:8080") == f"http://{shown}:8080"


@pytest.mark.parametrize("host", ["", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.1", "10.0.0.1", "::"])
def test_nothing_else_is_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "address",
    [
        f"https://user:{CANARY}@api.pagerduty.com",
        f"https://{CANARY}@api.pagerduty.com",
        f"https://user:{CANARY}@{CANARY}@api.pagerduty.com",
        f"https://user:{CANARY}/x@api.pagerduty.com",
        f"https://user:{CANARY}@api.pagerduty.com:port",
        f"http://user:{CANARY}@api.pagerduty.com/path?q#f",
        f"//user:{CANARY}@api.pagerduty.com",
        f"user:{CANARY}@api.pagerduty.com",
        f"https:\\\\user:{CANARY}@api.pagerduty.com",
    ],
)
def test_a_password_in_a_base_url_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(ConfigError, match="Nothing was sent") as refused:
        origin(address)
    assert CANARY not in str(refused.value)
    assert "api.pagerduty.com" in str(refused.value)
    assert not https_or_loopback(address)


def test_an_address_in_a_message_holds_no_control_characters_and_is_short() -> None:
    shown = without_password("https://evil\x1b[2J\n" + "x" * 1000)
    assert shown.isprintable()
    assert len(shown) < 210


@pytest.mark.parametrize(
    "address",
    [
        "https://api.pagerduty.com/v2",
        "https://api.pagerduty.com?x=1",
        "https://api.pagerduty.com/?x=1",
        "https://api.pagerduty.com#f",
        "http://api.pagerduty.com",
        "http://127.0.0.1.evil.example",
        "http://0.0.0.0:80",
        "ftp://127.0.0.1",
        "https://api.pagerduty.com:0",
        "https://api.pagerduty.com\\.evil.example",
        "https://evil.example\\@api.pagerduty.com",
        "https://api.pagerduty.com\t.evil.example",
        "https://api.pager\nduty.com",
        "https://api.pagerduty.com .evil.example",
        "https://\uff41pi.pagerduty.com",
        "https://api\u2024pagerduty.com",
        "https://",
        "",
        None,
    ],
)
def test_a_base_url_is_one_host_in_plain_text(address: object) -> None:
    with pytest.raises(ConfigError, match="Nothing was sent"):
        origin(address)


@pytest.mark.parametrize("rest", ["/path", "?x=1", "#f", "/?x", "/#f"])
def test_a_proxys_address_is_a_host_and_a_port(rest: str) -> None:
    assert Proxy.parse("http://proxy.example:3128").port == 3128
    with pytest.raises(ValueError, match="a host and a port"):
        Proxy.parse(f"http://proxy.example:3128{rest}")
    for other in (f"socks5://{CANARY}.example", f"{CANARY}.example:3128", f"http://{CANARY}\\@proxy.example"):
        with pytest.raises(ValueError, match="a host and a port") as refused:
            Proxy.parse(other)
        assert CANARY not in str(refused.value)
