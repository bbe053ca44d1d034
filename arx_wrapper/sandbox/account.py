"""Hold the account's state: resources in tables, and references between them.

A stored resource has only the members that cannot be derived. For each response, `render.py` computes `summary`,
`self`, `html_url` and all members that depend on other resources. So stored data cannot become stale.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from attrs import field, frozen

from arx_wrapper.sandbox.clock import AccountClock
from arx_wrapper.sandbox.errors import refuse

__all__ = ["Account", "Incident", "Ref", "Resource"]

_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

JSON = dict[str, Any]
_R = TypeVar("_R", bound="Resource")


@frozen
class Ref:
    """A reference to a resource; shown as PagerDuty's `{"id", "type": "…_reference", "summary", …}`."""

    kind: str
    id: str


class Resource(dict[str, Any]):
    """A stored resource: its members, named as in PagerDuty's JSON.

    Attributes:
        kind: The name of its table.
        home: The path of its collection.
        hidden: Members that are shown only on request (`include[]`).
    """

    def __init__(self, kind: str, home: str, members: JSON, hidden: JSON | None = None) -> None:
        super().__init__(members)
        self.kind, self.home, self.hidden = kind, home, hidden or {}

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self["id"])

    @property
    def path(self) -> str:
        return f"{self.home}/{self['id']}"

    @property
    def summary(self) -> str | None:
        return self.get("summary") or self.get("name") or self.get("label") or self.get("description")


class Incident(Resource):
    """An incident, with its alerts, log entries and notes.

    Attributes:
        level: Escalation level, from 1.
        alerts: Its alerts, oldest first.
        log: Its log entries, oldest first.
        notes: Its notes, oldest first.
    """

    def __init__(self, members: JSON, hidden: JSON) -> None:
        super().__init__("incident", "/incidents", members, hidden)
        self.level = 1
        self.alerts: list[Resource] = []
        self.log: list[Resource] = []
        self.notes: list[Resource] = []

    @property
    def summary(self) -> str:
        return f"[#{self['incident_number']}] {self['title']}"

    @property
    def open(self) -> bool:
        return bool(self["status"] != "resolved")


@frozen
class Account:
    """The content of one PagerDuty account.

    Attributes:
        clock: Its time.
        random: The source of its ids.
        tables: Resources by kind and id, in order of creation.
        deleted: Deleted resources that others still refer to.
        due: A heap of times and the incidents that change by themselves then.
        counted: Counters by name, from which ids of requests are made.
    """

    clock: AccountClock
    random: random.Random
    tables: dict[str, dict[str, Resource]] = field(factory=dict)
    deleted: dict[Ref, Resource] = field(factory=dict)
    due: list[tuple[datetime, str]] = field(factory=list)
    counted: Counter[str] = field(factory=Counter)

    def new_id(self, letters: int = 6, prefix: str = "P") -> str:
        return prefix + "".join(self.random.choices(_ID_LETTERS, k=letters))

    def add(self, kind: str, home: str, members: JSON, hidden: JSON | None = None) -> Resource:
        """Store a new resource; it gets an id unless its members have one."""
        members = {"id": members.get("id") or self.new_id(), "type": kind, **members}
        return self.store(Resource(kind, home, members, hidden))

    def store(self, resource: _R) -> _R:
        self.tables.setdefault(resource.kind, {})[resource["id"]] = resource
        return resource

    def delete(self, resource: Resource) -> None:
        self.deleted[resource.ref] = self.tables[resource.kind].pop(resource["id"])

    def all(self, kind: str) -> Iterable[Resource]:
        return self.tables.get(kind, {}).values()

    def find(self, kind: str, id_: object) -> Resource | None:
        return self.tables.get(kind, {}).get(id_) if isinstance(id_, str) else None

    def get(self, kind: str, id_: str) -> Resource:
        """Return a resource; refuse with 404 when there is none."""
        if (found := self.find(kind, id_)) is None:
            raise refuse(2100)
        return found

    def resolve(self, ref: Ref) -> Resource | None:
        return self.find(ref.kind, ref.id) or self.deleted.get(ref)

    def incident(self, id_or_number: str) -> Incident:
        """Return an incident by id or number; refuse with 404 when there is none."""
        if isinstance(found := self.find("incident", id_or_number), Incident):
            return found
        if id_or_number.isascii() and id_or_number.isdigit():
            for incident in self.incidents():
                if incident["incident_number"] == int(id_or_number):
                    return incident
        raise refuse(2100)

    def incidents(self) -> Iterator[Incident]:
        return (incident for incident in self.all("incident") if isinstance(incident, Incident))

    def references(self, value: object, kind: str, refused: Callable[[], Exception]) -> list[Ref]:
        """Parse a request's list of references to existing resources; raise `refused()` for anything else."""
        if not isinstance(value, list):
            raise refused()
        return [self.reference(item, kind, refused) for item in value]

    def reference(self, value: object, kind: str, refused: Callable[[], Exception]) -> Ref:
        """Parse a request's reference to an existing resource; raise `refused()` for anything else."""
        id_ = value.get("id") if isinstance(value, dict) else None
        if (found := self.find(kind, id_)) is None:
            raise refused()
        return found.ref

    def user_by_email(self, email: str) -> Resource | None:
        return next((user for user in self.all("user") if user["email"].lower() == email.lower()), None)

    def open_incidents(self, service: Ref) -> Iterator[Incident]:
        return (i for i in self.incidents() if i.open and i["service"] == service)

    def windows_at(self, service: Ref, at: datetime) -> bool:
        """Return True while a maintenance window covers the service."""
        return any(
            window["start_time"] <= at < window["end_time"] and service in window["services"]
            for window in self.all("maintenance_window")
        )
