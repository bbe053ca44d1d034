"""Read the key of an encrypted vault file, which `ARX_VAULT_KEY` holds."""

from __future__ import annotations

import base64
import binascii
import hashlib

from attrs import field, frozen

from arx_wrapper.credentials import Secret, Variables
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


def parse(text: Secret | str, source: str) -> Key:
    """Decode a key.

    Raises:
        CredentialError: it is not 32 bytes as base64. The message does not show it.
    """
    text = Secret(text)
    key = _decoded(text, source)
    if key is None:
        raise CredentialError(f"{source} does not hold a vault key: 32 bytes as base64. Nothing was sent.")
    return key


def from_environment(environ: Variables) -> Key | None:
    """Return the key in `ARX_VAULT_KEY`; None when it is not set."""
    return parse(environ.secret(VARIABLE), VARIABLE) if environ.get(VARIABLE) else None


def _decoded(text: Secret, source: str) -> Key | None:
    try:
        decoded = base64.b64decode(text.reveal(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return Key(secret=decoded, source=source) if len(decoded) == _BYTES else None
