"""A connector outside the sandbox, whose approvals need proof, with reviewers who have passkeys."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve

from arx_wrapper import PagerDutyConnector
from arx_wrapper.approvals import ApprovalRequest, Enrolments, Reviewers
from arx_wrapper.approvals.enrolment_rules import enrolment_statement, registration_challenge, removal_statement
from arx_wrapper.approvals.passkeys import challenge_of, rp_id_of, verify_registration
from arx_wrapper.approvals.signatures import decision_statement
from arx_wrapper.approvals.store import _body
from arx_wrapper.config import Config
from arx_wrapper.core import enrolment_records
from arx_wrapper.core.review import review
from arx_wrapper.errors import ApprovalError, ApprovalPendingError
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.vault.fixed import FixedVault
from tests.approvals.authenticator import ORIGIN, Authenticator
from tests.support import ASK_ABOUT_HIGH, trail

DELETE = ("services:delete", {"service_id": "PABC123"})


class Deployment:
    """An agent's connector, its log and approval store in one file, and the reviewers' passkeys."""

    def __init__(self, folder: Path, *, agent: str = "agent-001", policies: Any = None, **settings: Any) -> None:
        self.file, self.account = folder / "arx.db", Sandbox()
        self.url = f"sqlite:///{self.file}"
        config = evolve(Config.load({}, folder), audit_url=self.url, approvals_url=self.url, approvals_mode="raise")
        self.config = evolve(config, org_id="org-acme", **settings)
        self._answers: list[Any] = []
        self.pd = self.connector(agent, policies=policies)
        self.passkeys: dict[str, Authenticator] = {}

    def connector(self, agent: str = "agent-001", *, policies: Any = None, **settings: Any) -> PagerDutyConnector:
        """Another process's connector to the same account, log and store."""
        return PagerDutyConnector(
            agent,
            "org-acme",
            policies=policies or [ASK_ABOUT_HIGH],
            vault=FixedVault(api_key=self.account.token, requester_email=self.account.email),
            transport=_Intercepted(self.account.transport(), self._answers),
            base_url=self.account.base_url,
            config=evolve(self.config, **settings),
        )

    def intercept(self, answer: Any) -> None:
        """Let a function answer requests before the account does; None leaves one to the account."""
        self._answers.append(answer)

    async def enrolments(self) -> Enrolments:
        return await enrolment_records.enrolments_of(self.pd.audit, "org-acme", self.pd.backends.approvals.reviewers)

    async def reviewers(self) -> Reviewers:
        return (await self.enrolments()).reviewers

    async def register(self, name: str, passkey: Authenticator | None = None, user: str | None = None) -> bool:
        """Invite somebody and register their passkey; returns whether they are a reviewer by that alone."""
        passkey = self.passkeys[name] = passkey or Authenticator()
        await self.pd.audit.open()
        token = await enrolment_records.invite(self.pd.audit, await self.enrolments(), name, by="root", user=user)
        challenge = registration_challenge(token)
        made = verify_registration(passkey.register(challenge), challenge, rp_id=rp_id_of(ORIGIN), origin=ORIGIN)
        _, done = await enrolment_records.register(
            self.pd.audit, await self.enrolments(), token, made, now=datetime.now(UTC)
        )
        return done

    async def confirm(self, name: str, by: str) -> None:
        enrolments = await self.enrolments()
        [candidate] = [each for each in enrolments.candidates.values() if each.reviewer == name]
        at = datetime.now(UTC).isoformat()
        statement = enrolment_statement("org-acme", candidate, by=by, at=at)
        proof = self.passkeys[by].sign(challenge_of(statement))
        await enrolment_records.confirm(self.pd.audit, enrolments, candidate, by=by, at=at, proof=proof)

    async def enrol(self, name: str, by: str | None = None, user: str | None = None) -> None:
        """Make somebody a reviewer."""
        if not await self.register(name, user=user):
            assert by is not None
            await self.confirm(name, by)
        assert name in await self.reviewers()

    async def remove(self, name: str, by: str) -> None:
        enrolments = await self.enrolments()
        at = datetime.now(UTC).isoformat()
        statement = removal_statement("org-acme", enrolments.reviewers.enrolled[name], by=by, at=at)
        proof = self.passkeys[by].sign(challenge_of(statement))
        await enrolment_records.remove(self.pd.audit, enrolments, name, by=by, at=at, proof=proof)

    async def ask(
        self, call: tuple[str, dict[str, Any]] = DELETE, pd: PagerDutyConnector | None = None
    ) -> ApprovalRequest:
        """Have the agent call, and return the request that waits."""
        with pytest.raises(ApprovalPendingError) as pending:
            await (pd or self.pd).execute(*call)
        return await self.pd.backends.approvals.get(str(pending.value.approval_id))

    def proof(self, asked: ApprovalRequest, name: str, *, approve: bool = True, note: str = "", **how: Any) -> Any:
        """A decision with its proof, as `review()` takes it."""
        at = datetime.now(UTC).replace(microsecond=0) + how.pop("after", timedelta())
        said = self.pd.backends.approvals.review(name, approve, note, "-", at=at)
        challenge = challenge_of(decision_statement(how.pop("about", asked), said))
        signature = how.pop("passkey", self.passkeys.get(name) or Authenticator()).sign(challenge, **how)
        return {"reviewer": name, "approve": approve, "note": note, "signature": signature, "at": at}

    async def decide(self, asked: ApprovalRequest, name: str, **how: Any) -> ApprovalRequest:
        """Decide a request as a reviewer with a passkey does."""
        backends = self.pd.backends
        ask = self.pd.who_is_on_call
        return await review(
            backends.approvals, backends.audit, asked.id, ask_on_call=ask, **self.proof(asked, name, **how)
        )

    async def use(self, asked: ApprovalRequest, call: tuple[str, dict[str, Any]] = DELETE) -> dict[str, Any]:
        return await self.pd.execute(*call, approval_id=asked.id)

    async def require_refused(self, asked: ApprovalRequest, match: str | None = None, call: Any = DELETE) -> None:
        """Using the approval fails, nothing is sent, and that is on record."""
        with pytest.raises(ApprovalError, match=match):
            await self.use(asked, call)
        last = (await trail(self.pd))[-1]
        assert (last.action_type, last.approval_id) == ("connector.refused", asked.id)
        self.require_nothing_sent()

    def require_nothing_sent(self) -> None:
        assert all(sent.method == "GET" for sent in self.account.requests)

    def run(self, statement: str, *values: object) -> None:
        """Edit the approval store as somebody with write access to its file can."""
        with closing(sqlite3.connect(self.file)) as database, database:
            assert database.execute(statement, values).rowcount == 1

    def forge(self, request: ApprovalRequest, **changed: Any) -> ApprovalRequest:
        """Change a request in the store and make its digests fit."""
        forged = evolve(request, **changed)
        forged = evolve(forged, call_digest=forged.expected_call_digest())
        forged = evolve(forged, digest=forged.expected_digest())
        self.run(
            "UPDATE approval_requests_v2 SET body = ?, digest = ?, call_digest = ?, expires_at = ? WHERE id = ?",
            _body(forged),
            forged.digest,
            forged.call_digest,
            forged.expires_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            forged.id,
        )
        return forged


class _Intercepted(httpx.AsyncBaseTransport):
    """The account's transport, with a few answers of the test's own."""

    def __init__(self, account: httpx.AsyncBaseTransport, answers: list[Any]) -> None:
        self._account, self._answers = account, answers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for answer in self._answers:
            if (found := answer(request)) is not None:
                return found
        return await self._account.handle_async_request(request)
