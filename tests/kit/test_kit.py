"""The test kit: an account for each test, reviewers in code, and cassettes without secrets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from arx_wrapper import ApprovalDeniedError, ApprovalPendingError, NotFoundError, RateLimitError
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.server import serve
from arx_wrapper.testing import PERMIT_ALL, PagerDutyKit, cassette, scrub_request, scrub_response
from arx_wrapper.vault.fixed import FixedVault
from tests.support import CANARY

ASKING = [{**PERMIT_ALL, "approval": {"low": "none", "medium": "none", "high": "hitl"}}]


async def test_the_fixture_is_an_account_of_the_tests_own(pagerduty: PagerDutyKit) -> None:
    async with pagerduty.connector() as pd:
        await pd.resolve_incident("P1234AB")
    assert pagerduty.sent("PUT", "/incidents/P1234AB").body["incident"]["status"] == "resolved"
    with pytest.raises(AssertionError, match="no DELETE /services/X arrived, but PUT /incidents/P1234AB"):
        pagerduty.sent("DELETE", "/services/X")


async def test_and_not_the_one_that_another_test_resolved_the_incident_of(pagerduty: PagerDutyKit) -> None:
    async with pagerduty.connector() as pd:
        assert (await pd.get_incident("P1234AB")).status == "triggered"


async def test_faults_and_clock_are_at_hand(pagerduty: PagerDutyKit) -> None:
    async with pagerduty.connector() as pd:
        await pd.snooze_incident("P1234AB", 600)
        pagerduty.advance(minutes=11)
        assert (await pd.get_incident("P1234AB")).status == "triggered"
        pagerduty.faults.rate_limited(reset=60, times=1)
        with pytest.raises(RateLimitError):  # the last call: the key's other calls wait for as long
            await pd.execute("teams:read", timeout=1)


async def test_reviewers_decide_in_code(pagerduty: PagerDutyKit) -> None:
    async with pagerduty.connector(policies=ASKING) as pd:
        async with pagerduty.reviewing(pd, lambda request: "PABC123" not in request.params) as decided:
            with pytest.raises(ApprovalDeniedError):
                await pd.delete_service("PABC123")
        async with pagerduty.reviewing(pd) as decided:
            await pd.delete_service("PABC123")
        assert [request.operation for request in decided] == ["services:delete"]
        with pytest.raises(NotFoundError):
            await pd.get_service("PABC123")
        reviewed = [record for record in await pagerduty.records(pd) if record.action_type == "approval.reviewed"]
        assert [record.metadata["verdict"] for record in reviewed] == ["denied", "approved", "used"]


async def test_a_call_can_be_resumed_after_a_decision(pagerduty: PagerDutyKit) -> None:
    async with pagerduty.connector(policies=ASKING, approvals_mode="raise") as pd:
        with pytest.raises(ApprovalPendingError) as pending:
            await pd.delete_service("PABC123")
        approval_id = str(pending.value.approval_id)
        await pagerduty.decide(pd, approval_id, note="fine")
        await pd.execute("services:delete", {"service_id": "PABC123"}, approval_id=approval_id)
    assert pagerduty.sent("DELETE", "/services/PABC123").status == 204


def test_the_plugin_is_there_in_any_project_and_costs_nothing_until_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import sys\n\n\ndef test_not_loaded():\n    assert 'arx_wrapper.testing.kit' not in sys.modules\n\n\n"
        "def test_loaded(pagerduty):\n    assert pagerduty.account.token\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout


async def test_a_cassette_holds_nothing_that_must_not_stay(tmp_path: Path) -> None:
    file = tmp_path / "calls.yaml"
    account = Sandbox()
    kit = PagerDutyKit()
    kit.account = account
    user = next(user for user in account.account.all("user") if user["role"] == "user")
    async with serve(account) as served, httpx.AsyncHTTPTransport() as transport:
        with cassette(file, record=True):
            async with kit.connector(transport=transport, base_url=served.url) as pd:
                names = [user.name for user in await pd.list_users()]
                await pd.list_user_contact_methods(user["id"])
                await pd.acknowledge_incident("P1234AB", requester_email=account.email)
    text = file.read_text()
    for secret in (account.token, served.url, "5550199", "Authorization"):
        assert secret not in text
    vault = FixedVault(api_key=CANARY, requester_email="any@example.com")
    async with httpx.AsyncHTTPTransport() as transport:
        with cassette(file):
            async with kit.connector(transport=transport, vault=vault, base_url="http://127.0.0.1") as pd:
                assert [user.name for user in await pd.list_users()] == names


def test_the_scrubber_takes_out_keys_people_and_hosts() -> None:
    body = (
        f'{{"integration_key": "{CANARY}", "email": "ada@corp.test", "address": "+49 170 {12345678}",'
        f' "conference_url": "https://meet.corp.test/{CANARY}", "http_cal_url": "https://x.pagerduty.com/{CANARY}",'
        f' "web_cal_url": "webcal://x.pagerduty.com/{CANARY}", "self": "https://api.pagerduty.com/users/P1",'
        ' "title": "Kept"}'
    )
    response = {"headers": {"Content-Type": ["a"], "Set-Cookie": [CANARY]}, "body": {"string": body.encode()}}
    scrubbed = scrub_response(response)
    text = scrubbed["body"]["string"].decode()
    assert scrubbed["headers"] == {"Content-Type": ["a"]}
    for gone in (CANARY, "corp.test", "170", "pagerduty.com"):
        assert gone not in text
    assert "Kept" in text
    request = SimpleNamespace(
        uri="https://api.pagerduty.com/users?query=ada@corp.test&x=1&query=bob%40corp.test&q=https%3A%2F%2Fcorp.test",
        headers={"Authorization": CANARY, "From": "ada@corp.test", "Accept": "a"},
        body=f'{{"service_key": "{CANARY}", "content": "ask eve@corp.test, https://corp.test/x"}}'.encode(),
    )
    kept = scrub_request(request)
    assert kept.headers == {"From": "requester@example.com", "Accept": "a"}
    somebody = "someone@example.com"
    assert kept.uri == f"http://127.0.0.1/users?query={somebody}&x=1&query={somebody}&q=http%3A%2F%2F127.0.0.1"
    assert kept.body == b'{"service_key": "scrubbed", "content": "ask someone@example.com, http://127.0.0.1/x"}'
