"""Define one console: its backends, its origin and its sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import define, field

from arx_wrapper.approvals.passkeys import rp_id_of
from arx_wrapper.audit.verification import Verification
from arx_wrapper.console.events import Watcher
from arx_wrapper.console.sessions import Challenges, RateLimit, Session, Sessions
from arx_wrapper.core.enrolment_records import enrolments_of
from arx_wrapper.core.reviewer_checks import AskOnCall
from arx_wrapper.errors import AuditError
from arx_wrapper.model import Operation

if TYPE_CHECKING:
    from starlette.requests import Request

    from arx_wrapper.approvals import Enrolments
    from arx_wrapper.core.backends import Backends


@define(kw_only=True)
class Console:
    """One console: its backends, its origin, and its sessions.

    Attributes:
        backends: Approvals, audit log and policies.
        org_id: The organisation whose requests are shown.
        origin: The origin at which browsers reach it; passkeys are valid there only.
        operations: The connector's table.
        is_alias: Returns True for a parameter value that is a second name; used to judge calls by a proposed policy.
        clock: Returns the time, aware.
        checkpoints: The store of the log's checkpoints; None when it is not configured.
        ask_on_call: Reads who is on call; None when that is not possible.
    """

    backends: Backends
    org_id: str
    origin: str
    operations: Mapping[str, Operation]
    is_alias: Callable[[str, Any], bool]
    clock: Callable[[], datetime]
    checkpoints: str | None = None
    ask_on_call: AskOnCall | None = None
    rp_id: str = field(init=False)
    sessions: Sessions = field(init=False)
    challenges: Challenges = field(init=False)
    sign_ins: RateLimit = field(init=False)
    requests: RateLimit = field(init=False)
    watcher: Watcher = field(init=False)
    verified: Verification | None = field(init=False, default=None)
    verified_at: datetime | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.rp_id = rp_id_of(self.origin)
        self.sessions, self.challenges = Sessions(self.clock), Challenges(self.clock)
        self.sign_ins, self.requests = RateLimit(20, self.clock), RateLimit(600, self.clock)
        self.watcher = Watcher(self.backends.approvals, self.org_id)

    @property
    def secure(self) -> bool:
        """Return True when browsers reach the console by https."""
        return urlsplit(self.origin).scheme == "https"

    @property
    def cookie(self) -> str:
        """Return the session cookie's name; its prefix makes browsers refuse a cookie not bound to this host."""
        return "__Host-arx" if self.secure else "arx"

    async def enrolments(self) -> Enrolments:
        """Read the current reviewers, invitations and candidates."""
        return await enrolments_of(self.backends.audit, self.org_id, self.backends.approvals.reviewers)

    async def verify(self) -> None:
        """Verify the log; the page shows the result until the next verification."""
        try:
            found = await self.backends.audit.verify()
        except AuditError as error:
            found = Verification(ok=False, records=0, problem=str(error))
        self.verified, self.verified_at = found, self.clock()

    async def checkpoint_age(self) -> dict[str, Any] | None:
        """Return the last checkpoint's size and the time of its last record; None when there is none."""
        if self.checkpoints is None:
            return None
        from arx_wrapper.audit.transparency.checkpoint_stores import checkpoint_store

        note = await checkpoint_store(self.checkpoints).last()
        if note is None:
            return {"size": 0, "at": None}
        size = int(note.split("\n")[1])
        records = self.backends.audit.records(after_seq=size - 1, limit=1)
        return {"size": size, "at": next(iter([record.created_at async for record in records]), None)}

    async def session(self, request: Request) -> Session | None:
        """Return the browser's session; None when there is none, or its passkey is no longer its reviewer's."""
        session = self.sessions.find(request.cookies.get(self.cookie))
        if session is None:
            return None
        owner = (await self.enrolments()).reviewers.owner_of(session.credential_id)
        return session if owner == session.reviewer else None
