"""Faults on demand: what a test wants PagerDuty, or the network to it, to do wrong."""

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
        after: How many matching calls pass first.
        times: How many calls fail then; None for all.
        latency: Seconds to wait before anything else.
        status: Answer with this status instead; the work is not done unless `work`.
        body: Answer with this body: an object as JSON, text as it is.
        headers: Answer with these headers as well.
        content_type: The body's type; by default JSON for an object, HTML for text.
        work: Whether the work is done all the same.
        drop: Break the connection off: "before" the work, "after" it without an answer, or "midway"
            through the answer.
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
    """The faults in force; the first that strikes a call decides it.

    Every method that adds one takes `Fault`'s `method`, `path`, `after` and `times` as well.
    """

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, fault: Fault) -> None:
        self._armed.append(_Armed(fault))

    def clear(self) -> None:
        self._armed.clear()

    def pending(self) -> list[Fault]:
        """The faults that can still strike."""
        return [
            armed.fault
            for armed in self._armed
            if armed.fault.times is None or armed.seen < armed.fault.after + armed.fault.times
        ]

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault that this call meets. Each call counts once for every fault that it matches."""
        struck = [armed.fault for armed in self._armed if armed.strikes(method, path)]
        return struck[0] if struck else None

    def slow(self, seconds: float, *, times: int | None = None, **where: Any) -> None:
        """Lets calls take longer."""
        self.add(Fault(latency=seconds, times=times, **where))

    def rate_limited(self, *, reset: int | None = 1, bare: bool = False, **where: Any) -> None:
        """429. `reset` is the `ratelimit-reset` header in seconds; `bare` leaves headers and body out."""
        if bare:
            self.add(Fault(status=429, body="", content_type="text/plain", **where))
            return
        headers = {"ratelimit-limit": "960", "ratelimit-remaining": "0"}
        if reset is not None:
            headers["ratelimit-reset"] = str(reset)
        body = {"error": {"message": "Rate Limit Exceeded", "code": 2020}}
        self.add(Fault(status=429, body=body, headers=headers, **where))

    def server_error(self, status: int = 500, *, html: bool = False, work: bool = False, **where: Any) -> None:
        """5xx, as JSON or as a proxy's HTML; with `work` after the work was done."""
        body: dict[str, Any] = {"error": {"message": "Internal Server Error", "code": 2000}}
        self.add(Fault(status=status, body=_HTML.format(status) if html else body, work=work, **where))

    def unauthorized(self, *, html: bool = False, **where: Any) -> None:
        """401, as JSON or as HTML, whatever the credentials."""
        body: dict[str, Any] = {"error": {"message": "Authentication failed", "code": 2006}}
        self.add(Fault(status=401, body=_HTML.format(401) if html else body, **where))

    def html(self, status: int = 200, **where: Any) -> None:
        """An HTML page where JSON was expected."""
        self.add(Fault(status=status, body=_HTML.format(status), **where))

    def dropped(self, when: Drop = "before", **where: Any) -> None:
        """A connection broken off: "before" the work was done, "after" it, or "midway" through the answer."""
        self.add(Fault(drop=when, **where))


@define(kw_only=True)
class Options:
    """Options for behaviour that PagerDuty's documents leave open.

    Attributes:
        list_integrations: Whether `GET /services/{id}/integrations` exists; documented is that it does not.
        event_rules: Status of the retired event rules: 200 in service; 404 or 410 gone; 406 rules too new.
        note_status: Status of a created note: 200 as published, or 201.
        personal_key: Whether the key is the requester's own, as `Token token=` keys of users are; else the account's.
        audit_records: Status of the audit records: 200, 402 where the plan has none, 403 for a key that is no admin's.
        audit_lag: Seconds until an audit record shows.
        analytics_lag: Seconds until an incident shows in analytics; the real lag is about a day.
    """

    list_integrations: bool = False
    event_rules: int = field(default=200, validator=in_((200, 404, 406, 410)))
    note_status: int = field(default=200, validator=in_((200, 201)))
    personal_key: bool = False
    audit_records: int = field(default=200, validator=in_((200, 402, 403)))
    audit_lag: float = field(default=0.0, validator=ge(0.0))
    analytics_lag: float = field(default=0.0, validator=ge(0.0))

    def reset(self) -> None:
        """Back to the defaults."""
        for option in fields(type(self)):
            setattr(self, option.name, option.default)
