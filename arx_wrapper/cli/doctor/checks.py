"""Run the checks of `doctor` in order: policy, vault, server, clock, key, scopes, and those of `local_checks.py`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from arx_wrapper.cli.doctor import local_checks
from arx_wrapper.cli.doctor.connectivity import Unreachable, reach
from arx_wrapper.cli.doctor.finding import Finding, ok, warning, wrong
from arx_wrapper.core.resolution import minimal_call
from arx_wrapper.core.scopes import compared, needed
from arx_wrapper.errors import (
    ArxError,
    AuditError,
    AuthenticationError,
    ConfigError,
    ForbiddenError,
    PermissionDeniedError,
    TransportError,
)
from arx_wrapper.model import Operation, Verdict
from arx_wrapper.pagerduty.decoding import objects
from arx_wrapper.vault.oauth import SCOPE

if TYPE_CHECKING:
    from arx_wrapper.pagerduty.connector import PagerDutyConnector

_READ_WITHIN = 15.0
_SKEW = timedelta(seconds=60)

_CERTIFICATES_REMEDY = "Correct SSL_CERT_FILE, or unset it."
_LOG_REMEDY = (
    "If its key is missing, restore the key. Otherwise let this user write to the log and its folder, or name another "
    "place: ARX_AUDIT_URL=sqlite:///path. Until then every call is refused."
)
_VAULT_REMEDIES: Mapping[str, str] = {
    "env:": "export PAGERDUTY_API_KEY=... as the PagerDuty console shows it, or keep it elsewhere: `vault --help`.",
    "oauth:": "Set PAGERDUTY_OAUTH_CLIENT_ID, _CLIENT_SECRET and _SCOPE as the app's page shows them.",
    "file:": "Make or replace the file with `arx-pagerduty vault set`, its key in ARX_VAULT_KEY.",
    "hashicorp:": "Check VAULT_ADDR, the login and its policy; `arx-pagerduty vault --help` lists the variables.",
}


async def examine(connector: PagerDutyConnector) -> list[Finding]:
    """Look at everything that a call needs. Only reads that policy permits are sent; nothing is changed."""
    return await _Examination(connector).run()


class _Examination:
    def __init__(self, connector: PagerDutyConnector) -> None:
        self._connector, self._backends, self._config = connector, connector.backends, connector.backends.config
        self._findings: dict[str, Finding] = {}
        self._requester: str | None = None
        self._permitted: tuple[str, ...] = ()
        self._skew: timedelta | None = None
        self._escalated = 0

    async def run(self) -> list[Finding]:
        await self._check("files", lambda: local_checks.files(self._config), _CERTIFICATES_REMEDY)
        await self._check("policy", self._policy, "Correct that place; `arx-pagerduty policy check` looks again.")
        await self._check("audit log", lambda: local_checks.audit_log(self._backends), _LOG_REMEDY)
        if self._config.checkpoints:
            look = partial(local_checks.checkpoints, self._backends, self._config.checkpoints)
            await self._check("checkpoints", look, "Correct audit.checkpoints.", needs=("audit log",))
        await self._check(
            "approvals",
            lambda: local_checks.approvals(self._backends, self._escalated),
            "Correct approvals in arx.toml, or the variable that is named.",
        )
        vault = next((text for kind, text in _VAULT_REMEDIES.items() if self._config.vault_url.startswith(kind)), "")
        await self._check("vault", self._vault, vault or "Set ARX_VAULT_URL to one of these.")
        await self._check("server", self._server, "Set PAGERDUTY_BASE_URL to https://api.pagerduty.com, or the EU's.")
        await self._check("clock", self._clock, "See the cause.", needs=("server",))
        await self._check("key", self._key, "See the cause.", needs=("policy", "audit log", "vault", "server"))
        if self._config.vault_url.startswith("oauth:"):
            await self._check("scopes", self._scopes, "See the cause.", needs=("policy", "vault"))
        await self._check("requester", self._requester_email, "See the cause.", needs=("policy", "vault"))
        return list(self._findings.values())

    async def _check(
        self,
        name: str,
        look: Callable[[], Awaitable[Finding]],
        remedy: str,
        *,
        needs: Sequence[str] = (),
    ) -> None:
        broken = [need for need in needs if self._findings[need].state == "wrong"]
        if broken:
            finding = Finding(check=name, state="skipped", found=f"first: {', '.join(broken)}")
        else:
            try:
                finding = await look()
            except ArxError as error:
                finding = Finding(check=name, state="wrong", found=str(error), remedy=remedy)
        self._findings[name] = finding

    async def _policy(self) -> Finding:
        if self._config.policy is None:
            return wrong(
                "policy",
                "no policy is configured, so everything is denied",
                "Set ARX_POLICY to a file, or let `arx-pagerduty init` write one.",
            )
        config = self._config
        verdicts = {row.name: self._verdict(row) for row in self._connector.operations.values()}
        self._permitted = tuple(name for name, verdict in verdicts.items() if verdict is Verdict.PERMIT)
        escalated = self._escalated = sum(verdict is Verdict.ESCALATE for verdict in verdicts.values())
        if not self._permitted and not escalated:
            return wrong(
                "policy",
                f"{config.policy} permits nothing to agent {config.agent_id!a} of {config.org_id!a}",
                "Look at its agents, orgs, expires and risk_max; `arx-pagerduty policy explain incidents:read` says "
                "which entry does not match, and why.",
            )
        found = f"{config.policy}: {len(self._permitted)} operations permitted, {escalated} with approval"
        return ok("policy", f"{found}, {len(verdicts) - len(self._permitted) - escalated} denied")

    def _permits(self, operation: str) -> bool:
        return operation in self._permitted

    def _verdict(self, row: Operation) -> Verdict:
        who = {"agent_id": self._connector.agent_id, "org_id": self._connector.org_id}
        call = minimal_call(row, self._connector.operations, **who)
        return self._backends.policies.decide(call, self._backends.clock()).verdict

    async def _vault(self) -> Finding:
        where = await self._backends.vault.locate(self._config.org_id)
        credentials = await self._backends.vault.read(self._config.org_id)
        self._requester = credentials.requester_email
        return ok("vault", f"{where}: credentials are there (account {credentials.fingerprint[:16]})")

    async def _server(self) -> Finding:
        if self._connector.sandbox_account is not None:
            return ok("server", "the embedded sandbox")
        url = self._config.base_url
        _ = self._backends.transport  # refuses an address that the key must not be sent to
        try:
            found = await reach(url, self._backends.clock, self._config.proxy)
        except Unreachable as problem:
            return wrong("server", f"{url} cannot be reached: {problem.cause}", problem.remedy)
        except ConfigError as problem:
            return wrong("server", str(problem), _CERTIFICATES_REMEDY)
        self._skew = found.skew
        proxy = self._config.proxy
        through = f" through {proxy.address}" if proxy and proxy.serves(urlsplit(url).hostname or "") else ""
        return ok("server", f"{url} answers{through} in {found.seconds * 1000:.0f} ms")

    async def _clock(self) -> Finding:
        if self._skew is None:
            return Finding(check="clock", state="skipped", found="the server does not tell the time")
        ahead = self._skew.total_seconds()
        if abs(self._skew) > _SKEW:
            return wrong(
                "clock",
                f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's",
                "Set it by NTP (timedatectl set-ntp true): expiries, signatures and the audit log depend on it.",
            )
        return ok("clock", f"{abs(ahead):.0f} s from the server's")

    async def _key(self) -> Finding:
        probes = [row.name for row in self._connector.operations.values() if row.probe]
        reads = [operation for operation in probes if operation in self._permitted]
        if not reads:
            return Finding(
                check="key",
                state="skipped",
                found=f"policy permits none of {', '.join(probes)}, so the key was not tried",
            )
        first = await self._tried(reads[0])
        if first is not None and not isinstance(first, ForbiddenError):
            return self._refused(first)
        rest = await asyncio.gather(*(self._tried(operation) for operation in reads[1:]))
        outcomes = dict(zip(reads, [first, *rest], strict=True))
        for error in outcomes.values():
            if error is not None and not isinstance(error, ForbiddenError):
                return self._refused(error)
        forbidden = [operation for operation, error in outcomes.items() if error is not None]
        if forbidden:
            return Finding(
                check="key",
                state="wrong" if len(forbidden) == len(reads) else "warning",
                found=f"PagerDuty does not let this key do {', '.join(forbidden)}, which policy permits",
                remedy="Use a key or OAuth scope that may, or take these out of the policy.",
            )
        return ok("key", f"accepted; tried {', '.join(reads)}")

    async def _scopes(self) -> Finding:
        """Compare the scopes that a scoped app asks for with those that policy can need."""
        rows = self._connector.operations.values()
        wanted = needed(row for row in rows if self._connector.possible_verdicts(row.name))
        lacking, idle = compared(wanted, os.environ.get(SCOPE, "").split())
        if lacking:
            operations = sorted({name for scope in lacking for name in wanted[scope]})
            return warning(
                "scopes",
                f"the app lacks {', '.join(lacking)}, which policy can need for {', '.join(operations[:5])}"
                + (f" and {len(operations) - 5} more" if len(operations) > 5 else ""),
                f"Add them to the app and to {SCOPE}, or take the operations out of the policy.",
            )
        if idle:
            return warning(
                "scopes",
                f"the app has {', '.join(idle)}, which no permitted operation needs",
                f"Take them out of the app and of {SCOPE}; `arx-pagerduty policy scopes` lists the least.",
            )
        return ok("scopes", f"{len(wanted)} scopes, as policy needs them")

    async def _tried(self, operation: str) -> ArxError | None:
        try:
            await self._connector.execute(operation, {"limit": 1}, timeout=_READ_WITHIN)
        except ArxError as error:
            return error
        return None

    def _refused(self, error: ArxError) -> Finding:
        remedy = "Try again; if it stays so, status.pagerduty.com says how the service is."
        if isinstance(error, AuthenticationError):
            remedy = (
                "Make a key in PagerDuty under Integrations, API Access Keys, and store it. If this one is good, the "
                "account may be in the EU: PAGERDUTY_BASE_URL=https://api.eu.pagerduty.com."
            )
        elif isinstance(error, PermissionDeniedError):
            remedy = "A suspended agent goes on with `arx-pagerduty agents resume`; a limit passes with time."
        elif isinstance(error, AuditError):
            remedy = _LOG_REMEDY
        elif isinstance(error, TransportError):
            remedy = "Look at the network between here and the server, and at PAGERDUTY_BASE_URL."
        return wrong("key", str(error), remedy)

    async def _requester_email(self) -> Finding:
        operations = self._connector.operations.values()
        writes = any(row.writes and self._verdict(row) is not Verdict.DENY for row in operations)
        if not writes:
            return Finding(check="requester", state="skipped", found="policy permits no writes, so none is needed")
        if not self._requester:
            return wrong(
                "requester",
                "no requester's email is known, so a write without requester_email fails",
                "Set PAGERDUTY_REQUESTER_EMAIL to a user's address, or store it: `arx-pagerduty vault set --email`.",
            )
        if self._findings["key"].state != "ok" or not self._permits("users:read"):
            return ok("requester", f"{self._requester}; not looked up")
        reads = "users:read"
        answer = await self._connector.execute(reads, {"query": self._requester}, timeout=_READ_WITHIN)
        users = objects(answer, "users", reads)
        if not any(str(user.get("email", "")).lower() == self._requester.lower() for user in users):
            return wrong(
                "requester",
                f"the account has no user {self._requester}, so PagerDuty refuses every write",
                "Set PAGERDUTY_REQUESTER_EMAIL, or the vault's requester_email, to the address of one of its users.",
            )
        return ok("requester", f"{self._requester} is a user of the account")
