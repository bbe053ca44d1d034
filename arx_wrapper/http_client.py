"""Make HTTP clients and TLS contexts. Only this module imports httpx, or httpx2, its maintained continuation.

Requests to the API go through `arx_wrapper.transport`. httpx sends all others: those to an identity server or a
webhook, and those through a transport that the caller supplies.
"""

from __future__ import annotations

import os
import ssl
import sys
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from arx_wrapper.errors import ConfigError
from arx_wrapper.model import Secret

if TYPE_CHECKING:
    import httpx
    import httpx2

    AsyncTransport: TypeAlias = httpx.AsyncBaseTransport | httpx2.AsyncBaseTransport
    AsgiTransport: TypeAlias = httpx.ASGITransport
    AsyncClient: TypeAlias = httpx.AsyncClient | httpx2.AsyncClient
    Response: TypeAlias = httpx.Response | httpx2.Response

CERTIFICATES = "SSL_CERT_FILE"


class Route(Protocol):
    """The proxy that requests beyond this machine go through; `arx_wrapper.urls.Proxy` is one."""

    @property
    def scheme(self) -> str: ...
    @property
    def user(self) -> str | None: ...
    @property
    def password(self) -> Secret | None: ...
    @property
    def address(self) -> str: ...
    def serves(self, host: str) -> bool: ...


def library(given: object = None) -> ModuleType:
    """Return the library that a transport or client belongs to: httpx2 for its own, else httpx."""
    httpx2 = sys.modules.get("httpx2")  # when it is not imported, no object of the caller's can belong to it
    if httpx2 is not None and isinstance(given, httpx2.AsyncBaseTransport | httpx2.AsyncClient):
        return httpx2
    import httpx

    return httpx


def client(url: str, *, timeout: float, proxy: Route | None = None) -> httpx.AsyncClient:
    """Make a client for one host. It verifies certificates and follows no redirects.

    Of the environment it reads only which certificates to trust.

    Args:
        url: Where the client's requests will go; decides whether they go through the proxy.
        timeout: Seconds for each phase of a request.
        proxy: The configured proxy.

    Raises:
        ConfigError: `SSL_CERT_FILE` names no usable certificates.
    """
    import httpx

    route: Any = None
    if proxy is not None and proxy.serves(httpx.URL(url).host):
        login = (proxy.user, proxy.password.reveal()) if proxy.user is not None and proxy.password is not None else None
        route = httpx.Proxy(proxy.address, auth=login, ssl_context=tls() if proxy.scheme == "https" else None)
    return httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=timeout, verify=tls(), proxy=route)


def tls() -> ssl.SSLContext:
    """Return the context that verifies servers' certificates, against `SSL_CERT_FILE` where it is set.

    Raises:
        ConfigError: `SSL_CERT_FILE` names no file with certificates.
    """
    named = os.environ.get(CERTIFICATES)
    if not named:
        import certifi

        return _context(certifi.where())
    try:
        return _context(named)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else getattr(error, "strerror", "")
        problem = f"{CERTIFICATES} names {named!a}, which cannot be used: {reason or 'it is no path'}"
    raise ConfigError(f"{problem}. Nothing was sent. Name a file of certificates in PEM form, or unset {CERTIFICATES}.")


@lru_cache(maxsize=4)
def _context(path: str) -> ssl.SSLContext:
    """Make a context once for each file: it takes 20 ms."""
    context = ssl.create_default_context(cafile=path)
    context.set_alpn_protocols(["http/1.1"])
    return context
