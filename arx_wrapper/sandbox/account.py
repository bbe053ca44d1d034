"""The account's state: resources in tables, and how one names another.

A stored resource is its wire members alone. `summary`, `self`, `html_url` and everything that follows from
other resources is worked out when it is shown (`render.py`), so nothing stored can go stale.
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
    """One resource naming another; shown as PagerDuty's `{"id", "type": "…_reference", "summary", …}`."""

    kind: str
    id: str


class Resource(dict[str, Any]):
    """A stored resource: its wire members, keyed as on the wire.

    Attributes:
        kind: The table it is in.
        home: The path of its collection.
        hidden: Members that are shown only on demand (`include[]`).
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
    """An incident, with what hangs on it.

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
    """Everything one PagerDuty account holds.

    Attributes:
        clock: Its time.
        random: Where its ids come from.
        tables: Resources by kind and id, in order of creation.
        deleted: Resources that are gone but still named by others.
        due: When which incident has something due, a heap.
        counted: How many there were so far, by what: ids of requests follow from it.
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
        """Stores a new resource; it gets an id unless it brings one."""
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
        """The resource; refuses with 404 when there is none."""
        if (found := self.find(kind, id_)) is None:
            raise refuse(2100)
        return found

    def resolve(self, ref: Ref) -> Resource | None:
        return self.find(ref.kind, ref.id) or self.deleted.get(ref)

    def incident(self, id_or_number: str) -> Incident:
        """By id, or by number; refuses with 404 when there is none."""
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
        """A request's list of references to existing resources; anything else raises `refused()`."""
        if not isinstance(value, list):
            raise refused()
        return [self.reference(item, kind, refused) for item in value]

    def reference(self, value: object, kind: str, refused: Callable[[], Exception]) -> Ref:
        """A request's reference to an existing resource; anything else raises `refused()`."""
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
