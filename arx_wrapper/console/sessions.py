"""Keep the console's sessions, one-time challenges and rate limits, in the memory of its process."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from attrs import define, frozen

_IDLE: Final = timedelta(minutes=15)
_LONGEST: Final = timedelta(hours=1)
_CHALLENGE: Final = timedelta(minutes=5)
_MOST: Final = 10_000


@define(kw_only=True)
class Session:
    """A signed-in reviewer's browser.

    Attributes:
        reviewer: The reviewer whose passkey signed in.
        credential_id: That passkey. The session counts only while it is the reviewer's.
        csrf: The token that every form and script of the session sends.
        began, seen: The times of its creation and of its last use.
    """

    reviewer: str
    credential_id: str
    csrf: str
    began: datetime
    seen: datetime


class Sessions:
    """The sessions of one console. A token is kept as its hash only.

    Args:
        clock: The time, aware.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._open: dict[bytes, Session] = {}

    def start(self, reviewer: str, credential_id: str) -> str:
        """Return the token of a new session. A token that the browser sent is never reused."""
        now = self._clock()
        for key in [key for key, session in self._open.items() if self._over(session, now)]:
            del self._open[key]
        if len(self._open) >= _MOST:
            self._open.pop(next(iter(self._open)))
        token = secrets.token_urlsafe(32)
        self._open[_hash(token)] = Session(
            reviewer=reviewer, credential_id=credential_id, csrf=secrets.token_urlsafe(32), began=now, seen=now
        )
        return token

    def find(self, token: str | None) -> Session | None:
        """Return the session of a token, and extend it; None when there is none or it has ended."""
        if not token:
            return None
        now, session = self._clock(), self._open.get(_hash(token))
        if session is None or self._over(session, now):
            self.end(token)
            return None
        session.seen = now
        return session

    def end(self, token: str | None) -> None:
        """End a session; an unknown token is ignored."""
        if token:
            self._open.pop(_hash(token), None)

    def _over(self, session: Session, now: datetime) -> bool:
        return now - session.seen >= _IDLE or now - session.began >= _LONGEST


@frozen(kw_only=True)
class _Challenge:
    value: bytes
    until: datetime


class Challenges:
    """Challenges for signing in: each belongs to one browser and is used once.

    Args:
        clock: The time, aware.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._open: dict[str, _Challenge] = {}

    def issue(self) -> tuple[str, bytes]:
        """Return a new challenge, and the name under which the browser sends it back."""
        now = self._clock()
        for key in [key for key, challenge in self._open.items() if challenge.until <= now]:
            del self._open[key]
        if len(self._open) >= _MOST:
            self._open.pop(next(iter(self._open)))
        name, value = secrets.token_urlsafe(24), secrets.token_bytes(32)
        self._open[name] = _Challenge(value=value, until=now + _CHALLENGE)
        return name, value

    def take(self, name: str | None) -> bytes | None:
        """Return the challenge of a name and forget it; None when there is none or it is too old."""
        found = self._open.pop(name or "", None)
        return found.value if found and self._clock() < found.until else None


class RateLimit:
    """Limits attempts a minute for each key; the oldest keys are forgotten first.

    Args:
        most: Attempts in any minute.
        clock: The time, aware.
    """

    def __init__(self, most: int, clock: Callable[[], datetime]) -> None:
        self._most, self._clock = most, clock
        self._seen: dict[str, deque[datetime]] = {}

    def allows(self, key: str) -> bool:
        """Count an attempt; False when there were too many in the last minute."""
        now = self._clock()
        times = self._seen.pop(key, None) or deque()
        while times and now - times[0] >= timedelta(minutes=1):
            times.popleft()
        allowed = len(times) < self._most
        if allowed:
            times.append(now)
        self._seen[key] = times
        while len(self._seen) > _MOST:
            self._seen.pop(next(iter(self._seen)))
        return allowed


def same(given: str | None, expected: str) -> bool:
    """Compare a token in constant time."""
    return given is not None and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
