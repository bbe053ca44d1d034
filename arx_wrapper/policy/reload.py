"""Reload a policy file: a change is in force within a second; a broken file leaves the last valid policy in force."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec
from attrs import field, frozen

from arx_wrapper.errors import PolicyError
from arx_wrapper.files import read_text
from arx_wrapper.model import Call, Decision, Verdict
from arx_wrapper.policy.engine import PolicySet
from arx_wrapper.policy.entry import MAX_BYTES, Located, located
from arx_wrapper.policy.entry_reader import EntryReader, Registry
from arx_wrapper.policy.prediction import possible_verdicts
from arx_wrapper.policy.tracing import EntryTrace, trace

# Seconds. A change is in force after both at most. A very recent file may be incomplete, and an incomplete policy may
# lack its denials.
_LOOK_EVERY = 0.4
_SETTLES_IN = 0.25
# The most decisions that are kept in memory, one for each agent and operation.
_REMEMBERED = 4096
_SUFFIXES = frozenset({".yaml", ".yml"})
Documents = Sequence[tuple[str | None, Located]]
PolicySource = str | PathLike[str] | Sequence[Mapping[str, Any]] | PolicySet


@frozen(kw_only=True)
class PolicyLoaded:
    """A policy came into force, or did not load.

    Attributes:
        source: The file or folder, or `given`.
        digest: SHA-256 of its text, as hex.
        entries: The number of entries in force.
        error: The reason why it did not load; the policy before it stays in force.
        text: The text of the digest, which the audit log keeps once.
    """

    source: str
    digest: str
    entries: int
    error: str | None = None
    text: str = field(default="", repr=False)


class Policies:
    """The policy in force.

    Attributes:
        current: The loaded policy.

    Raises:
        PolicyError: no policy could be loaded yet.
    """

    current: PolicySet

    def __init__(
        self,
        source: PolicySource | None,
        *,
        registry: Registry,
        connector: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        # Absolute, so that the working directory does not matter, but not resolved: a link's target may change.
        self._source = Path(source).absolute() if isinstance(source, str | PathLike) else source
        self._registry, self._connector = registry, connector
        self._clock, self._wall = clock, wall
        self._events: list[PolicyLoaded] = []
        self._decided: dict[tuple[object, ...], Decision] = {}
        self._looked, self._seen = clock(), _seen(self._source)
        self._load()

    def decide(self, call: Call, now: datetime) -> Decision:
        """Return the decision of the policy in force. A decision that depends on no parameters or time is cached."""
        self._follow()
        decided = self._decided  # read before the policy that it belongs to: another thread may load one meanwhile
        key = (call.agent_id, call.org_id, *[(effect.operation, effect.risk) for effect in call.effects])
        decision = decided.get(key)
        if decision is None:
            current = self.current
            decision = current.decide(call, now)
            if current.is_constant(call):
                if len(decided) >= _REMEMBERED:
                    decided.clear()
                decided[key] = decision
        return decision

    def possible_verdicts(self, call: Call, now: datetime) -> frozenset[Verdict]:
        """Return the possible verdicts of the policy in force; see `policy.possible_verdicts()`."""
        self._follow()
        return possible_verdicts(self.current, call, now)

    def trace(self, call: Call, now: datetime) -> list[EntryTrace]:
        """Explain a decision: every entry, and whether it matched."""
        self._follow()
        return trace(self.current, call, now)

    def changed(self) -> bool:
        """Return True when a policy was loaded, or failed to load, since the last `drain_events()`."""
        self._follow()
        return bool(self._events)

    def drain_events(self) -> list[PolicyLoaded]:
        """Return the policies that were loaded, or failed to load, since the last call."""
        self._follow()
        events, self._events = self._events, []
        return events

    def keep(self, events: Sequence[PolicyLoaded]) -> None:
        """Put back events that were drained but could not be recorded."""
        self._events[:0] = events

    def _follow(self) -> None:
        if not isinstance(self._source, str | PathLike) or self._clock() - self._looked < _LOOK_EVERY:
            return
        self._looked, seen = self._clock(), _seen(self._source)
        if seen == self._seen or 0 <= self._wall() - seen.written < _SETTLES_IN:
            return
        self._seen = seen
        try:
            self._load()
        except PolicyError as error:
            self._note("", str(error))

    def _load(self) -> None:
        """Read the policy, and clear the cached decisions of the one before it."""
        if isinstance(self._source, PolicySet):
            self.current, self._decided = self._source, {}
            self._note("")
            return
        documents = _documents(self._source)
        loaded, text = _policy(documents, self._registry, self._connector), _plain(documents)
        self.current, self._decided = loaded, {}
        self._note(text)

    def _note(self, text: str, error: str | None = None) -> None:
        if self._source is None:
            return
        source = str(self._source) if isinstance(self._source, str | PathLike) else "given"
        digest = hashlib.sha256(text.encode()).hexdigest() if text else ""
        entries = len(self.current.entries)
        self._events.append(PolicyLoaded(source=source, digest=digest, entries=entries, error=error, text=text))


def load(source: PolicySource | None, *, registry: Registry, connector: str) -> PolicySet:
    """Load a policy: a file, a folder of `*.yaml` and `*.yml`, a list of entries, or a loaded policy.

    Raises:
        PolicyError: an entry is invalid; a folder is refused as a whole.
    """
    return source if isinstance(source, PolicySet) else _policy(_documents(source), registry, connector)


def policy_from_text(text: str, *, file: str, registry: Registry, connector: str) -> PolicySet:
    """Return the policy of one file's text.

    Args:
        text: YAML, as a policy file holds it.
        file: The name that error messages give it.
        registry, connector: As for `load()`.

    Raises:
        PolicyError: an entry is invalid.
    """
    from arx_wrapper.policy.yaml_document import read  # imported late: PyYAML takes longer than this package

    return _policy([(file, read(text.removeprefix("\ufeff"), file))], registry, connector)


def _policy(documents: Documents, registry: Registry, connector: str) -> PolicySet:
    entries = []
    names: dict[str, str] = {}
    for file, document in documents:
        reader = EntryReader(file, registry, connector)
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


def _documents(source: object) -> Documents:
    if source is None:
        return []
    if isinstance(source, str | PathLike):
        from arx_wrapper.policy.yaml_document import read  # imported late: PyYAML takes longer than this package

        return [(str(file), read(_text(file), str(file))) for file in _files(Path(source))]
    if not isinstance(source, Sequence):
        raise PolicyError("policies are given as a list of entries, or as the path of a file or folder")
    return [(None, located(list(source)))]


def _files(path: Path) -> list[Path]:
    try:
        files = _in_folder(path) if os.path.isdir(path) else [path]  # False also where this cannot be found out
    except OSError as error:
        raise PolicyError(f"cannot be read: {error.strerror}", file=str(path)) from None
    if not files:
        raise PolicyError("the folder holds no *.yaml and no *.yml", file=str(path))
    return files


def _in_folder(path: Path) -> list[Path]:
    """Return a folder's policy files, without the hidden files of editors."""
    return sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and not file.name.startswith("."))


def unread_files(source: PolicySource | None) -> list[str]:
    """Return the files in a folder of policies that are not read, although they may be meant as policies."""
    path = Path(source) if isinstance(source, str | PathLike) else None
    if path is None or not os.path.isdir(path):
        return []
    read_ones = _in_folder(path)
    return sorted(str(file) for file in path.iterdir() if file not in read_ones and not file.name.startswith("."))


def _text(file: Path) -> str:
    try:
        return read_text(file, MAX_BYTES)
    except OSError as error:
        raise PolicyError(f"cannot be read: {error.strerror}", file=str(file)) from None


@frozen
class _Seen:
    """A policy's files at one time: their names, sizes, times, identity and content.

    Their times do not suffice to detect a change, because a process that writes a file can set its time.

    Attributes:
        written: The time of the last write to any of them, in seconds since 1970; 0 when it is unknown.
    """

    files: object = None
    written: float = field(default=0, eq=False)


def _seen(source: PolicySource | None) -> _Seen:
    if not isinstance(source, str | PathLike):
        return _Seen()
    path, written = Path(source), 0
    files: list[tuple[object, ...]] = []
    try:
        for file in [path, *(_in_folder(path) if os.path.isdir(path) else ())]:
            status = file.stat()
            if stat.S_ISFIFO(status.st_mode):  # a pipe can be read only once, so its policy stays in force
                files.append((str(file),))
                continue
            small = stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES  # a larger one is refused anyway
            held = file.read_bytes() if small else None
            files.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino, held))
            written = max(written, status.st_mtime_ns, status.st_ctime_ns)
    except (OSError, ValueError) as error:
        return _Seen(str(error))
    return _Seen(files, written / 1e9)


def _plain(documents: Documents) -> str:
    """Return a policy as canonical text."""
    parts = []
    for file, document in documents:
        try:
            parts.append(f"{file}\n{msgspec.json.encode(document.plain(), order='sorted').decode()}")
        except UnicodeEncodeError:
            raise PolicyError("holds text that is not Unicode", file=file) from None
    return "".join(parts)
