"""Check the addresses that secrets are sent to: https everywhere, http on this machine's loopback interface only."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from arx_wrapper.errors import ConfigError


def is_loopback(host: str) -> bool:
    """Return True for `localhost` and for every address of the loopback networks (127.0.0.0/8, ::1)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split(url: object) -> SplitResult | None:
    """Split an address that has a host and a usable port; None when it is no such address."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that are none
        return None
    return parts if usable else None


def https_or_loopback(url: object) -> bool:
    """Return True for an https address, or an http address on this machine, without a user or password."""
    parts = split(url)
    if parts is None or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def address(value: object) -> str:
    """Return an https address, or one on this machine. A message never shows it: a webhook's path may be its secret.

    Raises:
        ValueError: it is no such address.
    """
    if not isinstance(value, str) or not https_or_loopback(value):
        raise ValueError("must be an https:// address without a password" if value else "must be text")
    return value


def without_password(url: object) -> str:
    """Return an address for a message: short, without control characters and without what stands before an `@`."""
    shown = ascii(str(url).rpartition("@")[2])[1:-1]
    return ("***@" if "@" in str(url) else "") + (shown if len(shown) <= 200 else f"{shown[:200]}…")


def origin(base_url: object) -> str:
    """Return scheme, host and port of a base address that a key may be sent to.

    Raises:
        ConfigError: the address is not https (http on loopback), or it holds more than a host and a port.
    """
    parts, shown = split(base_url), without_password(base_url)
    if parts is None or parts.scheme not in ("https", "http"):
        raise ConfigError(f"The base URL '{shown}' is not an https:// address. Nothing was sent.")
    if "@" in parts.netloc:
        raise ConfigError(
            f"The base URL '{shown}' holds a user or password: give the host alone. Nothing was sent. "
            "Keys come from the vault; a proxy is set with pagerduty.proxy."
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError(f"The base URL '{shown}' holds more than a host and a port. Nothing was sent.")
    host = parts.hostname or ""
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError(f"The base URL '{shown}' is not https: the API key would be readable. Nothing was sent.")
    return f"{parts.scheme}://{bracketed(host)}" + (f":{parts.port}" if parts.port else "")


def bracketed(host: str) -> str:
    """Return a host as it stands in an address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
