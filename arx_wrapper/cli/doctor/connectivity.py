"""Try to reach a server and compare clocks with it: one request without credentials."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import monotonic

from attrs import frozen

from arx_wrapper.http_client import client, library
from arx_wrapper.urls import Proxy

_WITHIN = 10.0


@frozen(kw_only=True)
class Reached:
    """A server that answered.

    Attributes:
        seconds: How long it took.
        skew: How far this machine's clock is ahead of the server's; None when the server told no time.
    """

    seconds: float
    skew: timedelta | None


class Unreachable(Exception):  # noqa: N818 - it is caught where it is raised, and shown as a finding
    """No answer came.

    Attributes:
        cause: Why, in words.
        remedy: What to do about it.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause, self.remedy = cause, remedy


async def reach(url: str, clock: Callable[[], datetime], proxy: Proxy | None = None) -> Reached:
    """Ask a server for its front page, whatever it answers.

    Args:
        url: The server's origin.
        clock: This machine's time, aware.
        proxy: The proxy for hosts beyond this machine.

    Raises:
        Unreachable: with its cause and remedy.
        ConfigError: `SSL_CERT_FILE` names no usable certificates.
    """
    http, began = client(url, timeout=_WITHIN, proxy=proxy), monotonic()  # trusts what calls trust
    try:
        async with http, http.stream("GET", url) as answer:
            seconds, now, told = monotonic() - began, clock(), answer.headers.get("date")
    except library().HTTPError as error:
        raise _explained(error) from None
    return Reached(seconds=seconds, skew=_skew(told, now))


def _skew(told: str | None, now: datetime) -> timedelta | None:
    try:
        server = parsedate_to_datetime(told or "")
    except ValueError:
        return None
    return now - (server if server.tzinfo else server.replace(tzinfo=UTC))


def _explained(error: Exception) -> Unreachable:
    httpx, told = library(), str(error)
    if "CERTIFICATE_VERIFY_FAILED" in told:
        return Unreachable(
            "its certificate is not trusted here",
            "A proxy between here and the server may read the traffic. If it is your own, name its certificate "
            "authority: SSL_CERT_FILE=/path/ca.pem.",
        )
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(f"no answer within {_WITHIN:g} s", "Look at the firewall: outgoing port 443 has to be open.")
    if "Name or service not known" in told or "getaddrinfo" in told or "No address" in told or "resolution" in told:
        return Unreachable("there is no such host", "Look at PAGERDUTY_BASE_URL's spelling, and at this machine's DNS.")
    if isinstance(error, httpx.ProxyError):
        return Unreachable("the proxy refuses", "Look at PAGERDUTY_PROXY: its address, its user and its password.")
    if isinstance(error, httpx.ConnectError):
        return Unreachable(
            "the connection is refused",
            "Look at PAGERDUTY_BASE_URL, and at the firewall: outgoing port 443 has to be open. Behind a proxy, "
            "set PAGERDUTY_PROXY; HTTPS_PROXY and similar variables are not used.",
        )
    return Unreachable(type(error).__name__, "Check the proxies and firewalls between here and the server.")
