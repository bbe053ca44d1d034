"""The key of an encrypted vault file: from `ARX_VAULT_KEY`, or from the operating system's keyring."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from types import ModuleType
from typing import Final

from attrs import field, frozen

from arx_wrapper.errors import CredentialError

VARIABLE = "ARX_VAULT_KEY"
_SERVICE = "arx-vault"
_BYTES = 32
# What the system's keyrings raise when they are locked, broken or gone, beside keyring's own errors.
_FAILURES: Final = (OSError, RuntimeError)


@frozen(kw_only=True)
class Key:
    """An AES-256 key.

    Attributes:
        secret: Its 32 bytes.
        source: Where it came from: `ARX_VAULT_KEY`, `keyring`, or that it is new.
    """

    secret: bytes = field(repr=False)
    source: str

    @property
    def id(self) -> str:
        """Names the key without revealing it, so that a file can say which one it needs."""
        return hashlib.sha256(b"arx-wrapper vault key v1\0" + self.secret).hexdigest()[:16]

    @property
    def text(self) -> str:
        """The key as `ARX_VAULT_KEY` takes it."""
        return base64.b64encode(self.secret).decode()


def new_key(source: str = VARIABLE) -> Key:
    """A random key."""
    return Key(secret=secrets.token_bytes(_BYTES), source=source)


def parse(text: str, source: str) -> Key:
    """A key from its text.

    Raises:
        CredentialError: it is not 32 bytes as base64. The message does not show it.
    """
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != _BYTES:
        raise CredentialError(f"{source} does not hold a vault key: 32 bytes as base64. Nothing was sent.") from None
    return Key(secret=secret, source=source)


def from_environment(environ: Mapping[str, str]) -> Key | None:
    """The key in `ARX_VAULT_KEY`, when it is set."""
    text = environ.get(VARIABLE)
    return parse(text, VARIABLE) if text else None


def from_keyring(key_id: str) -> Key | None:
    """The key of this id, when there is a keyring and it has it. May wait for the user to unlock the keyring."""
    keyring = _keyring()
    if keyring is None:
        return None
    try:
        text = keyring.get_password(_SERVICE, key_id)
    except (keyring.errors.KeyringError, *_FAILURES):
        return None
    return parse(text, "keyring") if text else None


def to_keyring(key: Key) -> bool:
    """Keep a key in the keyring; False when there is none that keeps it."""
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        keyring.set_password(_SERVICE, key.id, key.text)
        return bool(keyring.get_password(_SERVICE, key.id) == key.text)  # the null backend forgets all it is given
    except (keyring.errors.KeyringError, *_FAILURES):
        return False


def forget(key_id: str) -> None:
    """Take a key out of the keyring, if it is there."""
    keyring = _keyring()
    if keyring is None:
        return
    try:
        keyring.delete_password(_SERVICE, key_id)
    except (keyring.errors.KeyringError, *_FAILURES):
        return


def _keyring() -> ModuleType | None:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None
    return keyring
