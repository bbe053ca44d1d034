"""Ways to approve oneself: each is refused, nothing is sent, and the attempt is on record.

The page's own (session fixation, CSRF) are in `tests/console`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from arx_wrapper import approvals
from arx_wrapper.approvals import sign_decision
from arx_wrapper.approvals.enrolment_rules import registration_challenge
from arx_wrapper.approvals.passkeys import rp_id_of, verify_registration
from arx_wrapper.cli.main import run as command
from arx_wrapper.core import enrolment_records
from arx_wrapper.core.review import evidence_of, review
from arx_wrapper.errors import ApprovalDeniedError, ApprovalError
from arx_wrapper.model import Effect, Risk
from tests.approvals.authenticator import ORIGIN, PRESENT, Authenticator
from tests.approvals.deployment import DELETE, Deployment
from tests.support import ASK_ABOUT_HIGH, trail

WINDOW = (
    "maintenance:create",
    {"start_time": "2030-06-15T02:00:00Z", "end_time": "2030-06-15T04:00:00Z", "service_ids": ["PABC123"]},
)


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    """Alice is the first reviewer; Bob was confirmed by her."""
    found = Deployment(tmp_path)
    async with found.pd:
        await found.enrol("alice")
        await found.enrol("bob", by="alice")
        yield found


async def require_attempt_on_record(deployment: Deployment, asked: approvals.ApprovalRequest) -> None:
    record = [r for r in await trail(deployment.pd) if r.action_type == "approval.reviewed"][-1]
    assert (record.status, record.approval_id) == ("error", asked.id)
    assert record.metadata["reviewer"]


async def test_a_passkeys_decision_is_used_and_its_proof_is_on_record(deployment: Deployment) -> None:
    asked = await deployment.ask()
    assert (await deployment.decide(asked, "alice", note="go")).state == "approved"
    await deployment.use(asked)
    record, used = [r for r in await trail(deployment.pd) if r.action_type == "approval.reviewed"]
    assert used.metadata["verdict"] == "used"
    assert (record.metadata["reviewer"], record.metadata["note"]) == ("alice", "go")
    assert '"clientDataJSON"' in record.metadata["signature"]


async def test_a_passkeys_denial_denies(deployment: Deployment) -> None:
    asked = await deployment.ask()
    await deployment.decide(asked, "bob", approve=False, note="not now")
    await deployment.require_refused(asked, "denied by bob")


def cli(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, *arguments: str, **environ: str) -> int:
    for name, value in {
        "ARX_AUDIT_URL": deployment.url,
        "ARX_AUDIT_KEY": "",
        "ARX_ORG_ID": "org-acme",
        **environ,
    }.items():
        monkeypatch.setenv(name, value)
    import threading

    done: list[int] = []
    runner = threading.Thread(target=lambda: done.append(command(list(arguments))))
    runner.start()
    runner.join(30)
    return done[0]


async def test_1_another_name_on_the_command_line(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = await deployment.ask()
    assert cli(deployment, monkeypatch, "approvals", "approve", asked.id, "--reviewer", "alice") == 4
    await require_attempt_on_record(deployment, asked)
    await deployment.require_refused(asked, "still waits")


async def test_2_a_fresh_key(deployment: Deployment) -> None:
    asked = await deployment.ask()
    with pytest.raises(ApprovalDeniedError, match="none of their passkeys"):
        await deployment.decide(asked, "alice", passkey=Authenticator())
    await require_attempt_on_record(deployment, asked)
    key, at = Ed25519PrivateKey.generate(), datetime.now(UTC)
    signature = sign_decision(key, request_id=asked.id, digest=asked.digest, approve=True, at=at)
    backends = deployment.pd.backends
    with pytest.raises(ApprovalDeniedError, match="does not match"):
        await review(
            backends.approvals, backends.audit, asked.id, reviewer="alice", approve=True, signature=signature, at=at
        )
    await deployment.require_refused(asked, "still waits")


async def test_3_an_edited_arx_toml_of_the_deciding_process(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = await deployment.ask()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arx.toml").write_text('[approvals]\nproof = "name"\n')
    assert cli(deployment, monkeypatch, "approvals", "approve", asked.id, "--reviewer", "alice") == 0
    await deployment.require_refused(asked, "has to sign")


async def test_3_an_edited_arx_toml_with_a_key_of_ones_own(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = await deployment.ask()
    monkeypatch.chdir(tmp_path)
    assert cli(deployment, monkeypatch, "approvals", "keygen", "--reviewer", "mallory", "--file", "m.key") == 0
    from arx_wrapper.cli.approvals import signing

    public = signing.public_text(signing.load_key(Path("m.key")))
    (tmp_path / "arx.toml").write_text(f'[approvals.reviewers]\nmallory = "{public}"\n')
    approve = ("approvals", "approve", asked.id, "--key", "m.key", "--yes")
    assert cli(deployment, monkeypatch, *approve) == 0
    await deployment.require_refused(asked, "'mallory' is not a registered reviewer")


async def test_4_an_edited_environment_of_the_deciding_process(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await deployment.ask()
    name = {"ARX_APPROVALS_PROOF": "name"}
    assert cli(deployment, monkeypatch, "approvals", "approve", asked.id, "--reviewer", "alice", **name) == 0
    await deployment.require_refused(asked, "has to sign")
    sandbox = {"ARX_SANDBOX": "1", "ARX_APPROVALS_PROOF": ""}
    again = await deployment.ask(WINDOW)
    assert cli(deployment, monkeypatch, "approvals", "approve", again.id, "--reviewer", "alice", **sandbox) == 0
    await deployment.require_refused(again, "has to sign", WINDOW)


async def test_5_an_edited_state(deployment: Deployment) -> None:
    asked = await deployment.ask()
    deployment.run("UPDATE approval_requests_v2 SET state = 'approved'")
    await deployment.require_refused(asked, "0 of the 1 approvals")


@pytest.mark.parametrize(
    "changed",
    [
        {"risk": Risk.MEDIUM},
        {"effects": (Effect(operation="services:update", risk=Risk.LOW),)},
        {"expires_at": datetime(2099, 1, 1, tzinfo=UTC)},
        {"sentence": "List all services."},
        {"reason": "Nothing to see."},
        {"min_approvals": 1, "policy_source": "elsewhere:1"},
    ],
    ids=lambda changed: next(iter(changed)),
)
@pytest.mark.parametrize("when", ["before the decision", "after it"])
async def test_6_to_8_edited_rows(deployment: Deployment, changed: dict[str, Any], when: str) -> None:
    asked = await deployment.ask()
    shown = deployment.forge(asked, **changed) if when.startswith("before") else asked
    await deployment.decide(shown, "alice")
    if when.startswith("after"):
        deployment.forge(asked, **changed)
    await deployment.require_refused(asked)


async def test_9_an_inserted_decision(deployment: Deployment) -> None:
    asked = await deployment.ask()
    deployment.run("UPDATE approval_requests_v2 SET state = 'approved'")
    deployment.run(
        "INSERT INTO approval_reviews_v2 (request_id, person, seq, reviewer, approve, note, at) "
        "VALUES (?, 'alice', 0, 'alice', 1, '', '2026-01-02T03:04:05.000000Z')",
        asked.id,
    )
    await deployment.require_refused(asked, "has to sign")


async def test_9_a_decision_with_a_true_proof_that_is_not_in_the_log(deployment: Deployment) -> None:
    asked = await deployment.ask()
    given = deployment.proof(asked, "alice")
    backends = deployment.pd.backends
    said = backends.approvals.review(given["reviewer"], True, given["note"], given["signature"], at=given["at"])
    await backends.approvals.take(asked.id, said, reviewers=await deployment.reviewers())
    await deployment.require_refused(asked, "not in the audit log")


async def test_10_a_replayed_proof(deployment: Deployment) -> None:
    first, other = await deployment.ask(), WINDOW
    second = await deployment.ask(other)
    given = deployment.proof(first, "alice")
    backends = deployment.pd.backends
    await review(backends.approvals, backends.audit, first.id, **given)
    await deployment.use(first)
    deployment.account.requests.clear()
    with pytest.raises(ApprovalDeniedError, match="did not sign this"):
        await review(backends.approvals, backends.audit, second.id, **given)
    await require_attempt_on_record(deployment, second)
    with pytest.raises(ApprovalError, match="still waits"):
        await deployment.use(second, other)
    deployment.require_nothing_sent()


async def test_10_a_used_request_set_back(deployment: Deployment) -> None:
    note = ("services:delete", {"service_id": "PABC123"})
    asked = await deployment.ask(note)
    await deployment.decide(asked, "alice")
    await deployment.use(asked, note)
    deployment.account.requests.clear()
    deployment.run("UPDATE approval_requests_v2 SET state = 'approved'")
    with pytest.raises(Exception, match=r"."):
        await deployment.use(asked, note)
    deployment.require_nothing_sent()


async def test_10_an_approval_set_back_while_its_call_is_in_flight(deployment: Deployment) -> None:
    call = ("services:delete", {"service_id": "PABC123"})
    asked = await deployment.ask(call)
    await deployment.decide(asked, "alice")
    evidence = await evidence_of(deployment.pd.backends.audit, asked)
    assert not evidence.used
    deployment.account.faults.slow(0.5, method="DELETE")
    first = asyncio.ensure_future(deployment.use(asked, call))
    while not (await evidence_of(deployment.pd.backends.audit, asked)).used:  # on record before anything is sent
        await asyncio.sleep(0.01)
    deployment.run("UPDATE approval_requests_v2 SET state = 'approved'")
    with pytest.raises(ApprovalDeniedError, match="used already, by the audit log"):
        await deployment.use(asked, call)
    await first
    assert [request.method for request in deployment.account.requests].count("DELETE") == 1


async def test_a_decision_that_comes_while_a_call_resumes_is_not_used_unseen(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await deployment.ask()
    store = deployment.pd.backends.approvals
    get, looks = store.get, 0

    async def then_approved(approval_id: str) -> approvals.ApprovalRequest:
        nonlocal looks
        found = await get(approval_id)
        looks += 1
        if looks == 2:  # right after the resuming call saw that nobody had decided
            monkeypatch.setattr(store, "get", get)
            await deployment.decide(asked, "alice")
        return found

    monkeypatch.setattr(store, "get", then_approved)
    await deployment.require_refused(asked, "still waits")


async def test_11_a_proof_for_another_digest(deployment: Deployment) -> None:
    harmless = await deployment.ask(("services:create", {"name": "Harmless", "escalation_policy_id": "PC5Z6QY"}))
    asked = await deployment.ask()
    with pytest.raises(ApprovalDeniedError, match="did not sign this"):
        await deployment.decide(asked, "alice", about=harmless)
    await require_attempt_on_record(deployment, asked)
    await deployment.require_refused(asked, "still waits")


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"origin": "https://approvals.evil.example"}, "origin"),
        ({"origin": "http://localhost:9999"}, "origin"),
        ({"rp_id": "evil.example"}, "RP ID"),
        ({"flags": PRESENT}, "User verification"),
        ({"flags": 0}, "not present"),
    ],
    ids=["12 wrong origin", "12 wrong port", "13 wrong RP id", "14 no user verification", "14 nobody present"],
)
async def test_12_to_14_an_assertion_of_another_kind(deployment: Deployment, how: dict[str, Any], match: str) -> None:
    asked = await deployment.ask()
    with pytest.raises(ApprovalDeniedError, match=match):
        await deployment.decide(asked, "alice", **how)
    await require_attempt_on_record(deployment, asked)
    await deployment.require_refused(asked, "still waits")


async def test_15_a_second_invitation_by_the_agent(deployment: Deployment) -> None:
    assert await deployment.register("mallory") is False
    asked = await deployment.ask()
    with pytest.raises(ApprovalDeniedError, match="'mallory' is not a registered reviewer"):
        await deployment.decide(asked, "mallory")
    await require_attempt_on_record(deployment, asked)
    await deployment.require_refused(asked, "still waits")
    steps = [r.metadata["step"] for r in await trail(deployment.pd) if r.action_type == "reviewer.enrolled"]
    assert steps[-2:] == ["invited", "registered"], "the attempt is on record"


async def test_15_an_invitation_for_a_reviewers_own_name_needs_a_confirmation_too(deployment: Deployment) -> None:
    true_passkey = deployment.passkeys["alice"]
    forged = Authenticator()
    assert await deployment.register("alice", forged) is False
    asked = await deployment.ask()
    with pytest.raises(ApprovalDeniedError, match="none of their passkeys"):
        await deployment.decide(asked, "alice", passkey=forged)
    assert (await deployment.decide(asked, "alice", passkey=true_passkey)).state == "approved"


async def test_16_an_enrolment_confirmed_by_itself(deployment: Deployment) -> None:
    await deployment.register("mallory")
    for by in ("mallory", "Mallory", "alice"):
        if by == "alice":
            deployment.passkeys["alice"] = deployment.passkeys["mallory"]
        else:
            deployment.passkeys[by] = deployment.passkeys["mallory"]
        with pytest.raises(ApprovalError, match="proof of"):
            await deployment.confirm("mallory", by)
        last = (await trail(deployment.pd))[-1]
        assert (last.action_type, last.status, last.metadata["step"]) == ("reviewer.enrolled", "error", "refused")
    assert "mallory" not in await deployment.reviewers()


async def test_16_a_confirmation_written_past_the_checks_does_not_count(deployment: Deployment) -> None:
    from arx_wrapper.core.enrolment_records import _entry

    await deployment.register("mallory")
    enrolments = await deployment.enrolments()
    [candidate] = enrolments.candidates.values()
    said = {
        "step": "confirmed",
        "reviewer": "mallory",
        "invitation": candidate.invitation,
        "at": "2026-01-01T00:00:00+00:00",
    }
    for by, passkey in (("alice", "mallory"), ("mallory", "mallory")):
        proof = deployment.passkeys[passkey].sign(b"anything")
        await deployment.pd.audit.append(_entry(enrolments.org_id, "success", {**said, "by": by, "proof": proof}))
    assert "mallory" not in await deployment.reviewers()


async def test_16_a_second_passkey_of_ones_own_needs_another_reviewer(deployment: Deployment) -> None:
    from arx_wrapper.approvals.enrolment_rules import enrolment_statement
    from arx_wrapper.approvals.passkeys import challenge_of
    from arx_wrapper.core.enrolment_records import _entry

    own = deployment.passkeys["alice"]
    await deployment.register("alice", Authenticator())
    deployment.passkeys["alice"] = own
    with pytest.raises(ApprovalError, match="another reviewer has to"):
        await deployment.confirm("alice", by="alice")
    enrolments = await deployment.enrolments()
    [candidate] = enrolments.candidates.values()
    at = "2026-01-01T00:00:00+00:00"
    proof = own.sign(challenge_of(enrolment_statement("org-acme", candidate, by="alice", at=at)))
    said = {"step": "confirmed", "invitation": candidate.invitation, "reviewer": "alice", "by": "alice", "at": at}
    await deployment.pd.audit.append(_entry(enrolments.org_id, "success", {**said, "proof": proof}))
    assert len((await deployment.reviewers()).passkeys("alice")) == 1
    await deployment.confirm("alice", by="bob")
    assert len((await deployment.reviewers()).passkeys("alice")) == 2


class Copied(Authenticator):
    """The key of another authenticator under a credential of its own, in COSE that orders its members otherwise."""

    def __init__(self, other: Authenticator, *, reordered: bool = True) -> None:
        super().__init__()
        self.key, self._reordered = other.key, reordered

    def cose(self) -> dict[int, Any]:
        members = super().cose()
        return dict(reversed(members.items())) if self._reordered else members


class OfKeyFile(Authenticator):
    """A passkey whose key is that of a key file."""

    def __init__(self, file: Ed25519PrivateKey) -> None:
        super().__init__()
        self.file = file

    def cose(self) -> dict[int, Any]:
        return {1: 1, 3: -8, -1: 6, -2: self.file.public_key().public_bytes_raw()}


@pytest.mark.parametrize("reordered", [False, True])
async def test_16_one_key_is_not_two_reviewers(deployment: Deployment, reordered: bool) -> None:
    copied = Copied(deployment.passkeys["alice"], reordered=reordered)
    with pytest.raises(ApprovalError, match="a reviewer's already"):
        await deployment.register("carol", copied)
    await deployment.register("dora")
    with pytest.raises(ApprovalError, match="waits to be confirmed"):
        await deployment.register("eve", Copied(deployment.passkeys["dora"], reordered=reordered))
    assert [each.reviewer for each in (await deployment.enrolments()).candidates.values()] == ["dora"]


async def test_16_the_key_of_a_key_file_is_not_a_second_reviewer(tmp_path: Path) -> None:
    file = Ed25519PrivateKey.generate()
    key = base64.b64encode(file.public_key().public_bytes_raw()).decode()
    deployment = Deployment(tmp_path, reviewers={"dora": key})
    async with deployment.pd:
        with pytest.raises(ApprovalError, match="a reviewer's already"):
            await deployment.register("carol", OfKeyFile(file))


async def test_16_a_person_of_pagerduty_is_not_two_reviewers(deployment: Deployment) -> None:
    await deployment.register("carol", user="PU9")
    await deployment.register("caroline", user="PU9")
    log, passkey = deployment.pd.audit, Authenticator()
    token = await enrolment_records.invite(log, await deployment.enrolments(), "caro", by="root", user="PU9")
    made = passkey.register(registration_challenge(token))
    found = verify_registration(made, registration_challenge(token), rp_id=rp_id_of(ORIGIN), origin=ORIGIN)
    await deployment.confirm("carol", by="alice")
    enrolments = await deployment.enrolments()
    with pytest.raises(ApprovalError, match="is the reviewer 'carol' already"):
        await deployment.confirm("caroline", by="alice")
    with pytest.raises(ApprovalError, match="is the reviewer 'carol' already"):
        await enrolment_records.register(log, enrolments, token, found, now=datetime.now(UTC))
    with pytest.raises(ApprovalError, match="is the reviewer 'carol' already"):
        await enrolment_records.invite(log, enrolments, "carola", by="root", user="pu9")
    assert "caroline" not in await deployment.reviewers()
    await deployment.register("carol", user="PU9")  # another passkey of hers
    await deployment.confirm("carol", by="alice")


async def test_16_a_confirmation_of_a_second_name_written_past_the_checks_does_not_count(
    deployment: Deployment,
) -> None:
    from arx_wrapper.approvals.enrolment_rules import enrolment_statement
    from arx_wrapper.approvals.passkeys import challenge_of
    from arx_wrapper.core.enrolment_records import _entry

    await deployment.register("carol", user="PU9")
    await deployment.register("caroline", user="PU9")
    await deployment.confirm("carol", by="alice")
    enrolments = await deployment.enrolments()
    [candidate] = enrolments.candidates.values()
    at = "2026-01-01T00:00:00+00:00"
    statement = enrolment_statement("org-acme", candidate, by="alice", at=at)
    proof = deployment.passkeys["alice"].sign(challenge_of(statement))
    said = {"step": "confirmed", "invitation": candidate.invitation, "reviewer": "caroline", "by": "alice", "at": at}
    await deployment.pd.audit.append(_entry(enrolments.org_id, "success", {**said, "proof": proof}))
    assert "caroline" not in await deployment.reviewers()


async def test_16_an_enrolment_that_is_not_in_the_chain_does_not_count(deployment: Deployment) -> None:
    asked = await deployment.ask()
    stranger = Authenticator()
    backends, known = deployment.pd.backends, await deployment.reviewers()
    passkey = approvals.Passkey(credential_id="x", public_key="x", rp_id="localhost", origin="http://localhost:8788")
    forged = known.with_enrolled([approvals.Enrolled(name="mallory", passkeys=(passkey,))])
    assert "mallory" in forged
    with pytest.raises(ApprovalDeniedError, match="not a registered reviewer"):
        await review(
            backends.approvals, backends.audit, asked.id, **deployment.proof(asked, "mallory", passkey=stranger)
        )


async def test_19_a_press_in_slack_proves_nothing(deployment: Deployment) -> None:
    """A true press of a listed reviewer; forged, stale and replayed ones are in `test_slack.py`."""
    asked = await deployment.ask()
    backends = deployment.pd.backends
    with pytest.raises(ApprovalDeniedError, match="has to sign"):
        await review(backends.approvals, backends.audit, asked.id, reviewer="alice", approve=True, note="Slack user U1")
    await require_attempt_on_record(deployment, asked)
    await deployment.require_refused(asked, "still waits")


async def test_20_no_tool_of_the_mcp_server_decides() -> None:
    from arx_wrapper import PagerDutyConnector
    from arx_wrapper.mcp.tools import Tools
    from tests.support import EVERYTHING

    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        names = [tool.name for tool in Tools(pd).offered()]
    assert not [name for name in names if any(word in name for word in ("approve", "deny", "review", "enrol"))]


@pytest.mark.parametrize("agent", ["cli:alice", "Alice", "slack:ALICE", "ａlice"])  # noqa: RUF001
async def test_21_name_variants_of_the_agent(deployment: Deployment, agent: str) -> None:
    async with deployment.connector(agent) as pd:
        asked = await deployment.ask(pd=pd)
        with pytest.raises(ApprovalError, match="another reviewer has to"):
            await deployment.decide(asked, "alice")
        await require_attempt_on_record(deployment, asked)


@pytest.mark.parametrize("name", ["Alice", "cli:alice", "ALICE"])
async def test_21_name_variants_of_a_reviewer(deployment: Deployment, name: str) -> None:
    asked = await deployment.ask()
    with pytest.raises(ApprovalDeniedError, match="not a registered reviewer"):
        await deployment.decide(asked, name, passkey=deployment.passkeys["alice"])
    with pytest.raises(ApprovalError, match="another spelling"):
        await enrolment_records.invite(deployment.pd.audit, await deployment.enrolments(), name, by="root")


async def test_22_one_person_counted_twice(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, policies=[{**ASK_ABOUT_HIGH, "min_approvals": 2}])
    async with deployment.pd:
        await deployment.enrol("alice")
        asked = await deployment.ask()
        assert (await deployment.decide(asked, "alice")).state == "pending"
        with pytest.raises(ApprovalError, match=r"decided .* already"):
            await deployment.decide(asked, "alice")
        await require_attempt_on_record(deployment, asked)
        deployment.run("UPDATE approval_requests_v2 SET state = 'approved'")
        await deployment.require_refused(asked, "1 of the 2")
        given = deployment.proof(asked, "alice")
        deployment.run(
            "INSERT INTO approval_reviews_v2 (request_id, person, seq, reviewer, approve, note, at, signature) "
            "VALUES (?, 'alice again', 1, 'alice', 1, '', ?, ?)",
            asked.id,
            given["at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            given["signature"],
        )
        await deployment.require_refused(asked)


async def test_23_a_removed_reviewer(deployment: Deployment) -> None:
    asked = await deployment.ask()
    await deployment.decide(asked, "bob")
    await deployment.remove("bob", by="alice")
    await deployment.require_refused(asked, "'bob' is not a registered reviewer")
    again = await deployment.ask(WINDOW)
    with pytest.raises(ApprovalDeniedError, match="not a registered reviewer"):
        await deployment.decide(again, "bob")
    await require_attempt_on_record(deployment, again)


async def test_23_nobody_removes_themselves_and_a_stranger_removes_nobody(deployment: Deployment) -> None:
    with pytest.raises(ApprovalError, match="another reviewer"):
        await deployment.remove("bob", by="bob")
    deployment.passkeys["alice"] = Authenticator()
    with pytest.raises(ApprovalError, match="proof of"):
        await deployment.remove("bob", by="alice")
    assert "bob" in await deployment.reviewers()
    last = (await trail(deployment.pd))[-1]
    assert (last.action_type, last.status) == ("reviewer.enrolled", "error")


async def test_a_removed_reviewers_old_confirmation_cannot_be_replayed(deployment: Deployment) -> None:
    from arx_wrapper.core.enrolment_records import _entry

    old = [r for r in await trail(deployment.pd) if r.metadata.get("step") == "confirmed"][-1]
    await deployment.remove("bob", by="alice")
    enrolments = await deployment.enrolments()
    for record in [r for r in await trail(deployment.pd) if r.metadata.get("reviewer") == "bob"][:3]:
        if record.action_type == "reviewer.enrolled":
            await deployment.pd.audit.append(_entry(enrolments.org_id, "success", dict(record.metadata)))
    assert old.metadata["proof"]
    assert "bob" not in await deployment.reviewers()


async def test_no_one_approves_before_anybody_is_enrolled(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    async with deployment.pd:
        asked = await deployment.ask()
        backends = deployment.pd.backends
        with pytest.raises(ApprovalDeniedError, match="no reviewer is enrolled"):
            await review(backends.approvals, backends.audit, asked.id, reviewer="alice", approve=True)
        await require_attempt_on_record(deployment, asked)


async def test_where_keys_are_configured_the_first_passkey_needs_a_confirmation(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    deployment = Deployment(tmp_path, reviewers={"robot": public})
    async with deployment.pd:
        assert await deployment.register("alice") is False
        from arx_wrapper.approvals.enrolment_rules import enrolment_statement

        enrolments = await deployment.enrolments()
        [candidate] = enrolments.candidates.values()
        at = datetime.now(UTC).isoformat()
        proof = base64.b64encode(key.sign(enrolment_statement("org-acme", candidate, by="robot", at=at))).decode()
        await enrolment_records.confirm(deployment.pd.audit, enrolments, candidate, by="robot", at=at, proof=proof)
        asked = await deployment.ask()
        assert (await deployment.decide(asked, "alice")).state == "approved"
        await deployment.use(asked, DELETE)


async def test_a_link_works_once_and_for_ten_minutes(deployment: Deployment) -> None:
    from datetime import timedelta

    from arx_wrapper.approvals.enrolment_rules import registration_challenge
    from arx_wrapper.approvals.passkeys import verify_registration

    async def registered(token: str, after: float = 0) -> None:
        challenge = registration_challenge(token)
        made = verify_registration(
            Authenticator().register(challenge), challenge, rp_id="localhost", origin="http://localhost:8788"
        )
        now = datetime.now(UTC) + timedelta(seconds=after)
        await enrolment_records.register(deployment.pd.audit, await deployment.enrolments(), token, made, now=now)

    log = deployment.pd.audit
    token = await enrolment_records.invite(log, await deployment.enrolments(), "carol", by="root")
    with pytest.raises(ApprovalError, match="ten minutes"):
        await registered(token, after=601)
    with pytest.raises(ApprovalError, match="unknown"):
        await registered(token[:-1])
    await registered(token)
    with pytest.raises(ApprovalError, match="was used"):
        await registered(token)
    assert token not in str([r.metadata for r in await trail(deployment.pd)]), "the log does not hold the link"


ON_CALL = {"on_call": "PESC123", "levels": [1, 2], "escalate_after": "5m"}


class Shifts:
    """Makes people be on call, in a PagerDuty account that the test changes."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment, self.users, self.asked = deployment, {1: "ADA1"}, 0

    def answer(self, request: httpx.Request) -> httpx.Response | None:
        if request.url.path != "/oncalls":
            return None
        assert request.url.params["escalation_policy_ids[]"] == "PESC123"
        self.asked += 1
        entries = [
            {"escalation_level": level, "user": {"id": user, "email": f"{user}@example.com"}}
            for level, user in self.users.items()
        ]
        return httpx.Response(200, json={"oncalls": entries, "more": False, "limit": 100, "offset": 0})


@pytest.fixture
async def shifts(tmp_path: Path) -> AsyncIterator[Shifts]:
    """Alice is the PagerDuty user ADA1, Bob is BO1; policy asks who is on call."""
    asks = {**ASK_ABOUT_HIGH, "reviewers": ON_CALL}
    deployment = Deployment(tmp_path, policies=[asks])
    shifts = Shifts(deployment)
    deployment.intercept(shifts.answer)
    async with deployment.pd:
        await deployment.enrol("alice", user="ADA1")
        await deployment.enrol("bob", by="alice", user="BO1")
        yield shifts


async def test_24_who_is_on_call_decides_and_both_look_ups_are_on_record(shifts: Shifts) -> None:
    deployment = shifts.deployment
    asked = await deployment.ask()
    with pytest.raises(ApprovalDeniedError, match="not on call at level 1 of PESC123"):
        await deployment.decide(asked, "bob")
    await require_attempt_on_record(deployment, asked)
    assert (await deployment.decide(asked, "alice")).state == "approved"
    await deployment.use(asked)
    records = [r for r in await trail(deployment.pd) if r.action_type == "approval.reviewed"]
    looked_up = [record.metadata.get("on_call") for record in records if record.metadata["verdict"] != "used"]
    assert looked_up == [{"PESC123": {"1": ["ada1", "ada1@example.com"]}}] * 3
    assert shifts.asked == 3


async def test_24_a_reviewer_whose_shift_ended_a_second_ago(shifts: Shifts) -> None:
    deployment = shifts.deployment
    asked = await deployment.ask()
    await deployment.decide(asked, "alice")
    shifts.users = {1: "BO1"}
    await deployment.require_refused(asked, "0 of the 1 approvals .* alice is not on call")
    reviewed = [r for r in await trail(deployment.pd) if r.action_type == "approval.reviewed"]
    assert (reviewed[-1].status, reviewed[-1].metadata["verdict"]) == ("error", "not counted")


async def test_24_the_next_level_decides_once_the_first_has_not(shifts: Shifts) -> None:
    from datetime import timedelta

    deployment = shifts.deployment
    shifts.users = {1: "ADA1", 2: "BO1"}
    asked = await deployment.ask()
    with pytest.raises(ApprovalDeniedError, match="not on call at level 1"):
        await deployment.decide(asked, "bob")
    store = deployment.pd.backends.approvals
    store._clock = lambda: datetime.now(UTC) + timedelta(minutes=5, seconds=2)
    assert (await deployment.decide(asked, "bob", after=timedelta(minutes=5, seconds=2))).state == "approved"


async def test_24_where_nobody_can_be_asked_nothing_is_decided(shifts: Shifts) -> None:
    deployment = shifts.deployment
    asked = await deployment.ask()
    backends = deployment.pd.backends
    with pytest.raises(ApprovalError, match="which cannot be read here"):
        await review(backends.approvals, backends.audit, asked.id, **deployment.proof(asked, "alice"))


@pytest.mark.parametrize(("rule", "who"), [(["bob"], "bob"), (["group:sre"], "bob")])
async def test_24_people_and_groups_that_a_policy_names(tmp_path: Path, rule: list[str], who: str) -> None:
    asks = {**ASK_ABOUT_HIGH, "reviewers": rule}
    deployment = Deployment(tmp_path, policies=[asks], reviewer_groups={"sre": ("bob",)})
    async with deployment.pd:
        await deployment.enrol("alice")
        await deployment.enrol("bob", by="alice")
        asked = await deployment.ask()
        with pytest.raises(ApprovalDeniedError, match="none of its reviewers"):
            await deployment.decide(asked, "alice")
        await deployment.decide(asked, who)
        await deployment.use(asked)
