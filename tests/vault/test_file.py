"""The encrypted file: nothing of the secret in it, nobody else may read it, no change goes unnoticed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from arx_wrapper import vault
from arx_wrapper.errors import CredentialError
from arx_wrapper.vault import keys

KEY = "u+k4n4ry-abcdefghij"
EMAIL = "bot@yourorg.com"
ROOT = Path(__file__).parents[2]


def start(script: str, environ: dict[str, str], *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - this interpreter and the test's script
        [sys.executable, "-c", script, *args],
        env={**os.environ, **environ},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
def environ():
    return {"ARX_VAULT_KEY": new_key()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "arx" / "vault.json"


@pytest.fixture
def opened(path, environ):
    return vault.open(f"file://{path}", environ=environ)


async def test_what_is_stored_is_read_back_by_another_process(opened, path, environ):
    status = await opened.set(KEY, EMAIL)
    assert (status.orgs, status.key_source) == (("*",), "ARX_VAULT_KEY")
    script = (
        "import asyncio, sys\nfrom arx_wrapper import vault\n"
        "got = asyncio.run(vault.open(sys.argv[1]).read('org-acme'))\n"
        "print(got.api_key == 'u+k4n4ry-abcdefghij', got.requester_email)\n"
    )
    assert start(script, environ, f"file://{path}").communicate()[0].split() == ["True", EMAIL]


async def test_locating_decrypts_nothing(opened, path):
    await opened.set(KEY, EMAIL)
    keyless = vault.open(f"file://{path}", environ={})
    assert await keyless.locate("org-acme") == f"file://{path}"
    with pytest.raises(CredentialError, match="needs its key"):
        await keyless.read("org-acme")


async def test_neither_the_file_nor_a_message_shows_the_secret(opened, path, environ):
    await opened.set(KEY, EMAIL)
    content = path.read_bytes()
    for secret in (KEY, EMAIL, environ["ARX_VAULT_KEY"]):
        assert secret.encode() not in content
        assert base64.b64encode(secret.encode()) not in content
    assert "k4n4ry" not in f"{opened!r}{await opened.status()!r}{await opened.read('x')!r}"
    key = keys.parse(new_key(), "ARX_VAULT_KEY")
    assert repr(key.secret) not in repr(key)


async def test_the_file_is_for_its_owner_only(opened, path):
    await opened.set(KEY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o640)
    for act in (
        opened.locate("x"),
        opened.read("x"),
        opened.set(KEY),
        opened.status(),
        opened.rotate(new_key()),
    ):
        with pytest.raises(CredentialError, match="chmod 600"):
            await act


async def test_a_link_or_folder_in_its_place_is_refused(opened, path, tmp_path):
    await opened.set(KEY)
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(CredentialError, match="cannot be used"):
        await opened.locate("x")
    path.unlink()
    path.mkdir()
    with pytest.raises(CredentialError, match="not a file"):
        await opened.locate("x")


async def test_a_pipe_in_its_place_does_not_block(opened, path):
    path.parent.mkdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(CredentialError, match="not a file"):
        await opened.locate("x")


async def test_any_flipped_bit_is_noticed(opened, path, environ):
    await opened.set(KEY, EMAIL)
    whole = json.loads(path.read_bytes())
    for member in ("nonce", "ciphertext"):
        raw = base64.b64decode(whole["entries"]["*"][member])
        for position in range(len(raw)):
            altered = bytearray(raw)
            altered[position] ^= 1 << (position % 8)
            entry = {**whole["entries"]["*"], member: base64.b64encode(altered).decode()}
            path.write_text(json.dumps({**whole, "entries": {"*": entry}}))
            with pytest.raises(CredentialError, match="altered") as caught:
                await vault.open(f"file://{path}", environ=environ).read("x")
            assert "k4n4ry" not in "".join(traceback.format_exception(caught.value))


async def test_an_entry_cannot_be_given_to_another_organisation(opened, path):
    await opened.set(KEY, org_id="org-acme")
    whole = json.loads(path.read_bytes())
    whole["entries"] = {"org-evil": whole["entries"]["org-acme"]}
    path.write_text(json.dumps(whole))
    with pytest.raises(CredentialError, match="altered"):
        await opened.read("org-evil")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\x00\xff", b'{"format":"arx-vault","version":2,"key_id":"x","entries":{}}']
)
async def test_a_file_of_another_kind_is_refused(opened, path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o600)
    for act in (opened.locate("x"), opened.set(KEY)):
        with pytest.raises(CredentialError, match="not a vault file"):
            await act
    assert path.read_bytes() == content


async def test_each_organisation_has_its_own_entry(opened):
    await opened.set(KEY, org_id="org-acme")
    with pytest.raises(CredentialError, match="no credentials for 'org-other'"):
        await opened.locate("org-other")
    await opened.set("other-key")
    assert (await opened.read("org-acme")).api_key == KEY
    assert (await opened.read("org-other")).api_key == "other-key"
    assert (await opened.status()).orgs == ("*", "org-acme")


async def test_a_changed_file_is_read_again(opened, path, environ):
    await opened.set("first")
    assert (await opened.read("x")).api_key == "first"
    await vault.open(f"file://{path}", environ=environ).set("second")
    assert (await opened.read("x")).api_key == "second"
    assert (await opened.read("x", fresh=True)).api_key == "second"


async def test_malformed_credentials_are_not_stored(opened, path):
    with pytest.raises(CredentialError, match="line break"):
        await opened.set(KEY + "\n")
    assert not path.exists()


async def test_without_a_file_it_says_how_to_make_one(opened):
    rotated = opened.rotate(new_key())
    for act in (opened.locate("x"), opened.read("x"), opened.status(), rotated):
        with pytest.raises(CredentialError, match="vault set"):
            await act


async def test_rotating_makes_the_old_key_useless(opened, path, environ):
    await opened.set(KEY, EMAIL)
    await opened.set("other-key", org_id="org-other")
    renewed = new_key()
    before = await opened.status()
    after = await opened.rotate(renewed)
    assert (after.orgs, after.key_source) == (before.orgs, None)
    assert after.key_id != before.key_id
    with pytest.raises(CredentialError, match=f"holds the key {before.key_id}, but .* needs {after.key_id}"):
        await opened.read("x")
    now = vault.open(f"file://{path}", environ={"ARX_VAULT_KEY": renewed})
    assert ((await now.read("x")).api_key, (await now.read("org-other")).api_key) == (KEY, "other-key")


async def test_without_a_key_nothing_is_stored_and_the_message_says_how_to_make_one(path):
    opened = vault.open(f"file://{path}", environ={})
    with pytest.raises(CredentialError, match="head -c 32"):
        await opened.set(KEY)
    assert not path.exists()


async def test_a_key_that_an_earlier_version_kept_in_the_keyring_is_named(opened, path):
    key_id = (await opened.set(KEY)).key_id
    with pytest.raises(CredentialError, match=f"`keyring get arx-vault {key_id}`"):
        await vault.open(f"file://{path}", environ={}).read("x")


async def test_a_malformed_new_key_changes_nothing(opened, path):
    await opened.set(KEY)
    content = path.read_bytes()
    with pytest.raises(CredentialError, match="The new key does not hold"):
        await opened.rotate("short")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "text",
    ["short", "k4n4ry" * 10, base64.b64encode(b"x" * 31).decode(), "é", "!" + base64.b64encode(b"k" * 32).decode()],
)
async def test_a_malformed_vault_key_is_refused_and_not_shown(path, text):
    with pytest.raises(CredentialError, match="ARX_VAULT_KEY does not hold") as caught:
        await vault.open(f"file://{path}", environ={"ARX_VAULT_KEY": text}).set(KEY)
    assert text not in "".join(traceback.format_exception(caught.value))


async def test_processes_that_store_at_once_lose_nothing(path, environ):
    script = (
        "import asyncio, sys\nfrom arx_wrapper import vault\n"
        "asyncio.run(vault.open(sys.argv[1]).set('key-' + sys.argv[2], org_id=sys.argv[2]))\n"
    )
    names = [f"org-{number}" for number in range(6)]
    running = [start(script, environ, f"file://{path}", name) for name in names]
    assert [process.communicate()[0] for process in running] == [""] * len(names)
    opened = vault.open(f"file://{path}", environ=environ)
    assert [(await opened.read(name)).api_key for name in names] == [f"key-{name}" for name in names]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_folder_that_cannot_be_written_is_a_credential_error(tmp_path, environ):
    (tmp_path / "file").touch()
    with pytest.raises(CredentialError, match="cannot be used"):
        await vault.open(f"file://{tmp_path}/file/vault.json", environ=environ).set(KEY)


async def test_a_vault_does_not_grow_beyond_what_it_would_read(opened, path):
    await opened.set(KEY)
    content = path.read_bytes()
    with pytest.raises(CredentialError, match="would grow beyond"):
        await opened.set(KEY, org_id="x" * (1 << 20))
    assert path.read_bytes() == content
    assert (await opened.read("x")).api_key == KEY
