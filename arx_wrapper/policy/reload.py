"""Follow a policy file: a change is in force within a second, and a broken file leaves the last good one."""

from __future__ import annotations

import hashlib
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
from arx_wrapper.model import Call, Decision, Verdict
from arx_wrapper.policy.engine import PolicySet
from arx_wrapper.policy.entry_reader import EntryReader, Registry
from arx_wrapper.policy.prediction import possible_verdicts
from arx_wrapper.policy.tracing import EntryTrace, trace
from arx_wrapper.policy.yaml_document import Located, located, read

# Seconds. A change is in force after both at most: a file that was written just now may be half of itself, and half of
# a policy may be one that lacks its denials.
_LOOK_EVERY = 0.4
_SETTLES_IN = 0.25
# Decisions that are remembered: of each agent for each operation.
_REMEMBERED = 4096
_SUFFIXES = frozenset({".yaml", ".yml"})
Documents = Sequence[tuple[str | None, Located]]
PolicySource = str | PathLike[str] | Sequence[Mapping[str, Any]] | PolicySet


@frozen(kw_only=True)
class PolicyLoaded:
    """A policy came into force, or did not load.

    Attributes:
        source: The file or folder, or `given`.
        digest: SHA-256 of what was read, as hex.
        entries: How many entries are in force.
        error: Why it did not load; the policy before it stays in force.
        text: The text that the digest is over, for the audit log to keep once.
    """

    source: str
    digest: str
    entries: int
    error: str | None = None
    text: str = field(default="", repr=False)


class Policies:
    """The policy in force.

    Attributes:
        current: What is in force.

    Raises:
        PolicyError: it does not load the first time.
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
        # Not resolved: a link may come to point elsewhere, the working directory must not matter.
        self._source = Path(source).absolute() if isinstance(source, str | PathLike) else source
        self._registry, self._connector = registry, connector
        self._clock, self._wall = clock, wall
        self._events: list[PolicyLoaded] = []
        self._decided: dict[tuple[object, ...], Decision] = {}
        self._looked, self._seen = clock(), _seen(self._source)
        self._load()

    def decide(self, call: Call, now: datetime) -> Decision:
        """Return the decision of the policy in force; what does not depend on parameters or time is decided once."""
        self._follow()
        decided = self._decided  # before the policy that it belongs to: another thread may load one meanwhile
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
        """Why: every entry, and whether it matched."""
        self._follow()
        return trace(self.current, call, now)

    def changed(self) -> bool:
        """Return whether a policy was loaded, or failed to load, since the last `drain_events()`."""
        self._follow()
        return bool(self._events)

    def drain_events(self) -> list[PolicyLoaded]:
        """Return the policies that were loaded, or failed to load, since the last time."""
        self._follow()
        events, self._events = self._events, []
        return events

    def keep(self, events: Sequence[PolicyLoaded]) -> None:
        """Take back what was drained and could not be recorded."""
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
        """Read the policy; decisions of the one before are forgotten once it is in force."""
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
    """Load a policy: a file, a folder of `*.yaml` and `*.yml`, a list of entries, or one that is loaded already.

    Raises:
        PolicyError: something in it is wrong; a folder is refused whole.
    """
    return source if isinstance(source, PolicySet) else _policy(_documents(source), registry, connector)


def _policy(documents: Documents, registry: Registry, connector: str) -> PolicySet:
    entries = []
    names: dict[str, str] = {}
    for file, document in documents:
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


def _documents(source: object) -> Documents:
    if source is None:
        return []
    if isinstance(source, str | PathLike):
        return [(str(file), read(_text(file), str(file))) for file in _files(Path(source))]
    if isinstance(source, Mapping) or not isinstance(source, Sequence):
        raise PolicyError("policies are given as a list of entries, or as the path of a file or folder")
    return [(None, located(list(source)))]


def _files(path: Path) -> list[Path]:
    files = _in_folder(path) if path.is_dir() else [path]
    if not files:
        raise PolicyError("the folder holds no *.yaml and no *.yml", file=str(path))
    return files


def _in_folder(path: Path) -> list[Path]:
    """Return its policy files; not the hidden ones that editors put next to a file that is open."""
    return sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and not file.name.startswith("."))


def unread_files(source: PolicySource | None) -> list[str]:
    """Return what lies in a folder of policies and is not read, but may have been meant to be."""
    path = Path(source) if isinstance(source, str | PathLike) else None
    if path is None or not path.is_dir():
        return []
    read_ones = _in_folder(path)
    return sorted(str(file) for file in path.iterdir() if file not in read_ones and not file.name.startswith("."))


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"cannot be read: {error}", file=str(file)) from None


@frozen
class _Seen:
    """A policy's files as they were at one time: names, sizes, times, which files they are, and what they hold.

    Their times alone do not tell that they changed: whoever writes a file can set them.

    Attributes:
        written: When the last of them was written, in seconds since 1970; 0 when that cannot be told.
    """

    files: object = None
    written: float = field(default=0, eq=False)


def _seen(source: PolicySource | None) -> _Seen:
    if not isinstance(source, str | PathLike):
        return _Seen()
    path, written = Path(source), 0
    files: list[tuple[object, ...]] = []
    try:
        for file in [path, *(_in_folder(path) if path.is_dir() else ())]:
            status = file.stat()
            if stat.S_ISFIFO(status.st_mode):  # can be read but once: what it gave stays in force
                files.append((str(file),))
                continue
            held = file.read_bytes() if stat.S_ISREG(status.st_mode) else None
            files.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino, held))
            written = max(written, status.st_mtime_ns, status.st_ctime_ns)
    except OSError as error:
        return _Seen(str(error))
    return _Seen(files, written / 1e9)


def _plain(documents: Documents) -> str:
    """Return what was read, in a form in which the same policy is the same text."""
    parts = []
    for file, document in documents:
        try:
            parts.append(f"{file}\n{msgspec.json.encode(document.plain(), order='sorted').decode()}")
        except UnicodeEncodeError:
            raise PolicyError("holds text that is not Unicode", file=file) from None
    return "".join(parts)
