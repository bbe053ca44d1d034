"""Credentials: valid or not there, and never shown."""

from __future__ import annotations

import traceback

import pytest

from arx_wrapper import vault
from arx_wrapper.errors import ConfigError, CredentialError
from arx_wrapper.vault import Credentials

CANARY = "u+k4n4ry-abcdefghij"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (CANARY + "\n", "line break"),
        (CANARY + "\r\nX-Evil: 1", "line break"),
        (CANARY + " x", "space"),
        ("", "empty"),
        (CANARY + "é", "outside ASCII"),
        (CANARY + "\u200b", "outside ASCII"),
        (CANARY + "\x00", "control"),
        (CANARY * 500, "malformed"),
        (CANARY.encode(), "not text"),
        (None, "not text"),
    ],
)
def test_a_malformed_key_is_refused_and_not_shown(value, fault):
    with pytest.raises(CredentialError, match=fault) as caught:
        Credentials(api_key=value)
    assert "k4n4ry" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "email",
    [
        "bot@yourorg.com\r\nX-Evil: 1",
        "bot@yourorg.com\n",
        "bot@yourorg",
        "bot yourorg@x.com",
        "Bot <bot@yourorg.com>",
        "a@b.com,c@d.com",
        "bøt@yourorg.com",
        "bot@yourorg.com\x00",
        "@yourorg.com",
        "",
        "a" * 65 + "@yourorg.com",
        "bot@" + "a.".join(["a" * 60] * 5) + ".com",
    ],
)
def test_a_malformed_requester_is_refused_and_not_shown(email):
    with pytest.raises(CredentialError, match="requester's email") as caught:
        Credentials(api_key=CANARY, requester_email=email)
    text = "".join(traceback.format_exception(caught.value))
    assert "k4n4ry" not in text
    assert "X-Evil" not in str(caught.value)


def test_neither_repr_nor_str_shows_the_key():
    credentials = Credentials(api_key=CANARY, requester_email="bot@yourorg.com")
    assert "k4n4ry" not in f"{credentials!r}{credentials!s}{credentials}"
    assert "bot@yourorg.com" in repr(credentials)


def test_the_fingerprint_names_the_account_and_hides_the_key():
    one = Credentials(api_key=CANARY).fingerprint
    assert one == Credentials(api_key=CANARY, requester_email="bot@yourorg.com").fingerprint
    assert one != Credentials(api_key=CANARY + "x").fingerprint
    assert one != Credentials(api_key=CANARY, scheme="Bearer").fingerprint
    assert len(one) == 64


def test_a_token_that_renews_itself_keeps_its_account():
    first = Credentials(api_key="token-1", scheme="Bearer", account="client-1")
    second = Credentials(api_key="token-2", scheme="Bearer", account="client-1")
    other = Credentials(api_key="token-2", scheme="Bearer", account="client-2")
    assert first.fingerprint == second.fingerprint != other.fingerprint


class Environment(dict[str, str]):
    """An environment that counts how often a value is taken out of it."""

    reads = 0

    def __getitem__(self, name: str) -> str:
        self.reads += 1
        return super().__getitem__(name)

    def get(self, name, default=None):
        self.reads += 1
        return super().get(name, default)


async def test_env_locates_without_reading():
    environ = Environment(PAGERDUTY_API_KEY=CANARY)
    where = await vault.open("env:", environ=environ).locate("org-acme")
    assert where == "env:PAGERDUTY_API_KEY"
    assert environ.reads == 0


async def test_env_reads_key_and_requester():
    environ = {"PAGERDUTY_API_KEY": CANARY, "PAGERDUTY_REQUESTER_EMAIL": "bot@yourorg.com"}
    credentials = await vault.open("env:", environ=environ).read("org-acme")
    assert (credentials.api_key, credentials.requester_email) == (CANARY, "bot@yourorg.com")
    assert credentials.scheme == "Token"


async def test_env_without_a_requester_still_serves_reads():
    environ = {"PAGERDUTY_API_KEY": CANARY, "PAGERDUTY_REQUESTER_EMAIL": ""}
    assert (await vault.open("env:", environ=environ).read("org-acme")).requester_email is None


async def test_env_without_a_key_says_which_variable_to_set():
    empty = vault.open("env:", environ={})
    for asked in (empty.locate("org-acme"), empty.read("org-acme")):
        with pytest.raises(CredentialError, match="PAGERDUTY_API_KEY is not set"):
            await asked


async def test_env_follows_the_environment(monkeypatch):
    monkeypatch.setenv("PAGERDUTY_API_KEY", "first")
    opened = vault.open("env:")
    assert (await opened.read("org-acme")).api_key == "first"
    monkeypatch.setenv("PAGERDUTY_API_KEY", "second")
    assert (await opened.read("org-acme")).api_key == "second"


@pytest.mark.parametrize("url", ["", "env", "env:X", "vault:x", "http://x", CANARY, f"{CANARY}://x"])
def test_an_unknown_vault_is_a_configuration_error_that_does_not_repeat_what_may_be_a_secret(url):
    with pytest.raises(ConfigError, match="ARX_VAULT_URL") as caught:
        vault.open(url)
    assert "k4n4ry" not in str(caught.value)
