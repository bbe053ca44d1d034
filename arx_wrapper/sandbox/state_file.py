"""Keep an account in a file, which several processes may use at the same time."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from arx_wrapper.files import read_bytes
from arx_wrapper.sandbox.account import JSON, Account, Incident, Ref, Resource

__all__ = ["StateFile"]

_VERSION: Final = 1
_LARGEST: Final = 512_000_000  # bytes; a full account of 10,000 incidents needs a tenth
_REF, _TIME = "$ref", "$time"
_HANGING: Final = ("alerts", "log", "notes")


class StateFile:
    """The file that holds an account. Each save replaces it as a whole, under a lock file beside it.

    Args:
        path: The file; the first save creates it, readable by its owner only.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._seen: tuple[int, int, int] | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the file for one request: other processes wait."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def changed(self) -> bool:
        """Return True when another process saved the file since this object last loaded or saved it."""
        return self._stamp() != self._seen

    def load(self) -> JSON | None:
        """Return the file's account, for `restore()`; None when there is no file.

        Raises:
            ValueError: the file holds no account; the message names it.
        """
        try:
            found = orjson.loads(read_bytes(self.path, _LARGEST))
        except FileNotFoundError:
            return None
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict) or found.get("version") != _VERSION:
            raise ValueError(f"{self.path} holds no account of this sandbox; name another file, or remove it")
        self._seen = self._stamp()
        return found

    def save(self, account: Account, began: datetime, advanced: timedelta) -> None:
        """Write the account, the start of its clock, and the time by which it was advanced."""
        content = orjson.dumps({"version": _VERSION, **dump(account), "began": began.isoformat(),
                                "advanced": advanced.total_seconds()})  # fmt: skip
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(name, self.path)
        except BaseException:
            os.unlink(name)
            raise
        self._seen = self._stamp()

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def dump(account: Account) -> JSON:
    """Return an account as JSON: times and references are tagged; an incident's parts are stored under its id."""
    version, internal, gauss = account.random.getstate()
    return {
        "random": [version, list(internal), gauss],
        "tables": {kind: [_resource(each) for each in table.values()] for kind, table in account.tables.items()},
        "deleted": [_resource(each) for each in account.deleted.values()],
        "due": [[at.isoformat(), id_] for at, id_ in account.due],
        "counted": dict(account.counted),
    }


def restore(account: Account, found: JSON) -> None:
    """Restore an account from the JSON that `dump()` returned."""
    for kept in (account.tables, account.deleted, account.due, account.counted):
        kept.clear()
    account.counted.update(found.get("counted", {}))
    version, internal, gauss = found["random"]
    account.random.setstate((version, tuple(internal), gauss))
    hanging: list[tuple[Incident, JSON]] = []
    for kind, table in found["tables"].items():
        account.tables[kind] = {}
        for each in table:
            account.store(resource := _made(each))
            if isinstance(resource, Incident):
                hanging.append((resource, each))
    for each in found["deleted"]:
        gone = _made(each)
        account.deleted[gone.ref] = gone
    for incident, each in hanging:
        for name in _HANGING:
            getattr(incident, name).extend(account.tables[kind][id_] for kind, id_ in each[name])
    account.due.extend((datetime.fromisoformat(at), id_) for at, id_ in found["due"])


def _resource(resource: Resource) -> JSON:
    found: JSON = {"kind": resource.kind, "home": resource.home, "members": _tagged(dict(resource)),
                   "hidden": _tagged(resource.hidden)}  # fmt: skip
    if isinstance(resource, Incident):
        found["level"] = resource.level
        for name in _HANGING:
            found[name] = [[each.kind, each["id"]] for each in getattr(resource, name)]
    return found


def _made(found: JSON) -> Resource:
    members, hidden = _untagged(found["members"]), _untagged(found["hidden"])
    if found["kind"] != "incident":
        return Resource(found["kind"], found["home"], members, hidden)
    incident = Incident(members, hidden)
    incident.level = found["level"]
    return incident


def _tagged(value: Any) -> Any:
    if isinstance(value, Ref):
        return {_REF: [value.kind, value.id]}
    if isinstance(value, datetime):
        return {_TIME: value.astimezone(UTC).isoformat()}
    if isinstance(value, Resource):
        return {_REF: [value.kind, value["id"]]}
    if isinstance(value, dict):
        return {name: _tagged(item) for name, item in value.items()}
    return [_tagged(item) for item in value] if isinstance(value, list | tuple) else value


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_REF}:
        return Ref(*value[_REF])
    if value.keys() == {_TIME}:
        return datetime.fromisoformat(value[_TIME])
    return {name: _untagged(item) for name, item in value.items()}
