"""Read and make the key of an encrypted vault file, which `ARX_VAULT_KEY` holds."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping

from attrs import field, frozen

from arx_wrapper.errors import CredentialError

VARIABLE = "ARX_VAULT_KEY"
_BYTES = 32


@frozen(kw_only=True)
class Key:
    """An AES-256 key.

    Attributes:
        secret: Its 32 bytes.
        source: The variable it came from.
    """

    secret: bytes = field(repr=False)
    source: str

    @property
    def id(self) -> str:
        """Return a name for the key that does not reveal it, so that a file can say which one it needs."""
        return hashlib.sha256(b"arx-wrapper vault key v1\0" + self.secret).hexdigest()[:16]

    @property
    def text(self) -> str:
        """Return the key as `ARX_VAULT_KEY` takes it."""
        return base64.b64encode(self.secret).decode()


def new_key(source: str = VARIABLE) -> Key:
    """Return a random key."""
    return Key(secret=secrets.token_bytes(_BYTES), source=source)


def parse(text: str, source: str) -> Key:
    """Return the key in a text.

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
    """Return the key in `ARX_VAULT_KEY`; None when it is not set."""
    text = environ.get(VARIABLE)
    return parse(text, VARIABLE) if text else None
