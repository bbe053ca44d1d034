"""Send messages to reviewers through Apprise or a webhook. Decisions are taken only by `Approvals.decide()`.

The command line needs no channel: `arx-pagerduty approvals list` reads the database.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from arx_wrapper.approvals.request import ApprovalRequest, stamp
from arx_wrapper.approvals.request_text import escape, render
from arx_wrapper.credentials import Secret
from arx_wrapper.errors import ApprovalError, ConfigError
from arx_wrapper.http_client import client as http_client
from arx_wrapper.urls import Proxy, address

if TYPE_CHECKING:
    from arx_wrapper.http_client import AsyncClient

log = logging.getLogger("arx_wrapper.approvals")
_SECRET = re.compile(r".{32,}", re.DOTALL)


# The addresses hold secrets, so they come on stdin and not as arguments, which other users can list.
_CHILD: Final = """
import json, sys
given = json.load(sys.stdin.buffer)
sys.path[:] = given["path"]
import apprise
sender = apprise.Apprise()
known = all([sender.add(url) for url in given["urls"]])
sys.exit(0 if known and sender.notify(title=given["title"], body=given["body"]) else 1)
"""


def _environment(proxy: Proxy | None) -> dict[str, str]:
    """Return the child's environment: this process's, without our secrets, and with no proxy but the configured one."""
    ours = ("ARX_", "PAGERDUTY_")
    found = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(ours)
    }
    found["NETRC"] = os.devnull  # logins for hosts are not read from the user's files either
    if proxy is None:
        return found | {"NO_PROXY": "*"}  # for systems that keep proxies outside the environment, such as macOS
    direct = ",".join(("localhost", "127.0.0.1", "::1", *proxy.bypass))
    through = proxy.with_password().reveal()
    return found | {"HTTP_PROXY": through, "HTTPS_PROXY": through, "NO_PROXY": direct}


def message(request: ApprovalRequest, now: datetime, *, origin: str | None, reminder: bool = False) -> tuple[str, str]:
    """Return title and text of a message about a request: its sentence, the time left, and the place to decide it.

    Args:
        request: The request.
        now: The time, aware.
        origin: The console's origin; None when reviewers decide on the command line.
        reminder: Whether the message is a reminder.
    """
    minutes = max(0, int((request.expires_at - now).total_seconds())) // 60
    left = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    title = f"{'Reminder: ' if reminder else ''}{request.risk.name} request of {escape(request.agent_id)}, {left} left"
    where = link_to(request, origin) or f"arx-pagerduty approvals show {request.id}"
    return title, f"{escape(request.sentence or request.operation)}\n{where}"


def link_to(request: ApprovalRequest, origin: str | None) -> str | None:
    """Return the address of a request's page; None when no console's origin is configured."""
    return link_to_id(request.id, origin)


def link_to_id(approval_id: str, origin: str | None) -> str | None:
    """Return the address of a request's page, given its id; None when no console's origin is configured."""
    return f"{origin}/requests/{approval_id}" if origin else None


class Notify:
    """Sends messages through Apprise: e-mail, Teams, ntfy, Pushover and many more; needs the extra `notify`.

    Apprise follows the environment's proxy variables and has no setting of its own. So each message is sent by a child
    process whose environment names the configured proxy alone.

    Args:
        urls: Apprise addresses, which hold secrets.
        clock: Returns the time, aware.
        proxy: The proxy for other machines.
        origin: The console's origin, for the link.

    Raises:
        ConfigError: apprise is not installed, or does not accept an address.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        clock: Callable[[], datetime],
        proxy: Proxy | None = None,
        origin: str | None = None,
    ) -> None:
        try:
            import apprise
        except ImportError:
            raise ConfigError(
                "Notifications need apprise: pip install 'arx-pagerduty[notify]'. Nothing was sent."
            ) from None
        self._clock, self._proxy, self._origin = clock, proxy, origin
        self._urls = [Secret(url) for url in urls]
        known = apprise.Apprise()
        for number, url in enumerate(urls, 1):
            if not known.add(url):
                raise ConfigError(f"ARX_NOTIFY_URLS: Apprise does not accept address {number}. Nothing was sent.")

    async def announce(self, request: ApprovalRequest) -> None:
        """Send the message. ApprovalError when a service does not accept it."""
        await self._send(request, reminder=False)

    async def remind(self, request: ApprovalRequest) -> None:
        """Send the reminder. ApprovalError when a service does not accept it."""
        await self._send(request, reminder=True)

    async def aclose(self) -> None:
        """Do nothing: each message has its own process."""

    async def _send(self, request: ApprovalRequest, *, reminder: bool) -> None:
        title, body = message(request, self._clock(), origin=self._origin, reminder=reminder)
        if not await self._sent(title, body):
            raise ApprovalError("A service did not accept the notification.", approval_id=request.id)

    async def _sent(self, title: str, body: str) -> bool:
        """Send the message from a child process; return False when a service does not accept it."""
        try:
            # -P: a module in the working directory is never imported.
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-W", "ignore", "-c", _CHILD,
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=_environment(self._proxy),
            )  # fmt: skip
        except OSError as error:
            raise ApprovalError(f"The notification was not sent: {type(error).__name__}.") from None
        try:
            await child.communicate(self._child_input(title, body))
            return child.returncode == 0
        finally:
            if child.returncode is None:  # cancelled: a message that comes late would only confuse
                child.kill()

    def _child_input(self, title: str, body: str) -> bytes:
        """Return the JSON that the child process reads."""
        urls = [url.reveal() for url in self._urls]
        path = [entry for entry in sys.path if entry]
        return msgspec.json.encode({"path": path, "urls": urls, "title": title, "body": body})


class Webhook:
    """Posts each request as JSON to your own address, signed so that the receiver can verify the sender.

    The receiver computes HMAC-SHA256 over the header `X-Arx-Timestamp`, a full stop and the raw body, compares it
    with the hexadecimal `v1=…` of `X-Arx-Signature` in constant time, and refuses timestamps far from its own clock.

    Args:
        url: The receiver's address: https, or loopback.
        secret: The secret shared with the receiver, at least 32 characters.
        clock: Returns the time, aware.
        client: The client of httpx or httpx2 to use; by default one that follows no redirect.
        proxy: The proxy for other machines.
        origin: The console's origin, for the link.

    Raises:
        ConfigError: the address is not https, or the secret is short.
    """

    def __init__(
        self,
        url: str,
        secret: Secret | str,
        *,
        clock: Callable[[], datetime],
        client: AsyncClient | None = None,
        proxy: Proxy | None = None,
        origin: str | None = None,
    ) -> None:
        secret = Secret(secret)  # the clear text leaves this frame before anything is raised in it
        require_private("The webhook", url)
        if secret.fault(_SECRET):
            raise ConfigError("The webhook's secret needs 32 characters at least. Nothing was sent.")
        self._url, self._secret, self._clock, self._client = url, secret, clock, client
        self._proxy, self._origin = proxy, origin

    async def announce(self, request: ApprovalRequest) -> None:
        """Post a request. ApprovalError when the receiver does not answer with a 2xx."""
        await self._post(request, reminder=False)

    async def remind(self, request: ApprovalRequest) -> None:
        """Post a request again, marked as a reminder. ApprovalError when the receiver does not answer with a 2xx."""
        await self._post(request, reminder=True)

    async def _post(self, request: ApprovalRequest, *, reminder: bool) -> None:
        body = webhook_body(request, link=link_to(request, self._origin), reminder=reminder)
        timestamp = str(int(self._clock().timestamp()))
        signed = f"{timestamp}.".encode() + body
        signature = hmac.new(self._secret.reveal().encode(), signed, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Arx-Timestamp": timestamp,
            "X-Arx-Signature": f"v1={signature}",
        }
        # Only the status counts. The body is not read, because it may be of any length.
        async with self._http().stream("POST", self._url, content=body, headers=headers) as answer:
            if not answer.is_success:
                raise ApprovalError(f"The webhook answered {answer.status_code}.", approval_id=request.id)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _http(self) -> AsyncClient:
        if self._client is None:
            self._client = http_client(self._url, timeout=10.0, proxy=self._proxy)
        return self._client


def webhook_body(request: ApprovalRequest, *, link: str | None = None, reminder: bool = False) -> bytes:
    """Return a webhook's body as JSON: the request's members for a program, and the text for a person."""
    facts = {
        "id": request.id,
        "digest": request.digest,
        "state": request.state,
        "org_id": request.org_id,
        "agent_id": request.agent_id,
        "connector": request.connector,
        "operation": request.operation,
        "sentence": request.sentence,
        "link": link,
        "reminder": reminder,
        "risk": request.risk.name.lower(),
        "channel": request.channel,
        "min_approvals": request.min_approvals,
        "created_at": stamp(request.created_at),
        "expires_at": stamp(request.expires_at),
        "text": render(request),
    }
    return msgspec.json.encode(facts)


def require_private(what: str, url: str) -> None:
    """Refuse an address that is not encrypted. The ConfigError omits the address, which may hold a secret."""
    try:
        address(url)
    except ValueError as error:
        raise ConfigError(f"{what}'s address {error}. Nothing was sent.") from None
