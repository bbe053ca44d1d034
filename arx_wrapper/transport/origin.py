"""The one origin that requests go to."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from arx_wrapper.errors import ConfigError


def origin(base_url: str) -> str:
    """Scheme, host and port of an address that the key may be sent to."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = None, "", None
    if parts is None or not host or parts.scheme not in ("https", "http"):
        raise ConfigError(f"The base URL {base_url!a} is not an https:// address. Nothing was sent.")
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment or not host.isascii():
        raise ConfigError(f"The base URL {base_url!a} holds more than a host and a port. Nothing was sent.")
    if parts.scheme == "http" and not _loopback(host):
        raise ConfigError(f"The base URL {base_url!a} is not https: the API key would be readable. Nothing was sent.")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
