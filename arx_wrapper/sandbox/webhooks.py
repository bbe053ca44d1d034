"""Send PagerDuty's v3 webhooks, signed, to an address on this machine."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from arx_wrapper.http_client import library
from arx_wrapper.sandbox.account import JSON, Account, Resource
from arx_wrapper.sandbox.responses import encode

__all__ = ["Webhooks"]

# The log entries that PagerDuty sends events for, and the events' names.
EVENTS: Final = {
    "trigger_log_entry": "incident.triggered",
    "acknowledge_log_entry": "incident.acknowledged",
    "unacknowledge_log_entry": "incident.unacknowledged",
    "resolve_log_entry": "incident.resolved",
    "escalate_log_entry": "incident.escalated",
    "assign_log_entry": "incident.reassigned",
    "annotate_log_entry": "incident.annotated",
    "urgency_change_log_entry": "incident.priority_updated",
}
_TIMEOUT: Final = 5.0


@frozen(kw_only=True)
class Webhooks:
    """A subscription to an account's incidents.

    Attributes:
        url: An http address on this machine; no other address is accepted.
        secret: Signs each event: `X-PagerDuty-Signature: v1=<HMAC-SHA256 of the body>`.

    Raises:
        ValueError: the address is not on this machine, or the secret is empty.
    """

    url: str
    secret: str

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        try:
            on_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            on_loopback = False
        if parts.scheme != "http" or not on_loopback:
            raise ValueError("webhooks go to an http:// address on this machine only")
        if not self.secret:
            raise ValueError("webhooks need a secret, which signs them")

    def event(self, account: Account, entry: Resource) -> bytes | None:
        """Return the body of a log entry's event; None for entries that PagerDuty sends no event for."""
        kind = EVENTS.get(str(entry["type"]))
        if kind is None:
            return None
        data: JSON = dict(account.incident(entry["incident"].id))
        event = {
            "id": entry["id"],
            "event_type": kind,
            "resource_type": "incident",
            "occurred_at": entry["created_at"],
            "agent": entry["agent"],
            "client": None,
            "data": data,
        }
        return encode(account, "https://sandbox.example.com", {"event": event})

    async def send(self, body: bytes) -> None:
        """Send an event once. A receiver that does not respond in time does not get it again."""
        signature = hmac.new(self.secret.encode(), body, "sha256").hexdigest()
        headers = {"Content-Type": "application/json", "X-PagerDuty-Signature": f"v1={signature}"}
        try:
            async with asyncio.timeout(_TIMEOUT), library().AsyncClient(trust_env=False) as client:
                await client.post(self.url, content=body, headers=headers)
        except (library().HTTPError, TimeoutError):
            return
