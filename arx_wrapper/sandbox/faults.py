"""Inject faults: failures of PagerDuty, or of the network to it, that a test needs."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Literal

from attrs import define, field, fields, frozen
from attrs.validators import ge, in_, optional

__all__ = ["Fault", "Faults", "Options"]

Drop = Literal["before", "after", "midway"]

_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


@frozen(kw_only=True)
class Fault:
    """One fault, for the calls that match it.

    Attributes:
        method: Only calls with this method.
        path: Only calls whose path matches this glob, `/incidents/*`.
        after: The number of matching calls that succeed first.
        times: The number of calls that fail then; None for all.
        latency: Seconds to wait before anything else.
        status: Respond with this status instead; the call has no effect unless `work`.
        body: Respond with this body: an object as JSON, text as it is.
        headers: Further response headers.
        content_type: The body's type; by default JSON for an object, HTML for text.
        work: Whether the call takes effect all the same.
        drop: Close the connection abruptly: "before" the call takes effect, "after" it without a response, or
            "midway" through the response.
    """

    method: str | None = None
    path: str = "*"
    after: int = field(default=0, validator=ge(0))
    times: int | None = field(default=1)
    latency: float = field(default=0.0, validator=ge(0.0))
    status: int | None = field(default=None, validator=optional(in_(range(200, 1000))))
    body: dict[str, Any] | list[Any] | str | None = None
    headers: dict[str, str] = field(factory=dict)
    content_type: str | None = None
    work: bool = False
    drop: Drop | None = field(default=None, validator=optional(in_(("before", "after", "midway"))))

    @times.validator
    def _at_least_once(self, _: object, value: int | None) -> None:
        if value is not None and value < 1:
            raise ValueError(f"times must be at least 1, or None for always, not {value}")

    def concerns(self, method: str, path: str) -> bool:
        return self.method in (None, method) and fnmatchcase(path, self.path)


@define
class _Armed:
    fault: Fault
    seen: int = 0

    def strikes(self, method: str, path: str) -> bool:
        if not self.fault.concerns(method, path):
            return False
        self.seen += 1
        nth = self.seen - self.fault.after
        return nth > 0 and (self.fault.times is None or nth <= self.fault.times)


class Faults:
    """The injected faults; the first that applies to a call decides its response.

    Every method that adds one also accepts `Fault`'s `method`, `path`, `after` and `times`.
    """

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, fault: Fault) -> None:
        self._armed.append(_Armed(fault))

    def clear(self) -> None:
        self._armed.clear()

    def pending(self) -> list[Fault]:
        """Return the faults that can still happen."""
        return [
            armed.fault
            for armed in self._armed
            if armed.fault.times is None or armed.seen < armed.fault.after + armed.fault.times
        ]

    def strike(self, method: str, path: str) -> Fault | None:
        """Return the fault for this call, or None. A call counts once for every fault that it matches."""
        struck = [armed.fault for armed in self._armed if armed.strikes(method, path)]
        return struck[0] if struck else None

    def slow(self, seconds: float, *, times: int | None = None, **where: Any) -> None:
        """Delay calls."""
        self.add(Fault(latency=seconds, times=times, **where))

    def rate_limited(self, *, reset: int | None = 1, bare: bool = False, **where: Any) -> None:
        """Respond with 429. `reset` is the `ratelimit-reset` header in seconds; `bare` omits headers and body."""
        if bare:
            self.add(Fault(status=429, body="", content_type="text/plain", **where))
            return
        headers = {"ratelimit-limit": "960", "ratelimit-remaining": "0"}
        if reset is not None:
            headers["ratelimit-reset"] = str(reset)
        body = {"error": {"message": "Rate Limit Exceeded", "code": 2020}}
        self.add(Fault(status=429, body=body, headers=headers, **where))

    def server_error(self, status: int = 500, *, html: bool = False, work: bool = False, **where: Any) -> None:
        """Respond with a 5xx, as JSON or as a proxy's HTML; with `work` the call still takes effect."""
        body: dict[str, Any] = {"error": {"message": "Internal Server Error", "code": 2000}}
        self.add(Fault(status=status, body=_HTML.format(status) if html else body, work=work, **where))

    def unauthorized(self, *, html: bool = False, **where: Any) -> None:
        """Respond with 401, as JSON or as HTML, even to valid credentials."""
        body: dict[str, Any] = {"error": {"message": "Authentication failed", "code": 2006}}
        self.add(Fault(status=401, body=_HTML.format(401) if html else body, **where))

    def html(self, status: int = 200, **where: Any) -> None:
        """Respond with an HTML page where JSON is expected."""
        self.add(Fault(status=status, body=_HTML.format(status), **where))

    def dropped(self, when: Drop = "before", **where: Any) -> None:
        """Close the connection: "before" the call takes effect, "after" it, or "midway" through the response."""
        self.add(Fault(drop=when, **where))


@define(kw_only=True)
class Options:
    """Options for behaviour that PagerDuty does not document.

    Attributes:
        list_integrations: Whether `GET /services/{id}/integrations` exists; PagerDuty documents no such endpoint.
        event_rules: Status of the retired event rules: 200 in service; 404 or 410 retired; 406 rules too new.
        note_status: Status of a created note: 200 as documented, or 201.
        personal_key: Whether the key is the requester's own, as `Token token=` keys of users are; else the account's.
        audit_records: Status of the audit records: 200, 402 (not in the account's plan), 403 (not an admin's key).
        audit_lag: Seconds until an audit record appears.
        analytics_lag: Seconds until an incident appears in analytics; PagerDuty takes about a day.
    """

    list_integrations: bool = False
    event_rules: int = field(default=200, validator=in_((200, 404, 406, 410)))
    note_status: int = field(default=200, validator=in_((200, 201)))
    personal_key: bool = False
    audit_records: int = field(default=200, validator=in_((200, 402, 403)))
    audit_lag: float = field(default=0.0, validator=ge(0.0))
    analytics_lag: float = field(default=0.0, validator=ge(0.0))

    def reset(self) -> None:
        """Restore the defaults."""
        for option in fields(type(self)):
            setattr(self, option.name, option.default)
