"""A policy that follows its file: taken up within a second of a change, the last good one kept when it breaks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from attrs import frozen

from arx_wrapper.errors import PolicyError
from arx_wrapper.model import Call, Decision, Risk, Verdict
from arx_wrapper.policy.document import Located, located, read
from arx_wrapper.policy.engine import EntryTrace, PolicySet
from arx_wrapper.policy.entry import EntryReader

_LOOK_EVERY = 0.4
Source = str | Path | Sequence[Mapping[str, Any]] | PolicySet | None


@frozen(kw_only=True)
class PolicyLoaded:
    """A policy came into force, or did not load.

    Attributes:
        source: The file or folder, or `given`.
        digest: SHA-256 of what was read, as hex.
        entries: How many entries are in force.
        error: Why it did not load; the policy before it stays in force.
    """

    source: str
    digest: str
    entries: int
    error: str | None = None


class Policies:
    """The policy in force.

    Raises:
        PolicyError: it does not load the first time.
    """

    def __init__(
        self,
        source: Source,
        *,
        registry: Mapping[str, Risk],
        connector: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._registry, self._connector, self._clock = source, registry, connector, clock
        self._events: list[PolicyLoaded] = []
        self._looked, self._stamp = clock(), _stamp(source)
        self.current = load(source, registry=registry, connector=connector)
        self._note()

    def decide(self, call: Call, now: datetime) -> Decision:
        """What the policy in force says of a call."""
        self._follow()
        return self.current.decide(call, now)

    def outlook(self, call: Call, now: datetime) -> frozenset[Verdict]:
        """What the policy in force may say of calls like this one; see `PolicySet.outlook()`."""
        self._follow()
        return self.current.outlook(call, now)

    def trace(self, call: Call, now: datetime) -> list[EntryTrace]:
        """Why: every entry, and whether it matched."""
        self._follow()
        return self.current.trace(call, now)

    def drain_events(self) -> list[PolicyLoaded]:
        """What was loaded, or failed to, since the last time."""
        self._follow()
        events, self._events = self._events, []
        return events

    def _follow(self) -> None:
        if not isinstance(self._source, str | Path) or self._clock() - self._looked < _LOOK_EVERY:
            return
        self._looked, stamp = self._clock(), _stamp(self._source)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.current = load(self._source, registry=self._registry, connector=self._connector)
        except PolicyError as error:
            self._note(str(error))
        else:
            self._note()

    def _note(self, error: str | None = None) -> None:
        source = str(self._source) if isinstance(self._source, str | Path) else "given"
        if self._source is None:
            return
        self._events.append(
            PolicyLoaded(source=source, digest=_digest(self._source), entries=len(self.current.entries), error=error)
        )


def load(source: Source, *, registry: Mapping[str, Risk], connector: str) -> PolicySet:
    """Load a policy: a file, a folder of `*.yaml`, a list of entries, or one that is loaded already.

    Raises:
        PolicyError: something in it is wrong; a folder is refused whole.
    """
    if isinstance(source, PolicySet):
        return source
    entries = []
    names: dict[str, str] = {}
    for file, document in _documents(source):
        reader = EntryReader(file, registry)
        if not isinstance(document.value, list):
            raise PolicyError("must be a list of entries, each starting with '- name:'", file=file, line=document.line)
        for item in document.value:
            entry = reader.entry(item)
            if entry.name in names:
                other = f"; the other is at {names[entry.name]}" if names[entry.name] else ""
                raise PolicyError(f"name: {entry.name!a} is used twice{other}", file=file, line=item.line, key="name")
            names[entry.name] = entry.source or ""
            entries.append(entry)
    return PolicySet(entries, connector=connector)


def _documents(source: Source) -> list[tuple[str | None, Located]]:
    if source is None:
        return []
    if isinstance(source, str | Path):
        return [(str(file), read(_text(file), str(file))) for file in _files(Path(source))]
    if isinstance(source, Mapping) or not isinstance(source, Sequence):
        raise PolicyError("policies are given as a list of entries, or as the path of a file or folder")
    return [(None, located(list(source)))]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.yaml"))
    if not files:
        raise PolicyError("the folder holds no *.yaml", file=str(path))
    return files


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"cannot be read: {error}", file=str(file)) from None


def _stamp(source: Source) -> object:
    """What changes with the files: names, sizes, times, and which files they are."""
    if not isinstance(source, str | Path):
        return None
    path, stamps = Path(source), []
    try:
        for file in [path, *(sorted(path.glob("*.yaml")) if path.is_dir() else ())]:
            status = file.stat()
            stamps.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino))
    except OSError as error:
        return str(error)
    return stamps


def _digest(source: Source) -> str:
    digest = hashlib.sha256()
    try:
        for file, document in _documents(source) if not isinstance(source, PolicySet) else ():
            digest.update(f"{file}\n".encode() + msgspec.json.encode(document.plain(), order="sorted"))
    except PolicyError:
        return ""
    return digest.hexdigest()
