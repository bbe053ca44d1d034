"""Check addresses: secrets go to https everywhere, and to http on this machine's loopback interface only."""

from __future__ import annotations

import base64
from urllib.parse import SplitResult, quote, unquote, urlsplit

from attrs import frozen

from arx_wrapper.errors import ConfigError
from arx_wrapper.model import Secret


def is_loopback(host: str) -> bool:
    """Return True for `localhost` and for every address of the loopback networks (127.0.0.0/8, ::1)."""
    if host == "localhost":
        return True
    if not (host[:1].isdigit() or ":" in host):
        return False
    import ipaddress  # imported late: most addresses are names

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
    except ValueError:  # malformed brackets or port
        return None
    return parts if usable else None


def is_postgres(url: str) -> bool:
    """Return True for the address of a PostgreSQL database."""
    return url.startswith(("postgresql://", "postgres://"))


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
        problem = "must be an https:// address without a password" if value else "must be text"
        del value  # nor does a traceback show it
        raise ValueError(problem)
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
    """Return a host in the form of an address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


@frozen(kw_only=True)
class Proxy:
    """A proxy for requests that leave this machine, through which TLS goes end to end (`CONNECT`).

    Attributes:
        scheme, host, port: The proxy's address; `https` also encrypts the connection to the proxy.
        user, password: The proxy's login (Basic authentication); None when it needs none.
        bypass: Hosts that are reached directly: a name, or a name and what lies below it (`.corp.example`).
    """

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: Secret | None = None
    bypass: tuple[str, ...] = ()

    @classmethod
    def parse(cls, url: object, bypass: tuple[str, ...] = ()) -> Proxy:
        """Read a proxy's address, `http://user:password@proxy.example:3128`.

        Raises:
            ValueError: it is no http or https address of a host; the message does not show it.
        """
        parts = split(url)
        if parts is None or parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
            raise ValueError("must be an http:// or https:// address of a host and a port")
        if parts.query or parts.fragment:
            raise ValueError("must be an http:// or https:// address of a host and a port")
        return cls(
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=parts.port or (443 if parts.scheme == "https" else 80),
            user=unquote(parts.username) if parts.username is not None else None,
            password=Secret(unquote(parts.password or "")) if parts.username is not None else None,
            bypass=tuple(name.lower() for name in bypass),
        )

    @property
    def address(self) -> str:
        """Return the proxy's address without user and password."""
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}"

    def serves(self, host: str) -> bool:
        """Return True when requests to a host go through the proxy: not those to this machine or a bypassed host."""
        host = host.lower()
        if is_loopback(host):
            return False
        return not any(host == name.lstrip(".") or host.endswith(f".{name.lstrip('.')}") for name in self.bypass)

    def authorization(self) -> Secret | None:
        """Return the value of `Proxy-Authorization`; None when the proxy needs no login."""
        if self.user is None or self.password is None:
            return None
        return Secret("Basic " + base64.b64encode(f"{self.user}:{self.password.reveal()}".encode()).decode())

    def with_password(self) -> Secret:
        """Return the whole address, for a library that takes it in one piece."""
        if self.user is None or self.password is None:
            return Secret(self.address)
        login = f"{quote(self.user, safe='')}:{quote(self.password.reveal(), safe='')}"
        return Secret(f"{self.scheme}://{login}@{bracketed(self.host)}:{self.port}")
