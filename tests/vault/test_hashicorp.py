"""HashiCorp Vault: every login method, leases kept alive, nothing shown, nothing sent elsewhere."""

from __future__ import annotations

import asyncio
import logging
import traceback

import pytest

from arx_wrapper import vault
from arx_wrapper.errors import ConfigError, CredentialError
from arx_wrapper.vault.hashicorp import HashiCorpVault
from tests.vault.kv_server import StandIn, running

KEY = "u+k4n4ry-abcdefghij"
SECRET = {"api_key": KEY, "requester_email": "bot@yourorg.com"}
DATA, METADATA = "GET /v1/secret/data/arx/pagerduty", "GET /v1/secret/metadata/arx/pagerduty"
RENEWAL = "POST /v1/auth/token/renew-self"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    server = StandIn()
    server.secrets["secret/arx/pagerduty"] = dict(SECRET)
    with running(server) as address:
        server.address = address
        yield server


@pytest.fixture
async def open_vault(server, clock):
    async def opened(path="arx/pagerduty", **environ):
        way_in = environ or {"VAULT_TOKEN": "root"}
        made.append(HashiCorpVault("secret", path, {"VAULT_ADDR": server.address, **way_in}, clock=clock))
        return made[-1]

    made: list[HashiCorpVault] = []
    yield opened
    for each in made:
        await each.aclose()


async def test_locating_asks_for_metadata_and_never_for_the_secret(open_vault, server):
    opened = await open_vault()
    for _ in range(3):
        assert await opened.locate("org-acme") == "hashicorp://secret/arx/pagerduty"
    assert [asked for asked in server.asked if "/secret/" in asked] == [METADATA]


async def test_the_secret_is_read_once_until_it_is_old(open_vault, server, clock):
    opened = await open_vault()
    for _ in range(3):
        credentials = await opened.read("org-acme")
    assert (credentials.api_key, credentials.requester_email) == (KEY, "bot@yourorg.com")
    assert server.asked.count(DATA) == 1
    clock.now += 300
    await opened.read("org-acme")
    assert server.asked.count(DATA) == 2


async def test_callers_at_once_share_one_request(open_vault, server):
    opened = await open_vault()
    await asyncio.gather(*(opened.locate("org-acme") for _ in range(50)))
    assert server.asked.count(METADATA) == 1
    await asyncio.gather(*(opened.read("org-acme") for _ in range(50)))
    assert server.asked.count(DATA) == 1
    await asyncio.gather(*(opened.read("org-acme", fresh=True) for _ in range(50)))
    assert server.asked.count(DATA) == 2


async def test_a_fresh_read_goes_past_the_cache(open_vault, server):
    opened = await open_vault()
    await opened.read("org-acme")
    server.secrets["secret/arx/pagerduty"]["api_key"] = "rotated"
    assert (await opened.read("org-acme")).api_key == KEY
    assert (await opened.read("org-acme", fresh=True)).api_key == "rotated"
    assert (await opened.read("org-acme")).api_key == "rotated"


@pytest.mark.parametrize("way_in", ["token", "approle", "kubernetes"])
async def test_every_way_in_leads_to_the_secret(open_vault, tmp_path, way_in):
    file = tmp_path / "token"
    file.write_text("service-account-token\n")
    environ = {
        "token": {"VAULT_TOKEN": "root"},
        "approle": {"VAULT_ROLE_ID": "role", "VAULT_SECRET_ID": "s3cr3t"},
        "kubernetes": {"VAULT_K8S_ROLE": "arx", "VAULT_K8S_TOKEN_FILE": str(file)},
    }[way_in]
    assert (await (await open_vault(**environ)).read("org-acme")).api_key == KEY


async def test_a_lease_is_renewed_before_it_ends(open_vault, server, clock):
    server.lease = 90
    opened = await open_vault(VAULT_ROLE_ID="role", VAULT_SECRET_ID="s3cr3t")  # noqa: S106 - opens nothing
    await opened.read("org-acme")
    clock.now += 59
    await opened.read("org-acme", fresh=True)
    assert RENEWAL not in server.asked
    clock.now += 1
    await opened.read("org-acme", fresh=True)
    assert server.asked.count(RENEWAL) == 1
    clock.now += 60
    await opened.read("org-acme", fresh=True)
    assert (server.asked.count(RENEWAL), server.issued) == (2, 1)


async def test_a_token_that_cannot_be_renewed_is_used_to_its_end_and_replaced(open_vault, server, clock):
    server.lease = 90
    opened = await open_vault(VAULT_ROLE_ID="role", VAULT_SECRET_ID="s3cr3t")  # noqa: S106 - opens nothing
    await opened.read("org-acme")
    server.renewable = False
    clock.now += 80
    await opened.read("org-acme", fresh=True)
    assert (server.asked.count(RENEWAL), server.issued) == (1, 1)
    clock.now += 10
    await opened.read("org-acme", fresh=True)
    assert server.issued == 2


async def test_a_server_that_is_away_when_a_lease_is_renewed_is_asked_again(open_vault, server, clock):
    server.lease = 300
    opened = await open_vault(VAULT_ROLE_ID="role", VAULT_SECRET_ID="s3cr3t")  # noqa: S106 - opens nothing
    await opened.read("org-acme")
    clock.now += 200
    server.answer = (503, {"errors": ["sealed"]})
    with pytest.raises(CredentialError):
        await opened.read("org-acme", fresh=True)
    server.answer = None
    server.asked.clear()
    await opened.read("org-acme", fresh=True)
    assert RENEWAL not in server.asked, "a server in trouble is not asked each time"
    clock.now += 30
    await opened.read("org-acme", fresh=True)
    assert (server.asked.count(RENEWAL), server.issued) == (1, 1)


async def test_a_revoked_token_is_replaced_by_logging_in_again(open_vault, server):
    opened = await open_vault(VAULT_ROLE_ID="role", VAULT_SECRET_ID="s3cr3t")  # noqa: S106 - opens nothing
    await opened.read("org-acme")
    server.tokens.clear()
    assert (await opened.read("org-acme", fresh=True)).api_key == KEY
    assert server.issued == 2


async def test_a_secret_that_is_not_there_says_how_to_store_it(open_vault, server):
    server.secrets.clear()
    opened = await open_vault()
    for act in (opened.locate("x"), opened.read("x")):
        with pytest.raises(CredentialError, match="vault kv put -mount=secret arx/pagerduty"):
            await act


async def test_without_the_right_to_metadata_the_read_decides(open_vault, server):
    server.metadata_allowed = False
    opened = await open_vault()
    assert await opened.locate("org-acme")
    assert (await opened.read("org-acme")).api_key == KEY


async def test_each_organisation_can_have_its_own_secret(open_vault, server):
    server.secrets["secret/arx/org-acme"] = {"api_key": "of-acme"}
    opened = await open_vault(path="arx/{org_id}")
    assert (await opened.read("org-acme")).api_key == "of-acme"
    with pytest.raises(CredentialError, match="no secret secret/arx/org-other"):
        await opened.read("org-other")
    for escape in ("../pagerduty", "a/b", "", "a?b", "a\n", "..", "a%2fb"):
        with pytest.raises(CredentialError, match="cannot be part of a vault path"):
            await opened.read(escape)


async def test_a_namespace_is_sent_along(open_vault, server):
    await (await open_vault(VAULT_TOKEN="root", VAULT_NAMESPACE="team")).read("x")  # noqa: S106 - opens nothing
    assert server.namespaces == {"team"}


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"errors": [KEY]}),
        (403, {"errors": [KEY]}),
        (429, {"errors": [KEY]}),
        (500, {"errors": [KEY]}),
        (503, {"errors": [KEY], "sealed": True}),
        (200, {}),
        (200, {"data": None}),
        (200, {"data": {"data": None, "x": KEY}}),
        (200, {"data": [KEY]}),
    ],
    ids=str,
)
async def test_a_bad_answer_is_a_credential_error_and_is_not_shown(open_vault, server, caplog, answer):
    caplog.set_level(logging.DEBUG)
    opened = await open_vault()
    await opened.locate("x")
    server.answer = answer
    with pytest.raises(CredentialError, match="Could not read the credentials") as caught:
        await opened.read("x")
    assert "k4n4ry" not in "".join(traceback.format_exception(caught.value)) + caplog.text


@pytest.mark.parametrize("secret", [{}, {"api_key": KEY + "\n"}, {"api_key": 5}, {"api_key": None}])
async def test_a_malformed_secret_is_refused_and_not_shown(open_vault, server, secret):
    server.secrets["secret/arx/pagerduty"] = secret
    opened = await open_vault()
    with pytest.raises(CredentialError, match="API key") as caught:
        await opened.read("x")
    assert "k4n4ry" not in "".join(traceback.format_exception(caught.value))


async def test_a_wrong_login_is_a_credential_error(open_vault):
    opened = await open_vault(VAULT_ROLE_ID="role", VAULT_SECRET_ID="k4n4ry")  # noqa: S106 - opens nothing
    with pytest.raises(CredentialError, match="AppRole login") as caught:
        await opened.read("x")
    assert "k4n4ry" not in "".join(traceback.format_exception(caught.value))


async def test_a_login_that_is_not_there_is_no_missing_secret(open_vault, server):
    opened = await open_vault(VAULT_ROLE_ID="role", VAULT_SECRET_ID="s3cr3t")  # noqa: S106 - opens nothing
    server.answer = (404, {"errors": []})
    with pytest.raises(CredentialError, match="Check the AppRole login"):
        await opened.read("org-acme")


async def test_a_server_that_is_down_is_a_credential_error():
    opened = vault.open("hashicorp://secret/x", environ={"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "k4n4ry"})
    with pytest.raises(CredentialError, match="ConnectionError"):
        await opened.locate("x")
    await opened.aclose()


async def test_a_missing_service_account_is_a_credential_error(open_vault, tmp_path):
    opened = await open_vault(VAULT_K8S_ROLE="arx", VAULT_K8S_TOKEN_FILE=str(tmp_path / "none"))
    with pytest.raises(CredentialError, match="FileNotFoundError"):
        await opened.read("x")


async def test_the_token_follows_neither_a_redirect_nor_a_proxy(open_vault, server, monkeypatch):
    elsewhere = StandIn()
    with running(elsewhere) as address:
        monkeypatch.setenv("HTTP_PROXY", address)
        monkeypatch.setenv("ALL_PROXY", address)
        assert (await (await open_vault()).read("x")).api_key == KEY
        server.redirect = address
        with pytest.raises(CredentialError):
            await (await open_vault()).read("x")
    assert (elsewhere.asked, elsewhere.namespaces) == ([], set())


async def test_closing_forgets_what_was_read(open_vault, server):
    opened = vault.open(
        "hashicorp://secret/arx/pagerduty", environ={"VAULT_ADDR": server.address, "VAULT_TOKEN": "root"}
    )
    await opened.read("x")
    await opened.aclose()
    assert not opened._credentials
    assert opened._server._client is None


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"VAULT_ADDR": "http://vault.example:8200", "VAULT_TOKEN": "k4n4ry"},
        {"VAULT_ADDR": "https://user:k4n4ry@vault.example", "VAULT_TOKEN": "x"},
        {"VAULT_ADDR": "https://[", "VAULT_TOKEN": "x"},
        {"VAULT_ADDR": "https://vault.example:8200"},
        {"VAULT_ADDR": "https://vault.example:8200", "VAULT_ROLE_ID": "x"},
        {"VAULT_ADDR": "https://vault.example:8200", "VAULT_TOKEN": "k4n4ry\r\nX: 1"},
    ],
    ids=str,
)
def test_a_bad_configuration_is_refused_before_anything_is_sent(environ):
    with pytest.raises(ConfigError, match="VAULT_") as caught:
        vault.open("hashicorp://secret/arx/pagerduty", environ=environ)
    assert "k4n4ry" not in str(caught.value)


@pytest.mark.parametrize("url", ["hashicorp://", "hashicorp://mount", "hashicorp://mount/", "hashicorp://m/../x"])
def test_an_address_without_a_path_is_refused(url):
    with pytest.raises(ConfigError, match="ARX_VAULT_URL"):
        vault.open(url, environ={"VAULT_ADDR": "https://vault.example", "VAULT_TOKEN": "x"})
